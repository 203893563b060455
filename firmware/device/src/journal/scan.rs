//! Reads a journal from front to end and tells an unfinished last record from damage.

use super::record::{HEAD_LEN, HEADER, MARK, Record, hash};
use super::{Entry, MAX_PAYLOAD, OpenJournalError};
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Good records.
    pub n_records: u64,
    /// Where the last of them ends, in bytes from the start of the file.
    pub end: u64,
    /// SHA-256 of the last of them, or of the file header.
    pub last_hash: [u8; 32],
    /// What follows them.
    pub finding: Finding,
}

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// With a whole record.
    Whole,
    /// With bytes that never became a record.
    Torn {
        /// How many.
        length: u64,
    },
}

/// Reads every record, checks checksums, numbers and the chain, and calls `each` with its offset and entry.
///
/// One unfinished record at the end is [`Finding::Torn`]: an append is durable before the next begins, so a power cut
/// can leave no more. Bad bytes that are followed by a good record, or are longer than any record, are damage.
///
/// # Errors
/// When the file cannot be read, is not a journal or is damaged.
pub fn scan<F: Read + Seek>(file: &mut F, mut each: impl FnMut(u64, Entry)) -> Result<Scan, OpenJournalError> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut file = BufReader::new(file);
    check_header(&mut file)?;
    let mut scan = Scan { n_records: 0, end: HEADER.len() as u64, last_hash: hash(&HEADER), finding: Finding::Whole };
    while scan.end < length {
        let damaged = |what: String| OpenJournalError::Damaged { offset: scan.end, n_records: scan.n_records, what };
        let record = match Record::read(&mut file) {
            Ok(record) => record,
            Err(super::record::Fault::Io(cause)) => return Err(cause.into()),
            Err(fault) => {
                scan.finding =
                    Finding::Torn { length: torn_length(&mut file, scan.end, length, &fault.to_string(), damaged)? };
                return Ok(scan);
            }
        };
        if record.previous != scan.last_hash {
            return Err(damaged("it is not chained to the record before".into()));
        }
        if record.sequence != scan.n_records + 1 {
            return Err(damaged(format!("expected record {}, found record {}", scan.n_records + 1, record.sequence)));
        }
        let entry = record.entry().map_err(|cause| damaged(format!("its payload is no answer: {cause}")))?;
        each(scan.end, entry);
        let bytes = record.to_bytes();
        scan.end += bytes.len() as u64;
        scan.n_records += 1;
        scan.last_hash = hash(&bytes);
    }
    Ok(scan)
}

fn check_header(file: &mut impl Read) -> Result<(), OpenJournalError> {
    let mut found = Vec::new();
    file.take(HEADER.len() as u64).read_to_end(&mut found)?;
    if found != HEADER {
        return Err(OpenJournalError::NotAJournal { expected: HEADER, found });
    }
    Ok(())
}

/// How long the tail from `start` is, once it is sure to be the work of one unfinished append.
fn torn_length<F: Read + Seek>(
    file: &mut BufReader<F>,
    start: u64,
    length: u64,
    fault: &str,
    damaged: impl Fn(String) -> OpenJournalError,
) -> Result<u64, OpenJournalError> {
    if length - start > (HEAD_LEN + MAX_PAYLOAD) as u64 {
        return Err(damaged(format!("{fault}, and more follows than one record can hold")));
    }
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut tail)?;
    match next_record(&tail) {
        Ok(Some(further)) => Err(damaged(format!("{fault}, and a good record follows at byte {}", start + further))),
        Ok(None) => Ok(tail.len() as u64),
        Err(cause) => Err(cause.into()),
    }
}

/// Where in `tail` a good record begins.
fn next_record(tail: &[u8]) -> io::Result<Option<u64>> {
    for (at, window) in tail.windows(MARK.len()).enumerate().skip(1) {
        if window == MARK && Record::read(&mut Cursor::new(&tail[at..])).is_ok() {
            return Ok(Some(at as u64));
        }
    }
    Ok(None)
}
