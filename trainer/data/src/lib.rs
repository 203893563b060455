//! Sets of labelled images: found, read, checked for what makes a measurement worthless, and, for trying things out, drawn.
//!
//! [`Index::open`] understands four layouts and never splits a patient. [`audit`] looks for what would flatter a result:
//! the same picture, or the same patient, on both sides of a split. [`write_shards`] decodes and resizes a set once, for later
//! runs to read at the speed of memory. [`synth`] draws a set with known truth. Nothing here trains, and nothing writes into a
//! set that it was given.

mod audit;
mod geometry;
mod index;
mod layout;
mod likeness;
mod shard;
mod shards;
mod source;
mod synth;

pub use audit::{Audit, Finding, FindingKind, SplitCounts, audit};
pub use geometry::{Detail, Geometry};
pub use index::{Index, OpenIndexError, OtherInput, ReadImageError, Reason, Row, Split};
pub use shard::{Content, Digest, Key, MAGIC, Record, Shard, ShardError, VERSION};
pub use shards::{Prepared, WriteShardsError, write_shards};
pub use synth::{CELL_CLASSES, Site, SynthConfig, SynthError, draw_cell, synth};
