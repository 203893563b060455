//! What can go wrong with a store, sorted by what the caller does about it.

use crate::fault::Fault;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// Two writers would wait for each other in the middle of an answer.
    #[error("{} is in use by another writer (process {}); stop it first", path.display(), number(*holder))]
    InUse {
        /// The store.
        path: PathBuf,
        /// The other writer's process number, where it could be read.
        holder: Option<u32>,
    },
    /// Some other file.
    #[error("{} is not a store: expected an SQLite file of this program, found {found}; move it away", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Written by a program of another version.
    #[error("{} has format {found}, this program reads format {expected}", path.display())]
    Version {
        /// The store.
        path: PathBuf,
        /// The format this program reads.
        expected: i32,
        /// The format it has.
        found: i32,
    },
    /// Something changed what was written.
    #[error("{} is damaged: {found}; move it away with its -wal file to start a new one, and keep both for inquiry",
        path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What SQLite's check found first.
        found: String,
    },
    /// A store was moved away without the newest answers, which lie beside it.
    #[error("{} holds answers of a store that is not there; move it to that store, or away", wal.display())]
    LeftOver {
        /// The write-ahead log without its store.
        wal: PathBuf,
    },
    /// No room on the disk. Passing: open it again later.
    #[error("no room on the disk to open {}", path.display())]
    Full {
        /// The store.
        path: PathBuf,
        /// What refused.
        source: Cause,
    },
    /// The disk or the file is read-only. Passing: open it again later.
    #[error("{} cannot be written: read-only disk or file", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
        /// What refused.
        source: Cause,
    },
    /// Anything else.
    #[error("cannot open {}", path.display())]
    Io {
        /// The store.
        path: PathBuf,
        /// What refused.
        source: Cause,
    },
}

/// What SQLite or the system said.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The file system.
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Why an answer is not durable. Nothing of it was written, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// No room on the disk. Passing: make room ([`Store::retain`](crate::Store::retain)) and write again.
    #[error("no room on the disk for the answer")]
    Full(#[source] rusqlite::Error),
    /// The disk became read-only. Passing: write again later.
    #[error("answer cannot be written: read-only disk or file")]
    ReadOnly(#[source] rusqlite::Error),
    /// The source's request has its answer already.
    #[error("request was answered before, in record {sequence}")]
    AlreadyAnswered {
        /// The record.
        sequence: u64,
    },
    /// A number that cannot be kept: not finite, or beyond 2⁶³.
    #[error("{field} holds a number that is not finite or too large to keep")]
    Invalid {
        /// Where.
        field: &'static str,
    },
    /// The store is damaged: stop writing, and keep its files for inquiry.
    #[error("store is damaged; move it away with its -wal file, and keep both for inquiry")]
    Corrupt(#[source] rusqlite::Error),
    /// The disk failed. The store may be written again; whether the disk lasts is another question.
    #[error("cannot make the answer durable")]
    Io(#[source] rusqlite::Error),
}

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not what was written.
    #[error("record {sequence} is damaged: {found}")]
    Damaged {
        /// The record.
        sequence: i64,
        /// What is wrong with it.
        found: String,
    },
    /// SQLite or the disk refused.
    #[error("cannot read the store")]
    Sqlite(#[from] rusqlite::Error),
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Where it goes to.
    #[error("cannot write the export")]
    Write(#[from] io::Error),
}

impl OpenStoreError {
    pub(super) fn of_sqlite(source: rusqlite::Error, path: &Path) -> Self {
        let fault = Fault::of_sqlite(&source, path);
        if fault == Fault::Corrupt {
            return Self::Damaged { path: path.to_owned(), found: source.to_string() };
        }
        Self::of(fault, source.into(), path)
    }

    pub(super) fn of_io(source: io::Error, path: &Path) -> Self {
        Self::of(Fault::of_io(&source), source.into(), path)
    }

    fn of(fault: Fault, source: Cause, path: &Path) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::Full => Self::Full { path, source },
            Fault::ReadOnly => Self::ReadOnly { path, source },
            Fault::Corrupt | Fault::Other => Self::Io { path, source },
        }
    }
}

impl AppendError {
    pub(super) fn of(source: rusqlite::Error, path: &Path) -> Self {
        match Fault::of_sqlite(&source, path) {
            Fault::Full => Self::Full(source),
            Fault::ReadOnly => Self::ReadOnly(source),
            Fault::Corrupt => Self::Corrupt(source),
            Fault::Other => Self::Io(source),
        }
    }
}

fn number(holder: Option<u32>) -> String {
    holder.map_or_else(|| "unknown".into(), |number| number.to_string())
}
