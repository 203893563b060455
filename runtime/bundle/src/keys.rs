//! The public keys whose bundles are accepted. Keys and signatures are minisign's, so its stock tool checks them too.

use std::path::Path;

use base64::Engine as _;
use minisign_verify::PublicKey;

use crate::KeyError;

/// At least one public key.
#[derive(Clone, Debug)]
pub struct TrustedKeys {
    keys: Vec<(String, PublicKey)>,
}

impl TrustedKeys {
    /// From key texts: each the base64 line, or a whole `.pub` file's text with its comment line.
    ///
    /// # Errors
    /// If there is none or one is not a minisign public key.
    pub fn from_texts<T: AsRef<str>>(texts: &[T]) -> Result<Self, KeyError> {
        let keys = texts.iter().map(|text| parse(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self { keys })
    }

    /// From arguments that are each a key's base64 line or the path of a `.pub` file.
    ///
    /// # Errors
    /// If there is none, a file cannot be read, or one is not a minisign public key.
    pub fn from_arguments<T: AsRef<str>>(arguments: &[T]) -> Result<Self, KeyError> {
        let read = |argument: &T| {
            let argument = argument.as_ref();
            if !Path::new(argument).exists() && argument.len() == 56 && argument.starts_with("RW") {
                return Ok(argument.to_owned());
            }
            std::fs::read_to_string(argument).map_err(|source| KeyError::Read { path: argument.into(), source })
        };
        Self::from_texts(&arguments.iter().map(read).collect::<Result<Vec<_>, _>>()?)
    }

    /// The key with identifier `id`.
    pub(crate) fn find(&self, id: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|(found, _)| found == id).map(|(_, key)| key)
    }

    /// Identifiers of all keys, as minisign prints them.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.keys.iter().map(|(id, _)| id.as_str()).collect()
    }
}

fn parse(text: &str) -> Result<(String, PublicKey), KeyError> {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let refuse = |source| KeyError::Format { what: line.chars().take(64).collect(), source };
    let key = PublicKey::from_base64(line).map_err(refuse)?;
    let id = key_id(line).ok_or(minisign_verify::Error::InvalidEncoding).map_err(refuse)?;
    Ok((id, key))
}

/// The key identifier in a base64 line of a minisign key or signature: bytes 2 to 9, little endian, in hexadecimal.
pub(crate) fn key_id(line: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(line).ok()?;
    let id: [u8; 8] = bytes.get(2..10)?.try_into().ok()?;
    Some(format!("{:016X}", u64::from_le_bytes(id)))
}
