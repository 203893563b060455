//! Every answer the device ever gave, on disk before the hardware hears it.
//!
//! Append only, each record checksummed and chained to the one before. A power cut leaves at most the record being
//! written; that tail is put aside at the next start. Anything else wrong is damage, and the journal will not open over
//! it. The bytes are specified in `JOURNAL.md`.

mod entry;
mod record;
mod scan;

pub(crate) use entry::of_10000;
pub use entry::{Entry, Verdict};
pub use record::MAX_PAYLOAD;
pub use scan::{Finding, Scan, scan};

use record::{HEADER, Record};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenJournalError {
    /// The file system refused.
    #[error("cannot open or repair the journal")]
    Io(#[from] io::Error),
    /// Some other file, or one of another version.
    #[error("not a journal: expected it to begin with {expected:02x?}, found {found:02x?}")]
    NotAJournal {
        /// The header of a journal.
        expected: [u8; HEADER.len()],
        /// What is there.
        found: Vec<u8>,
    },
    /// Something changed what was written.
    #[error(
        "journal is damaged at byte {offset}, after {n_records} good records: {what}; \
         move it away to start a new one, and keep it for inquiry"
    )]
    Damaged {
        /// Where the first bad record starts.
        offset: u64,
        /// Good records before it.
        n_records: u64,
        /// What is wrong there.
        what: String,
    },
    /// Two writers would tear each other's records.
    #[error("journal is in use by another process")]
    InUse,
}

/// Why an answer is not durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The disk refused; nothing may be said of this record until the journal is opened again.
    #[error("cannot make the answer durable")]
    Io(#[from] io::Error),
    /// The answer is too long for one record.
    #[error("answer takes {found} bytes in the journal, at most {MAX_PAYLOAD} are allowed")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// An earlier append failed, so what the file holds now is unknown.
    #[error("an earlier write to the journal failed; open it again to learn what it holds")]
    Poisoned,
}

/// What opening a journal found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Good records.
    pub n_records: u64,
    /// A tail that a power cut left.
    pub torn: Option<Torn>,
}

/// A record that was never finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it started.
    pub offset: u64,
    /// How many bytes of it there were.
    pub length: u64,
    /// The file that keeps them.
    pub kept_in: PathBuf,
}

/// An open journal, locked against a second writer.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// End of the last good record.
    end: u64,
    next_sequence: u64,
    last_hash: [u8; 32],
    /// Where the record of each answered frame starts: 16 bytes a frame, some 20 MB for a million of them.
    offsets: HashMap<u64, u64>,
    is_poisoned: bool,
}

impl Journal {
    /// Opens the journal at `path`, or begins one.
    ///
    /// # Errors
    /// When it cannot be read or written, is not a journal, is damaged other than by an unfinished last record, or is in
    /// use. Nothing is changed then.
    pub fn open(path: &Path) -> Result<(Self, Recovered), OpenJournalError> {
        if fs::metadata(path).map(|found| found.len() == 0).unwrap_or(true) {
            begin(path)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        file.try_lock().map_err(|cause| match cause {
            fs::TryLockError::WouldBlock => OpenJournalError::InUse,
            fs::TryLockError::Error(cause) => OpenJournalError::Io(cause),
        })?;
        let mut offsets = HashMap::new();
        let scanned = scan(&mut io::BufReader::new(&mut file), |offset, entry| {
            offsets.insert(entry.frame_id, offset);
        })?;
        let torn = match scanned.finding {
            Finding::Whole => None,
            Finding::Torn { length } => Some(put_tail_aside(&mut file, path, scanned.end, length)?),
        };
        let recovered = Recovered { n_records: scanned.n_records, torn };
        let journal = Self {
            file,
            end: scanned.end,
            next_sequence: scanned.n_records + 1,
            last_hash: scanned.last_hash,
            offsets,
            is_poisoned: false,
        };
        Ok((journal, recovered))
    }

    /// How many answers it holds.
    pub fn n_records(&self) -> u64 {
        self.next_sequence - 1
    }

    /// The answer given to a frame.
    ///
    /// # Errors
    /// When the record cannot be read back as it was written.
    pub fn find(&mut self, frame_id: u64) -> io::Result<Option<Entry>> {
        let Some(&offset) = self.offsets.get(&frame_id) else { return Ok(None) };
        self.file.seek(SeekFrom::Start(offset))?;
        let record = Record::read(&mut self.file).map_err(|fault| io::Error::other(fault.to_string()))?;
        record.entry().map(Some).map_err(io::Error::other)
    }

    /// Writes an answer; it is on the disk when this returns.
    ///
    /// # Errors
    /// When it is not. The journal then takes no more: what a disk holds after a failed write is only known by opening
    /// it again.
    pub fn append(&mut self, entry: &Entry) -> Result<(), AppendError> {
        if self.is_poisoned {
            return Err(AppendError::Poisoned);
        }
        let payload = entry.to_payload();
        if payload.len() > MAX_PAYLOAD {
            return Err(AppendError::TooLong { found: payload.len() });
        }
        let record = Record { sequence: self.next_sequence, previous: self.last_hash, payload };
        let bytes = record.to_bytes();
        self.is_poisoned = true;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.is_poisoned = false;
        self.offsets.insert(entry.frame_id, self.end);
        self.end += bytes.len() as u64;
        self.next_sequence += 1;
        self.last_hash = record::hash(&bytes);
        Ok(())
    }
}

/// An empty journal appears whole or not at all.
fn begin(path: &Path) -> io::Result<()> {
    let fresh = beside(path, ".new");
    let mut file = File::create(&fresh)?;
    file.write_all(&HEADER)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_folder_of(path)
}

/// Moves the unfinished record out of the journal; nothing that was once written is thrown away.
fn put_tail_aside(file: &mut File, path: &Path, offset: u64, length: u64) -> io::Result<Torn> {
    let kept_in = beside(path, &format!(".torn-{offset}"));
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(length).read_to_end(&mut tail)?;
    let mut keep = File::create(&kept_in)?;
    keep.write_all(&tail)?;
    keep.sync_all()?;
    sync_folder_of(path)?;
    file.set_len(offset)?;
    file.sync_all()?;
    Ok(Torn { offset, length, kept_in })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
