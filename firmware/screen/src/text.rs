//! Letters at any whole multiple of a bitmap font, and lines broken between words.

use embedded_graphics::{
    mono_font::{
        MonoFont, MonoTextStyle,
        iso_8859_1::{FONT_6X13, FONT_7X14, FONT_8X13_BOLD, FONT_9X15_BOLD, FONT_10X20},
    },
    pixelcolor::PixelColor,
    prelude::*,
    primitives::Rectangle,
    text::{Baseline, Text},
};

/// What stands for the part of a text that there was no room for.
pub(crate) const ELLIPSIS: &str = "...";

/// A font and how many target pixels each of its pixels is wide and high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lettering {
    font: &'static MonoFont<'static>,
    magnification: u32,
}

/// A font and the height of its capitals in pixels, which `embedded-graphics` does not say.
type Cut = (&'static MonoFont<'static>, u32);

const NOTES: &[Cut] = &[(&FONT_6X13, 9), (&FONT_7X14, 10), (&FONT_10X20, 13)];
const LABELS: &[Cut] = &[(&FONT_8X13_BOLD, 10), (&FONT_10X20, 13)];
const LARGE: &[Cut] = &[(&FONT_9X15_BOLD, 10), (&FONT_10X20, 13)];

impl Lettering {
    /// The smallest of `cuts`, magnified as need be, whose capitals are at least `shorter_side / share` pixels high.
    fn at_least(cuts: &[Cut], shorter_side: u32, share: u32) -> Self {
        let capitals = |cut: &Cut| {
            let magnification = shorter_side.div_ceil(share * cut.1).max(1);
            (magnification * cut.1, cut.0, magnification)
        };
        let found = cuts.iter().map(capitals).min_by_key(|(height, ..)| *height);
        let (_, font, magnification) = found.unwrap_or((13, &FONT_10X20, 1));
        Self { font, magnification }
    }

    /// For notes: capitals of at least 1/30 of a screen's shorter side.
    pub(crate) fn note(shorter_side: u32) -> Self {
        Self::at_least(NOTES, shorter_side, 30)
    }

    /// For labels: capitals of at least 1/25 of a screen's shorter side.
    pub(crate) fn label(shorter_side: u32) -> Self {
        Self::at_least(LABELS, shorter_side, 25)
    }

    /// For what is read first: capitals of at least 1/20 of a screen's shorter side.
    pub(crate) fn large(shorter_side: u32) -> Self {
        Self::at_least(LARGE, shorter_side, 20)
    }

    /// Twice as large.
    pub(crate) const fn doubled(self) -> Self {
        Self { magnification: 2 * self.magnification, ..self }
    }

    /// One letter's cell in target pixels.
    pub(crate) const fn cell(&self) -> Size {
        let cell = self.font.character_size;
        Size::new(cell.width * self.magnification, cell.height * self.magnification)
    }

    /// The height of a line.
    pub(crate) const fn height(&self) -> u32 {
        self.cell().height
    }

    /// How many letters fit in `width_px`.
    pub(crate) const fn columns(&self, width_px: u32) -> usize {
        (width_px / self.cell().width) as usize
    }

    /// How wide `text` is, in target pixels.
    pub(crate) fn width(&self, text: &str) -> u32 {
        self.cell().width * u32::try_from(text.chars().count()).unwrap_or(u32::MAX / 256)
    }

    /// The room that `text` takes as one line.
    pub(crate) fn size(&self, text: &str) -> Size {
        Size::new(self.width(text), self.height())
    }
}

/// Draws one line with its top left corner at `corner`: every character takes one cell. See [`in_font`] for those that
/// the font lacks.
pub(crate) fn draw_line<D: DrawTarget>(
    text: &str,
    corner: Point,
    lettering: Lettering,
    colour: D::Color,
    target: &mut D,
) -> Result<(), D::Error> {
    let mut magnified = Magnified { target, corner, factor: lettering.magnification };
    let style = MonoTextStyle::new(lettering.font, colour);
    let step = Point::new(lettering.font.character_size.width.cast_signed(), 0);
    let mut place = Point::zero();
    for letter in text.chars() {
        let mut bytes = [0; 4];
        Text::with_baseline(in_font(letter).encode_utf8(&mut bytes), place, style, Baseline::Top)
            .draw(&mut magnified)?;
        place += step;
    }
    Ok(())
}

/// The character of ISO 8859-1 that stands for `letter`: typographic quotes and dashes become plain ones, controls
/// (which would move the pen) become spaces. What is left outside the font appears as `?`.
fn in_font(letter: char) -> char {
    match letter {
        '\u{2018}'..='\u{201B}' => '\'',
        '\u{201C}'..='\u{201F}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2022}' => '\u{B7}',
        '\u{3BC}' => '\u{B5}',
        '\u{2000}'..='\u{200A}' | '\u{2028}' | '\u{2029}' | '\u{202F}' => ' ',
        control if control.is_control() => ' ',
        other => other,
    }
}

/// The first `columns` letters.
pub(crate) fn line_start(text: &str, columns: usize) -> &str {
    text.char_indices().nth(columns).map_or(text, |(end, _)| text.split_at(end).0)
}

/// What of `text` is shown in one line of `columns`, and whether [`ELLIPSIS`] follows it.
pub(crate) fn fitted(text: &str, columns: usize) -> (&str, bool) {
    let text = text.trim();
    if line_start(text, columns).len() == text.len() {
        return (text, false);
    }
    (line_start(text, columns.saturating_sub(ELLIPSIS.len())).trim_end(), true)
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
