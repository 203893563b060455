//! Areas that stay apart without their colours.

use embedded_graphics::{prelude::*, primitives::Rectangle};

/// How an area is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Wholly.
    Solid,
    /// With stripes that rise to the right.
    Stripes,
    /// With a grid of dots.
    Dots,
}

impl Pattern {
    /// Whether the pixel `x`, `y` of the screen is inked, for a pattern of `grain` pixels a period.
    const fn is_inked(self, x: i32, y: i32, grain: i32) -> bool {
        match self {
            Self::Solid => true,
            Self::Stripes => (x + y).rem_euclid(grain) * 2 < grain,
            Self::Dots => x.rem_euclid(grain) * 2 < grain && y.rem_euclid(grain) * 2 < grain,
        }
    }
}

/// Inks `area`. The pattern is the screen's, not the area's, so that neighbours match.
pub(crate) fn draw_hatched<D: DrawTarget>(
    area: Rectangle,
    pattern: Pattern,
    colour: D::Color,
    target: &mut D,
) -> Result<(), D::Error> {
    let all = target.bounding_box().size;
    // A period of 4 pixels for each 240 of the shorter side stays visible, and fits a bar of a few pixels.
    let grain = 4 * (all.width.min(all.height) / 240).max(1).cast_signed();
    let inked = area.points().filter(|point| pattern.is_inked(point.x, point.y, grain));
    target.draw_iter(inked.map(|point| Pixel(point, colour)))
}
