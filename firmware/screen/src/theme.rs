//! The colours, chosen to stay apart for every common kind of colour blindness.

use embedded_graphics::pixelcolor::Rgb888;

/// What each thing on a page is coloured.
///
/// Accents are from Okabe and Ito 2008, "Color Universal Design"; text on background exceeds a contrast of 7 to 1.
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
}
