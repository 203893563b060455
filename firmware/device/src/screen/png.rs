//! A PNG file that is always whole: readers see the old page or the new one.

use super::Canvas;
use embedded_graphics::prelude::OriginDimensions;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use std::io::{self, Write};
use std::path::Path;

/// Replaces the file at `path`. Not synced: a page need not outlive a power cut, and flash wears.
pub(super) fn replace(path: &Path, canvas: &Canvas) -> io::Result<()> {
    let mut bytes = Vec::new();
    let size = canvas.size();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Sub)
        .write_image(canvas.pixels(), size.width, size.height, ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    std::fs::File::create(&fresh)?.write_all(&bytes)?;
    std::fs::rename(&fresh, path)
}
