//! One pass over a DICOM data set, keeping what a picture needs. Source: DICOM PS3.5 section 7.

use std::collections::BTreeMap;
use std::fmt;

use super::DicomError;

/// Sequences inside sequences, counted in sequences.
pub(super) const MAX_DEPTH: usize = 32;

/// Group and element number, with the name for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub(super) u32, &'static str);

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({:04x},{:04x})", self.1, self.0 >> 16, self.0 & 0xffff)
    }
}

pub(super) mod tags {
    use super::Tag;
    pub(in crate::dicom) const TRANSFER_SYNTAX: Tag = Tag(0x0002_0010, "Transfer Syntax UID");
    pub(in crate::dicom) const SAMPLES_PER_PIXEL: Tag = Tag(0x0028_0002, "Samples per Pixel");
    pub(in crate::dicom) const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028_0004, "Photometric Interpretation");
    pub(in crate::dicom) const PLANAR_CONFIGURATION: Tag = Tag(0x0028_0006, "Planar Configuration");
    pub(in crate::dicom) const NUMBER_OF_FRAMES: Tag = Tag(0x0028_0008, "Number of Frames");
    pub(in crate::dicom) const ROWS: Tag = Tag(0x0028_0010, "Rows");
    pub(in crate::dicom) const COLUMNS: Tag = Tag(0x0028_0011, "Columns");
    pub(in crate::dicom) const BITS_ALLOCATED: Tag = Tag(0x0028_0100, "Bits Allocated");
    pub(in crate::dicom) const BITS_STORED: Tag = Tag(0x0028_0101, "Bits Stored");
    pub(in crate::dicom) const HIGH_BIT: Tag = Tag(0x0028_0102, "High Bit");
    pub(in crate::dicom) const PIXEL_REPRESENTATION: Tag = Tag(0x0028_0103, "Pixel Representation");
    pub(in crate::dicom) const WINDOW_CENTRE: Tag = Tag(0x0028_1050, "Window Center");
    pub(in crate::dicom) const WINDOW_WIDTH: Tag = Tag(0x0028_1051, "Window Width");
    pub(in crate::dicom) const RESCALE_INTERCEPT: Tag = Tag(0x0028_1052, "Rescale Intercept");
    pub(in crate::dicom) const RESCALE_SLOPE: Tag = Tag(0x0028_1053, "Rescale Slope");
    pub(in crate::dicom) const VOI_LUT_FUNCTION: Tag = Tag(0x0028_1056, "VOI LUT Function");
    pub(in crate::dicom) const PALETTE_DESCRIPTORS: [Tag; 3] = [
        Tag(0x0028_1101, "Red Palette Color Lookup Table Descriptor"),
        Tag(0x0028_1102, "Green Palette Color Lookup Table Descriptor"),
        Tag(0x0028_1103, "Blue Palette Color Lookup Table Descriptor"),
    ];
    pub(in crate::dicom) const PALETTE_DATA: [Tag; 3] = [
        Tag(0x0028_1201, "Red Palette Color Lookup Table Data"),
        Tag(0x0028_1202, "Green Palette Color Lookup Table Data"),
        Tag(0x0028_1203, "Blue Palette Color Lookup Table Data"),
    ];
    pub(in crate::dicom) const MODALITY_LUT: Tag = Tag(0x0028_3000, "Modality LUT Sequence");
    pub(in crate::dicom) const LUT_DESCRIPTOR: Tag = Tag(0x0028_3002, "LUT Descriptor");
    pub(in crate::dicom) const LUT_DATA: Tag = Tag(0x0028_3006, "LUT Data");
    pub(in crate::dicom) const VOI_LUT: Tag = Tag(0x0028_3010, "VOI LUT Sequence");
    pub(in crate::dicom) const FRAME_VOI_LUT: Tag = Tag(0x0028_9132, "Frame VOI LUT Sequence");
    pub(in crate::dicom) const PIXEL_VALUE_TRANSFORMATION: Tag =
        Tag(0x0028_9145, "Pixel Value Transformation Sequence");
    pub(in crate::dicom) const SHARED_GROUPS: Tag = Tag(0x5200_9229, "Shared Functional Groups Sequence");
    pub(in crate::dicom) const FRAME_GROUPS: Tag = Tag(0x5200_9230, "Per-Frame Functional Groups Sequence");
    pub(in crate::dicom) const PIXEL_DATA: Tag = Tag(0x7fe0_0010, "Pixel Data");
}

const ITEM: u32 = 0xfffe_e000;
const ITEM_END: u32 = 0xfffe_e00d;
const SEQUENCE_END: u32 = 0xfffe_e0dd;
const UNDEFINED: u32 = u32::MAX;

/// Sequences that are opened even when their length would let us skip them.
const OPENED: [Tag; 6] = [
    tags::MODALITY_LUT,
    tags::VOI_LUT,
    tags::FRAME_VOI_LUT,
    tags::PIXEL_VALUE_TRANSFORMATION,
    tags::SHARED_GROUPS,
    tags::FRAME_GROUPS,
];

/// How element headers and numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Value representations are written out.
    pub(super) explicit: bool,
    /// Most significant byte first.
    pub(super) big_endian: bool,
}

impl Encoding {
    /// Corrects what the file meta information claims by the first element: some writers change one and not the other.
    pub(super) fn as_seen(self, body: &[u8]) -> Self {
        let Some([first, second]) = body.get(4..6) else { return self };
        let explicit = first.is_ascii_uppercase() && second.is_ascii_uppercase();
        if self.big_endian { self } else { Self { explicit, ..self } }
    }

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// The bytes of one value and how to read them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) encoding: Encoding,
}

impl Value<'_> {
    pub(super) fn u16s(&self) -> impl Iterator<Item = u16> {
        self.bytes.chunks_exact(2).map(|pair| self.encoding.u16([pair[0], pair[1]]))
    }
}

/// The pixel data element.
#[derive(Debug)]
pub(super) enum PixelData<'a> {
    /// `is_words`: written as 16-bit words, which matters to the order of bytes.
    Native {
        bytes: &'a [u8],
        is_words: bool,
    },
    Encapsulated {
        offsets: &'a [u8],
        fragments: Vec<&'a [u8]>,
    },
}

/// What a picture needs of a data set: group 0028 and the pixels.
#[derive(Debug)]
pub(super) struct Dataset<'a> {
    pub(super) encoding: Encoding,
    /// By innermost open sequence (0 for none) and tag; the first one met wins, so the first frame's.
    values: BTreeMap<(u32, u32), Value<'a>>,
    pub(super) pixels: PixelData<'a>,
}

#[derive(Clone, Copy)]
enum Open {
    Sequence { tag: u32 },
    Item,
}

struct Level {
    open: Open,
    /// Where it ends, unless a delimiter does.
    end: Option<usize>,
    encoding: Encoding,
}

impl<'a> Dataset<'a> {
    /// Walks the data set up to its pixel data.
    pub(super) fn walk(bytes: &'a [u8], encoding: Encoding) -> Result<Self, DicomError> {
        let mut cursor = Cursor { bytes, position: 0 };
        let mut levels: Vec<Level> = Vec::new();
        let mut values = BTreeMap::new();
        loop {
            while levels.last().is_some_and(|level| level.end.is_some_and(|end| cursor.position >= end)) {
                levels.pop();
            }
            let here = levels.last().map_or(encoding, |level| level.encoding);
            if bytes.len() - cursor.position < 8 {
                return Err(DicomError::Missing { tag: tags::PIXEL_DATA });
            }
            if let Some(Level { open: Open::Sequence { .. }, .. }) = levels.last() {
                let start = cursor.position;
                match cursor.item(here)? {
                    (ITEM, UNDEFINED) => levels.push(Level { open: Open::Item, end: None, encoding: here }),
                    (ITEM, length) => {
                        let end = cursor.end_of(length, "a sequence item")?;
                        levels.push(Level { open: Open::Item, end: Some(end), encoding: here });
                    }
                    (SEQUENCE_END, _) => {
                        levels.pop();
                    }
                    _ => return Err(cursor.malformed(start)),
                }
                continue;
            }
            let start = cursor.position;
            let header = cursor.header(here)?;
            match header.tag {
                ITEM_END if !levels.is_empty() => {
                    levels.pop();
                    continue;
                }
                // A delimiter without its sequence: some writers leave one behind.
                ITEM_END | SEQUENCE_END => continue,
                ITEM => return Err(cursor.malformed(start)),
                _ => {}
            }
            if header.tag == tags::PIXEL_DATA.0 {
                let pixels = if header.length == UNDEFINED {
                    cursor.fragments(here)?
                } else {
                    PixelData::Native {
                        bytes: cursor.take(header.length, "the pixel data")?,
                        is_words: header.is_words,
                    }
                };
                if levels.is_empty() {
                    return Ok(Self { encoding, values, pixels });
                }
                continue;
            }
            let is_opened = header.is_sequence && OPENED.iter().any(|tag| tag.0 == header.tag);
            if header.length == UNDEFINED || is_opened {
                let depth = levels.iter().filter(|level| matches!(level.open, Open::Sequence { .. })).count();
                if depth >= MAX_DEPTH {
                    return Err(DicomError::TooDeep { limit: MAX_DEPTH });
                }
                let end = match header.length {
                    UNDEFINED => None,
                    length => Some(cursor.end_of(length, "a sequence")?),
                };
                // PS3.5 6.2.2 note 2: a sequence of unknown representation is written implicitly.
                let inner = if header.is_unknown { Encoding { explicit: false, big_endian: false } } else { here };
                levels.push(Level { open: Open::Sequence { tag: header.tag }, end, encoding: inner });
                continue;
            }
            let value = cursor.take(header.length, "a value")?;
            if header.tag >> 16 == 0x0028 {
                let parent = levels.iter().rev().find_map(|level| match level.open {
                    Open::Sequence { tag } => Some(tag),
                    Open::Item => None,
                });
                values.entry((parent.unwrap_or(0), header.tag)).or_insert(Value { bytes: value, encoding: here });
            }
        }
    }

    pub(super) fn value(&self, tag: Tag) -> Option<Value<'a>> {
        self.values.get(&(0, tag.0)).copied().filter(|value| !value.bytes.is_empty())
    }

    pub(super) fn value_in(&self, sequence: Tag, tag: Tag) -> Option<Value<'a>> {
        self.values.get(&(sequence.0, tag.0)).copied().filter(|value| !value.bytes.is_empty())
    }

    pub(super) fn u16(&self, tag: Tag) -> Option<u16> {
        self.value(tag)?.u16s().next()
    }

    pub(super) fn required_u16(&self, tag: Tag) -> Result<u16, DicomError> {
        self.u16(tag).ok_or(DicomError::Missing { tag })
    }

    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        self.value(tag).map(|value| super::printable(trimmed(value.bytes)))
    }

    /// The first number of a decimal string, at the top or in `sequence`.
    pub(super) fn decimal(&self, tag: Tag, sequence: Tag) -> Option<f64> {
        let value = self.value(tag).or_else(|| self.value_in(sequence, tag))?;
        let first = value.bytes.split(|&byte| byte == b'\\').next()?;
        std::str::from_utf8(trimmed(first)).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

/// Without the padding that text is written with.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let start = bytes.iter().position(|byte| !is_padding(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_padding(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// Reads the file meta information: the transfer syntax, and where the data set starts. Source: PS3.10 section 7.
pub(super) fn file_meta(bytes: &[u8]) -> Result<(String, usize), DicomError> {
    let encoding = Encoding { explicit: true, big_endian: false };
    let mut cursor = Cursor { bytes, position: 132 };
    let mut uid = None;
    while bytes.get(cursor.position..cursor.position + 2) == Some(&[2, 0]) {
        let header = cursor.header(encoding)?;
        let value = cursor.take(header.length, "the file meta information")?;
        if header.tag == tags::TRANSFER_SYNTAX.0 {
            uid = Some(super::printable(trimmed(value)));
        }
    }
    let uid = uid.ok_or(DicomError::Missing { tag: tags::TRANSFER_SYNTAX })?;
    Ok((uid, cursor.position))
}

struct Header {
    tag: u32,
    is_sequence: bool,
    is_unknown: bool,
    is_words: bool,
    length: u32,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DicomError> {
        let found = self.bytes.len() - self.position;
        let Some(bytes) = self.bytes[self.position..].first_chunk::<N>() else {
            return Err(DicomError::Truncated { what: "an element header", expected: N as u64, found: found as u64 });
        };
        self.position += N;
        Ok(*bytes)
    }

    fn end_of(&self, length: u32, what: &'static str) -> Result<usize, DicomError> {
        let found = self.bytes.len() - self.position;
        let length = length as usize;
        if length > found {
            return Err(DicomError::Truncated { what, expected: length as u64, found: found as u64 });
        }
        Ok(self.position + length)
    }

    fn take(&mut self, length: u32, what: &'static str) -> Result<&'a [u8], DicomError> {
        let end = self.end_of(length, what)?;
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    fn tag(&mut self, encoding: Encoding) -> Result<u32, DicomError> {
        let (group, element) = (encoding.u16(self.array()?), encoding.u16(self.array()?));
        Ok(u32::from(group) << 16 | u32::from(element))
    }

    fn item(&mut self, encoding: Encoding) -> Result<(u32, u32), DicomError> {
        Ok((self.tag(encoding)?, encoding.u32(self.array()?)))
    }

    fn header(&mut self, encoding: Encoding) -> Result<Header, DicomError> {
        let start = self.position;
        let tag = self.tag(encoding)?;
        if !encoding.explicit || tag >> 16 == 0xfffe {
            let length = encoding.u32(self.array()?);
            // Without a dictionary, any element may be a sequence; only those in `OPENED` are looked into.
            return Ok(Header { tag, is_sequence: true, is_unknown: false, is_words: true, length });
        }
        let representation: [u8; 2] = self.array()?;
        let length = match &representation {
            b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"OV" | b"SQ" | b"UC" | b"UR" | b"UT" | b"UN" | b"SV" | b"UV" => {
                let _reserved: [u8; 2] = self.array()?;
                encoding.u32(self.array()?)
            }
            [first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
                encoding.u16(self.array()?).into()
            }
            _ => return Err(self.malformed(start)),
        };
        Ok(Header {
            tag,
            is_sequence: &representation == b"SQ",
            is_unknown: &representation == b"UN",
            is_words: &representation == b"OW",
            length,
        })
    }

    fn fragments(&mut self, encoding: Encoding) -> Result<PixelData<'a>, DicomError> {
        let (mut offsets, mut fragments) = (None, Vec::new());
        loop {
            let start = self.position;
            match self.item(encoding)? {
                (ITEM, length) => {
                    let fragment = self.take(length, "a fragment of the pixel data")?;
                    match offsets {
                        None => offsets = Some(fragment),
                        Some(_) => fragments.push(fragment),
                    }
                }
                (SEQUENCE_END, _) => break,
                _ => return Err(self.malformed(start)),
            }
        }
        Ok(PixelData::Encapsulated { offsets: offsets.unwrap_or_default(), fragments })
    }

    fn malformed(&self, position: usize) -> DicomError {
        DicomError::Malformed { position, found: self.bytes[position..].iter().copied().take(8).collect() }
    }
}
