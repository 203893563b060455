//! Pages for the device's display, drawn on any `embedded-graphics` target.
//!
//! No std, no clock, no IO: the caller says what is true now, and a page shows exactly that. Integer arithmetic only, so
//! that a page has the same pixels on every processor. Where pixels go (a panel, a framebuffer, a PNG) is the target's
//! business; any colour type that [`Rgb888`](embedded_graphics::pixelcolor::Rgb888) converts into will do.
//!
//! Nothing is told by colour alone: every state also has a word and a shape of its own.
#![no_std]

mod live;
mod text;
mod theme;
mod widget;

pub use live::{LinkState, LivePage, ModelLabel, Verdict};
pub use text::{Lettering, draw_line, draw_wrapped};
pub use theme::Theme;
pub use widget::{Picture, Samples, confidence_bar, draw_picture, link_symbol};
