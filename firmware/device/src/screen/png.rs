//! A PNG file that is always whole: readers see the old page or the new one.

use super::Canvas;
use super::output::{Fault, Output};
use embedded_graphics::prelude::{OriginDimensions, Size};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file, and the size of its pages in pixels.
pub(super) struct PngFile {
    pub(super) path: PathBuf,
    pub(super) size: Size,
}

impl Output for PngFile {
    fn name(&self) -> &'static str {
        "png"
    }

    fn open(&mut self) -> Result<Size, Fault> {
        Ok(self.size)
    }

    fn put(&mut self, _before: Option<&Canvas>, page: &Canvas) -> Result<(), Fault> {
        Ok(replace(&self.path, page)?)
    }
}

/// Replaces the file at `path`. Not synced: a page need not outlive a power cut, and flash wears.
fn replace(path: &Path, canvas: &Canvas) -> io::Result<()> {
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
