//! What every stage is given: the plan, where to write, what to compute on, whom to tell, and when to stop.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::tensor::Device;
use remedis_ranks::Ranks;
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
    /// Global gradient norm before clipping; not finite (`null` in JSON) in a step that was left out.
    pub gradient_norm: f64,
    /// What the loss of this step was multiplied with before the backward pass: 1 but in half precision.
    pub loss_scale: f64,
    /// Steps of the stage left out so far, this one included, because gradients overflowed half precision.
    pub skipped_steps: u64,
    /// Images (in the contrastive stage: views) a second over this step, waiting included.
    pub images_per_second: f64,
    /// Share of the step's time spent waiting for the batch, 0 to 1.
    pub waiting_share: f64,
}

/// What is seen of a network while it learns without labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WatchRecord {
    /// Name of the stage.
    pub stage: String,
    /// Steps done; 0 before the first.
    pub watched_step: u64,
    /// Steps of the whole stage.
    pub total: u64,
    /// How far projections fill the sphere: 1 when even, 0 when all are one point.
    pub spread: f64,
    /// How many directions the embeddings use, from 1 to their length (participation ratio).
    pub dimensions: f64,
    /// Balanced accuracy of the nearest neighbours' vote on labelled validation images, where there are any.
    pub knn: Option<f64>,
    /// What a person should look into, in words.
    pub alarm: Option<String>,
}

/// Hears what a stage does, on whichever thread the stage runs. Nothing an observer does changes a result.
pub trait Observer: Send {
    /// A stage begins, or goes on after an interruption.
    fn stage(&mut self, name: &str, total_steps: u64);
    /// A step is done.
    fn step(&mut self, record: &StepRecord);
    /// Something worth telling a person: a stage found finished, a resumed step.
    fn note(&mut self, text: &str);
    /// A look at the network.
    fn watch(&mut self, record: &WatchRecord);
}

/// An observer that does nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn stage(&mut self, _name: &str, _total_steps: u64) {}
    fn step(&mut self, _record: &StepRecord) {}
    fn note(&mut self, _text: &str) {}
    fn watch(&mut self, _record: &WatchRecord) {}
}

/// What every stage is given.
pub struct Session<'a> {
    /// Everything that decides the result.
    pub plan: &'a Plan,
    /// The run folder; checkpoints go to `out/checkpoints`.
    pub out: &'a Path,
    /// Where to compute, without autodiff; stages add it where they train.
    pub device: Device,
    /// The processes that share every batch; results do not depend on their number but by rounding.
    pub ranks: Ranks,
    /// Hears of stages, steps and notes.
    pub observer: &'a mut dyn Observer,
    /// How long a stage computes at most between two partial checkpoints.
    pub save_every: Duration,
    /// Partial checkpoints kept of a stage under way, the newest; at least one is.
    pub keep: usize,
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
    /// A batch that the ranks cannot share.
    #[error(
        "{stage}: batches of {batch} cannot be shared evenly by {ranks} ranks; make {section}.batch a multiple of {multiple}"
    )]
    Uneven {
        /// Name of the stage.
        stage: String,
        /// Section of the plan that holds the batch.
        section: &'static str,
        /// Images or pairs in a batch.
        batch: usize,
        /// Number of ranks.
        ranks: usize,
        /// What the batch must be a multiple of.
        multiple: usize,
    },
    /// Ranks, or chunks, with a backbone whose batch normalisation must see the whole batch.
    #[error(
        "{stage}: this backbone normalises over the batch, so its batches can neither be shared by ranks nor go through in parts; \
         train it in one process with contrast.at_once = 0, or take a BiT backbone"
    )]
    SeesTheBatch {
        /// Name of the stage.
        stage: String,
    },
    /// Ranks hold different weights, which no exchange of ours leads to.
    #[error(
        "{stage}: the ranks' weights differ, so one of them computed wrongly; look for a faulty machine, then give the same \
         command, which goes on from the last checkpoint"
    )]
    Drifted {
        /// Name of the stage.
        stage: String,
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
    /// The device does not compute in the plan's precision.
    #[error(transparent)]
    Precision(#[from] crate::precision::Unsupported),
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::CheckpointError),
}
