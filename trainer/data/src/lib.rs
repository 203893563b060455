//! Sets of labelled images: found, read, checked for what makes a measurement worthless, and, for trying things out, drawn.
//!
//! [`Index::open`] understands four layouts and never splits a patient. [`audit`] looks for what would flatter a result:
//! the same picture, or the same patient, on both sides of a split. [`synth`] draws a set with known truth. Nothing here
//! trains, and nothing writes into a set that it was given.

mod audit;
mod index;
mod layout;
mod likeness;
mod source;
mod synth;

pub use audit::{Audit, Finding, FindingKind, SplitCounts, audit};
pub use index::{Index, OpenIndexError, ReadImageError, Row, Split};
pub use synth::{CELL_CLASSES, Site, SynthConfig, SynthError, draw_cell, synth};
