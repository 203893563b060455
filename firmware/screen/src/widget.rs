//! The parts of a page that are not text.

mod bar;
mod heat_map;
mod pattern;
mod picture;
mod symbol;

pub(crate) use bar::confidence_bar;
pub use heat_map::HeatMap;
pub(crate) use heat_map::draw_ramp;
pub(crate) use pattern::{Pattern, draw_hatched};
pub(crate) use picture::draw_picture;
pub use picture::{Picture, Samples};
pub(crate) use symbol::{Symbol, draw_symbol};

#[cfg(test)]
mod tests;
