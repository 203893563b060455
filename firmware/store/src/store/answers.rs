//! Reading answers, in the writing process and beside it.

use super::row::{Record, record, selection};
use super::{AUDIT_HEAD, OpenStoreError, ReadError, file};
use crate::audit::AuditHead;
use rusqlite::{Connection, OptionalExtension, Params, params};
use std::path::{Path, PathBuf};

/// The answers in a store, to be read. Every record is checked against its checksum.
#[derive(Debug)]
pub struct Answers {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// A span of time by the device's clock, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Milliseconds since 1970-01-01 UTC.
    pub from_unix_ms: u64,
    /// Milliseconds since 1970-01-01 UTC; not in the span any more.
    pub until_unix_ms: u64,
}

impl Range {
    /// Every answer.
    pub const ALL: Self = Self { from_unix_ms: 0, until_unix_ms: u64::MAX };
}

impl Answers {
    /// Opens a store for reading only, whether or not a device is writing it.
    ///
    /// # Errors
    /// When there is none, it is none, or the disk refuses.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenStoreError> {
        Ok(Self { connection: file::open_to_read(path)?, path: path.to_owned() })
    }

    /// The answer given to a request.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn find(&self, source: &str, request_id: &str) -> Result<Option<Record>, ReadError> {
        self.first("WHERE source = ?1 AND request_id = ?2", params![source, request_id])
    }

    /// The answer of this number.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub fn get(&self, sequence: u64) -> Result<Option<Record>, ReadError> {
        self.first("WHERE sequence = ?1", params![bounded(sequence)])
    }

    /// The last `n` answers, newest first.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub fn latest(&self, n: usize) -> Result<Vec<Record>, ReadError> {
        self.all("ORDER BY sequence DESC LIMIT ?1", params![bounded(n as u64)])
    }

    /// Up to `n` answers whose number is below `sequence`, newest first.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub fn before(&self, sequence: u64, n: usize) -> Result<Vec<Record>, ReadError> {
        self.all("WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2", params![bounded(sequence), bounded(n as u64)])
    }

    /// Up to `limit` answers of a span of time that come after `after_sequence` (0 for the first page), oldest first.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub fn page(&self, range: &Range, after_sequence: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        let (from, until) = (bounded(range.from_unix_ms), bounded(range.until_unix_ms));
        self.all(
            "WHERE sequence > ?1 AND unix_ms >= ?2 AND unix_ms < ?3 ORDER BY sequence LIMIT ?4",
            params![bounded(after_sequence), from, until, bounded(limit as u64)],
        )
    }

    /// Answers to requests of this source that have not reached it, oldest first.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub fn undelivered(&self, source: &str) -> Result<Vec<Record>, ReadError> {
        self.all(
            "WHERE source = ?1 AND request_id IS NOT NULL AND delivered_unix_ms IS NULL ORDER BY sequence",
            params![source],
        )
    }

    /// How many answers there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn count(&self) -> Result<u64, ReadError> {
        let count: i64 = self.connection.query_row("SELECT count(*) FROM answers", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The newest line of the audit log that the writer was told.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn audit_anchor(&self) -> Result<Option<AuditHead>, ReadError> {
        let select = "SELECT value FROM meta WHERE key = ?1";
        let json: Option<String> = self.connection.query_row(select, [AUDIT_HEAD], |row| row.get(0)).optional()?;
        json.map(|json| serde_json::from_str(&json)).transpose().map_err(|cause| ReadError::Damaged {
            sequence: 0,
            found: format!("audit head is no JSON of ours: {cause}"),
        })
    }

    fn first(&self, condition: &str, values: impl Params) -> Result<Option<Record>, ReadError> {
        Ok(self.all(condition, values)?.into_iter().next())
    }

    fn all(&self, condition: &str, values: impl Params) -> Result<Vec<Record>, ReadError> {
        let mut statement = self.connection.prepare(&format!("{} FROM answers {condition}", selection()))?;
        let mut rows = statement.query(values)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(record(row)?);
        }
        Ok(records)
    }
}

/// SQLite's integers end at 2⁶³; nothing is stored beyond.
pub(super) fn bounded(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
