//! The parts of a page.

mod bar;
mod picture;
mod symbol;

pub use bar::confidence_bar;
pub use picture::{Picture, Samples, draw_picture};
pub use symbol::link_symbol;

#[cfg(test)]
mod tests;
