//! A Linux framebuffer, written as a file: no mapping, no `unsafe`.

use super::Canvas;
use super::output::{Fault, Output};
use embedded_graphics::prelude::{OriginDimensions, Size};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How a framebuffer stores a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// 5 bits red, 6 green, 5 blue, little endian.
    Rgb565,
    /// Bytes blue, green, red, unused.
    Xrgb8888,
}

/// Layout of a framebuffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// In pixels.
    pub size: Size,
    /// How a pixel is stored.
    pub format: PixelFormat,
    /// Bytes from one row to the next.
    pub stride: u32,
}

/// Why a framebuffer cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FramebufferError {
    /// The device or its description cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel's description makes no sense here.
    #[error("framebuffer's {what} is {found:?}, expected {expected}")]
    Geometry {
        /// Which part.
        what: &'static str,
        /// What it says.
        found: String,
        /// What would do.
        expected: &'static str,
    },
}

impl Geometry {
    /// Reads `virtual_size`, `bits_per_pixel` and `stride` in a folder such as `/sys/class/graphics/fb0`, and what its `mode` or the
    /// first of its `modes` shows of it.
    ///
    /// # Errors
    /// When they are missing, or describe anything but 16 or 32 bits a pixel.
    pub fn read(folder: &Path) -> Result<Self, FramebufferError> {
        let text = |name: &str| {
            let path = folder.join(name);
            let text = fs::read_to_string(&path).map_err(|source| FramebufferError::Io { path, source })?;
            Ok(text.trim().to_owned())
        };
        let bad = |what, found: &str, expected| FramebufferError::Geometry { what, found: found.into(), expected };
        let (virtual_size, bits, stride) = (text("virtual_size")?, text("bits_per_pixel")?, text("stride")?);
        let whole = virtual_size
            .split_once(',')
            .and_then(|(width, height)| Some(Size::new(side(width)?, side(height)?)))
            .ok_or_else(|| bad("virtual_size", &virtual_size, "width,height of at most 16384 pixels each"))?;
        let (format, bytes) = match bits.as_str() {
            "16" => (PixelFormat::Rgb565, 2),
            "32" => (PixelFormat::Xrgb8888, 4),
            _ => return Err(bad("bits_per_pixel", &bits, "16 or 32")),
        };
        let stride = stride
            .parse()
            .ok()
            .filter(|stride| (whole.width * bytes..=1 << 20).contains(stride))
            .ok_or_else(|| bad("stride", &stride, "at least one row of pixels in bytes"))?;
        Ok(Self { size: visible(folder, whole), format, stride })
    }

    /// `canvas` as the framebuffer stores it; the bytes between rows are zero.
    ///
    /// # Panics
    /// If `canvas` is not of this size.
    pub fn encode(&self, canvas: &Canvas) -> Vec<u8> {
        assert_eq!(canvas.size(), self.size, "the page is drawn for this framebuffer");
        let (width, stride) = (self.size.width as usize, self.stride as usize);
        let mut bytes = vec![0; stride * self.size.height as usize];
        for (row, pixels) in bytes.chunks_exact_mut(stride).zip(canvas.pixels().chunks_exact(3 * width)) {
            match self.format {
                PixelFormat::Rgb565 => {
                    for (place, rgb) in row.chunks_exact_mut(2).zip(pixels.chunks_exact(3)) {
                        let [red, green, blue] = [rgb[0] >> 3, rgb[1] >> 2, rgb[2] >> 3].map(u16::from);
                        place.copy_from_slice(&(red << 11 | green << 5 | blue).to_le_bytes());
                    }
                }
                PixelFormat::Xrgb8888 => {
                    for (place, rgb) in row.chunks_exact_mut(4).zip(pixels.chunks_exact(3)) {
                        place.copy_from_slice(&[rgb[2], rgb[1], rgb[0], 0]);
                    }
                }
            }
        }
        bytes
    }
}

/// In pixels.
fn side(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|side| (1..=16_384).contains(side))
}

/// What is seen of a framebuffer of `whole` size, from its first row on: a driver with two buffers counts both as one, below each
/// other.
fn visible(folder: &Path, whole: Size) -> Size {
    // Many drivers leave `mode` empty, and have one line in `modes`.
    let seen = ["mode", "modes"].into_iter().find_map(|name| {
        let modes = fs::read_to_string(folder.join(name)).ok()?;
        mode_size(modes.lines().next()?)
    });
    seen.map_or(whole, |seen| seen.component_min(whole))
}

/// The size in pixels of a mode such as `U:800x480p-60`.
fn mode_size(mode: &str) -> Option<Size> {
    let (width, rest) = mode.split_once(':')?.1.split_once('x')?;
    let height = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(Size::new(side(width)?, side(height)?))
}

/// An open framebuffer.
#[derive(Debug)]
pub struct Framebuffer {
    path: PathBuf,
    file: File,
    geometry: Geometry,
}

impl Framebuffer {
    /// Opens a device such as `/dev/fb0` and asks the kernel for its layout.
    ///
    /// # Errors
    /// When it is not there, not ours to write, or stores pixels in another way than 16 or 32 bits.
    pub fn open(path: &Path) -> Result<Self, FramebufferError> {
        let geometry = Geometry::read(&Path::new("/sys/class/graphics").join(path.file_name().unwrap_or_default()))?;
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(|source| FramebufferError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, geometry })
    }

    /// Its layout.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Writes a page of the framebuffer's size. Of one that shows `before`, only the rows that differ are written, so that nothing
    /// flickers.
    ///
    /// # Errors
    /// When the device does not take it.
    pub fn put(self, before: Option<&Canvas>, page: &Canvas) -> Result<(), FramebufferError> {
        let (bytes, stride) = (self.geometry.encode(page), self.geometry.stride as usize);
        let written = page.damage(before).try_for_each(|area| {
            let start = area.top_left.y.cast_unsigned() as usize * stride;
            self.file.write_all_at(&bytes[start..start + area.size.height as usize * stride], start as u64)
        });
        written.map_err(|source| FramebufferError::Io { path: self.path, source })
    }
}

/// A panel that the kernel drives.
pub(super) struct Panel {
    path: PathBuf,
    open: Option<Framebuffer>,
}

impl Panel {
    /// The panel behind a device such as `/dev/fb0`.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }
}

impl Output for Panel {
    fn name(&self) -> &'static str {
        "framebuffer"
    }

    /// Asked anew each time: the display may have gone, or come back in another mode.
    fn open(&mut self) -> Result<Size, Fault> {
        Ok(self.open.insert(Framebuffer::open(&self.path)?).geometry().size)
    }

    fn put(&mut self, before: Option<&Canvas>, page: &Canvas) -> Result<(), Fault> {
        let framebuffer = self.open.take().ok_or("it is not open")?;
        Ok(framebuffer.put(before, page)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

    fn read(files: &[(&str, &str)]) -> Result<Geometry, FramebufferError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            // As the kernel does it, an empty one has no line at all.
            let end = if text.is_empty() { "" } else { "\n" };
            fs::write(folder.path().join(name), format!("{text}{end}")).unwrap();
        }
        Geometry::read(folder.path())
    }

    fn described(virtual_size: &str, bits: &str, stride: &str) -> Result<Geometry, FramebufferError> {
        read(&[("virtual_size", virtual_size), ("bits_per_pixel", bits), ("stride", stride)])
    }

    #[test]
    fn the_kernels_description_is_understood() {
        let expected = Geometry { size: Size::new(800, 480), format: PixelFormat::Rgb565, stride: 1664 };
        assert_eq!(described("800,480", "16", "1664").unwrap(), expected);
    }

    #[test]
    fn of_two_buffers_the_one_that_is_seen_is_drawn_on() {
        let size = |modes: &[(&str, &str)]| {
            let described = [("virtual_size", "800,960"), ("bits_per_pixel", "32"), ("stride", "3200")];
            read(&[&described, modes].concat()).unwrap().size
        };
        let (seen, whole) = (Size::new(800, 480), Size::new(800, 960));
        assert_eq!(size(&[("mode", "U:800x480p-60")]), seen);
        assert_eq!(size(&[("mode", ""), ("modes", "U:800x480p-0")]), seen);
        assert_eq!(size(&[("mode", "U:800x480p-60"), ("modes", "U:640x400p-60\nU:800x480p-60")]), seen);
        assert_eq!(size(&[("mode", "D:1024x480i-50")]), seen);
        assert_eq!(size(&[("mode", ""), ("modes", "")]), whole);
        assert_eq!(size(&[("mode", "800x480"), ("modes", "U:0x480p-60")]), whole);
        assert_eq!(size(&[]), whole);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(described("800,480", "8", "800").unwrap_err().to_string().contains("16 or 32"));
        assert!(described("800,480", "32", "1600").is_err());
        assert!(described("0,480", "32", "3200").is_err());
    }

    #[test]
    fn only_the_rows_that_differ_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fb0");
        let geometry = Geometry { size: Size::new(1, 4), format: PixelFormat::Rgb565, stride: 2 };
        let written = |before: Option<&Canvas>, page: &Canvas| {
            fs::write(&path, [7; 8]).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            Framebuffer { path: path.clone(), file, geometry }.put(before, page).unwrap();
            fs::read(&path).unwrap()
        };
        let before = Canvas::new(geometry.size);
        let mut after = before.clone();
        after.fill_solid(&Rectangle::new(Point::new(0, 1), Size::new(1, 2)), Rgb888::WHITE).unwrap();
        assert_eq!(written(Some(&before), &after), [7, 7, 255, 255, 255, 255, 7, 7]);
        assert_eq!(written(Some(&after), &after), [7; 8]);
        assert_eq!(written(None, &after), [0, 0, 255, 255, 255, 255, 0, 0]);
    }

    #[test]
    fn pixels_are_stored_little_endian_and_rows_are_padded() {
        let mut canvas = Canvas::new(Size::new(2, 1));
        canvas.clear(Rgb888::new(255, 8, 16)).unwrap();
        let narrow = Geometry { size: canvas.size(), format: PixelFormat::Rgb565, stride: 6 };
        assert_eq!(narrow.encode(&canvas), [0x42, 0xF8, 0x42, 0xF8, 0, 0]);
        let wide = Geometry { size: canvas.size(), format: PixelFormat::Xrgb8888, stride: 8 };
        assert_eq!(wide.encode(&canvas), [16, 8, 255, 0, 16, 8, 255, 0]);
    }
}
