//! One picture in, one answer out: a bundle's model in tract.
//!
//! [`Model::open`] builds the plan and then makes it prove itself: every golden vector of the bundle must come back on this very
//! processor, or the model is not opened. tract parses, infers shapes and runs; the quantised graph is executed as
//! dequantise → float → quantise for now (the int8 engine will stand in the same place). This crate reads no files and
//! no clock.

mod model;
mod network;
mod prediction;

pub use model::{Model, OpenModelError, PredictError};
pub use network::{Network, NetworkError};
pub use prediction::{Best, Decision, Prediction};
