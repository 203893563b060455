//! The SQLite file: how it begins, how it is opened, and how it is told from anything else.

use super::OpenStoreError;
use crate::fault::Fault;
use crate::lock::{beside, sync_folder_of};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// `REMS`, at byte 68 of the file.
const APPLICATION_ID: i32 = 0x5245_4d53;
/// The format that STORE.md describes, at byte 60 of the file.
const FORMAT: i32 = 1;
/// How long to wait for somebody who holds SQLite's own locks, such as its command line program.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
    CREATE TABLE answers (
        sequence            INTEGER PRIMARY KEY AUTOINCREMENT,
        source              TEXT NOT NULL,
        request_id          TEXT,
        request_fingerprint TEXT,
        image_sha256        TEXT NOT NULL,
        image_bytes         INTEGER NOT NULL,
        decision            TEXT NOT NULL CHECK (decision IN ('class', 'cannot_say', 'unreadable')),
        class_index         INTEGER,
        class_name          TEXT,
        confidence          REAL,
        reason              TEXT,
        probabilities       TEXT NOT NULL,
        model_name          TEXT NOT NULL,
        model_version       TEXT NOT NULL,
        model_digest        TEXT NOT NULL,
        unix_ms             INTEGER NOT NULL,
        is_clock_trusted    INTEGER NOT NULL,
        boot                INTEGER NOT NULL,
        uptime_ms           INTEGER NOT NULL,
        trace               TEXT NOT NULL,
        checksum            INTEGER NOT NULL,
        delivered_unix_ms   INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX answers_by_request ON answers (source, request_id) WHERE request_id IS NOT NULL;
    CREATE INDEX answers_by_time ON answers (unix_ms, decision, class_name);
    CREATE INDEX answers_owed ON answers (source) WHERE request_id IS NOT NULL AND delivered_unix_ms IS NULL;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;
    INSERT INTO meta VALUES ('boot', 0);
";

/// Makes an empty store appear at `path`, whole or not at all.
pub(super) fn begin(path: &Path) -> Result<(), OpenStoreError> {
    let wal = beside(path, "-wal");
    if has_bytes(&wal) {
        // SQLite would take it for the new file's own and play it in.
        return Err(OpenStoreError::LeftOver { wal });
    }
    let io = |cause| OpenStoreError::of_io(cause, path);
    let fresh = beside(path, ".new");
    for rest in [fresh.clone(), beside(&fresh, "-wal"), beside(&fresh, "-shm"), beside(&fresh, "-journal")] {
        if rest.try_exists().map_err(io)? {
            fs::remove_file(&rest).map_err(io)?;
        }
    }
    write_schema(&fresh).map_err(|cause| OpenStoreError::of_sqlite(cause, path))?;
    File::open(&fresh).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&fresh, path).map_err(io)?;
    sync_folder_of(path).map_err(io)
}

fn write_schema(fresh: &Path) -> rusqlite::Result<()> {
    let connection = connect(fresh, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, "")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.execute_batch(&format!(
        "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;
         BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;
         PRAGMA journal_mode = WAL;"
    ))?;
    connection.close().map_err(|(_, cause)| cause)
}

/// The one connection that writes. Closing it changes nothing until [`settle_at_close`] says that it may.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, OpenStoreError> {
    let open = || {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, "")?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 0;
             PRAGMA cell_size_check = ON;",
        )?;
        Ok(connection)
    };
    let connection = open().map_err(|cause| foreign_or(cause, path))?;
    identify(&connection, path)?;
    Ok(connection)
}

/// A connection for reading beside the writer, or without one, also from a disk that cannot be written.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, OpenStoreError> {
    let open = |more: &str| {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, more)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    let connection = open("")
        .or_else(|cause: rusqlite::Error| match cause.sqlite_error_code() {
            // No reader's index can be made there. Without a write-ahead log none is needed.
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) if !has_bytes(&beside(path, "-wal")) => {
                open("&immutable=1")
            }
            _ => Err(cause),
        })
        .map_err(|cause| foreign_or(cause, path))?;
    identify(&connection, path)?;
    Ok(connection)
}

/// Lets SQLite move the write-ahead log into the file when the connection closes.
pub(super) fn settle_at_close(connection: &Connection, may: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !may).map(|_| ())
}

pub(super) fn has_bytes(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > 0)
}

/// The structure of the whole file, without comparing indices with their tables.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), OpenStoreError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|cause| OpenStoreError::of_sqlite(cause, path))?;
    if found == "ok" { Ok(()) } else { Err(OpenStoreError::Damaged { path: path.to_owned(), found }) }
}

fn connect(path: &Path, flags: OpenFlags, more: &str) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(path, more), flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(connection)
}

/// The path as SQLite's URI. `psow=0`: a power cut may spoil the whole sector that was being written, so commits are
/// padded to sector borders (<https://www.sqlite.org/psow.html>).
fn uri(path: &Path, more: &str) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri + "?psow=0" + more
}

fn identify(connection: &Connection, path: &Path) -> Result<(), OpenStoreError> {
    let read = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application_id = read("application_id").map_err(|cause| foreign_or(cause, path))?;
    if application_id != APPLICATION_ID {
        let found = format!("an SQLite file with application id {application_id:#010x}");
        return Err(OpenStoreError::Foreign { path: path.to_owned(), found });
    }
    let found = read("user_version").map_err(|cause| foreign_or(cause, path))?;
    if found != FORMAT {
        return Err(OpenStoreError::Version { path: path.to_owned(), expected: FORMAT, found });
    }
    Ok(())
}

fn foreign_or(cause: rusqlite::Error, path: &Path) -> OpenStoreError {
    if cause.sqlite_error_code() != Some(ErrorCode::NotADatabase) {
        return OpenStoreError::of_sqlite(cause, path);
    }
    let mut first = Vec::new();
    // Only for the message; an unreadable file has its own error.
    let _unread = File::open(path).map(|file| file.take(16).read_to_end(&mut first));
    OpenStoreError::Foreign { path: path.to_owned(), found: format!("a file that begins with {first:02x?}") }
}

/// Whether more room could help.
pub(super) fn is_full(error: &rusqlite::Error, path: &Path) -> bool {
    Fault::of_sqlite(error, path) == Fault::Full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_smuggle_options_into_the_uri() {
        assert_eq!(
            uri(Path::new("/data/a b?mode=memory#%.db"), ""),
            "file:/data/a%20b%3fmode%3dmemory%23%25.db?psow=0"
        );
    }
}
