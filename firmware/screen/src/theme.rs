//! The colours, chosen to stay apart for every common kind of colour blindness.

use embedded_graphics::pixelcolor::Rgb888;

/// What each thing on a page is coloured.
///
/// Accents follow Okabe and Ito 2008, "Color Universal Design". Text and accents have a contrast of at least 4.5 to 1
/// on background and band (WCAG 2.1, success criterion 1.4.3), what is to be read first of 7 to 1. Accents stay apart
/// in simulated protanopia, deuteranopia and tritanopia; the tests do the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Behind everything.
    pub background: Rgb888,
    /// Behind the header and the footer.
    pub band: Rgb888,
    /// The empty part of bars, and frames around things.
    pub trough: Rgb888,
    /// What is to be read first.
    pub text: Rgb888,
    /// What may be read later.
    pub quiet_text: Rgb888,
    /// All is well.
    pub good: Rgb888,
    /// Something is under way.
    pub busy: Rgb888,
    /// Look before you trust: "cannot say" and stale results.
    pub caution: Rgb888,
    /// Something is broken.
    pub bad: Rgb888,
}

impl Theme {
    /// Light on dark, for a screen in a dim room.
    pub const DARK: Self = Self {
        background: Rgb888::new(13, 17, 23),
        band: Rgb888::new(27, 34, 44),
        trough: Rgb888::new(52, 62, 76),
        text: Rgb888::new(240, 244, 248),
        quiet_text: Rgb888::new(168, 179, 192),
        good: Rgb888::new(0, 178, 132),
        busy: Rgb888::new(86, 180, 233),
        caution: Rgb888::new(240, 180, 41),
        bad: Rgb888::new(233, 104, 36),
    };

    /// Dark on light, for a bright room.
    pub const LIGHT: Self = Self {
        background: Rgb888::new(250, 251, 252),
        band: Rgb888::new(226, 231, 237),
        trough: Rgb888::new(196, 204, 214),
        text: Rgb888::new(17, 22, 29),
        quiet_text: Rgb888::new(70, 80, 93),
        good: Rgb888::new(0, 105, 78),
        busy: Rgb888::new(0, 92, 152),
        caution: Rgb888::new(134, 88, 0),
        bad: Rgb888::new(160, 0, 40),
    };
}

/// Contrast ratio of two colours, 1 to 21: WCAG 2.1, "relative luminance" and "contrast ratio".
#[cfg(test)]
pub(crate) fn contrast(a: Rgb888, b: Rgb888) -> f64 {
    extern crate std;
    use embedded_graphics::prelude::RgbColor;
    let luminance = |colour: Rgb888| {
        let [red, green, blue] = [colour.r(), colour.g(), colour.b()].map(tests::linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests;
