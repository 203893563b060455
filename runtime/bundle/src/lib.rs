//! The model bundle: one signed file that carries a model and everything that decides its answers.
//!
//! A trainer seals it, a device opens it, and they meet nowhere else. [`Bundle::open`] checks length, digest and signature
//! before a byte of the payload is interpreted. This crate reads and writes files and knows nothing of machine learning.
//! The format is specified in `BUNDLE.md` beside this crate's manifest.

mod container;
mod depth;
mod error;
mod file;
mod gates;
mod keys;
mod manifest;
#[cfg(feature = "sign")]
mod sign;

pub use container::{Bundle, CONTAINER_VERSION, MAGIC, Parts};
pub use depth::{Depth, DepthError};
pub use error::{KeyError, OpenBundleError};
pub use file::{remove_unfinished, write_atomic};
pub use gates::{Flagged, Gates, InDistribution, QualityLimits};
pub use keys::TrustedKeys;
pub use manifest::{
    Channels, ClassOperatingPoint, DataSource, FORMAT_VERSION, Golden, GoldenVector, Manifest, Measured, ModelEntry,
    OperatingPoint, Preprocessing, ProbabilityCalibration, Provenance, Resize,
};
#[cfg(feature = "sign")]
pub use sign::{BundleBuilder, SealBundleError, SigningKey, SigningKeyError};
