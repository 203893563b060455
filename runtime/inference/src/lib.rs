//! One picture in, one answer out: a bundle's model in tract.
//!
//! [`Model::open`] builds the network and then makes it prove itself: every golden vector of the bundle must come back on this very
//! processor, or the model is not opened. A quantised model runs in integers, exactly ([`remedis_plan`]); what has no integer
//! form runs in tract, in float. This crate reads no files and no clock.

mod model;
mod network;
mod prediction;

pub use model::{Model, OpenModelError, PredictError};
pub use network::{Arithmetic, Network, NetworkError};
pub use prediction::{Best, Decision, Prediction};
