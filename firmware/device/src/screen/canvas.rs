//! A page in memory.

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use std::convert::Infallible;

/// Pixels `[height, width, 3]`: red, green, blue, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    size: Size,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A black canvas.
    pub fn new(size: Size) -> Self {
        Self { size, pixels: vec![0; 3 * size.width as usize * size.height as usize] }
    }

    /// All pixels.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    fn row(&mut self, y: u32, x: std::ops::Range<u32>) -> &mut [u8] {
        let start = y as usize * self.size.width as usize;
        &mut self.pixels[3 * (start + x.start as usize)..3 * (start + x.end as usize)]
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            self.fill_solid(&Rectangle::new(point, Size::new_equal(1)), colour)?;
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Rgb888) -> Result<(), Infallible> {
        let area = area.intersection(&self.bounding_box());
        let (left, top) = (area.top_left.x.cast_unsigned(), area.top_left.y.cast_unsigned());
        for y in top..top + area.size.height {
            for pixel in self.row(y, left..left + area.size.width).chunks_exact_mut(3) {
                pixel.copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}
