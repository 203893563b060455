//! Training: four stages as readable loops, their losses, optimisers and recipes.
//!
//! Stage 1 learns from labelled natural images ([`pretrain`]), stage 2 from unlabelled images of the domain ([`contrast`]),
//! stage 3 from few labels ([`finetune`]), stage 4 hands the result to a network small enough for the device ([`distil`]).
//! A [`Plan`] decides the result; a [`Session`] says where, on what and when to stop. The same call resumes what was
//! interrupted, and ends in the same weights, bit for bit.
//!
//! What this crate does *not* do: decode files (`remedis-imaging`), draw views (`remedis-views`), hold networks (`remedis-model`), measure (`remedis-metrics`)
//! or speak to people (`remedis-train` the program).

pub mod bench;
pub mod checkpoint;
mod evaluate;
mod hyper_rule;
mod images;
mod lbfgs;
mod loader;
pub mod loss;
pub mod memory;
pub mod neighbours;
pub mod optimiser;
mod plan;
mod pool;
mod precision;
pub mod schedule;
mod session;
mod stage;
pub mod storage;

pub use evaluate::{embeddings, logits, student_logits};
pub use hyper_rule::{HyperRule, hyper_rule, remedis_grid};
pub use images::Images;
pub use plan::{
    BackboneConfig, BackbonePreset, ContrastConfig, ContrastOptimiser, DistilConfig, EvaluateConfig, FinetuneConfig,
    FinetuneRule, HeadLoss, InputConfig, Plan, PlanError, PretrainConfig, QuantiseConfig, Schedule, SelfDistilConfig,
    StudentConfig, Taken,
};
pub use pool::{BadRow, Pool};
pub use precision::{LossScale, Precision, Unsupported};
pub use remedis_data::Detail;
pub use session::{Observer, Session, Silent, StepRecord, TrainError, WatchRecord};
pub use stage::{
    Grid, GridCell, Probe, Sample, Start, Stored, Watch, backbone, contrast, distil, draw_labels, finetune,
    finetune_as, finetune_grid, finetune_watched, grid_names, pretrain, probe, quantisation_aware, self_distil,
};
