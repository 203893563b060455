//! One record as bytes. Table in `JOURNAL.md`; a change here is a change there.

use super::Entry;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// The first bytes of every journal: its name and format version 1.
pub(super) const HEADER: [u8; 12] = *b"REMEDISJ\x01\0\0\0";

/// Longest payload of a record, in bytes.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// First bytes of every record.
pub(super) const MARK: [u8; 4] = *b"RJR\n";

/// Bytes before the payload: mark, length, sequence, previous hash, CRC of these, CRC of the payload.
pub(super) const HEAD_LEN: usize = 4 + 4 + 8 + 32 + 4 + 4;

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// A record, checked or about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) sequence: u64,
    /// SHA-256 of the bytes of the record before, or of the file header.
    pub(super) previous: [u8; 32],
    pub(super) payload: Vec<u8>,
}

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("record ends early")]
    Short,
    #[error("no record begins here")]
    Mark,
    #[error("checksum of the record's head is {found:#010x}, its bytes give {expected:#010x}")]
    Head { expected: u32, found: u32 },
    #[error("payload of {found} bytes, at most {MAX_PAYLOAD} are allowed")]
    Length { found: u32 },
    #[error("checksum of the payload is {found:#010x}, its bytes give {expected:#010x}")]
    Payload { expected: u32, found: u32 },
}

impl Record {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_LEN + self.payload.len());
        bytes.extend(MARK);
        bytes.extend(u32::try_from(self.payload.len()).expect("append() keeps payloads below 64 KiB").to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.previous);
        let crc = CRC.checksum(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes.extend(CRC.checksum(&self.payload).to_le_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    pub(super) fn read(file: &mut impl Read) -> Result<Self, Fault> {
        let mut head = [0; HEAD_LEN];
        fill(file, &mut head)?;
        let (mark, rest) = head.split_at(4);
        if mark != MARK {
            return Err(Fault::Mark);
        }
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let (length, expected, found) = (word(4), CRC.checksum(&head[..48]), word(48));
        if expected != found {
            return Err(Fault::Head { expected, found });
        }
        if length as usize > MAX_PAYLOAD {
            return Err(Fault::Length { found: length });
        }
        let mut payload = vec![0; length as usize];
        fill(file, &mut payload)?;
        let (expected, found) = (CRC.checksum(&payload), word(52));
        if expected != found {
            return Err(Fault::Payload { expected, found });
        }
        let sequence = u64::from_le_bytes(rest[4..12].try_into().expect("eight bytes"));
        let previous = rest[12..44].try_into().expect("thirty-two bytes");
        Ok(Self { sequence, previous, payload })
    }

    pub(super) fn entry(&self) -> Result<Entry, serde_json::Error> {
        serde_json::from_slice(&self.payload)
    }
}

fn fill(file: &mut impl Read, bytes: &mut [u8]) -> Result<(), Fault> {
    file.read_exact(bytes).map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Short,
        _ => Fault::Io(cause),
    })
}

/// SHA-256, as the chain uses it.
pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
