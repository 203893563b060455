//! One line: the event as JSON, chained to the line before, with a checksum that tells when it is not whole.

use super::{Event, Moment};
use crc::{CRC_32_ISO_HDLC, Crc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of the longest line, its line feed included.
pub(super) const MAX_LINE: usize = 64 << 10;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// What stands between the bytes that the checksum covers and the checksum.
const CHECKSUM: &str = r#","crc32":""#;
const CHECKSUM_LEN: usize = CHECKSUM.len() + 8 + 2;

/// The number and hash of a line: whoever knows those of the last one knows the whole log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// Number of the line, from 1; 0 before the first.
    pub sequence: u64,
    /// SHA-256 of the line without its line feed, in hexadecimal; zeros before the first.
    pub hash: String,
}

impl AuditHead {
    /// Before the first line.
    pub fn empty() -> Self {
        Self { sequence: 0, hash: "0".repeat(64) }
    }

    /// Of a line with or without its line feed.
    pub(super) fn of_line(sequence: u64, line: &[u8]) -> Self {
        let hash = Sha256::digest(line.strip_suffix(b"\n").unwrap_or(line));
        Self { sequence, hash: hash.iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}

/// A line as JSON, without its checksum.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) sequence: u64,
    pub(super) unix_ms: u64,
    pub(super) boot: u64,
    #[serde(flatten)]
    pub(super) event: Event,
    pub(super) previous: String,
}

/// Why bytes are no whole line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotALine {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Line {
    pub(super) fn new(head: &AuditHead, event: &Event, now: Moment) -> Self {
        let Moment { unix_ms, boot } = now;
        let (sequence, previous) = (head.sequence + 1, head.hash.clone());
        Self { sequence, unix_ms, boot, event: event.clone(), previous }
    }

    /// The line with its line feed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut line = serde_json::to_string(self).expect("plain fields with string keys always serialise");
        line.pop();
        let checksum = CRC.checksum(line.as_bytes());
        format!("{line}{CHECKSUM}{checksum:08x}\"}}\n").into_bytes()
    }

    /// Reads a line without its line feed.
    pub(super) fn parse(line: &[u8]) -> Result<Self, NotALine> {
        let said = |expected: &str, found: String| NotALine { expected: expected.into(), found };
        let Some((covered, end)) = line.len().checked_sub(CHECKSUM_LEN).and_then(|at| line.split_at_checked(at)) else {
            return Err(said("a line of JSON", format!("{} bytes", line.len())));
        };
        let expected = format!("{CHECKSUM}{:08x}\"}}", CRC.checksum(covered));
        if end != expected.as_bytes() {
            return Err(said(&expected, String::from_utf8_lossy(end).into_owned()));
        }
        let mut json = covered.to_vec();
        json.push(b'}');
        serde_json::from_slice(&json).map_err(|cause| said("an event of this version", cause.to_string()))
    }
}
