//! What is checked before the DICOM library may read.
//!
//! Building an object of a hostile file recurses once a nested sequence (63 kB of input overflow a 2 MiB stack) and takes
//! memory for a length before a byte of it is seen. The library's own token reader does neither, so it runs first: the
//! same tokens that the object will be built of, with nesting and lengths held against the bytes that are there, and counts against the
//! memory that they will take: an element of eight bytes takes thirty times as many, and so does a text of separators.

use std::cell::Cell;
use std::io::Read;

use dicom_object::Tag as Number;
use dicom_parser::dataset::{DataSetReader, DataToken};
use dicom_transfer_syntax_registry::TransferSyntax;

use super::{DicomError, attributes, printable};

/// Sequences inside sequences.
pub(super) const MAX_DEPTH: usize = 32;

/// Memory for everything but binary values, in bytes.
pub(super) const MAX_MEMORY: u64 = 32 << 20;
/// What an element or an item takes in memory, roughly, however little it holds.
const ELEMENT_BYTES: u64 = 256;
/// What each of the texts, numbers or dates that one value holds takes, beside its characters.
const TEXT_BYTES: u64 = size_of::<String>() as u64;
/// The longest value that is text.
const MAX_TEXT: u32 = 1 << 20;

const PIXEL_DATA: Number = Number(0x7fe0, 0x0010);

/// The transfer syntax of a file, and where its data set starts. Source: DICOM PS3.10 section 7.1.
pub(super) fn file_meta(bytes: &[u8]) -> Result<(String, usize), DicomError> {
    let mut rest = Rest { bytes, position: 132 };
    let mut uid = None;
    while rest.bytes.get(rest.position..rest.position + 2) == Some(&[2, 0]) {
        let header: [u8; 8] = rest.take(8, "an element header")?.try_into().expect("eight bytes were taken");
        let length = match &header[4..6] {
            b"OB" | b"OW" | b"UN" | b"SQ" | b"UT" => {
                let long: [u8; 4] = rest.take(4, "an element header")?.try_into().expect("four bytes were taken");
                u32::from_le_bytes(long)
            }
            _ => u16::from_le_bytes([header[6], header[7]]).into(),
        };
        let value = rest.take(length as usize, "the file meta information")?;
        if header[2..4] == [0x10, 0] {
            uid = Some(printable(value));
        }
    }
    let uid = uid.ok_or(DicomError::Missing { tag: attributes::TRANSFER_SYNTAX })?;
    Ok((uid, rest.position))
}

struct Rest<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], DicomError> {
        let left = self.bytes.get(self.position..).unwrap_or_default();
        let Some(taken) = left.get(..length) else {
            return Err(DicomError::Truncated { what, expected: length as u64, found: left.len() as u64 });
        };
        self.position += length;
        Ok(taken)
    }
}

/// The data set up to the end of its pixel data, once it is known to be safe to build.
///
/// # Errors
/// If sequences are nested too deep, a length reaches beyond the bytes, the elements are too many, the bytes are no data elements, or
/// there is no pixel data.
pub(super) fn safe_part<'a>(bytes: &'a [u8], syntax: &TransferSyntax) -> Result<&'a [u8], DicomError> {
    let read = Cell::new(0);
    let counted = Counted { bytes, read: &read };
    let reader = DataSetReader::new_with_ts(counted, syntax).map_err(|error| malformed(error, read.get()))?;
    let (mut depth, mut is_pixel_data, mut is_encapsulated, mut is_text) = (0_usize, false, false, false);
    let mut memory = Memory(0);
    for token in reader {
        match token.map_err(|error| malformed(error, read.get()))? {
            DataToken::SequenceStart { len, .. } => {
                memory.take(ELEMENT_BYTES)?;
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(DicomError::TooDeep { limit: MAX_DEPTH });
                }
                fits(len.get(), "a sequence", bytes, &read)?;
            }
            DataToken::SequenceEnd if is_encapsulated => {
                is_encapsulated = false;
                if depth == 0 {
                    return Ok(&bytes[..read.get()]);
                }
            }
            DataToken::SequenceEnd => depth = depth.saturating_sub(1),
            DataToken::ItemStart { len } => {
                memory.take(ELEMENT_BYTES)?;
                fits(len.get(), "an item", bytes, &read)?;
            }
            DataToken::PixelSequenceStart => is_encapsulated = true,
            DataToken::ElementHeader(header) => {
                is_pixel_data = depth == 0 && header.tag == PIXEL_DATA;
                fits(header.len.get(), if is_pixel_data { "the pixel data" } else { "a value" }, bytes, &read)?;
                is_text = !matches!(
                    &header.vr.to_bytes(),
                    [b'O', _] | b"UN" | b"US" | b"SS" | b"UL" | b"SL" | b"FL" | b"FD" | b"AT"
                );
                // Refused before it is read: it is taken apart while it is.
                let is_too_long = is_text && header.len.get().is_some_and(|length| length > MAX_TEXT);
                memory.take(if is_too_long { MAX_MEMORY + 1 } else { ELEMENT_BYTES })?;
            }
            DataToken::PrimitiveValue(_) if is_pixel_data => return Ok(&bytes[..read.get()]),
            DataToken::PrimitiveValue(texts) if is_text => memory.take(u64::from(texts.multiplicity()) * TEXT_BYTES)?,
            _ => {}
        }
    }
    Err(DicomError::Missing { tag: attributes::PIXEL_DATA })
}

/// Memory that the object will take, binary values not counted.
struct Memory(u64);

impl Memory {
    fn take(&mut self, n_bytes: u64) -> Result<(), DicomError> {
        self.0 += n_bytes;
        if self.0 > MAX_MEMORY { Err(DicomError::TooMuch { limit: MAX_MEMORY }) } else { Ok(()) }
    }
}

/// Before the reader takes memory for it.
fn fits(length: Option<u32>, what: &'static str, bytes: &[u8], read: &Cell<usize>) -> Result<(), DicomError> {
    let (expected, found) = (u64::from(length.unwrap_or(0)), (bytes.len() - read.get()) as u64);
    if expected > found { Err(DicomError::Truncated { what, expected, found }) } else { Ok(()) }
}

fn malformed(error: dicom_parser::dataset::read::Error, position: usize) -> DicomError {
    DicomError::Malformed { position, reason: super::reason(&error) }
}

/// Counts what was read, which is where the reader stands: it does not read ahead.
struct Counted<'a, 'b> {
    bytes: &'a [u8],
    read: &'b Cell<usize>,
}

impl Read for Counted<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(into)?;
        self.read.set(self.read.get() + count);
        Ok(count)
    }
}

/// How the data set is written by its first element: some writers state one representation and write the other.
pub(super) fn is_explicit(body: &[u8]) -> bool {
    body.get(4..6).is_none_or(|representation| representation.iter().all(u8::is_ascii_uppercase))
}

/// The header of a run-length coded frame, whose counts the decoder takes on trust. Source: DICOM PS3.5 annex G.
pub(super) fn check_run_length(fragment: &[u8], expected_segments: usize) -> Result<(), DicomError> {
    let Some(header) = fragment.first_chunk::<64>() else {
        let found = fragment.len() as u64;
        return Err(DicomError::Truncated { what: "the run-length header", expected: 64, found });
    };
    let found = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
    if found != expected_segments || expected_segments > 15 {
        return Err(DicomError::RunLength { expected: expected_segments, found });
    }
    Ok(())
}
