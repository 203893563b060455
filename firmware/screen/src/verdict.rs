//! What was decided about an image, and why when nothing was.

use crate::{
    language::{Said, Texts},
    theme::Theme,
    widget::Symbol,
};
use embedded_graphics::pixelcolor::Rgb888;

/// Why no class is named: a code, so that the screen can say it in its reader's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// The confidence is below the operating point.
    LowConfidence,
    /// Out of focus, or moved.
    Blurred,
    /// Underexposed.
    TooDark,
    /// Overexposed.
    TooBright,
    /// Parts have reached the end of the sensor's scale.
    Saturated,
    /// Size or shape that the model was not made for.
    WrongGeometry,
    /// Unlike the images the model was trained on.
    OutOfDistribution,
    /// Not an image, or a damaged one.
    Unreadable,
    /// The model gave no usable answer.
    ModelFault,
    /// Anything else, in words that the caller chose.
    Other(&'a str),
}

/// What was decided about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// No image yet.
    None,
    /// The image is being judged.
    Working,
    /// It shows this.
    Class {
        /// The class.
        name: &'a str,
        /// Calibrated probability in units of 1/10000.
        confidence_of_10000: u16,
    },
    /// The device declines to name a class. As good a result as any other.
    CannotSay {
        /// Why.
        reason: Reason<'a>,
        /// The class that came nearest with its probability in units of 1/10000, if the model was asked.
        best: Option<(&'a str, u16)>,
    },
    /// There was nothing to judge, or nothing to judge it with.
    Unreadable {
        /// Why.
        reason: Reason<'a>,
    },
}

impl Reason<'_> {
    /// In `texts`' language; `None` for words that the caller chose.
    pub(crate) const fn said(self, texts: &Texts) -> Option<Said> {
        let reasons = &texts.reasons;
        Some(match self {
            Self::LowConfidence => reasons.low_confidence,
            Self::Blurred => reasons.blurred,
            Self::TooDark => reasons.too_dark,
            Self::TooBright => reasons.too_bright,
            Self::Saturated => reasons.saturated,
            Self::WrongGeometry => reasons.wrong_geometry,
            Self::OutOfDistribution => reasons.out_of_distribution,
            Self::Unreadable => reasons.unreadable,
            Self::ModelFault => reasons.model_fault,
            Self::Other(_) => return None,
        })
    }
}

impl Verdict<'_> {
    pub(crate) const fn symbol(self) -> Symbol {
        match self {
            Self::None => Symbol::Ring,
            Self::Working => Symbol::Arrow,
            Self::Class { .. } => Symbol::Tick,
            Self::CannotSay { .. } => Symbol::Diamond,
            Self::Unreadable { .. } => Symbol::Cross,
        }
    }

    pub(crate) const fn colour(self, theme: &Theme) -> Rgb888 {
        match self {
            Self::None => theme.quiet_text,
            Self::Working => theme.busy,
            Self::Class { .. } => theme.good,
            Self::CannotSay { .. } => theme.caution,
            Self::Unreadable { .. } => theme.bad,
        }
    }

    /// The device's own words for this verdict; `None` where the class is the word.
    pub(crate) const fn words(self, texts: &Texts) -> Option<&'static str> {
        let verdicts = &texts.verdicts;
        match self {
            Self::None => Some(verdicts.ready),
            Self::Working => Some(verdicts.working),
            Self::Class { .. } => None,
            Self::CannotSay { .. } => Some(verdicts.cannot_say),
            Self::Unreadable { reason: Reason::ModelFault } => Some(verdicts.fault),
            Self::Unreadable { .. } => Some(verdicts.unreadable),
        }
    }
}
