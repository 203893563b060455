//! Telling the formats apart, and the two that are not DICOM.

use std::io::Cursor;

use remedis_bundle::{Channels, Depth};
use zune_core::bytestream::ZCursor;
use zune_core::options::DecoderOptions;
use zune_jpeg::errors::DecodeErrors;

use crate::dicom::{self, DicomError};
use crate::{Image, Samples, jpeg};

/// The most pixels a picture may have; a larger one is refused before memory is taken for it.
pub const MAX_PIXELS: u64 = 64 * 1024 * 1024;

/// The most memory that [`decode`] takes beside the file, in bytes: enough for a PNG of [`MAX_PIXELS`] with colour and transparency of 16
/// bits each.
pub const MAX_MEMORY: u64 = 1 << 30;

/// Why bytes are not a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Neither PNG nor JPEG nor DICOM.
    #[error("not a PNG, JPEG or DICOM file: it has {length} bytes and starts with {start:02x?}")]
    UnknownFormat {
        /// Bytes in the file.
        length: usize,
        /// The first bytes, at most eight.
        start: Vec<u8>,
    },
    /// More pixels than [`MAX_PIXELS`], or none.
    #[error("a picture of {width} x {height} pixels is outside what is read: 1 to {MAX_PIXELS} pixels")]
    Size {
        /// Columns as declared.
        width: u64,
        /// Rows as declared.
        height: u64,
    },
    /// A picture for which there is not enough memory.
    #[error("a picture of {width} x {height} pixels takes {needed} bytes of memory to read, at most {limit} are taken")]
    Memory {
        /// Columns as declared.
        width: u64,
        /// Rows as declared.
        height: u64,
        /// Bytes that it takes at most at a time, beside its file.
        needed: u64,
        /// Bytes that may be taken.
        limit: u64,
    },
    /// Damaged or unusual PNG.
    #[error("cannot read the PNG")]
    Png(#[source] image::ImageError),
    /// Damaged or unusual JPEG.
    #[error("cannot read the JPEG")]
    Jpeg(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A JPEG file of neither one nor three components.
    #[error("the JPEG holds {0} components; expected 1 (grey) or 3 (colour)")]
    JpegComponents(u8),
    /// A JPEG whose data end before its picture does.
    #[error("the JPEG ends early: {found} of {expected} parts of its picture are there; take or send it again")]
    JpegCut {
        /// Blocks, or groups of them, that belong to the picture.
        expected: u64,
        /// Of these, how many are there.
        found: u64,
    },
    /// A JPEG stream whose samples are neither grey nor three colours.
    #[error("the JPEG holds {0:?} samples; expected 8-bit grey or colour")]
    JpegColour(jpeg_decoder::PixelFormat),
    /// Damaged or unusual DICOM.
    #[error("cannot read the DICOM file")]
    Dicom(#[from] DicomError),
}

/// Reads a PNG, JPEG or DICOM file, told apart by their first bytes.
///
/// The result has samples of `depth`, whatever the file has: at 8 bits a 16-bit PNG is rounded to the nearest (`(v * 255 + 32767) /
/// 65535`), at 16 bits files of 8 are widened (`257 v`), so that black and white stay so and one picture means one thing at either
/// depth. A transparency channel is dropped, palettes and CMYK-free JPEG become grey or red-green-blue. DICOM answers the first
/// frame, rescaled, windowed and with MONOCHROME1 turned, as a reader would see it, black to white over the whole range of `depth`.
///
/// It takes at most [`MAX_MEMORY`].
///
/// # Errors
/// [`DecodeError`] for every file that is not such a picture or is damaged.
pub fn decode(bytes: &[u8], depth: Depth) -> Result<Image, DecodeError> {
    read(bytes, Room { depth, max_memory: MAX_MEMORY, is_judged: false })
}

/// As [`decode`], for who is going to give an answer, and has only so many bytes of memory for it.
///
/// A picture that takes more is refused before they are taken. Of a JPEG that ends early, of which [`decode`] makes what there is of it,
/// nothing is made: looking costs two thirds of the time again, which training does without.
///
/// # Errors
/// As [`decode`], and [`DecodeError::Memory`] and [`DecodeError::JpegCut`].
pub fn decode_within(bytes: &[u8], depth: Depth, max_memory: u64) -> Result<Image, DecodeError> {
    read(bytes, Room { depth, max_memory, is_judged: true })
}

fn read(bytes: &[u8], room: Room) -> Result<Image, DecodeError> {
    let depth = room.depth;
    let image = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        decode_png(bytes, room)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        decode_jpeg(bytes, room)
    } else if bytes.get(128..132) == Some(b"DICM") {
        dicom::decode(bytes, room)
    } else {
        Err(DecodeError::UnknownFormat { length: bytes.len(), start: bytes.iter().copied().take(8).collect() })
    }?;
    if image.samples.depth() == depth { Ok(image) } else { Ok(image.to_depth(depth).into_owned()) }
}

/// What a picture is decoded to, and how much memory there is for it.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) depth: Depth,
    pub(crate) max_memory: u64,
    /// Whether an answer will be given to it.
    pub(crate) is_judged: bool,
}

impl Room {
    /// Bytes of a sample at the depth asked for, where a picture with samples of `bits` has to be brought there; 0 where it is there.
    pub(crate) fn converted(self, bits: u64) -> u64 {
        let wanted = u64::from(self.depth.bits());
        if wanted == bits { 0 } else { wanted / 8 }
    }

    /// Refuses a picture of this size that needs more memory than there is.
    pub(crate) fn check(self, [width, height]: [u64; 2], needed: u64) -> Result<(), DecodeError> {
        let limit = self.max_memory;
        if needed <= limit { Ok(()) } else { Err(DecodeError::Memory { width, height, needed, limit }) }
    }
}

/// Refuses a picture without pixels or with too many.
pub(crate) fn check_size(width: u64, height: u64) -> Result<(), DecodeError> {
    match width.checked_mul(height) {
        Some(1..=MAX_PIXELS) => Ok(()),
        _ => Err(DecodeError::Size { width, height }),
    }
}

fn decode_png(bytes: &[u8], room: Room) -> Result<Image, DecodeError> {
    use image::{DynamicImage, ImageDecoder};
    let mut limits = image::Limits::no_limits();
    // For two rows, and for what a file may say beside its pixels.
    limits.max_alloc = Some(room.max_memory / 8);
    let decoder = image::codecs::png::PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(DecodeError::Png)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    let needed = u64::from(width) * u64::from(height) * png_bytes_per_pixel(decoder.color_type(), room);
    room.check([width.into(), height.into()], needed)?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(DecodeError::Png)?;
    let (channels, samples): (_, Samples) = match decoded {
        DynamicImage::ImageLuma8(grey) => (Channels::Grey, grey.into_raw().into()),
        DynamicImage::ImageLuma16(grey) => (Channels::Grey, grey.into_raw().into()),
        DynamicImage::ImageLumaA8(grey) => (Channels::Grey, every_first(grey.as_raw()).into()),
        DynamicImage::ImageLumaA16(grey) => (Channels::Grey, every_first(grey.as_raw()).into()),
        deep @ (DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_)) => {
            (Channels::Rgb, deep.into_rgb16().into_raw().into())
        }
        other => (Channels::Rgb, other.into_rgb8().into_raw().into()),
    };
    Ok(Image::new(width, height, channels, samples))
}

/// Bytes that a pixel takes at most at a time: as it is in the file and without its transparency, or that and at another depth.
fn png_bytes_per_pixel(colour: image::ColorType, room: Room) -> u64 {
    let (in_file, n_channels) = (u64::from(colour.bytes_per_pixel()), u64::from(colour.channel_count()));
    let n_kept = n_channels - u64::from(colour.has_alpha());
    let bytes = in_file / n_channels;
    let without_alpha = if colour.has_alpha() { n_kept * bytes } else { 0 };
    (in_file + without_alpha).max(n_kept * (bytes + room.converted(8 * bytes)))
}

/// Grey without its transparency.
fn every_first<S: Copy>(samples: &[S]) -> Vec<S> {
    samples.iter().step_by(2).copied().collect()
}

fn decode_jpeg(bytes: &[u8], room: Room) -> Result<Image, DecodeError> {
    use zune_core::colorspace::ColorSpace;
    let refuse = |error: DecodeErrors| DecodeError::Jpeg(error.into());
    // Strict: damage is an error where the decoder notices it. Sizes are for `check_size` to judge.
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(1 << 16).set_max_height(1 << 16);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(refuse)?;
    let info = decoder.info().ok_or(DecodeError::Size { width: 0, height: 0 })?;
    check_size(info.width.into(), info.height.into())?;
    let (channels, colours) = match info.components {
        1 => (Channels::Grey, ColorSpace::Luma),
        3 => (Channels::Rgb, ColorSpace::RGB),
        other => return Err(DecodeError::JpegComponents(other)),
    };
    // Coefficients of two bytes wait beside the samples where not all of a pixel comes at once.
    let while_decoding = if jpeg::has_one_scan(bytes) { 1 } else { 3 };
    let needed = u64::from(info.width) * u64::from(info.height) * u64::from(info.components);
    room.check([info.width.into(), info.height.into()], needed * (1 + room.converted(8)).max(while_decoding))?;
    if room.is_judged {
        jpeg::check(bytes).map_err(|jpeg::Missing { expected, found }| DecodeError::JpegCut { expected, found })?;
    }
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let pixels = decoder.decode().map_err(refuse)?;
    let expected = usize::from(info.width) * usize::from(info.height) * usize::from(info.components);
    if pixels.len() != expected {
        return Err(DecodeError::Size { width: info.width.into(), height: info.height.into() });
    }
    Ok(Image::new(info.width.into(), info.height.into(), channels, pixels))
}

/// What the JPEG stream of a DICOM file says of itself, lossless ones included; refused where it has too many pixels.
pub(crate) fn jpeg_header(bytes: &[u8]) -> Result<jpeg_decoder::ImageInfo, DecodeError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MAX_PIXELS as usize * 4);
    decoder.read_info().map_err(|error| DecodeError::Jpeg(error.into()))?;
    let info = decoder.info().ok_or(DecodeError::Size { width: 0, height: 0 })?;
    check_size(info.width.into(), info.height.into())?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ColorType::{L8, L16, La8, Rgb8, Rgb16, Rgba8, Rgba16};

    fn room(depth: Depth) -> Room {
        Room { depth, max_memory: MAX_MEMORY, is_judged: false }
    }

    #[test]
    fn a_pixel_takes_what_it_has_in_the_file_and_what_it_becomes() {
        // As it is, then dropping transparency or changing depth: the largest sum of two that are there at a time.
        let bytes = [L8, L16, La8, Rgb8, Rgba8, Rgb16, Rgba16]
            .map(|colour| [Depth::Eight, Depth::Sixteen].map(|depth| png_bytes_per_pixel(colour, room(depth))));
        assert_eq!(bytes, [[1, 3], [3, 2], [3, 3], [3, 9], [7, 9], [9, 6], [14, 14]]);
    }

    #[test]
    fn a_picture_is_refused_by_the_memory_that_it_would_take() {
        let grey = crate::encode_png(&Image::new(100, 50, Channels::Grey, vec![7_u8; 5_000]));
        let read = |max_memory| decode_within(&grey, Depth::Sixteen, max_memory);
        assert!(read(15_000).is_ok());
        let error = read(14_999).unwrap_err().to_string();
        assert_eq!(error, "a picture of 100 x 50 pixels takes 15000 bytes of memory to read, at most 14999 are taken");
    }
}
