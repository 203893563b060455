//! The device's web page, for a device that has no panel: what it is doing, what it answered, and whether to trust it.
//!
//! Pages are made on the device and ask nothing of any other machine: no script, no font, no picture from elsewhere. What
//! they show comes through [`View`], which the device implements; this crate knows nothing of models or stores. It can be
//! read and cannot be used to change anything. Who gets in, what a stranger can do, and every limit: `WEB.md`.

mod event;
mod guard;
mod pages;
mod reply;
mod reporter;
mod route;
mod server;
mod service;
mod settings;
mod snapshot;
mod stream;
mod token;
mod view;

pub use event::{Counters, Event};
pub use server::{Running, ServeError, serve};
pub use settings::{Language, Limits, Settings};
pub use snapshot::{
    Alarm, Bucket, Counter, Gate, Model, Probability, Reason, ResultDetail, ResultSummary, Severity, Source,
    SourceState, Stage, Status, Store, Trace, Trend, Verdict,
};
pub use token::{BadTokenDigest, NoRandomness, Token, TokenDigest};
pub use view::{Unavailable, View};
