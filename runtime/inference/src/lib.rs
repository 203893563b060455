//! One picture in, one answer out: a bundle's model in tract.
//!
//! [`Model::open`] builds the network and then makes it prove itself: every golden vector of the bundle must come back on this very
//! processor, or the model is not opened. A quantised model runs in integers, exactly ([`remedis_plan`]); what has no integer
//! form runs in tract, in float. This crate reads no files and no clock.
//!
//! [`Model::predict`] is the one place where an answer is decided: by the gates of the bundle (geometry, exposure, saturation, blur,
//! then likeness to the images that the model knows) and by its operating point. "Cannot say" is an answer with a [`Reason`].

mod heat_map;
mod model;
mod network;
mod prediction;
mod reason;

pub use heat_map::HeatMap;
pub use model::{Model, OpenModelError, PredictError, Prepared};
pub use network::{Arithmetic, Network, NetworkError};
pub use prediction::{Best, Decision, Prediction};
pub use reason::{Reason, percent};

pub use remedis_imaging::{Gate, GateResult, Quality};
