//! The device's program: images come in over a serial line, answers go to the journal, the line and the screen.
//!
//! One engine turns events into actions; it owns the protocol, the journal and what the screen shows. Threads around it
//! only move things: [`link`] bytes, [`worker`] images, [`screen`] pixels. Nothing here decides about an image; that is
//! the bundle's model, behind [`Predictor`].

pub mod config;
pub mod engine;
pub mod journal;
pub mod link;
pub mod log;
pub mod model;
pub mod plan;
pub mod run;
pub mod screen;
pub mod stop;
pub mod worker;

pub use config::Config;
pub use engine::{Engine, Event};
pub use journal::{Entry, Journal};
pub use model::BundleModel;
pub use worker::{Answer, ModelName, Predictor};
