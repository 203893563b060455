//! Tells apart what a caller can act on: a full disk, a read-only one, a damaged file, and the rest.

use crate::lock::{beside, folder_of};
use rusqlite::ErrorCode;
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

/// Less than this is no room for a commit.
const ROOM: u64 = 128 << 10;

/// Why a file could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Full,
    ReadOnly,
    Corrupt,
    Other,
}

impl Fault {
    pub(crate) fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            _ => Self::Other,
        }
    }

    /// SQLite says "input/output error" also for a disk that became read-only under an open file, and "cannot open"
    /// for a full one, so the file system is asked.
    pub(crate) fn of_sqlite(error: &rusqlite::Error, path: &Path) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::of_file_system(path)
            }
            _ => Self::Other,
        }
    }

    fn of_file_system(path: &Path) -> Self {
        match statvfs(folder_of(path)) {
            Ok(found) if found.f_flag.contains(StatVfsMountFlags::RDONLY) => Self::ReadOnly,
            Ok(found) if found.f_bavail.saturating_mul(found.f_frsize) < ROOM => Self::Full,
            _ => Self::of_opening(path),
        }
    }

    /// A file system that found itself damaged takes nothing and says nothing of it (ext4's `emergency_ro`); opening a file to write
    /// tells. That of the lock: closing a handle of the store itself would drop SQLite's locks.
    fn of_opening(path: &Path) -> Self {
        match OpenOptions::new().write(true).open(beside(path, ".lock")) {
            Err(cause) => Self::of_io(&cause),
            Ok(_) => Self::Other,
        }
    }
}
