//! The device's answers in one SQLite file, written by one process, read by any.
//!
//! A commit is synced to the write-ahead log before [`Store::append`] returns. Moving the log into the file is a step of
//! its own (a checkpoint), whose failure is never taken for the failure of an answer that is already durable.

mod answers;
mod error;
mod export;
mod file;
mod reserve;
mod retain;
mod row;
mod trend;

pub use answers::{Answers, Range};
pub use error::{AppendError, ExportError, OpenStoreError, ReadError};
pub use retain::{AgeRule, Clock, Retained, Retention};
pub use row::Record;
pub use trend::{Bucket, Trend};

use crate::answer::Answer;
use crate::audit::AuditHead;
use crate::lock::{Lock, LockError, beside};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params, params_from_iter};
use std::path::Path;
use std::time::Duration;

/// Commits between two checkpoints: some 4 MB of write-ahead log.
const COMMITS_A_CHECKPOINT: u32 = 128;
/// Key of the audit log's newest known line.
const AUDIT_HEAD: &str = "audit_head";

/// The one writer of a store.
#[derive(Debug)]
pub struct Store {
    // Before the lock, so that it is closed before another writer may come.
    answers: Answers,
    commits: u32,
    boot: u64,
    _lock: Lock,
}

/// What opening a store found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Answers it holds.
    pub n_answers: u64,
    /// How many times it has been opened to write, this time included: tells starts of the device apart when its clock
    /// cannot.
    pub boot: u64,
    /// Whether the last writer ended without closing it, and what it left in the write-ahead log was taken over.
    pub is_recovered: bool,
}

impl Store {
    /// Opens the store at `path`, or begins one. Takes time with the file's size, which is checked whole.
    ///
    /// # Errors
    /// When it is in use, no store, damaged, or the disk refuses. Nothing is changed then. A full or read-only disk
    /// passes; the others do not.
    pub fn open(path: &Path) -> Result<(Self, Opened), OpenStoreError> {
        let lock = Lock::take(path).map_err(|cause| match cause {
            LockError::InUse { holder } => OpenStoreError::InUse { path: path.to_owned(), holder },
            LockError::Io(cause) => OpenStoreError::of_io(cause, path),
        })?;
        if !file::has_bytes(path) {
            file::begin(path)?;
        }
        let is_recovered = file::has_bytes(&beside(path, "-wal"));
        let (answers, boot) = match take_over(path) {
            Err(OpenStoreError::Full { .. }) if reserve::give_up(path) => take_over(path)?,
            taken => taken?,
        };
        reserve::set_aside(path);
        let n_answers = answers.count().map_err(|cause| match cause {
            ReadError::Sqlite(cause) => OpenStoreError::of_sqlite(cause, path),
            damaged @ ReadError::Damaged { .. } => {
                OpenStoreError::Damaged { path: path.to_owned(), found: damaged.to_string() }
            }
        })?;
        let store = Self { answers, commits: 0, boot, _lock: lock };
        Ok((store, Opened { n_answers, boot, is_recovered }))
    }

    /// Everything that reads.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Keeps an answer and returns its number. It is on the disk, synced, when this returns.
    ///
    /// # Errors
    /// When it is not; then nothing of it is kept. After [`AppendError::Full`], [`AppendError::ReadOnly`] and
    /// [`AppendError::Io`] the same call may be made again on the same store, and should be: what a failed sync left
    /// behind is overwritten by the next commit, while opening the file anew could take it for durable.
    pub fn append(&mut self, answer: &Answer) -> Result<u64, AppendError> {
        let values = row::values(answer)?;
        let marks = vec!["?"; values.len()].join(", ");
        let insert = format!("INSERT INTO answers ({}, checksum) VALUES ({marks})", row::COLUMNS);
        self.execute(&insert, &values).map_err(|cause| self.refused(answer, cause))?;
        let sequence = self.connection().last_insert_rowid();
        self.count_commit();
        Ok(sequence.unsigned_abs())
    }

    /// Notes that an answer reached whoever asked. A sequence that is not there any more is no error.
    ///
    /// Not synced by itself: a power cut may forget it until the next [`append`](Self::append), and the answer is then
    /// delivered once more. That saves every second sync.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn delivered(&mut self, sequence: u64, unix_ms: u64) -> Result<(), AppendError> {
        let values = [row::integer("sequence", sequence)?, row::integer("unix_ms", unix_ms)?];
        let mut mark = || {
            self.connection().execute_batch("PRAGMA synchronous = NORMAL")?;
            let marked = self.execute("UPDATE answers SET delivered_unix_ms = ?2 WHERE sequence = ?1", &values);
            self.connection().execute_batch("PRAGMA synchronous = FULL")?;
            marked
        };
        mark().map_err(|cause| self.failed(cause))?;
        self.count_commit();
        Ok(())
    }

    /// Moves the write-ahead log into the file, as far as readers allow. Appending does it now and then by itself; a
    /// device that has nothing to do may do it earlier.
    ///
    /// # Errors
    /// When the disk refuses. No answer is lost by that, and a later checkpoint makes up for it.
    pub fn checkpoint(&mut self) -> Result<(), AppendError> {
        checkpoint(self.connection(), "PASSIVE").map_err(|cause| self.failed(cause))?;
        self.commits = 0;
        Ok(())
    }

    /// Remembers the newest line of the audit log, so that lines missing from its end are noticed. Synced.
    ///
    /// # Errors
    /// As for [`append`](Self::append).
    pub fn anchor(&mut self, head: &AuditHead) -> Result<(), AppendError> {
        let upsert = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.execute(upsert, &[AUDIT_HEAD.to_owned().into(), row::json(head)]).map_err(|cause| self.failed(cause))?;
        self.count_commit();
        Ok(())
    }

    /// The newest line of the audit log that [`anchor`](Self::anchor) was told.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn audit_anchor(&self) -> Result<Option<AuditHead>, ReadError> {
        self.answers.audit_anchor()
    }

    fn connection(&self) -> &Connection {
        &self.answers.connection
    }

    /// One commit: a statement outside a transaction is a transaction, and executing it includes the sync.
    fn execute(&mut self, statement: &str, values: &[Value]) -> rusqlite::Result<()> {
        let mut done = self.connection().execute(statement, params_from_iter(values));
        if done.as_ref().is_err_and(|cause| file::is_full(cause, &self.answers.path)) {
            // Where that makes no room, the second try says so.
            let _perhaps_roomier = self.make_room();
            done = self.connection().execute(statement, params_from_iter(values));
        }
        done.map(|_| ())
    }

    fn count_commit(&mut self) {
        self.commits += 1;
        if self.commits >= COMMITS_A_CHECKPOINT {
            // What was committed is durable without it. It is tried again after the next commit.
            let _postponed = self.checkpoint();
        }
    }

    /// Empties the log into the file, which may take more room than there is before it gives some back.
    fn make_room(&mut self) -> rusqlite::Result<()> {
        let had_reserve = reserve::give_up(&self.answers.path);
        let emptied = empty_log(self.connection());
        if had_reserve {
            // Before anybody writes again: it is not for answers.
            reserve::set_aside(&self.answers.path);
        }
        emptied
    }

    fn refused(&self, answer: &Answer, cause: rusqlite::Error) -> AppendError {
        let is_repeated = cause.sqlite_error_code() == Some(ErrorCode::ConstraintViolation);
        let earlier = answer.request.as_ref().filter(|_| is_repeated).map(|request| {
            let select = "SELECT sequence FROM answers WHERE source = ?1 AND request_id = ?2";
            self.connection().query_row(select, params![answer.source, request.id], |row| row.get::<_, i64>(0))
        });
        match earlier {
            Some(Ok(sequence)) => AppendError::AlreadyAnswered { sequence: sequence.unsigned_abs() },
            Some(Err(_)) | None => self.failed(cause),
        }
    }

    fn failed(&self, cause: rusqlite::Error) -> AppendError {
        let error = AppendError::of(cause, &self.answers.path);
        if matches!(error, AppendError::Corrupt(_)) {
            // Leaves the files as they are, for inquiry; if that cannot be asked for, SQLite's own caution remains.
            let _kept = file::settle_at_close(self.connection(), false);
        }
        error
    }
}

/// Opens the file, checks it, counts this start and moves what the last writer left into the file.
fn take_over(path: &Path) -> Result<(Answers, u64), OpenStoreError> {
    let connection = file::open_to_write(path)?;
    file::check(&connection, path)?;
    let count = || {
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'boot'", [])?;
        let boot: i64 = connection.query_row("SELECT value FROM meta WHERE key = 'boot'", [], |row| row.get(0))?;
        empty_log(&connection)?;
        file::settle_at_close(&connection, true)?;
        Ok(boot.unsigned_abs())
    };
    let boot = count().map_err(|cause| OpenStoreError::of_sqlite(cause, path))?;
    Ok((Answers { connection, path: path.to_owned() }, boot))
}

/// A reader that stands in the way makes it partial, not an error.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}

/// Moves all of the log into the file and cuts it to nothing, unless a reader needs it, who is not waited for.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let emptied = checkpoint(connection, "TRUNCATE");
    connection.busy_timeout(file::PATIENCE)?;
    emptied
}

#[cfg(test)]
mod tests;
