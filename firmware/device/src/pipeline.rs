//! From an image that a source hands in to an answer that is durable, told and shown.
//!
//! Sources hand in [`Job`]s at their [`Desk`]; one [judge] takes them in turn, and its order is the promise: an answer is
//! durable in the journal, then the source hears it, then people see it. Nothing here decides about an image; that is the bundle's
//! model, behind [`Predictor`].

pub mod desk;
pub mod judge;
pub mod predictor;
pub mod queue;

pub use desk::{Answered, Desk, Desks};
pub use judge::{Around, Health, Judge};
pub use predictor::{HeatMap, ModelName, Opinion, PredictFault, Predictor};
pub use queue::{Job, Picture, Queue};
