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

    /// The pixels of `area`, which lies within, row by row.
    pub fn colours(&self, area: &Rectangle) -> impl Iterator<Item = Rgb888> {
        let width = self.size.width as usize;
        let left = area.top_left.x.cast_unsigned() as usize;
        let columns = 3 * left..3 * (left + area.size.width as usize);
        let rows = self.pixels.chunks_exact(3 * width);
        let rows = rows.skip(area.top_left.y.cast_unsigned() as usize).take(area.size.height as usize);
        rows.flat_map(move |row| row[columns.clone()].chunks_exact(3)).map(|rgb| Rgb888::new(rgb[0], rgb[1], rgb[2]))
    }

    /// Where this page differs from `before`; everywhere, where nothing is known of what was there.
    pub fn damage<'a>(&'a self, before: Option<&'a Self>) -> impl Iterator<Item = Rectangle> + 'a {
        let before = before.filter(|before| before.size == self.size).map_or(&[][..], |before| &before.pixels);
        remedis_screen::damage(before, &self.pixels, self.size.width, 3)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_of_an_area_come_row_by_row() {
        let mut canvas = Canvas::new(Size::new(4, 3));
        let area = Rectangle::new(Point::new(1, 1), Size::new(2, 2));
        let colours = [1, 2, 3, 4].map(|grey| Rgb888::new(grey, 0, grey));
        canvas.fill_contiguous(&area, colours).unwrap();
        assert_eq!(canvas.colours(&area).collect::<Vec<_>>(), colours);
        assert_eq!(canvas.damage(Some(&Canvas::new(Size::new(4, 3)))).collect::<Vec<_>>(), [area]);
    }

    #[test]
    fn a_page_of_another_shape_differs_everywhere() {
        let canvas = Canvas::new(Size::new(4, 3));
        let everywhere = [canvas.bounding_box()];
        assert_eq!(canvas.damage(Some(&Canvas::new(Size::new(3, 4)))).collect::<Vec<_>>(), everywhere);
        assert_eq!(canvas.damage(None).collect::<Vec<_>>(), everywhere);
    }
}
