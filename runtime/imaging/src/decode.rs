//! Telling the formats apart, and the two that are not DICOM.

use std::io::Cursor;

use remedis_bundle::{Channels, Depth};
use zune_core::bytestream::ZCursor;
use zune_core::options::DecoderOptions;
use zune_jpeg::errors::DecodeErrors;

use crate::dicom::{self, DicomError};
use crate::{Image, Samples};

/// The most pixels a picture may have; a larger one is refused before memory is taken for it.
pub const MAX_PIXELS: u64 = 64 * 1024 * 1024;

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
    /// Damaged or unusual PNG.
    #[error("cannot read the PNG")]
    Png(#[source] image::ImageError),
    /// Damaged or unusual JPEG.
    #[error("cannot read the JPEG")]
    Jpeg(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A JPEG file of neither one nor three components.
    #[error("the JPEG holds {0} components; expected 1 (grey) or 3 (colour)")]
    JpegComponents(u8),
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
/// # Errors
/// [`DecodeError`] for every file that is not such a picture or is damaged.
pub fn decode(bytes: &[u8], depth: Depth) -> Result<Image, DecodeError> {
    let image = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        decode_png(bytes)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        decode_jpeg(bytes)
    } else if bytes.get(128..132) == Some(b"DICM") {
        dicom::decode(bytes, depth)
    } else {
        Err(DecodeError::UnknownFormat { length: bytes.len(), start: bytes.iter().copied().take(8).collect() })
    }?;
    if image.samples.depth() == depth { Ok(image) } else { Ok(image.to_depth(depth).into_owned()) }
}

/// Refuses a picture without pixels or with too many.
pub(crate) fn check_size(width: u64, height: u64) -> Result<(), DecodeError> {
    match width.checked_mul(height) {
        Some(1..=MAX_PIXELS) => Ok(()),
        _ => Err(DecodeError::Size { width, height }),
    }
}

fn decode_png(bytes: &[u8]) -> Result<Image, DecodeError> {
    use image::{DynamicImage, ImageDecoder};
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(MAX_PIXELS * 8 + (64 << 20));
    let decoder = image::codecs::png::PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(DecodeError::Png)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
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

/// Grey without its transparency.
fn every_first<S: Copy>(samples: &[S]) -> Vec<S> {
    samples.iter().step_by(2).copied().collect()
}

fn decode_jpeg(bytes: &[u8]) -> Result<Image, DecodeError> {
    use zune_core::colorspace::ColorSpace;
    let refuse = |error: DecodeErrors| DecodeError::Jpeg(error.into());
    // Strict: a stream that ends early is damaged, not grey below. Sizes are for `check_size` to judge.
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
