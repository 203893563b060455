//! The device's program: images come in from a link, a camera or a folder, answers go to the journal, to whoever asked, and to people.
//!
//! ```text
//!  source/{link, openmv, folder} ─► pipeline/queue ─► pipeline/judge ─► ledger ─► the source hears it ─► board ─► screen, web
//! ```
//!
//! Each part has a thread of its own and a [pulse](operation::pulse). Nothing here decides about an image; that is the bundle's model,
//! behind [`Predictor`].

pub mod board;
mod in_force;
pub mod ledger;
pub mod log;
pub mod model;
pub mod models;
mod notice;
pub mod operation;
pub mod pipeline;
pub mod plan;
pub mod run;
pub mod screen;
pub mod source;
pub mod spool;
pub mod stop;
pub mod telemetry;
pub mod time;
mod waiting;
pub mod web;

pub use model::BundleModel;
pub use pipeline::{HeatMap, ModelName, Opinion, PredictFault, Predictor};
pub use remedis_settings as config;
pub use remedis_settings::Config;
pub use run::{Device, Order};
