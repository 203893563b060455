//! The container: header, signature, payload. Specified in `BUNDLE.md`.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use minisign_verify::Signature;
use sha2::{Digest, Sha256};

use crate::keys::key_id;
use crate::{FORMAT_VERSION, Manifest, OpenBundleError, TrustedKeys};

/// Version of the container that this crate writes, and the newest it reads.
pub const CONTAINER_VERSION: u32 = 1;
/// First bytes of every bundle.
pub const MAGIC: [u8; 8] = *b"REMEDIS\x1a";
pub(crate) const HEADER: usize = 56;
/// A minisign signature is about 300 bytes; a header that claims more lies.
const MAX_SIGNATURE: usize = 4096;
const MAX_SECTIONS: usize = 4096;
/// More than any device model needs; a larger file is not read into memory.
const MAX_FILE: u64 = 512 * 1024 * 1024;
pub(crate) const MANIFEST: &str = "manifest.json";

/// A verified bundle, in memory.
#[derive(Clone, Debug)]
pub struct Bundle {
    manifest: Manifest,
    payload: Vec<u8>,
    sections: BTreeMap<String, Range<usize>>,
    digest: String,
    signer: String,
}

impl Bundle {
    /// Read and verify the bundle at `path`.
    ///
    /// # Errors
    /// See [`OpenBundleError`]; nothing of an unverified payload is interpreted.
    pub fn open(path: &Path, trusted: &TrustedKeys) -> Result<Self, OpenBundleError> {
        let read = || {
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| OpenBundleError::Read { path: path.to_owned(), source })?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(OpenBundleError::TooLarge { limit: MAX_FILE });
        }
        Self::from_bytes(&bytes, trusted)
    }

    /// Verify the bundle in `bytes`.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_bytes(bytes: &[u8], trusted: &TrustedKeys) -> Result<Self, OpenBundleError> {
        let parts = Parts::split(bytes)?;
        let signer = parts.verify(trusted)?;
        let payload = parts.payload.to_vec();
        let sections = sections(&payload)?;
        let names = || sections.keys().cloned().collect();
        let missing = |section: &str| OpenBundleError::MissingSection { section: section.to_owned(), found: names() };
        let text = payload.get(sections.get(MANIFEST).ok_or_else(|| missing(MANIFEST))?.clone()).unwrap_or_default();
        let manifest = read_manifest(text)?;
        let golden = manifest.golden.vectors.iter().map(|vector| &vector.input);
        if let Some(absent) = golden.chain([&manifest.model.section]).find(|name| !sections.contains_key(*name)) {
            return Err(missing(absent));
        }
        Ok(Self { manifest, sections, digest: hex(&parts.digest), signer, payload })
    }

    /// Everything that decides an answer, beside the model's own bytes.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of section `name`.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        self.payload.get(self.sections.get(name)?.clone())
    }

    /// Names and sizes in bytes of all sections, by name.
    pub fn sections(&self) -> impl Iterator<Item = (&str, usize)> {
        self.sections.iter().map(|(name, range)| (name.as_str(), range.len()))
    }

    /// The model's bytes.
    ///
    /// # Panics
    /// Never: opening checks that the section is there.
    #[must_use]
    pub fn model(&self) -> &[u8] {
        self.section(&self.manifest.model.section).expect("opening checked that the model's section exists")
    }

    /// SHA-256 of the payload, in hexadecimal: names exactly this bundle.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Identifier of the key that signed it.
    #[must_use]
    pub fn signer(&self) -> &str {
        &self.signer
    }
}

/// The three parts of a bundle file, unverified but of the right lengths and digest.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// SHA-256 of the payload.
    pub digest: [u8; 32],
    /// Text of a minisign signature file.
    pub signature: &'a str,
    /// What is signed.
    pub payload: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Take a bundle apart without trusting it; for tools that sign again or extract.
    ///
    /// # Errors
    /// If it is no bundle, newer, of another length than it says, or damaged.
    pub fn split(bytes: &'a [u8]) -> Result<Self, OpenBundleError> {
        let start = &bytes[..bytes.len().min(MAGIC.len())];
        if start != &MAGIC[..start.len()] || start.is_empty() {
            return Err(OpenBundleError::NotABundle { expected: MAGIC.to_vec(), found: start.to_vec() });
        }
        let Some(header) = bytes.get(..HEADER) else {
            return Err(OpenBundleError::Length { expected: HEADER as u64, found: bytes.len() as u64 });
        };
        let version = u32_at(header, 8);
        if version > CONTAINER_VERSION {
            return Err(OpenBundleError::NewerFormat {
                what: "container",
                found: version,
                supported: CONTAINER_VERSION,
            });
        }
        if version == 0 {
            return Err(OpenBundleError::NotABundle { expected: MAGIC.to_vec(), found: header[..12].to_vec() });
        }
        let signature_length = u32_at(header, 12) as usize;
        if signature_length > MAX_SIGNATURE {
            let reason = format!("its length should be at most {MAX_SIGNATURE} bytes, found {signature_length}");
            return Err(OpenBundleError::SignatureFormat { reason });
        }
        let expected = (HEADER as u64 + signature_length as u64).checked_add(u64_at(header, 16));
        if expected != Some(bytes.len() as u64) {
            let expected = expected.unwrap_or(u64::MAX);
            return Err(OpenBundleError::Length { expected, found: bytes.len() as u64 });
        }
        let (signature, payload) = bytes[HEADER..].split_at(signature_length);
        let digest: [u8; 32] = Sha256::digest(payload).into();
        if header[24..HEADER] != digest {
            return Err(OpenBundleError::Damaged { expected: hex(&header[24..HEADER]), found: hex(&digest) });
        }
        let signature = std::str::from_utf8(signature)
            .map_err(|error| OpenBundleError::SignatureFormat { reason: format!("it is not text: {error}") })?;
        Ok(Self { digest, signature, payload })
    }

    /// Check the signature; returns the identifier of the key.
    ///
    /// # Errors
    /// If the signature cannot be read, its key is not trusted, or it does not fit.
    pub fn verify(&self, trusted: &TrustedKeys) -> Result<String, OpenBundleError> {
        let unreadable = |reason: String| OpenBundleError::SignatureFormat { reason };
        let signature = Signature::decode(self.signature).map_err(|error| unreadable(error.to_string()))?;
        let id =
            self.signature.lines().nth(1).and_then(key_id).ok_or_else(|| unreadable("it names no key".to_owned()))?;
        let Some(key) = trusted.find(&id) else {
            return Err(OpenBundleError::UnknownKey { found: id, trusted: trusted.ids().join(", ") });
        };
        match key.verify(self.payload, &signature, false) {
            Ok(()) => Ok(id),
            Err(source) => Err(OpenBundleError::BadSignature { key: id, source }),
        }
    }
}

fn read_manifest(text: &[u8]) -> Result<Manifest, OpenBundleError> {
    // The version first: a newer manifest has keys that this program would call unknown.
    #[derive(serde::Deserialize)]
    struct Version {
        format_version: u32,
    }
    let Version { format_version } = serde_json::from_slice(text).map_err(OpenBundleError::Manifest)?;
    if format_version > FORMAT_VERSION {
        let found = format_version;
        return Err(OpenBundleError::NewerFormat { what: "manifest", found, supported: FORMAT_VERSION });
    }
    let manifest: Manifest = serde_json::from_slice(text).map_err(OpenBundleError::Manifest)?;
    match manifest.contradiction() {
        Some(reason) => Err(OpenBundleError::Contradiction { reason }),
        None => Ok(manifest),
    }
}

/// The section table of `payload`: each entry's checksum is checked; sections neither overlap nor leave gaps.
fn sections(payload: &[u8]) -> Result<BTreeMap<String, Range<usize>>, OpenBundleError> {
    let wrong = |reason: String| OpenBundleError::Sections { reason };
    let mut cursor = Cursor { bytes: payload, at: 0 };
    let count = u32_at(cursor.take(4)?, 0) as usize;
    if count > MAX_SECTIONS {
        return Err(wrong(format!("expected at most {MAX_SECTIONS} sections, found {count}")));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let name_length = usize::from(u16::from_le_bytes([cursor.take(1)?[0], cursor.take(1)?[0]]));
        let name = std::str::from_utf8(cursor.take(name_length)?).map_err(|error| wrong(error.to_string()))?.to_owned();
        let length = u64_at(cursor.take(8)?, 0);
        entries.push((name, length, cursor.take(32)?));
    }
    let mut sections = BTreeMap::new();
    for (name, length, checksum) in entries {
        let length = usize::try_from(length).map_err(|error| wrong(format!("section {name}: {error}")))?;
        let start = cursor.at;
        let found = hex(&Sha256::digest(cursor.take(length)?));
        if found != hex(checksum) {
            return Err(OpenBundleError::Checksum { section: name, expected: hex(checksum), found });
        }
        if sections.insert(name.clone(), start..cursor.at).is_some() {
            return Err(wrong(format!("section {name} is there twice")));
        }
    }
    match payload.len() - cursor.at {
        0 => Ok(sections),
        left => Err(wrong(format!("{left} bytes belong to no section"))),
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], OpenBundleError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            let left = self.bytes.len() - self.at;
            return Err(OpenBundleError::Sections { reason: format!("expected {length} more bytes, {left} are left") });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

/// The four bytes at `at`, which the caller has checked are there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
