//! The image that was judged, as large as fits.

use super::HeatMap;
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// Borrowed samples of an image, 8 bits each, rows from the top, nothing between rows.
#[derive(Clone, Copy, Debug)]
pub enum Samples<'a> {
    /// One sample a pixel.
    Grey(&'a [u8]),
    /// Red, green, blue for each pixel.
    Rgb(&'a [u8]),
}

/// An image to show.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    width: u32,
    height: u32,
    samples: Samples<'a>,
}

impl<'a> Picture<'a> {
    /// An image of `width` x `height` pixels, or `None` when it is empty or `samples` has another length.
    pub fn new(width: u32, height: u32, samples: Samples<'a>) -> Option<Self> {
        let (found, channels) = match samples {
            Samples::Grey(bytes) => (bytes.len(), 1),
            Samples::Rgb(bytes) => (bytes.len(), 3),
        };
        let expected = (width as usize).checked_mul(height as usize)?.checked_mul(channels)?;
        (expected > 0 && found == expected).then_some(Self { width, height, samples })
    }

    /// The largest rectangle of this image's proportions in the middle of `area`.
    fn fitted(&self, area: Rectangle) -> Rectangle {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let (room_x, room_y) = (u64::from(area.size.width), u64::from(area.size.height));
        let (x, y) = if width * room_y >= height * room_x {
            (room_x, (height * room_x / width).max(1))
        } else {
            ((width * room_y / height).max(1), room_y)
        };
        // Neither side exceeds the area's, which is made of u32.
        let size = Size::new(x as u32, y as u32);
        let margin = area.size.saturating_sub(size) / 2;
        Rectangle::new(area.top_left + margin, size)
    }

    /// Mean colour of the source pixels `x.0..x.1`, `y.0..y.1`.
    fn mean(&self, x: (u32, u32), y: (u32, u32)) -> Rgb888 {
        let mut sum = [0u64; 3];
        for row in y.0..y.1 {
            for column in x.0..x.1 {
                let index = row as usize * self.width as usize + column as usize;
                let rgb = match self.samples {
                    Samples::Grey(bytes) => [bytes.get(index).copied().unwrap_or(0); 3],
                    Samples::Rgb(bytes) => {
                        bytes.get(3 * index..).and_then(|b| b.first_chunk()).copied().unwrap_or([0; 3])
                    }
                };
                for (total, sample) in sum.iter_mut().zip(rgb) {
                    *total += u64::from(sample);
                }
            }
        }
        let n_pixels = u64::from((x.1 - x.0).max(1)) * u64::from((y.1 - y.0).max(1));
        let [red, green, blue] = sum.map(|total| u8::try_from((total + n_pixels / 2) / n_pixels).unwrap_or(u8::MAX));
        Rgb888::new(red, green, blue)
    }
}

/// Draws `picture` in the middle of `area`, proportions kept, with `heat_map` over it: pixels are averaged when it
/// shrinks, repeated when it grows.
pub(crate) fn draw_picture<D: DrawTarget<Color = Rgb888>>(
    picture: &Picture<'_>,
    heat_map: Option<&HeatMap<'_>>,
    area: Rectangle,
    target: &mut D,
) -> Result<(), D::Error> {
    if area.is_zero_sized() {
        return Ok(());
    }
    let place = picture.fitted(area);
    let (columns, rows) = (place.size.width, place.size.height);
    let stroke = (columns.min(rows) / 150).max(1).cast_signed();
    let heat_map = heat_map.map(|map| (map, map.place(place.size)));
    let pixels = (0..rows).flat_map(|row| {
        let y = span(row, rows, picture.height);
        (0..columns).map(move |column| {
            let mean = picture.mean(span(column, columns, picture.width), y);
            let point = Point::new(column.cast_signed(), row.cast_signed());
            heat_map.map_or(mean, |(map, covered)| map.over(mean, point, covered, stroke))
        })
    });
    target.fill_contiguous(&place, pixels)
}

/// The source pixels that target pixel `index` of `n_target` covers: at least one.
fn span(index: u32, n_target: u32, n_source: u32) -> (u32, u32) {
    let at = |i: u32| (u64::from(i) * u64::from(n_source) / u64::from(n_target)) as u32;
    let first = at(index).min(n_source - 1);
    (first, at(index + 1).clamp(first + 1, n_source))
}
