//! What a bundle says about its model: section `manifest.json`, unknown keys refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Depth, Gates};

/// The newest version of the manifest that this crate reads; what it writes is the oldest that can say what is meant
/// ([`Manifest::format_version_for`]), so that devices in the field read it.
pub const FORMAT_VERSION: u32 = 3;

/// Colour of a picture or of a network's input.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// One channel.
    Grey,
    /// Red, green, blue.
    Rgb,
}

impl Channels {
    /// 1 or 3.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// How a picture of another shape becomes the input's shape.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Both sides scaled on their own; the whole picture is seen.
    Stretch,
    /// The largest centred part of the input's shape, scaled.
    CentreCrop,
}

/// How a decoded picture becomes the network's input, `[channel, height, width]`.
///
/// The picture is decoded to samples of `depth_bits` and resized on those whole numbers with a bilinear convolution, then
/// `value = (sample / top - mean[channel]) / std[channel]`, where `top` is 255 or 65,535.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Columns of the input.
    pub width: u32,
    /// Rows of the input.
    pub height: u32,
    /// Channels of the input.
    pub channels: Channels,
    /// Bits of a sample until it is a float; not written where they are 8.
    #[serde(default, skip_serializing_if = "Depth::is_eight")]
    pub depth_bits: Depth,
    /// What happens to a picture of another shape.
    pub resize: Resize,
    /// Subtracted from each channel, on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Divides each channel.
    pub std: Vec<f32>,
}

impl Preprocessing {
    /// The oldest version of the manifest that can say this: 2 where samples have 16 bits, else 1.
    fn format_version(&self) -> u32 {
        match self.depth_bits {
            Depth::Eight => 1,
            Depth::Sixteen => 2,
        }
    }
}

/// Probability calibration: `probabilities = softmax(logits / temperature)` (Guo et al. 2017, section 4.2).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProbabilityCalibration {
    /// Positive; 1 leaves the probabilities as they are.
    pub temperature: f32,
}

/// A measured proportion with its 95 % interval; `None` where it is undefined.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The estimate.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Images it was measured on.
    pub n: u32,
}

/// One class against the rest at the operating point, abstentions counted as misses.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClassOperatingPoint {
    /// Class name.
    pub class: String,
    /// Share of the class's images that were named so.
    pub sensitivity: Measured,
    /// Share of the other images that were not named so.
    pub specificity: Measured,
}

/// Where "cannot say" begins, and what was measured there.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// Below this probability of the best class the answer is "cannot say". From 0 to 1.
    pub confidence_threshold: f32,
    /// The images it was chosen and measured on.
    pub measured_on: String,
    /// Share of images that got an answer.
    pub coverage: Measured,
    /// One entry a class, in the order of the logits.
    pub classes: Vec<ClassOperatingPoint>,
}

/// A picture and the answer that every runtime must give for it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenVector {
    /// Section with the picture, as PNG.
    pub input: String,
    /// The int8 reference's logits.
    pub logits: Vec<f32>,
    /// The class name, or "cannot say".
    pub decision: String,
}

/// The golden vectors: checked whenever a bundle is opened for inference.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Largest accepted absolute difference of a logit; 0 asks for equal bits.
    pub tolerance: f32,
    /// At least one.
    pub vectors: Vec<GoldenVector>,
}

/// An image set that a stage read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// What it was used as: natural, data, shifted.
    pub name: String,
    /// Hash of its index and files.
    pub sha256: String,
    /// Images in it.
    pub n_images: u64,
}

/// Where the model comes from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Hash of the resolved plan.
    pub plan_sha256: String,
    /// Seed of the run.
    pub seed: u64,
    /// Every image set that was read.
    pub data: Vec<DataSource>,
    /// Versions of what made it.
    pub tools: BTreeMap<String, String>,
}

/// The model inside the bundle.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Section that holds it.
    pub section: String,
    /// Its format, such as `onnx-qdq-13`.
    pub format: String,
    /// Name of its input.
    pub input: String,
    /// Name of its output.
    pub output: String,
}

/// Everything that decides an answer, beside the model's own bytes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// As [`Manifest::format_version_for`] says when written by this crate; at most [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// What it is for, and what it is not for.
    pub intended_use: String,
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
    /// From picture to input.
    pub preprocessing: Preprocessing,
    /// From logits to probabilities.
    pub probability_calibration: ProbabilityCalibration,
    /// From probabilities to a decision.
    pub operating_point: OperatingPoint,
    /// What a picture must be like for that; not written where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// The model.
    pub model: ModelEntry,
    /// What every runtime must reproduce.
    pub golden: Golden,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl Manifest {
    /// The oldest version of the manifest that can say this: 3 with gates, 2 where samples have 16 bits, else 1.
    #[must_use]
    pub fn format_version_for(preprocessing: &Preprocessing, gates: Option<&Gates>) -> u32 {
        if gates.is_some() { 3 } else { preprocessing.format_version() }
    }

    /// The first thing in here that contradicts itself, in words.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let (classes, channels) = (self.classes.len(), self.preprocessing.channels.count());
        let mut names = self.classes.clone();
        names.sort();
        names.dedup();
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let threshold = self.operating_point.confidence_threshold;
        if classes < 2 || names.len() != classes || self.classes.iter().any(String::is_empty) {
            return Some(format!("classes should be at least two different names, found {:?}", self.classes));
        }
        let input = &self.preprocessing;
        if input.mean.len() != channels || input.std.len() != channels || !finite(&input.mean) || !finite(&input.std) {
            return Some(format!("mean and std should have {channels} finite values each"));
        }
        if input.std.iter().any(|std| *std <= 0.0)
            || !(1..=4096).contains(&input.width)
            || !(1..=4096).contains(&input.height)
        {
            return Some("the input should be 1 to 4096 pixels a side and std positive".to_owned());
        }
        if input.depth_bits == Depth::Sixteen && input.channels == Channels::Rgb {
            return Some("the input should be grey where samples have 16 bits, found rgb".to_owned());
        }
        if self.format_version < input.format_version() {
            let (bits, least, found) = (input.depth_bits.bits(), input.format_version(), self.format_version);
            return Some(format!("samples of {bits} bits need format_version {least}, found {found}"));
        }
        let temperature = self.probability_calibration.temperature;
        if !(temperature.is_finite() && temperature > 0.0) {
            return Some(format!("the temperature should be positive, found {temperature}"));
        }
        if !(0.0..=1.0).contains(&threshold) {
            return Some(format!("the confidence threshold should be from 0 to 1, found {threshold}"));
        }
        let named: Vec<&String> = self.operating_point.classes.iter().map(|class| &class.class).collect();
        if named != self.classes.iter().collect::<Vec<_>>() {
            return Some("the operating point should name every class, in the order of the logits".to_owned());
        }
        if let Some(gates) = &self.gates {
            if self.format_version < 3 {
                return Some(format!("gates need format_version 3, found {}", self.format_version));
            }
            if let Some(wrong) = gates.contradiction(channels) {
                return Some(wrong);
            }
        }
        if self.golden.vectors.is_empty() || !(self.golden.tolerance.is_finite() && self.golden.tolerance >= 0.0) {
            return Some("there should be a golden vector, and a tolerance of 0 or more".to_owned());
        }
        let lies = |vector: &&GoldenVector| vector.logits.len() != classes || !finite(&vector.logits);
        self.golden.vectors.iter().find(lies).map(|vector| {
            format!("golden vector {} should have {classes} finite logits, found {:?}", vector.input, vector.logits)
        })
    }
}
