//! The stored samples of the first frame, whatever they were compressed with.

use std::borrow::Cow;

use jpeg_decoder::{ColorTransform, PixelFormat};

use super::dataset::{Dataset, PixelData, Tag, tags};
use super::{DicomError, PixelCoding, rle};
use crate::DecodeError;
use crate::decode::read_jpeg;

/// What the attributes say of the pixels. Source: DICOM PS3.3 C.7.6.3.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// Samples a pixel.
    pub(super) samples: usize,
    /// Bits that a sample takes: 1, 8, 16 or 32.
    pub(super) allocated: u32,
    /// Bits that carry the value.
    pub(super) stored: u32,
    high_bit: u32,
    pub(super) is_signed: bool,
    is_planar: bool,
}

impl Geometry {
    pub(super) fn read(data: &Dataset<'_>) -> Result<Self, DicomError> {
        let allocated: u32 = data.required_u16(tags::BITS_ALLOCATED)?.into();
        if ![1, 8, 16, 32].contains(&allocated) {
            return Err(unsupported(tags::BITS_ALLOCATED, allocated, "1, 8, 16 or 32"));
        }
        let stored = data.u16(tags::BITS_STORED).map_or(allocated, u32::from);
        if !(1..=allocated).contains(&stored) {
            return Err(unsupported(tags::BITS_STORED, stored, "at least 1, at most Bits Allocated"));
        }
        let high_bit = data.u16(tags::HIGH_BIT).map_or(stored - 1, u32::from);
        if !(stored - 1..allocated).contains(&high_bit) {
            return Err(unsupported(tags::HIGH_BIT, high_bit, "Bits Stored - 1 up to Bits Allocated - 1"));
        }
        Ok(Self {
            columns: data.required_u16(tags::COLUMNS)?.into(),
            rows: data.required_u16(tags::ROWS)?.into(),
            samples: data.u16(tags::SAMPLES_PER_PIXEL).unwrap_or(1).into(),
            allocated,
            stored,
            high_bit,
            is_signed: data.u16(tags::PIXEL_REPRESENTATION).unwrap_or(0) == 1,
            is_planar: data.u16(tags::PLANAR_CONFIGURATION).unwrap_or(0) == 1,
        })
    }

    pub(super) fn pixels(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    fn samples_with(&self, samples: usize) -> (u32, u32, u32) {
        (self.columns, self.rows, samples as u32)
    }
}

fn unsupported(tag: Tag, found: u32, expected: &'static str) -> DicomError {
    DicomError::Unsupported { tag, found: found.to_string(), expected }
}

/// Samples of one frame.
pub(super) struct Frame<'a> {
    pub(super) geometry: Geometry,
    /// The colour decoder has already turned luma and chroma into red-green-blue.
    pub(super) is_rgb: bool,
    /// Luma pairs sharing one chroma pair, as YBR_FULL_422 writes them.
    pub(super) is_halved: bool,
    bytes: Cow<'a, [u8]>,
    big_endian: bool,
}

impl<'a> Frame<'a> {
    /// Finds, decompresses and measures the first frame.
    pub(super) fn first(
        data: &Dataset<'a>,
        geometry: Geometry,
        coding: PixelCoding,
        photometric: &str,
    ) -> Result<Self, DecodeError> {
        if ![1, 3].contains(&geometry.samples) {
            return Err(unsupported(tags::SAMPLES_PER_PIXEL, geometry.samples as u32, "1 or 3").into());
        }
        match (&data.pixels, coding) {
            (&PixelData::Native { bytes, is_words }, PixelCoding::Native) => {
                let is_swapped = is_words && data.encoding.big_endian && geometry.allocated <= 8;
                let bytes = if is_swapped { swapped(bytes).into() } else { Cow::Borrowed(bytes) };
                Ok(Self::native(data, geometry, bytes, photometric)?)
            }
            (PixelData::Encapsulated { fragments, .. }, PixelCoding::RunLength) => {
                let fragment = fragments.first().ok_or(DicomError::Missing { tag: tags::PIXEL_DATA })?;
                let bytes_a_sample = geometry.allocated.div_ceil(8) as usize;
                let bytes = rle::decode(fragment, geometry.pixels(), geometry.samples, bytes_a_sample)?;
                let geometry = Geometry { is_planar: true, ..geometry };
                Ok(Self { geometry, is_rgb: false, is_halved: false, bytes: bytes.into(), big_endian: false })
            }
            (PixelData::Encapsulated { offsets, fragments }, PixelCoding::Jpeg) => {
                let stream = first_stream(data, offsets, fragments)?;
                Self::jpeg(geometry, &stream, photometric)
            }
            _ => Err(DicomError::Missing { tag: tags::PIXEL_DATA }.into()),
        }
    }

    fn native(
        data: &Dataset<'a>,
        geometry: Geometry,
        bytes: Cow<'a, [u8]>,
        photometric: &str,
    ) -> Result<Self, DicomError> {
        let is_halved = photometric == "YBR_FULL_422" && geometry.samples == 3 && geometry.allocated == 8;
        let pixels = geometry.pixels() as u64;
        let samples = if is_halved { pixels.div_ceil(2) * 4 } else { pixels * geometry.samples as u64 };
        let expected = (samples * u64::from(geometry.allocated)).div_ceil(8);
        let found = bytes.len() as u64;
        if found < expected {
            return Err(DicomError::Truncated { what: "the first frame", expected, found });
        }
        let big_endian = data.encoding.big_endian;
        Ok(Self { geometry, is_rgb: false, is_halved, bytes, big_endian })
    }

    fn jpeg(geometry: Geometry, stream: &[u8], photometric: &str) -> Result<Self, DecodeError> {
        let transform = match (geometry.samples, photometric) {
            (3, "RGB") if !says_its_colours(stream) => Some(ColorTransform::RGB),
            _ => None,
        };
        let (info, mut bytes) = read_jpeg(stream, transform)?;
        let (samples, allocated) = match info.pixel_format {
            PixelFormat::L8 => (1, 8),
            PixelFormat::L16 => (1, 16),
            PixelFormat::RGB24 => (3, 8),
            other => return Err(DecodeError::JpegColour(other)),
        };
        let found = (info.width.into(), info.height.into(), samples as u32);
        let expected = geometry.samples_with(geometry.samples);
        if found != expected {
            return Err(DicomError::FrameGeometry { expected, found }.into());
        }
        if allocated == 16 {
            // The decoder answers in the byte order of this machine.
            for pair in bytes.chunks_exact_mut(2) {
                let value = u16::from_ne_bytes([pair[0], pair[1]]);
                pair.copy_from_slice(&value.to_le_bytes());
            }
        }
        let stored = geometry.stored.min(allocated);
        let high_bit = geometry.high_bit.min(allocated - 1).max(stored - 1);
        let geometry = Geometry { allocated, stored, high_bit, is_planar: false, ..geometry };
        Ok(Self { geometry, is_rgb: true, is_halved: false, bytes: bytes.into(), big_endian: false })
    }

    /// The stored value of one sample.
    pub(super) fn sample(&self, pixel: usize, sample: usize) -> i64 {
        let at = if self.geometry.is_planar {
            sample * self.geometry.pixels() + pixel
        } else {
            pixel * self.geometry.samples + sample
        };
        let bytes = &self.bytes;
        let raw: u32 = match self.geometry.allocated {
            1 => u32::from(bytes[at / 8] >> (at % 8) & 1),
            8 => bytes[at].into(),
            16 => {
                let pair = [bytes[2 * at], bytes[2 * at + 1]];
                if self.big_endian { u16::from_be_bytes(pair).into() } else { u16::from_le_bytes(pair).into() }
            }
            _ => {
                let word = [bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]];
                if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
            }
        };
        let Geometry { stored, high_bit, is_signed, .. } = self.geometry;
        let value = i64::from(raw >> (high_bit + 1 - stored)) & ((1 << stored) - 1);
        if is_signed && value >> (stored - 1) == 1 { value - (1 << stored) } else { value }
    }

    /// Luma and shared chroma of one pixel of a halved frame.
    pub(super) fn halved(&self, pixel: usize) -> [i64; 3] {
        let group = &self.bytes[pixel / 2 * 4..][..4];
        [group[pixel % 2].into(), group[2].into(), group[3].into()]
    }
}

/// Small samples packed into big-endian words, in the order of the pixels. Source: DICOM PS3.5 section 8.1.1.
fn swapped(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect()
}

/// Whether a JPEG stream states its colour space itself (an Adobe marker), which outranks the DICOM attribute.
fn says_its_colours(stream: &[u8]) -> bool {
    let head = &stream[..stream.len().min(4096)];
    head.windows(7).any(|window| window == b"\xff\xee\x00\x0eAdo")
}

/// Puts the fragments of the first frame together. Source: DICOM PS3.5 annex A.4.
fn first_stream<'a>(data: &Dataset<'_>, offsets: &[u8], fragments: &[&'a [u8]]) -> Result<Cow<'a, [u8]>, DicomError> {
    let first = *fragments.first().ok_or(DicomError::Missing { tag: tags::PIXEL_DATA })?;
    let frames = data.text(tags::NUMBER_OF_FRAMES).and_then(|text| text.parse().ok()).unwrap_or(1_usize);
    if fragments.len() == 1 || frames == fragments.len() {
        return Ok(first.into());
    }
    let second = offsets.get(4..8).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize);
    let mut stream = Vec::new();
    let mut offset = 0;
    for fragment in fragments {
        if second.is_some_and(|second| offset >= second) {
            break;
        }
        stream.extend_from_slice(fragment);
        offset += fragment.len() + 8;
    }
    Ok(stream.into())
}
