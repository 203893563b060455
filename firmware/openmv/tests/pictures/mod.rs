//! The pictures of the example `camera`, which `tools/peers/openmv_client.py` knows too.

use remedis_openmv::{Frame, PixelFormat};

/// Grey, RGB565, JPEG in turn. The first byte after a JPEG file's first marker is the picture's number, every other byte depends on it
/// and on its place.
pub(crate) fn picture(number: u32, (width, height): (u32, u32)) -> Frame {
    let bytes = |n: u32| (0..n).map(|at| number.wrapping_add(at.wrapping_mul(at) / 7) as u8).collect::<Vec<u8>>();
    let (format, bytes) = match number % 3 {
        0 => (PixelFormat::Grey, bytes(width * height)),
        1 => (PixelFormat::Rgb565, bytes(2 * width * height)),
        _ => (PixelFormat::Jpeg, [&[0xff, 0xd8][..], &bytes(width * height / 2), &[0xff, 0xd9]].concat()),
    };
    Frame { width, height, format, bytes }
}
