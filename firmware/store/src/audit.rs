//! Everything that changed what the device does, in a text file whose lines are chained by their hashes.
//!
//! The chain shows that lines were changed, taken out or put in; it does not keep anybody from writing a new chain. Keep
//! the head elsewhere (the store's anchor, another machine) to notice that.

mod event;
mod in_force;
mod line;
mod verify;

pub use event::{Event, Moment};
pub use in_force::{Changed, InForce, Values};
pub use line::AuditHead;
pub use verify::{Finding, Verified, verify};

use crate::fault::Fault;
use crate::lock::{Lock, LockError, beside, sync_folder_of};
use line::{Line, MAX_LINE};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Why an audit log cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenAuditError {
    /// Another process writes it.
    #[error("{} is in use by another writer (process {}); stop it first", path.display(),
        holder.map_or_else(|| "unknown".into(), |number| number.to_string()))]
    InUse {
        /// The log.
        path: PathBuf,
        /// The other writer's process number, where it could be read.
        holder: Option<u32>,
    },
    /// Something changed what was written, or the file is no audit log.
    #[error("{} is damaged at line {line}, byte {offset}: expected {expected}, found {found}; move it away to start a \
        new one, and keep it for inquiry", path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// The first bad line, from 1.
        line: u64,
        /// Where it begins.
        offset: u64,
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// No room on the disk. Passing: open it again later.
    #[error("no room on the disk to open {}", path.display())]
    Full {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk or the file is read-only. Passing: open it again later.
    #[error("{} cannot be written: read-only disk or file", path.display())]
    ReadOnly {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot open {}", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why an event is not durable. The log may be appended to again; what was half written is written over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// No room on the disk.
    #[error("no room on the disk for the audit log")]
    Full(#[source] io::Error),
    /// The disk or the file is read-only.
    #[error("audit log cannot be written: read-only disk or file")]
    ReadOnly(#[source] io::Error),
    /// The event does not fit into a line.
    #[error("event takes {found} bytes in the audit log, at most {MAX_LINE} are allowed")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The disk failed.
    #[error("cannot make the event durable")]
    Io(#[source] io::Error),
}

/// What opening an audit log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditOpened {
    /// Its lines, with the one that opening may have added.
    pub n_lines: u64,
    /// The last of them.
    pub head: AuditHead,
    /// What a power cut left behind the last good line.
    pub torn: Option<TornTail>,
    /// What was in force when the log was last written.
    pub in_force: InForce,
}

/// A line that was never finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where it began.
    pub offset: u64,
    /// How many bytes of it there were.
    pub length: u64,
    /// The file that keeps them.
    pub kept_in: PathBuf,
}

/// The one writer of an audit log.
#[derive(Debug)]
pub struct Audit {
    file: File,
    /// End of the last good line.
    end: u64,
    head: AuditHead,
    /// Whether a failed append may have left something behind `end`.
    is_tail_unknown: bool,
    _lock: Lock,
}

impl Audit {
    /// Opens the log at `path`, or begins one, and verifies its chain.
    ///
    /// An unfinished last line is moved to `PATH.torn-OFFSET`, and the log's next line says so. `anchor` is as for
    /// [`verify`]: with it, a last line that was whole once is not taken for an unfinished one.
    ///
    /// # Errors
    /// When it is in use, the chain is broken, or the disk refuses.
    pub fn open(path: &Path, anchor: Option<&AuditHead>, now: Moment) -> Result<(Self, AuditOpened), OpenAuditError> {
        let lock = Lock::take(path).map_err(|cause| match cause {
            LockError::InUse { holder } => OpenAuditError::InUse { path: path.to_owned(), holder },
            LockError::Io(cause) => OpenAuditError::of(cause, path),
        })?;
        let failed = |cause| OpenAuditError::of(cause, path);
        let (file, bytes) = open_file(path).map_err(failed)?;
        let verify::Checked { verified, end, in_force } = verify::check(&bytes, anchor);
        let torn = match verified.finding {
            Finding::Whole => None,
            Finding::Torn { offset, .. } => Some(put_aside(&file, path, &bytes, offset).map_err(failed)?),
            Finding::Broken { line, offset, expected, found } => {
                return Err(OpenAuditError::Damaged { path: path.to_owned(), line, offset, expected, found });
            }
        };
        let mut audit = Self { file, end, head: verified.head, is_tail_unknown: false, _lock: lock };
        if let Some(torn) = &torn {
            audit.write(&restarted(torn), now).map_err(|cause| match cause {
                AuditError::Full(cause) | AuditError::ReadOnly(cause) | AuditError::Io(cause) => failed(cause),
                AuditError::TooLong { .. } => failed(io::Error::other(cause)),
            })?;
        }
        let opened = AuditOpened { n_lines: audit.head.sequence, head: audit.head.clone(), torn, in_force };
        Ok((audit, opened))
    }

    /// The last line.
    pub fn head(&self) -> &AuditHead {
        &self.head
    }

    /// Writes an event and returns its line's number and hash. It is on the disk, synced, when this returns.
    ///
    /// # Errors
    /// When it is not. The log may be appended to again.
    pub fn append(&mut self, event: &Event, now: Moment) -> Result<AuditHead, AuditError> {
        self.write(event, now)?;
        Ok(self.head.clone())
    }

    fn write(&mut self, event: &Event, now: Moment) -> Result<(), AuditError> {
        let line = Line::new(&self.head, event, now);
        let bytes = line.to_bytes();
        if bytes.len() > MAX_LINE {
            return Err(AuditError::TooLong { found: bytes.len() });
        }
        self.write_bytes(&bytes).map_err(|cause| match Fault::of_io(&cause) {
            Fault::Full => AuditError::Full(cause),
            Fault::ReadOnly => AuditError::ReadOnly(cause),
            Fault::Corrupt | Fault::Other => AuditError::Io(cause),
        })?;
        self.end += bytes.len() as u64;
        self.head = AuditHead::of_line(self.head.sequence + 1, &bytes);
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_tail_unknown {
            self.file.set_len(self.end)?;
        }
        self.is_tail_unknown = true;
        self.file.write_all_at(bytes, self.end)?;
        self.file.sync_data()?;
        self.is_tail_unknown = false;
        Ok(())
    }
}

fn open_file(path: &Path) -> io::Result<(File, Vec<u8>)> {
    let is_new = !path.try_exists()?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    if is_new {
        sync_folder_of(path)?;
    }
    let bytes = std::fs::read(path)?;
    Ok((file, bytes))
}

/// Moves the unfinished line out of the log; nothing that was once written is thrown away.
fn put_aside(file: &File, path: &Path, bytes: &[u8], offset: u64) -> io::Result<TornTail> {
    let kept_in = beside(path, &format!(".torn-{offset}"));
    let tail = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
    let mut keep = File::create(&kept_in)?;
    keep.write_all(tail)?;
    keep.sync_all()?;
    sync_folder_of(path)?;
    file.set_len(offset)?;
    file.sync_all()?;
    Ok(TornTail { offset, length: tail.len() as u64, kept_in })
}

fn restarted(torn: &TornTail) -> Event {
    let kept_in = torn.kept_in.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Event::ChainRestarted { torn_bytes: torn.length, kept_in }
}

impl OpenAuditError {
    fn of(source: io::Error, path: &Path) -> Self {
        let path = path.to_owned();
        match Fault::of_io(&source) {
            Fault::Full => Self::Full { path, source },
            Fault::ReadOnly => Self::ReadOnly { path, source },
            Fault::Corrupt | Fault::Other => Self::Io { path, source },
        }
    }
}
