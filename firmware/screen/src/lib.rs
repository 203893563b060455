//! Pages for the device's display, drawn on any `embedded-graphics` target.
//!
//! No std, no allocator, no clock, no IO: the caller says what is true now, and a page shows exactly that. Integer
//! arithmetic only, so that a page has the same pixels on every processor. Where pixels go (a panel, a framebuffer, a
//! PNG) is the target's business; any colour type that [`Rgb888`](embedded_graphics::pixelcolor::Rgb888) converts into
//! will do.
//!
//! - Nothing is told by colour alone: every state also has a word and a shape of its own.
//! - A page never speaks a language of its own: its words come from [`Language`], and reasons and alarms are codes.
//! - Words of ours are never cut. Names that others chose (classes, sources, models) wrap, or end in `...`.
//! - Pages fit any screen from 320 x 240 to 1280 x 800 and beyond whose sides are as 4 to 3 up to 2 to 1, portrait too.
//! - The smallest capitals are 1/30 of the screen's shorter side or more, labels 1/25, decisions 1/20. On a 7 inch
//!   panel of 800 x 480 that is 3.2 mm, 3.6 mm and 4.6 mm: 18, 20 and 27 minutes of arc at 600 mm, an arm's length,
//!   where ISO 9241-303 asks for 16. A panel of 320 x 240 reaches those 16 minutes for decisions when it measures 3.5
//!   inches. At an unusual size, a page too full for its letters takes the next smaller ones rather than cut a word of
//!   ours.
#![no_std]

mod alarm;
mod bands;
mod damage;
mod language;
mod layout;
mod page;
mod phrase;
mod sheet;
mod source;
mod text;
mod theme;
mod verdict;
mod widget;

pub use alarm::{Alarm, AlarmBadge, AlarmKind, Severity};
pub use bands::{Bands, ModelLabel};
pub use damage::damage;
pub use language::Language;
pub use page::{
    AlarmPage, Bucket, BucketLength, ClockStatus, LivePage, ResultRow, ResultsPage, StatusPage, StoreStatus, TrendPage,
};
pub use source::{LinkState, Source};
pub use theme::Theme;
pub use verdict::{Reason, Verdict};
pub use widget::{HeatMap, Picture, Samples};
