//! Sealing a bundle: for the trainer and the tools. A device is built without this.

use std::path::{Path, PathBuf};

use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use sha2::{Digest, Sha256};

use crate::container::{CONTAINER_VERSION, MAGIC, MANIFEST};
use crate::file::write_with_mode;
use crate::{Bundle, Manifest, OpenBundleError, TrustedKeys};

/// Why a signing key cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The file cannot be read or written.
    #[error("cannot use the signing key {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a minisign secret key, or a wrong or missing password.
    #[error("the signing key cannot be opened (is the password right?)")]
    Key(#[source] minisign::PError),
}

/// Why a bundle cannot be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealBundleError {
    /// The manifest cannot be written as JSON.
    #[error("cannot write manifest.json")]
    Manifest(#[source] serde_json::Error),
    /// The key refused to sign.
    #[error("cannot sign the bundle")]
    Sign(#[source] minisign::PError),
    /// The sealed bundle would be refused by the device.
    #[error("the sealed bundle does not open")]
    Refused(#[source] OpenBundleError),
    /// The public half of the signing key cannot be read back.
    #[error("the signing key has no usable public key")]
    PublicKey(#[source] crate::KeyError),
}

/// A minisign secret key with its public half.
pub struct SigningKey {
    secret: SecretKey,
    public: PublicKey,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn generate() -> Result<Self, SigningKeyError> {
        let KeyPair { sk: secret, pk: public } =
            KeyPair::generate_unencrypted_keypair().map_err(SigningKeyError::Key)?;
        Ok(Self { secret, public })
    }

    /// Read a minisign secret key; `password` is for an encrypted one.
    ///
    /// # Errors
    /// If the file cannot be read, is no secret key, or the password does not open it.
    pub fn load(path: &Path, password: Option<&str>) -> Result<Self, SigningKeyError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| SigningKeyError::File { path: path.to_owned(), source })?;
        let sealed = || SecretKeyBox::from_string(&text).map_err(SigningKeyError::Key);
        // A key without a password ignores one that happens to be at hand.
        let secret = match (sealed()?.into_unencrypted_secret_key(), password) {
            (Ok(secret), _) => secret,
            (Err(_), Some(password)) => {
                sealed()?.into_secret_key(Some(password.to_owned())).map_err(SigningKeyError::Key)?
            }
            (Err(error), None) => return Err(SigningKeyError::Key(error)),
        };
        let public = PublicKey::from_secret_key(&secret).map_err(SigningKeyError::Key)?;
        Ok(Self { secret, public })
    }

    /// Write the secret key, readable by its owner alone, and `public` beside it.
    ///
    /// The secret key is written without a password: keep the folder private, or protect the key with minisign.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, secret: &Path, public: &Path) -> Result<(), SigningKeyError> {
        let sealed = self.secret.to_box(Some("REMEDIS bundle signing key")).map_err(SigningKeyError::Key)?;
        let open = self.public.to_box().map_err(SigningKeyError::Key)?;
        let write = |path: &Path, text: String, mode| {
            write_with_mode(path, text.as_bytes(), mode)
                .map_err(|source| SigningKeyError::File { path: path.to_owned(), source })
        };
        write(secret, sealed.into_string(), 0o600)?;
        write(public, open.into_string(), 0o644)
    }

    /// The public key's base64 line.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.public.to_base64()
    }

    /// A minisign signature file's text over `payload`.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn sign(&self, payload: &[u8]) -> Result<String, SealBundleError> {
        let digest = crate::container::hex(&Sha256::digest(payload));
        let comment = format!("remedis bundle, sha256 {digest}");
        let signature =
            minisign::sign(Some(&self.public), &self.secret, payload, Some(&comment), Some("signed by remedis"));
        Ok(signature.map_err(SealBundleError::Sign)?.into_string())
    }

    /// `payload` with this key's signature, as a bundle file.
    ///
    /// # Errors
    /// As [`SigningKey::sign`], and if the result does not open.
    pub fn seal(&self, payload: &[u8]) -> Result<Vec<u8>, SealBundleError> {
        let signature = self.sign(payload)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(CONTAINER_VERSION.to_le_bytes());
        bytes.extend((signature.len() as u32).to_le_bytes());
        bytes.extend((payload.len() as u64).to_le_bytes());
        bytes.extend(Sha256::digest(payload));
        bytes.extend(signature.as_bytes());
        bytes.extend(payload);
        let trusted = TrustedKeys::from_texts(&[self.public_key()]).map_err(SealBundleError::PublicKey)?;
        Bundle::from_bytes(&bytes, &trusted).map_err(SealBundleError::Refused)?;
        Ok(bytes)
    }
}

/// Collects a manifest and sections, and seals them.
#[derive(Clone, Debug)]
pub struct BundleBuilder {
    manifest: Manifest,
    sections: Vec<(String, Vec<u8>)>,
}

impl BundleBuilder {
    /// A bundle that has only its manifest.
    #[must_use]
    pub fn new(manifest: Manifest) -> Self {
        Self { manifest, sections: Vec::new() }
    }

    /// Add section `name`.
    #[must_use]
    pub fn section(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.sections.push((name.to_owned(), bytes.into()));
        self
    }

    /// The bundle file, signed with `key`. The same sections give the same payload, and so the same digest.
    ///
    /// # Errors
    /// If the manifest contradicts itself or the sections, or signing fails.
    pub fn seal(self, key: &SigningKey) -> Result<Vec<u8>, SealBundleError> {
        let manifest = serde_json::to_vec_pretty(&self.manifest).map_err(SealBundleError::Manifest)?;
        let mut all = vec![(MANIFEST.to_owned(), manifest)];
        all.extend(self.sections);
        key.seal(&payload(&all))
    }
}

/// Table and sections, as `BUNDLE.md` lays them out.
pub(crate) fn payload(sections: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut payload = (sections.len() as u32).to_le_bytes().to_vec();
    for (name, bytes) in sections {
        payload.extend((name.len() as u16).to_le_bytes());
        payload.extend(name.as_bytes());
        payload.extend((bytes.len() as u64).to_le_bytes());
        payload.extend(Sha256::digest(bytes));
    }
    for (_, bytes) in sections {
        payload.extend(bytes);
    }
    payload
}
