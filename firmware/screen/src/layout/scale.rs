//! Sizes that follow the screen's.

use crate::text::Lettering;
use embedded_graphics::prelude::Size;

/// Letterings and distances for one size of screen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) note: Lettering,
    pub(crate) label: Lettering,
    pub(crate) large: Lettering,
    /// Between things that do not belong together, in pixels.
    pub(crate) gap: u32,
    /// Thickness of lines, in pixels.
    pub(crate) stroke: u32,
}

impl Scale {
    /// The sizes for a screen of `size`, or after some `steps` down those for one whose sides are a tenth shorter each
    /// time.
    pub(crate) fn new(size: Size, steps: u32) -> Self {
        let shorter_side = size.width.min(size.height) * 10u32.saturating_sub(steps) / 10;
        Self {
            note: Lettering::note(shorter_side),
            label: Lettering::label(shorter_side),
            large: Lettering::large(shorter_side),
            gap: (shorter_side / 60).max(1),
            stroke: (shorter_side / 240).max(1),
        }
    }

    /// The side of a symbol beside letters of `lettering`: odd, so that symbols have a middle.
    pub(crate) const fn symbol_side(lettering: Lettering) -> u32 {
        (lettering.height() * 4 / 5) | 1
    }
}
