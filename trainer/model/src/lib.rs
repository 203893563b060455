//! Networks: the BiT backbone and its heads, the student that goes on the device, and their weights outside of Burn.
//!
//! Burn lives here. What this crate does *not* do: train (`remedis-train`), quantise or write ONNX (`remedis-export`, which
//! sees a student only as a list of [`Layer`]s without any Burn type).
//!
//! Initialisation depends on a seed and nothing else; Burn's process-wide random numbers are never used.

mod backbone;
mod head;
mod initialise;
mod layer;
mod student;
mod weights;

pub use backbone::{BitConfig, BitResNet, GroupNorm, StdConv, standardise};
pub use head::{Classifier, ClassifierHead, ProjectionHead, linear};
pub use initialise::Initialiser;
pub use layer::{BatchNormParts, Layer};
pub use student::{Stem, Student, StudentConfig};
pub use weights::{Values, Weights};
