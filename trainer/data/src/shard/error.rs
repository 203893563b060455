//! Why prepared pictures cannot be used.

use std::io;

use super::VERSION;

/// Why prepared pictures cannot be read. `file` is a name within the folder, which names no patient.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The system refuses.
    #[error("cannot read {file}")]
    Read {
        /// Which file.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// The folder is not whole yet.
    #[error("{file} is missing: the images are not all prepared; give the same `remedis-train prepare` again")]
    Unfinished {
        /// Which file.
        file: String,
    },
    /// Another kind of file.
    #[error("{file} holds no prepared images: expected it to start with \"REMESHRD\", found {found:02x?}")]
    Magic {
        /// Which file.
        file: String,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// Written by a program of another time.
    #[error("{file} has version {found}, expected 1 to {VERSION}; prepare the images again with this program")]
    Version {
        /// Which file.
        file: String,
        /// Its version.
        found: u32,
    },
    /// Bytes have changed.
    #[error(
        "{file} is damaged: CRC-32 of {what} is {found:08x}, expected {expected:08x}; prepare the images again, which makes \
         damaged files anew"
    )]
    Checksum {
        /// Which file.
        file: String,
        /// Which part of it.
        what: String,
        /// As the file says.
        expected: u32,
        /// Of its bytes.
        found: u32,
    },
    /// Not in the form that this program writes.
    #[error("{file}: {what} is not in the form expected: wrong at line {line}, column {column}")]
    Form {
        /// Which file.
        file: String,
        /// Which part of it.
        what: &'static str,
        /// Where in this part.
        line: usize,
        /// Where in this line.
        column: usize,
    },
    /// Two places that must agree do not.
    #[error(
        "{file} contradicts itself or shards.json: {what} is {found}, expected {expected}; prepare the images again"
    )]
    Contradiction {
        /// Which file.
        file: String,
        /// What.
        what: &'static str,
        /// By the one place.
        expected: String,
        /// By the other.
        found: String,
    },
}

impl ShardError {
    pub(crate) fn contradiction(file: &str, what: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self::Contradiction { file: file.to_owned(), what, expected: expected.to_string(), found: found.to_string() }
    }

    /// `error` without the value that it is about, which may be a patient's.
    pub(crate) fn form(file: &str, what: &'static str, error: &serde_json::Error) -> Self {
        Self::Form { file: file.to_owned(), what, line: error.line(), column: error.column() }
    }
}
