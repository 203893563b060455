//! Where images come from.

use crate::{language::Texts, phrase::Phrase, theme::Theme, widget::Symbol};
use embedded_graphics::pixelcolor::Rgb888;

/// What the link to the imaging hardware is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The port is open; the hardware has not spoken (lately).
    Waiting,
    /// The hardware is there.
    Connected,
    /// An image is arriving.
    Receiving {
        /// How much of it has arrived, 0 to 100.
        percent: u8,
    },
    /// There is no port.
    Lost,
}

/// One source of images and what it has done since the device started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// What the integrator calls it.
    pub name: &'a str,
    /// What its link is doing.
    pub state: LinkState,
    /// Images that arrived whole.
    pub n_images: u64,
    /// Images passed over because a newer one was there.
    pub n_skipped: u64,
    /// Errors of the link, whatever their kind.
    pub n_errors: u64,
}

impl LinkState {
    /// The states in the order in which a reader wants to know of them.
    pub(crate) const RANKS: u8 = 4;

    /// 0 for what wants attention most.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Lost => 0,
            Self::Waiting => 1,
            Self::Receiving { .. } => 2,
            Self::Connected => 3,
        }
    }

    pub(crate) fn words(self, texts: &Texts) -> Phrase {
        let links = &texts.links;
        match self {
            Self::Waiting => Phrase::of(format_args!("{}", links.waiting)),
            Self::Connected => Phrase::of(format_args!("{}", links.connected)),
            Self::Receiving { percent } => Phrase::of(format_args!("{} {}\u{A0}%", links.receiving, percent.min(100))),
            Self::Lost => Phrase::of(format_args!("{}", links.lost)),
        }
    }

    pub(crate) const fn symbol(self) -> Symbol {
        match self {
            Self::Waiting => Symbol::Ring,
            Self::Connected => Symbol::Disc,
            Self::Receiving { .. } => Symbol::Arrow,
            Self::Lost => Symbol::Cross,
        }
    }

    pub(crate) const fn colour(self, theme: &Theme) -> Rgb888 {
        match self {
            Self::Waiting => theme.quiet_text,
            Self::Connected => theme.good,
            Self::Receiving { .. } => theme.busy,
            Self::Lost => theme.bad,
        }
    }
}
