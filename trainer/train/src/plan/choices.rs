//! Choices of the supervised stages that are words, and their ranges.

use serde::{Deserialize, Serialize};

use super::{FinetuneConfig, PlanError, PretrainConfig, within};
use crate::schedule::Fall;

/// What a classifier's head minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadLoss {
    /// Cross-entropy over all classes, of which one is shown; the head begins at zero.
    Softmax,
    /// Cross-entropy of each class by itself; the head's biases begin at -10.
    Sigmoid,
}

/// How the learning rate falls after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Along half a cosine to 0.
    Cosine,
    /// By a factor of 10 at each share of `decay_at`.
    Steps,
}

impl Schedule {
    /// The fall this means with these shares.
    #[must_use]
    pub fn fall(self, decay_at: &[f64]) -> Fall {
        match self {
            Self::Cosine => Fall::Cosine,
            Self::Steps => Fall::Steps(decay_at.to_vec()),
        }
    }
}

/// Which of its networks a stage hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// That after its last step.
    Last,
    /// The best of ten over its course, by labelled validation images.
    Best,
}

/// Who sets the numbers of fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinetuneRule {
    /// The plan.
    Plan,
    /// The number of labels, by [`hyper_rule`](crate::hyper_rule()).
    HyperRule,
}

pub(super) fn check_pretrain(config: &PretrainConfig) -> Result<(), PlanError> {
    alpha("pretrain.mixup", config.mixup)?;
    shares("pretrain.decay_at", &config.decay_at)
}

pub(super) fn check_finetune(config: &FinetuneConfig) -> Result<(), PlanError> {
    alpha("finetune.mixup", config.mixup)?;
    shares("finetune.decay_at", &config.decay_at)?;
    let rates = &config.grid_rates;
    let all_positive = rates.iter().all(|rate| *rate > 0.0 && rate.is_finite());
    within("finetune.grid_rates", format!("{rates:?}"), all_positive, "a list of positive numbers, or none")?;
    let decays = &config.grid_decays;
    let in_range = decays.iter().all(|decay| (0.0..1.0).contains(decay));
    within("finetune.grid_decays", format!("{decays:?}"), in_range, "a list of numbers from 0 to below 1, or none")
}

/// Alpha of mixup.
pub(super) fn alpha(key: &'static str, found: f32) -> Result<(), PlanError> {
    within(key, found, (0.0..=1.0).contains(&found), "a number from 0 to 1")
}

fn shares(key: &'static str, found: &[f64]) -> Result<(), PlanError> {
    let rising = found.windows(2).all(|pair| pair[0] < pair[1]);
    let in_range = found.iter().all(|share| *share > 0.0 && *share < 1.0);
    within(key, format!("{found:?}"), rising && in_range, "a rising list of numbers between 0 and 1")
}
