//! Plans.
mod graph;
pub use graph::*;
