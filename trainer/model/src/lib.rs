//! Networks: the BiT backbone and its heads, the students that go on the device, and their weights outside of Burn.
//!
//! Burn lives here. What this crate does *not* do: train (`remedis-train`), quantise or write ONNX (`remedis-export`, which
//! sees a student only as a list of [`Layer`]s without any Burn type).
//!
//! Initialisation depends on a seed and nothing else; Burn's process-wide random numbers are never used.

mod backbone;
mod conv_norm;
mod count;
mod head;
mod import;
mod initialise;
mod inverted_residual;
mod layer;
mod running;
mod student;
mod weights;

pub use backbone::{Backbone, BackboneForm, BitConfig, BitResNet, GroupNorm, StdConv, standardise};
pub use head::{Classifier, ClassifierHead, ProjectionHead, linear};
pub use import::{Head, ImportError, Importable, WeightFile, efficientnet_classes, import, import_efficientnet};
pub use initialise::Initialiser;
pub use inverted_residual::{Convention, InvertedResidualConfig, InvertedResidualNet, StageConfig};
pub use layer::{Activation, BatchNormParts, Layer, Padding};
pub use student::{Stem, Student, StudentConfig};
pub use weights::{Values, Weights};
