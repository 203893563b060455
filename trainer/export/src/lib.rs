//! From a trained student to the file a device runs: fold, calibrate, quantise, write.
//!
//! The steps, in the order a run takes them:
//!
//! 1. [`float_graph`] folds every BatchNorm into the convolution before it.
//! 2. [`calibrate()`] runs calibration images through the float graph and records the range of every activation.
//! 3. [`quantise()`] turns weights and activations into 8-bit integers. `INT8.md`, beside this crate's manifest, is the
//!    contract: what an integer means and how each operation rounds.
//!    [`correct_biases`] then takes back what rounding does to means, which networks of depthwise convolutions need.
//! 4. [`write_onnx`] writes either graph as ONNX, which onnxruntime and tract open.
//! 5. [`fit_gates`] says which pictures the device may answer for, by the images that the operating point was chosen on.
//! 6. [`bundle()`] adds the manifest and the golden vectors, and signs the whole.
//!
//! [`FloatGraph::run`] and [`QuantGraph::run`] are plain-Rust references: they define the right answer, and give the
//! same bits on every machine and with any number of threads. The crate neither trains nor opens ONNX files.

pub mod agreement;
pub mod bundle;
pub mod calibrate;
pub mod correct;
pub mod fold;
pub mod gates;
pub mod graph;
pub mod onnx;
pub mod quantise;
pub mod reference;

pub use bundle::{Description, GoldenError, SealError, bundle, golden};
pub use calibrate::{CalibrateError, Range, Ranges, calibrate, calibrate_images};
pub use correct::correct_biases;
pub use fold::float_graph;
pub use gates::{GATE_MARGIN, GATE_QUANTILE, Seen, fit_gates};
pub use graph::{FloatGraph, Geometry, Node, Op, QuantGraph, Shape, Sides, Window};
pub use onnx::write_onnx;
pub use quantise::{Affine, QuantiseError, quantise};
pub use remedis_model::Activation;

#[cfg(test)]
mod random_net;
