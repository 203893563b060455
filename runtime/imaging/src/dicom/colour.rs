//! Colour pictures. Source: DICOM PS3.3 C.7.6.3.1.2 (photometric interpretation) and C.7.6.3.1.5 (palettes).

use super::DicomError;
use super::attributes::{self, Attributes};
use super::frame::Frame;
use super::grey::Table;

/// Red, green and blue of a frame with three samples a pixel.
pub(super) fn colour(frame: &Frame, photometric: &str) -> Result<Vec<u8>, DicomError> {
    let is_luma = match photometric {
        "RGB" => false,
        "YBR_FULL" => !frame.is_rgb,
        // The decoder has read what the stream says of itself.
        _ if frame.is_rgb => false,
        other => {
            return Err(DicomError::Unsupported {
                tag: attributes::PHOTOMETRIC_INTERPRETATION,
                found: other.to_owned(),
                expected: "RGB, YBR_FULL, PALETTE COLOR, MONOCHROME1 or MONOCHROME2",
            });
        }
    };
    let top = ((1_i64 << frame.geometry.stored) - 1).max(1);
    let mut pixels = Vec::with_capacity(frame.geometry.pixels() * 3);
    for pixel in 0..frame.geometry.pixels() {
        let samples = [0, 1, 2].map(|sample| frame.sample(pixel, sample));
        let bytes = samples.map(|sample| ((sample.clamp(0, top) * 255 + top / 2) / top) as u8);
        pixels.extend(if is_luma { to_rgb(bytes) } else { bytes });
    }
    Ok(pixels)
}

/// ITU-R BT.601 at full range, in 16-bit fixed point.
fn to_rgb([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let (luma, blue, red) = (i32::from(luma) << 16, i32::from(blue) - 128, i32::from(red) - 128);
    [luma + 91_881 * red, luma - 22_554 * blue - 46_802 * red, luma + 116_130 * blue]
        .map(|value| ((value + 0x8000) >> 16).clamp(0, 255) as u8)
}

/// Red, green and blue of a frame of palette indices.
pub(super) fn palette(data: Attributes<'_>, frame: &Frame) -> Result<Vec<u8>, DicomError> {
    let mut tables = Vec::with_capacity(3);
    for (descriptor, entries) in attributes::PALETTE_DESCRIPTORS.into_iter().zip(attributes::PALETTE_DATA) {
        let table = Table::read(data, descriptor, entries, frame.geometry.is_signed);
        tables.push(table.ok_or(DicomError::Missing { tag: entries })?);
    }
    let mut pixels = Vec::with_capacity(frame.geometry.pixels() * 3);
    for pixel in 0..frame.geometry.pixels() {
        let index = frame.sample(pixel, 0);
        pixels.extend(tables.iter().map(|table| (f64::from(table.look_up(index)) * 255.0 / table.top).round() as u8));
    }
    Ok(pixels)
}
