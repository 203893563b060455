//! Letters at any whole multiple of a bitmap font, and lines broken between words.

use embedded_graphics::{
    mono_font::{
        MonoFont, MonoTextStyle,
        iso_8859_1::{FONT_6X10, FONT_8X13_BOLD, FONT_10X20},
    },
    pixelcolor::PixelColor,
    prelude::*,
    primitives::Rectangle,
    text::{Baseline, Text},
};

/// A font and how many target pixels each of its pixels is wide and high.
#[derive(Clone, Copy, Debug)]
pub struct Lettering {
    font: &'static MonoFont<'static>,
    magnification: u32,
}

impl Lettering {
    /// 6 x 10 pixels times `magnification`: notes.
    pub const fn small(magnification: u32) -> Self {
        Self { font: &FONT_6X10, magnification }
    }

    /// 8 x 13 pixels, bold, times `magnification`: labels.
    pub const fn label(magnification: u32) -> Self {
        Self { font: &FONT_8X13_BOLD, magnification }
    }

    /// 10 x 20 pixels times `magnification`: what is read from across the room.
    pub const fn large(magnification: u32) -> Self {
        Self { font: &FONT_10X20, magnification }
    }

    /// One letter's cell in target pixels.
    pub const fn cell(&self) -> Size {
        let cell = self.font.character_size;
        Size::new(cell.width * self.magnification, cell.height * self.magnification)
    }

    /// How many letters fit in `width_px`.
    pub const fn columns(&self, width_px: u32) -> usize {
        (width_px / self.cell().width) as usize
    }

    /// How wide `text` is, in target pixels.
    pub fn width(&self, text: &str) -> u32 {
        self.cell().width * u32::try_from(text.chars().count()).unwrap_or(u32::MAX / 64)
    }
}

/// Draws one line with its top left corner at `corner`. Letters outside Latin-1 appear as `?`.
///
/// # Errors
/// What the target says.
pub fn draw_line<D: DrawTarget>(
    text: &str,
    corner: Point,
    lettering: Lettering,
    colour: D::Color,
    target: &mut D,
) -> Result<(), D::Error> {
    let mut magnified = Magnified { target, corner, factor: lettering.magnification };
    let style = MonoTextStyle::new(lettering.font, colour);
    Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut magnified).map(drop)
}

/// Draws `text` into `area`, broken between words, and returns the height used in pixels.
///
/// A word longer than a line is broken inside. What does not fit ends in `...`, never mid-air.
///
/// # Errors
/// What the target says.
pub fn draw_wrapped<D: DrawTarget>(
    text: &str,
    area: Rectangle,
    lettering: Lettering,
    colour: D::Color,
    target: &mut D,
) -> Result<u32, D::Error> {
    let cell = lettering.cell();
    let (columns, n_lines) = (lettering.columns(area.size.width), area.size.height / cell.height);
    let mut rest = text.trim();
    for line_index in 0..n_lines {
        if rest.is_empty() || columns == 0 {
            return Ok(line_index * cell.height);
        }
        let corner = area.top_left + Point::new(0, (line_index * cell.height).cast_signed());
        let (line, after) = break_line(rest, columns);
        if line_index + 1 == n_lines && !after.is_empty() {
            let kept = line_start(rest, columns.saturating_sub(3)).trim_end();
            draw_line(kept, corner, lettering, colour, target)?;
            let dots = corner + Point::new(lettering.width(kept).cast_signed(), 0);
            let ellipsis = line_start("...", columns);
            draw_line(ellipsis, dots, lettering, colour, target)?;
        } else {
            draw_line(line, corner, lettering, colour, target)?;
        }
        rest = after;
    }
    Ok(n_lines * cell.height)
}

/// The first `columns` letters.
fn line_start(text: &str, columns: usize) -> &str {
    text.char_indices().nth(columns).map_or(text, |(end, _)| text.split_at(end).0)
}

/// The first line of `text` and what comes after it.
pub(crate) fn break_line(text: &str, columns: usize) -> (&str, &str) {
    let start = line_start(text, columns);
    if start.len() == text.len() {
        return (text, "");
    }
    let is_between_words = text.as_bytes().get(start.len()) == Some(&b' ');
    let end = match start.rfind(' ') {
        Some(space) if !is_between_words => space,
        _ => start.len(),
    };
    let (line, after) = text.split_at(end);
    (line.trim_end(), after.trim_start())
}

/// Draws every pixel as a square of `factor` pixels, the origin at `corner`.
struct Magnified<'a, D> {
    target: &'a mut D,
    corner: Point,
    factor: u32,
}

impl<D: DrawTarget> Dimensions for Magnified<'_, D> {
    fn bounding_box(&self) -> Rectangle {
        let inner = self.target.bounding_box();
        Rectangle::new(inner.top_left - self.corner, inner.size)
    }
}

impl<D: DrawTarget> DrawTarget for Magnified<'_, D>
where
    D::Color: PixelColor,
{
    type Color = D::Color;
    type Error = D::Error;

    fn draw_iter<I: IntoIterator<Item = Pixel<D::Color>>>(&mut self, pixels: I) -> Result<(), D::Error> {
        let square = Size::new_equal(self.factor);
        for Pixel(point, colour) in pixels {
            let corner = self.corner + point * self.factor.cast_signed();
            self.target.fill_solid(&Rectangle::new(corner, square), colour)?;
        }
        Ok(())
    }
}
