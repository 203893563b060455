//! The plan: everything that decides the result of a run, and nothing else.
//!
//! Paths, the device and verbosity are arguments of the program. A plan is a TOML file in which every number is written
//! out with its reason, so a run can be read, changed and repeated; no key has a silent default.

mod choices;
mod comments;
mod recipe;

pub use choices::{FinetuneRule, HeadLoss, Schedule, Taken};

use remedis_imaging::{Channels, Depth, Preprocessing, Resize};
use remedis_views::Policy;
use serde::{Deserialize, Serialize};

use crate::loss::Objective;
use crate::precision::Precision;

/// Everything that decides the outcome of one run of the whole chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seeds initialisation, shuffling, views and the draw of labels.
    pub seed: u64,
    /// The type in which networks compute while they are trained.
    pub precision: Precision,
    /// Geometry and range of what every network sees.
    pub input: InputConfig,
    /// The teacher's backbone.
    pub backbone: BackboneConfig,
    /// The network that goes on the device.
    pub student: StudentConfig,
    /// Stage 1, supervised on natural images.
    pub pretrain: PretrainConfig,
    /// Stage 2, contrastive on unlabelled images of the domain.
    pub contrast: ContrastConfig,
    /// Stage 3, supervised on few labels.
    pub finetune: FinetuneConfig,
    /// How label efficiency is measured.
    pub evaluate: EvaluateConfig,
    /// Between stages 3 and 4, the teacher to itself.
    pub self_distil: SelfDistilConfig,
    /// Stage 4, teacher to student.
    pub distil: DistilConfig,
    /// Post-training quantisation of the student.
    pub quantise: QuantiseConfig,
}

/// Geometry and range of what every network sees; the same in training, evaluation and on the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// Width and height in pixels, a multiple of 16 from 16 to 512.
    pub size_px: u32,
    /// Grey or colour.
    pub channels: Channels,
    /// Bits of a sample from the decoded file to the float: 8, or 16 for grey.
    pub depth_bits: Depth,
    /// Subtracted from the sample on the scale 0 to 1, for every channel.
    pub mean: f32,
    /// Divides what is left, for every channel.
    pub std: f32,
}

impl InputConfig {
    /// The one preprocessing path, as the bundle will name it.
    #[must_use]
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing {
            width: self.size_px,
            height: self.size_px,
            channels: self.channels,
            depth_bits: self.depth_bits,
            resize: Resize::CentreCrop,
            mean: vec![self.mean; self.channels.count()],
            std: vec![self.std; self.channels.count()],
        }
    }
}

/// A network by its published name, or the small BiT that trains on two CPU cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackbonePreset {
    /// A few narrow units; for CPUs and small images.
    Small,
    /// BiT R50x1, 23.5 M parameters.
    R50x1,
    /// BiT R101x1, 42.5 M parameters.
    R101x1,
    /// BiT R101x3, 382 M parameters.
    R101x3,
    /// BiT R152x2, 232 M parameters.
    R152x2,
    /// BiT R152x4, 928 M parameters.
    R152x4,
    /// EfficientNet-Lite0, 3.4 M parameters; batch normalisation, for weights that others trained.
    EfficientnetLite0,
}

/// The teacher's backbone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneConfig {
    /// Which network.
    pub preset: BackbonePreset,
}

/// The network that goes on the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentConfig {
    /// Blocks in each of the four groups; 2, 2, 2, 2 is ResNet-18.
    pub blocks: [usize; 4],
    /// Channels of the first group, a multiple of 8; each group doubles them. 64 is ResNet-18.
    pub width: usize,
}

/// Stage 1: supervised on natural images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// Passes over the images.
    pub epochs: usize,
    /// Images in a step.
    pub batch: usize,
    /// What the head minimises.
    pub loss: HeadLoss,
    /// Peak learning rate of SGD with momentum 0.9.
    pub learning_rate: f64,
    /// How the learning rate falls.
    pub schedule: Schedule,
    /// Shares of the steps at which the rate falls to a tenth, rising, where `schedule` says so.
    pub decay_at: Vec<f64>,
    /// Added to the gradient as `weight_decay * weight`, kernels only.
    pub weight_decay: f64,
    /// Share of all steps in which the learning rate rises linearly, 0 to 0.5.
    pub warm_up: f64,
    /// Largest global gradient norm; longer gradients are scaled down to it.
    pub clip_norm: f64,
    /// Which views are drawn.
    pub augment: Policy,
    /// Alpha of the beta distribution that mixup's weights come from, 0 (no mixup) to 1.
    pub mixup: f32,
}

/// What moves the weights in the contrastive stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContrastOptimiser {
    /// `SimCLR`'s own; wants thousands of steps.
    Lars,
    /// For hundreds of steps.
    AdamW,
}

/// Stage 2: contrastive on unlabelled images of the domain (`SimCLR`, with `MICLe` pairs where patients have several images).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContrastConfig {
    /// Passes over the images; 0 leaves the stage out.
    pub epochs: usize,
    /// Positive pairs in a step; each is two views.
    pub batch: usize,
    /// Views that go through the backbone at once, 0 for all: bounds the memory, not the batch. BiT backbones only.
    pub at_once: usize,
    /// Which loss.
    pub objective: Objective,
    /// Which optimiser.
    pub optimiser: ContrastOptimiser,
    /// Peak learning rate is this times the square root of `batch`.
    pub learning_rate_per_sqrt_batch: f64,
    /// Weight decay; LARS decays kernels only.
    pub weight_decay: f64,
    /// Share of all steps in which the learning rate rises linearly, 0 to 0.5.
    pub warm_up: f64,
    /// Softmax temperature of the loss.
    pub temperature: f64,
    /// Length of the projected embedding.
    pub projection: usize,
    /// Largest global gradient norm.
    pub clip_norm: f64,
    /// Pair two different images of one patient where there are at least two.
    pub pair_by_patient: bool,
    /// Which views are drawn.
    pub augment: Policy,
    /// Which network is handed on; the best is by the vote of nearest labelled neighbours.
    pub result: Taken,
}

/// Stage 3: supervised on few labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneConfig {
    /// Labels used, drawn evenly over the classes and by whole patients; 0 uses every label.
    pub n_labels: usize,
    /// Who sets steps, batch, rate, schedule, weight decay and mixup.
    pub rule: FinetuneRule,
    /// Optimiser steps.
    pub steps: usize,
    /// Images in a step.
    pub batch: usize,
    /// Peak learning rate of SGD with momentum 0.9.
    pub learning_rate: f64,
    /// How the learning rate falls.
    pub schedule: Schedule,
    /// Shares of the steps at which the rate falls to a tenth, rising, where `schedule` says so.
    pub decay_at: Vec<f64>,
    /// Weight decay, kernels only.
    pub weight_decay: f64,
    /// Share of all steps in which the learning rate rises linearly, 0 to 0.5.
    pub warm_up: f64,
    /// Largest global gradient norm.
    pub clip_norm: f64,
    /// Which views are drawn.
    pub augment: Policy,
    /// Alpha of the beta distribution that mixup's weights come from, 0 (no mixup) to 1.
    pub mixup: f32,
    /// Learning rates tried instead of `learning_rate`; the validation split of the source site chooses, for the new site too. None:
    /// no grid.
    pub grid_rates: Vec<f64>,
    /// Weight decays tried with each of them instead of `weight_decay`.
    pub grid_decays: Vec<f64>,
    /// Which network is handed on; the best is by balanced accuracy on the validation split of the source site, then by loss there.
    /// At the new site it is the last: nothing there may choose.
    pub result: Taken,
}

/// How label efficiency is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Shares of the labels of the new site, each from 0 (none) to 1 (all), rising.
    pub fractions: Vec<f64>,
    /// Resamples of the bootstrap that gives the intervals.
    pub resamples: usize,
}

/// Between stages 3 and 4: the teacher to a network of its own form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfDistilConfig {
    /// Passes over the pool, labelled and unlabelled together; 0 leaves the stage out.
    pub epochs: usize,
    /// Images in a step.
    pub batch: usize,
    /// Peak learning rate of SGD with momentum 0.9.
    pub learning_rate: f64,
    /// Weight decay, kernels only.
    pub weight_decay: f64,
    /// Share of all steps in which the learning rate rises linearly, 0 to 0.5.
    pub warm_up: f64,
    /// Softmax temperature of teacher and pupil alike; 1 leaves the logits as they are.
    pub temperature: f64,
    /// Largest global gradient norm.
    pub clip_norm: f64,
    /// Which views are drawn; teacher and pupil see the same one.
    pub augment: Policy,
    /// Alpha of the beta distribution that mixup's weights come from, 0 (no mixup) to 1.
    pub mixup: f32,
}

/// Stage 4: teacher to student.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistilConfig {
    /// Passes over the pool, labelled and unlabelled together.
    pub epochs: usize,
    /// Images in a step.
    pub batch: usize,
    /// Peak learning rate of SGD with momentum 0.9.
    pub learning_rate: f64,
    /// Weight decay, kernels only.
    pub weight_decay: f64,
    /// Share of all steps in which the learning rate rises linearly, 0 to 0.5.
    pub warm_up: f64,
    /// Softmax temperature of teacher and student alike; 1 leaves the logits as they are.
    pub temperature: f64,
    /// Weight of the distance between the student's (linearly projected) embedding and the teacher's.
    pub embedding_weight: f64,
    /// Largest global gradient norm.
    pub clip_norm: f64,
    /// Which views are drawn; teacher and student see the same one.
    pub augment: Policy,
    /// Alpha of the beta distribution that mixup's weights come from, 0 (no mixup) to 1; both see the same mixture.
    pub mixup: f32,
}

/// Post-training quantisation of the student.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantiseConfig {
    /// Training images whose activations set the ranges.
    pub n_calibration_images: usize,
    /// Share of activation magnitudes a range must hold, in percent, above 90 to 100.
    pub percentile: f64,
    /// Passes of training in eight bits afterwards, with the views and temperature of `distil`; 0 leaves it out.
    pub qat_epochs: usize,
    /// Peak learning rate of these, of SGD with momentum 0.9.
    pub learning_rate: f64,
    /// Share of their steps in which the learning rate rises linearly, 0 to 0.5.
    pub warm_up: f64,
}

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Not TOML, or a value of the wrong type, or a key that is missing.
    #[error("the plan cannot be read: {message}")]
    Parse {
        /// What the parser said, with line and column.
        message: String,
        /// The parser's error.
        source: Box<toml::de::Error>,
    },
    /// A key that no plan has.
    #[error("the plan has no key {key}; {hint}")]
    UnknownKey {
        /// Dotted path of the key.
        key: String,
        /// Similar keys, or all keys of that section.
        hint: String,
    },
    /// A value outside its range.
    #[error("{key} is {found}, expected {expected}")]
    OutOfRange {
        /// Dotted path of the key.
        key: &'static str,
        /// The value.
        found: String,
        /// The range.
        expected: &'static str,
    },
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// If the text is not a complete plan, names a key that no plan has (similar keys are then named), or a value is out of range.
    pub fn from_toml(text: &str) -> Result<Self, PlanError> {
        let parse =
            |source: toml::de::Error| PlanError::Parse { message: source.to_string(), source: Box::new(source) };
        let table: toml::Table = text.parse().map_err(parse)?;
        comments::refuse_unknown_keys(&table)?;
        let plan: Self = toml::from_str(text).map_err(parse)?;
        plan.check()?;
        Ok(plan)
    }

    /// The plan as TOML, each key under a comment that says what it does and why it has its value.
    #[must_use]
    pub fn to_toml_commented(&self) -> String {
        comments::write(self)
    }

    /// Refuses values outside their ranges, before anything is loaded or allocated.
    ///
    /// # Errors
    /// The first value out of range, with its key and its range.
    pub fn check(&self) -> Result<(), PlanError> {
        let size = self.input.size_px;
        within(
            "input.size_px",
            size,
            size.is_multiple_of(16) && (16..=512).contains(&size),
            "a multiple of 16 from 16 to 512",
        )?;
        let is_colour = self.input.channels == Channels::Rgb;
        within(
            "input.depth_bits",
            "16 with input.channels = \"rgb\"",
            self.input.depth_bits.is_eight() || !is_colour,
            "8 for colour images; 16 is for input.channels = \"grey\"",
        )?;
        within("input.std", self.input.std, self.input.std > 0.0 && self.input.std.is_finite(), "a positive number")?;
        within("input.mean", self.input.mean, self.input.mean.is_finite(), "a number")?;
        let width = self.student.width;
        within("student.width", width, width > 0 && width.is_multiple_of(8), "a positive multiple of 8")?;
        within(
            "student.blocks",
            format!("{:?}", self.student.blocks),
            self.student.blocks.iter().all(|&n| n > 0),
            "four numbers above 0",
        )?;

        let p = &self.pretrain;
        steps("pretrain.batch", p.batch, 1)?;
        rates(
            ["pretrain.learning_rate", "pretrain.weight_decay", "pretrain.warm_up", "pretrain.clip_norm"],
            [p.learning_rate, p.weight_decay, p.warm_up, p.clip_norm],
        )?;
        choices::check_pretrain(p)?;
        let c = &self.contrast;
        steps("contrast.batch", c.batch, 2)?;
        steps("contrast.projection", c.projection, 1)?;
        positive("contrast.temperature", c.temperature)?;
        rates(
            [
                "contrast.learning_rate_per_sqrt_batch",
                "contrast.weight_decay",
                "contrast.warm_up",
                "contrast.clip_norm",
            ],
            [c.learning_rate_per_sqrt_batch, c.weight_decay, c.warm_up, c.clip_norm],
        )?;
        let f = &self.finetune;
        steps("finetune.batch", f.batch, 1)?;
        steps("finetune.steps", f.steps, 1)?;
        rates(
            ["finetune.learning_rate", "finetune.weight_decay", "finetune.warm_up", "finetune.clip_norm"],
            [f.learning_rate, f.weight_decay, f.warm_up, f.clip_norm],
        )?;
        choices::check_finetune(f)?;
        let s = &self.self_distil;
        steps("self_distil.batch", s.batch, 1)?;
        positive("self_distil.temperature", s.temperature)?;
        choices::alpha("self_distil.mixup", s.mixup)?;
        rates(
            ["self_distil.learning_rate", "self_distil.weight_decay", "self_distil.warm_up", "self_distil.clip_norm"],
            [s.learning_rate, s.weight_decay, s.warm_up, s.clip_norm],
        )?;
        let d = &self.distil;
        steps("distil.batch", d.batch, 2)?;
        steps("distil.epochs", d.epochs, 1)?;
        positive("distil.temperature", d.temperature)?;
        within("distil.embedding_weight", d.embedding_weight, d.embedding_weight >= 0.0, "0 or more")?;
        rates(
            ["distil.learning_rate", "distil.weight_decay", "distil.warm_up", "distil.clip_norm"],
            [d.learning_rate, d.weight_decay, d.warm_up, d.clip_norm],
        )?;
        choices::alpha("distil.mixup", d.mixup)?;

        let fractions = &self.evaluate.fractions;
        let rising = fractions.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = fractions.iter().all(|f| (0.0..=1.0).contains(f));
        within(
            "evaluate.fractions",
            format!("{fractions:?}"),
            !fractions.is_empty() && rising && in_range,
            "a rising list of numbers from 0 to 1",
        )?;
        within("evaluate.resamples", self.evaluate.resamples, self.evaluate.resamples >= 200, "200 or more")?;
        steps("quantise.n_calibration_images", self.quantise.n_calibration_images, 1)?;
        let q = &self.quantise;
        positive("quantise.learning_rate", q.learning_rate)?;
        within("quantise.warm_up", q.warm_up, (0.0..=0.5).contains(&q.warm_up), "0 to 0.5")?;
        let percentile = q.percentile;
        within("quantise.percentile", percentile, percentile > 90.0 && percentile <= 100.0, "above 90 and at most 100")
    }
}

fn within(key: &'static str, found: impl ToString, is_fine: bool, expected: &'static str) -> Result<(), PlanError> {
    if is_fine { Ok(()) } else { Err(PlanError::OutOfRange { key, found: found.to_string(), expected }) }
}

fn steps(key: &'static str, found: usize, least: usize) -> Result<(), PlanError> {
    within(key, found, found >= least, if least > 1 { "2 or more" } else { "1 or more" })
}

fn positive(key: &'static str, found: f64) -> Result<(), PlanError> {
    within(key, found, found > 0.0 && found.is_finite(), "a positive number")
}

/// Learning rate, weight decay, warm-up and clipping share their ranges in every stage.
fn rates(
    keys: [&'static str; 4],
    [learning_rate, weight_decay, warm_up, clip_norm]: [f64; 4],
) -> Result<(), PlanError> {
    positive(keys[0], learning_rate)?;
    within(keys[1], weight_decay, (0.0..1.0).contains(&weight_decay), "0 or more and below 1")?;
    within(keys[2], warm_up, (0.0..=0.5).contains(&warm_up), "0 to 0.5")?;
    positive(keys[3], clip_norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_passes_its_own_check_and_survives_its_own_file() {
        for plan in [Plan::demo(), Plan::real(), Plan::tiny()] {
            plan.check().unwrap();
            assert_eq!(Plan::from_toml(&plan.to_toml_commented()).unwrap(), plan);
        }
    }

    #[test]
    fn a_misspelt_key_is_named_with_similar_ones() {
        let text = Plan::tiny().to_toml_commented().replace("temperature = ", "temprature = ");
        let error = Plan::from_toml(&text).unwrap_err().to_string();
        assert_eq!(
            error,
            "the plan has no key contrast.temprature; similar keys are: contrast.temperature, self_distil.temperature, \
             distil.temperature"
        );
    }

    #[test]
    fn a_missing_key_is_an_error_not_a_default() {
        let text: String = Plan::tiny()
            .to_toml_commented()
            .lines()
            .filter(|line| !line.starts_with("percentile"))
            .collect::<Vec<_>>()
            .join("\n");
        let error = Plan::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains("missing field `percentile`"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let mut plan = Plan::tiny();
        plan.input.size_px = 50;
        assert_eq!(
            plan.check().unwrap_err().to_string(),
            "input.size_px is 50, expected a multiple of 16 from 16 to 512"
        );
        let mut plan = Plan::tiny();
        plan.input.depth_bits = Depth::Sixteen;
        assert_eq!(
            plan.check().unwrap_err().to_string(),
            "input.depth_bits is 16 with input.channels = \"rgb\", expected 8 for colour images; 16 is for input.channels = \"grey\""
        );
        plan.input.channels = Channels::Grey;
        assert_eq!(Plan::from_toml(&plan.to_toml_commented()).unwrap(), plan);
        assert_eq!(plan.input.preprocessing().depth_bits, Depth::Sixteen);
        let text = plan.to_toml_commented().replace("depth_bits = 16", "depth_bits = 12");
        let error = Plan::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains("a depth of 12 bits, expected 8 or 16"), "{error}");
        let mut plan = Plan::tiny();
        plan.evaluate.fractions = vec![0.5, 0.1];
        assert!(plan.check().unwrap_err().to_string().starts_with("evaluate.fractions is [0.5, 0.1]"));
        let mut plan = Plan::tiny();
        plan.finetune.decay_at = vec![0.4, 1.0];
        assert_eq!(
            plan.check().unwrap_err().to_string(),
            "finetune.decay_at is [0.4, 1.0], expected a rising list of numbers between 0 and 1"
        );
        let mut plan = Plan::tiny();
        plan.finetune.grid_rates = vec![0.1, 0.0];
        assert_eq!(
            plan.check().unwrap_err().to_string(),
            "finetune.grid_rates is [0.1, 0.0], expected a list of positive numbers, or none"
        );
        let mut plan = Plan::tiny();
        plan.self_distil.mixup = 1.5;
        assert_eq!(plan.check().unwrap_err().to_string(), "self_distil.mixup is 1.5, expected a number from 0 to 1");
    }
}
