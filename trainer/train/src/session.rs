//! What every stage is given: the plan, where to write, what to compute on, whom to tell, and when to stop.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::tensor::Device;
use serde::Serialize;

use crate::plan::Plan;

/// One optimiser step, as told to an [`Observer`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepRecord {
    /// Name of the stage.
    pub stage: String,
    /// Steps done, from 1.
    pub step: u64,
    /// Steps of the whole stage.
    pub total: u64,
    /// Loss of this step's batch, before the step.
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Global gradient norm before clipping.
    pub gradient_norm: f64,
    /// Images (in the contrastive stage: views) a second over this step, waiting included.
    pub images_per_second: f64,
    /// Share of the step's time spent waiting for the batch, 0 to 1.
    pub waiting_share: f64,
}

/// Hears what a stage does. Nothing an observer does changes a result.
pub trait Observer {
    /// A stage begins, or goes on after an interruption.
    fn stage(&mut self, name: &str, total_steps: u64);
    /// A step is done.
    fn step(&mut self, record: &StepRecord);
    /// Something worth telling a person: a stage found finished, a resumed step, a collapse.
    fn note(&mut self, text: &str);
}

/// An observer that does nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn stage(&mut self, _name: &str, _total_steps: u64) {}
    fn step(&mut self, _record: &StepRecord) {}
    fn note(&mut self, _text: &str) {}
}

/// What every stage is given.
pub struct Session<'a> {
    /// Everything that decides the result.
    pub plan: &'a Plan,
    /// The run folder; checkpoints go to `out/checkpoints`.
    pub out: &'a Path,
    /// Where to compute, without autodiff; stages add it where they train.
    pub device: Device,
    /// Hears of stages, steps and notes.
    pub observer: &'a mut dyn Observer,
    /// How long a stage computes at most between two partial checkpoints.
    pub save_every: Duration,
    /// When set, the running stage saves and returns [`TrainError::Interrupted`] after its current step.
    pub stop: &'a AtomicBool,
}

/// Why a stage did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Asked to stop; the same call goes on from here.
    #[error("{stage} stopped at step {step} of {total}; the same command goes on from there")]
    Interrupted {
        /// Name of the stage.
        stage: String,
        /// Steps done and saved.
        step: u64,
        /// Steps of the stage.
        total: u64,
    },
    /// Too little to train on.
    #[error("{stage} needs at least {expected} {what}, found {found}")]
    TooFew {
        /// Name of the stage.
        stage: String,
        /// What there is too little of.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A label is not a class index.
    #[error("{stage} knows {n_classes} classes, but an image has the label index {found}")]
    UnknownLabel {
        /// Name of the stage.
        stage: String,
        /// Classes there are.
        n_classes: usize,
        /// The label found.
        found: usize,
    },
    /// The loss or the gradient is not a number any more.
    #[error(
        "{stage} diverged at step {step}: loss {loss}, gradient norm {gradient_norm}; lower {stage_section}.learning_rate or raise its warm_up"
    )]
    Diverged {
        /// Name of the stage.
        stage: String,
        /// Section of the plan that holds the learning rate.
        stage_section: &'static str,
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
        /// The gradient norm.
        gradient_norm: f64,
    },
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::CheckpointError),
}
