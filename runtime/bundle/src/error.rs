//! Why a bundle or a key is refused: one variant a lie that a file can tell.

use std::path::PathBuf;

/// Why a bundle cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenBundleError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Larger than any bundle may be.
    #[error("the file has more than {limit} bytes: not a bundle, or one for servers")]
    TooLarge {
        /// Most bytes that are read.
        limit: u64,
    },
    /// Something else than a bundle.
    #[error(
        "not a REMEDIS bundle: expected it to start with {expected:02x?}, found {found:02x?}; give the file that training wrote"
    )]
    NotABundle {
        /// The magic number.
        expected: Vec<u8>,
        /// What the file starts with.
        found: Vec<u8>,
    },
    /// A bundle from the future.
    #[error("the bundle has {what} version {found}, this program reads up to {supported}: update the program")]
    NewerFormat {
        /// Container or manifest.
        what: &'static str,
        /// Version found.
        found: u32,
        /// Newest that is read.
        supported: u32,
    },
    /// Shorter or longer than its header says.
    #[error("the bundle should have {expected} bytes, found {found}: copy it again")]
    Length {
        /// Bytes as the header says.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Bytes changed after it was made.
    #[error("the bundle is damaged: its content should have sha256 {expected}, found {found}; copy it again")]
    Damaged {
        /// As the header says.
        expected: String,
        /// As computed.
        found: String,
    },
    /// The signature is not one.
    #[error("the bundle's signature cannot be read: {reason}")]
    SignatureFormat {
        /// What is wrong with it.
        reason: String,
    },
    /// Signed with a key that nobody here trusts.
    #[error(
        "the bundle was signed with key {found}, which is not trusted here; trusted: {trusted}; have one of them sign it: \
         `remedis bundle sign`"
    )]
    UnknownKey {
        /// Identifier of the signing key.
        found: String,
        /// Identifiers of the trusted keys.
        trusted: String,
    },
    /// The right key's name, but not its signature.
    #[error("the bundle claims key {key}, but the signature does not fit its content: do not use it")]
    BadSignature {
        /// Identifier of the claimed key.
        key: String,
        /// What the verifier said.
        source: minisign_verify::Error,
    },
    /// The table of sections contradicts itself.
    #[error("the bundle's section table is wrong: {reason}")]
    Sections {
        /// What is wrong with it.
        reason: String,
    },
    /// A section differs from its entry in the table.
    #[error("section {section} does not match its checksum: the table says {expected}, the section has {found}")]
    Checksum {
        /// Name of the section.
        section: String,
        /// As the table says.
        expected: String,
        /// As computed.
        found: String,
    },
    /// A section that must be there.
    #[error("section {section} is missing; the bundle has {found:?}")]
    MissingSection {
        /// Name of the section.
        section: String,
        /// Names that are there.
        found: Vec<String>,
    },
    /// The manifest is not the JSON it should be.
    #[error("manifest.json cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// The manifest contradicts itself.
    #[error("manifest.json contradicts itself: {reason}")]
    Contradiction {
        /// What contradicts what.
        reason: String,
    },
}

/// Why a public key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the public key {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a minisign public key.
    #[error(
        "{what:?} is not a minisign public key: expected 56 base64 characters starting with RW, as `remedis keys generate` prints"
    )]
    Format {
        /// What was given, at most 64 characters.
        what: String,
        /// What the decoder said.
        source: minisign_verify::Error,
    },
    /// No key at all.
    #[error("no trusted key was given: name at least one public key")]
    None,
}
