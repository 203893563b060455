//! The two books of a device, open together: answers, and the audit log whose head the answers' book also knows.

use crate::operation::alarm::Alarm;
use crate::operation::clock::unix_ms;
use anyhow::Context;
use remedis_settings::JournalConfig;
use remedis_store::{
    Answer, Answers, AppendError, Audit, AuditError, AuditHead, Clock, Event, InForce, Moment, OpenAuditError,
    OpenStoreError, ReadError, Record, Retained, Retention, Store,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What opening the books found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Answers kept.
    pub n_answers: u64,
    /// Whether the last run ended without closing them: a power cut or a kill.
    pub is_recovered: bool,
    /// Bytes of an unfinished line of the audit log, and the file that keeps them.
    pub torn: Option<(u64, String)>,
    /// What was in force during the last run.
    pub in_force: InForce,
}

/// Why an audit event is not in the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFault {
    /// The log did not take it.
    #[error("the audit log")]
    Log(#[from] AuditError),
    /// The log has it; its head could not be noted beside the answers.
    #[error("the head of the audit log cannot be kept")]
    Anchor(#[from] AppendError),
}

/// The alarm to raise when the books cannot be opened or written because the disk takes nothing for now, which may pass.
pub fn passing(cause: &anyhow::Error) -> Option<Alarm> {
    let is_full = matches!(cause.downcast_ref(), Some(OpenStoreError::Full { .. }))
        || matches!(cause.downcast_ref(), Some(OpenAuditError::Full { .. }))
        || matches!(cause.downcast_ref(), Some(AuditFault::Log(AuditError::Full(_))))
        || matches!(cause.downcast_ref(), Some(AuditFault::Anchor(AppendError::Full(_))));
    let is_read_only = matches!(cause.downcast_ref(), Some(OpenStoreError::ReadOnly { .. }))
        || matches!(cause.downcast_ref(), Some(OpenAuditError::ReadOnly { .. }))
        || matches!(cause.downcast_ref(), Some(AuditFault::Log(AuditError::ReadOnly(_))))
        || matches!(cause.downcast_ref(), Some(AuditFault::Anchor(AppendError::ReadOnly(_))));
    is_full.then_some(Alarm::DiskFull).or(is_read_only.then_some(Alarm::JournalReadOnly))
}

/// Both books; every thread may use them.
#[derive(Debug)]
pub struct Ledger {
    /// The answers' file.
    path: PathBuf,
    store: Mutex<Store>,
    audit: Mutex<Audit>,
    boot: u64,
}

impl Ledger {
    /// Opens both, or begins them.
    ///
    /// # Errors
    /// When either cannot be opened, is damaged, in use by another process, or the audit log is shorter than it once was.
    pub fn open(config: &JournalConfig) -> anyhow::Result<(Self, Opened)> {
        let place = |path: &Path| format!("opening {}", path.display());
        let (store, opened) = Store::open(&config.answers).with_context(|| place(&config.answers))?;
        let moment = Moment { unix_ms: unix_ms(), boot: opened.boot };
        let anchor = store.answers().audit_anchor().context("reading the head of the audit log")?;
        let opening = Audit::open(&config.audit, anchor.as_ref(), moment);
        let (audit, found) = opening.with_context(|| place(&config.audit))?;
        let torn = found.torn.map(|torn| (torn.length, torn.kept_in.display().to_string()));
        let said =
            Opened { n_answers: opened.n_answers, is_recovered: opened.is_recovered, torn, in_force: found.in_force };
        let path = config.answers.clone();
        Ok((Self { path, store: Mutex::new(store), audit: Mutex::new(audit), boot: opened.boot }, said))
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the answers take on the disk, in their file and in the log of what is new; neither is waited for.
    pub fn bytes(&self) -> Option<u64> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let new = std::fs::metadata(log).map_or(0, |log| log.len());
        Some(std::fs::metadata(&self.path).ok()?.len() + new)
    }

    /// Which run of the device this is.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Makes an answer durable: its number.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append(&self, answer: &Answer) -> Result<u64, AppendError> {
        self.store().append(answer)
    }

    /// The answer that a source's request got before.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn find(&self, source: &str, request: &str) -> Result<Option<Record>, ReadError> {
        self.store().answers().find(source, request)
    }

    /// Notes that whoever asked has the answer.
    ///
    /// # Errors
    /// As [`Store::delivered`].
    pub fn delivered(&self, sequence: u64) -> Result<(), AppendError> {
        self.store().delivered(sequence, unix_ms())
    }

    /// Reads the answers.
    ///
    /// # Errors
    /// What `read` says.
    pub fn read<T>(&self, read: impl FnOnce(&Answers) -> Result<T, ReadError>) -> Result<T, ReadError> {
        read(self.store().answers())
    }

    /// Removes what is too old or too much.
    ///
    /// # Errors
    /// As [`Store::retain`].
    pub fn retain(&self, policy: &Retention, now: Clock) -> Result<Retained, AppendError> {
        self.store().retain(policy, now)
    }

    /// Writes an event to the audit log.
    ///
    /// # Errors
    /// When it is not durable there.
    pub fn audit(&self, event: &Event) -> Result<(), AuditFault> {
        let moment = Moment { unix_ms: unix_ms(), boot: self.boot };
        let mut audit = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        let head: AuditHead = audit.append(event, moment)?;
        Ok(self.store().anchor(&head)?)
    }
}
