//! The stored samples of the first frame, whatever they were compressed with.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_object::{DefaultDicomObject, Tag as Number};
use dicom_pixeldata::PixelDecoder;
use jpeg_decoder::PixelFormat;

use super::attributes::{self, Attributes, Tag};
use super::{DicomError, PixelCoding, guard};
use crate::DecodeError;
use crate::decode::{Room, check_size, jpeg_header};

/// What the attributes say of the pixels. Source: DICOM PS3.3 C.7.6.3.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// Samples a pixel, 1 or 3.
    pub(super) samples: usize,
    /// Bits that a sample takes: 1, 8, 16 or 32.
    allocated: u32,
    /// Bits that carry the value.
    pub(super) stored: u32,
    high_bit: u32,
    pub(super) is_signed: bool,
    is_planar: bool,
}

impl Geometry {
    pub(super) fn read(data: Attributes<'_>) -> Result<Self, DecodeError> {
        let number = |tag| data.required_u16(tag).map(u32::from);
        let (columns, rows) = (number(attributes::COLUMNS)?, number(attributes::ROWS)?);
        check_size(columns.into(), rows.into())?;
        let samples = number(attributes::SAMPLES_PER_PIXEL)?;
        if ![1, 3].contains(&samples) {
            return Err(unsupported(attributes::SAMPLES_PER_PIXEL, samples, "1 or 3").into());
        }
        let allocated = number(attributes::BITS_ALLOCATED)?;
        if ![1, 8, 16, 32].contains(&allocated) {
            return Err(unsupported(attributes::BITS_ALLOCATED, allocated, "1, 8, 16 or 32").into());
        }
        let stored = number(attributes::BITS_STORED)?;
        if !(1..=allocated).contains(&stored) {
            return Err(unsupported(attributes::BITS_STORED, stored, "at least 1, at most Bits Allocated").into());
        }
        let high_bit = number(attributes::HIGH_BIT)?;
        if !(stored - 1..allocated).contains(&high_bit) {
            let expected = "Bits Stored - 1 up to Bits Allocated - 1";
            return Err(unsupported(attributes::HIGH_BIT, high_bit, expected).into());
        }
        Ok(Self {
            columns,
            rows,
            samples: samples as usize,
            allocated,
            stored,
            high_bit,
            is_signed: data.u16(attributes::PIXEL_REPRESENTATION) == Some(1),
            is_planar: data.u16(attributes::PLANAR_CONFIGURATION) == Some(1),
        })
    }

    pub(super) fn pixels(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Bytes that one frame takes at most at a time: as it is stored, with what its decoder needs, and as a picture of so many channels.
    pub(super) fn memory(&self, coding: PixelCoding, n_channels: u64, room: Room) -> u64 {
        let (n_pixels, n_samples) = (self.pixels() as u64, (self.pixels() * self.samples) as u64);
        let stored = n_samples * u64::from(self.allocated.div_ceil(8));
        // A JPEG decoder keeps coefficients of two bytes, and the samples of each component by themselves.
        let coding = if coding == PixelCoding::Jpeg { 4 * n_samples } else { 0 };
        // Grey has the depth asked for at once, colour has 8 bits before.
        let (shown, converted) = if n_channels == 1 { (room.depth.bits() / 8, 0) } else { (1, room.converted(8)) };
        let shown = n_pixels * n_channels * u64::from(shown);
        (stored + coding.max(shown)).max(shown + n_pixels * n_channels * converted)
    }
}

fn unsupported(tag: Tag, found: u32, expected: &'static str) -> DicomError {
    DicomError::Unsupported { tag, found: found.to_string(), expected }
}

/// Samples of one frame.
pub(super) struct Frame {
    pub(super) geometry: Geometry,
    /// The decoder has already turned luma and chroma into red-green-blue.
    pub(super) is_rgb: bool,
    bytes: Vec<u8>,
}

impl Frame {
    /// Decompresses the first frame, having held its headers against the attributes.
    pub(super) fn first(
        object: &DefaultDicomObject,
        geometry: Geometry,
        coding: PixelCoding,
        photometric: &str,
    ) -> Result<Self, DecodeError> {
        let pixel_data = object.get(Number::from(attributes::PIXEL_DATA));
        let fragment = || {
            let fragments = pixel_data.and_then(|element| element.fragments());
            fragments.and_then(<[_]>::first).ok_or(DicomError::Missing { tag: attributes::PIXEL_DATA })
        };
        let geometry = match coding {
            PixelCoding::Native if photometric == "YBR_FULL_422" => {
                let (tag, found) = (attributes::PHOTOMETRIC_INTERPRETATION, photometric.to_owned());
                let expected = "a value without shared chroma where pixels are not compressed";
                return Err(DicomError::Unsupported { tag, found, expected }.into());
            }
            PixelCoding::Native if geometry.allocated == 1 && !geometry.pixels().is_multiple_of(8) => {
                let found = geometry.columns;
                return Err(unsupported(attributes::COLUMNS, found, "a multiple of 8 pixels a frame of 1 bit").into());
            }
            // The decoder writes a byte a pixel.
            PixelCoding::Native if geometry.allocated == 1 => Geometry { allocated: 8, ..geometry },
            PixelCoding::Native => {
                let found = pixel_data.and_then(|element| Some(element.to_bytes().ok()?.len())).unwrap_or(0);
                complete(geometry, found)?;
                geometry
            }
            PixelCoding::RunLength | PixelCoding::Jpeg if ![8, 16].contains(&geometry.allocated) => {
                return Err(
                    unsupported(attributes::BITS_ALLOCATED, geometry.allocated, "8 or 16 where compressed").into()
                );
            }
            PixelCoding::RunLength => {
                let segments = geometry.samples * geometry.allocated.div_ceil(8) as usize;
                guard::check_run_length(fragment()?, segments)?;
                Geometry { is_planar: false, ..geometry }
            }
            PixelCoding::Jpeg => as_the_stream_says(geometry, fragment()?, photometric)?,
        };
        let bytes = decoded(object)?;
        complete(geometry, bytes.len())?;
        Ok(Self { geometry, is_rgb: coding == PixelCoding::Jpeg, bytes })
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
            8 => bytes[at].into(),
            16 => u16::from_ne_bytes([bytes[2 * at], bytes[2 * at + 1]]).into(),
            _ => u32::from_ne_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]]),
        };
        let Geometry { stored, high_bit, is_signed, .. } = self.geometry;
        let value = i64::from(raw >> (high_bit + 1 - stored)) & ((1 << stored) - 1);
        if is_signed && value >> (stored - 1) == 1 { value - (1 << stored) } else { value }
    }
}

/// Refuses a frame with fewer bytes than its geometry needs.
fn complete(geometry: Geometry, found: usize) -> Result<(), DicomError> {
    let expected = geometry.pixels() * geometry.samples * geometry.allocated.div_ceil(8) as usize;
    if found < expected {
        let (expected, found) = (expected as u64, found as u64);
        return Err(DicomError::Truncated { what: "the first frame", expected, found });
    }
    Ok(())
}

/// The first frame as the library decodes it, samples in the byte order of this machine. A damaged stream makes some of
/// its decoders panic, which is an error like any other here.
fn decoded(object: &DefaultDicomObject) -> Result<Vec<u8>, DicomError> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        object.decode_pixel_data_frame(0).map(dicom_pixeldata::DecodedPixelData::into_data)
    }));
    match outcome {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(DicomError::Pixels { reason: super::reason(&error) }),
        Err(_panic) => Err(DicomError::DamagedPixels),
    }
}

/// Bits and samples by the header of a JPEG stream, which the decoder goes by; they must agree with the attributes.
fn as_the_stream_says(geometry: Geometry, stream: &[u8], photometric: &str) -> Result<Geometry, DecodeError> {
    let info = jpeg_header(stream)?;
    let (samples, allocated) = match info.pixel_format {
        PixelFormat::L8 => (1, 8),
        PixelFormat::L16 => (1, 16),
        PixelFormat::RGB24 => (3, 8),
        other => return Err(DecodeError::JpegColour(other)),
    };
    let found = (info.width.into(), info.height.into(), samples as u32);
    let expected = (geometry.columns, geometry.rows, geometry.samples as u32);
    if found != expected || allocated > geometry.allocated {
        return Err(DicomError::FrameGeometry { expected, found }.into());
    }
    let is_lossy = info.coding_process != jpeg_decoder::CodingProcess::Lossless;
    if samples == 3 && photometric == "RGB" && is_lossy && !says_its_colours(stream) {
        // Two readers of such a file show two pictures: the stream's default is luma and chroma, the attribute is not.
        let (tag, found) = (attributes::PHOTOMETRIC_INTERPRETATION, photometric.to_owned());
        let expected = "YBR_FULL_422, or a JPEG stream that states its colours (Adobe marker)";
        return Err(DicomError::Unsupported { tag, found, expected }.into());
    }
    let stored = geometry.stored.min(allocated);
    let high_bit = geometry.high_bit.min(allocated - 1).max(stored - 1);
    Ok(Geometry { allocated, stored, high_bit, is_planar: false, ..geometry })
}

/// Whether a JPEG stream states its colour space itself, by an Adobe marker or by components named R, G and B.
fn says_its_colours(stream: &[u8]) -> bool {
    let head = &stream[..stream.len().min(4096)];
    let has_letters =
        |window: &[u8]| window[0] == 0xff && (0xc0..=0xc3).contains(&window[1]) && window[9..] == *b"\x03R";
    head.windows(7).any(|window| window == b"\xff\xee\x00\x0eAdo") || head.windows(11).any(has_letters)
}
