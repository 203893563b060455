//! The bundle's model as the judge knows it.

use crate::pipeline::judge::chain;
use crate::pipeline::{HeatMap, ModelName, Opinion, PredictFault, Predictor};
use crate::plan::{Readied, ready};
use anyhow::Context;
use remedis_bundle::{Bundle, Depth, TrustedKeys};
use remedis_imaging::Image;
use remedis_inference::{Decision, GateResult as Measured, Model, PredictError};
use remedis_store::{Best, GateResult, Verdict};
use std::path::Path;

/// A map whose highest fall is below this share stays faint all over: what hardly matters must not look like evidence.
const FAINT_FALL: f32 = 0.05;

/// A model from a verified bundle whose golden vectors came out right on this very processor.
pub struct BundleModel {
    model: Model,
    name: ModelName,
    readied: Readied,
}

/// Reads the public keys of those who may sign a bundle.
///
/// # Errors
/// When one cannot be read or is none.
pub fn trusted_keys(paths: &[impl AsRef<Path>]) -> anyhow::Result<TrustedKeys> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("reading the public key {}", path.display()))
    };
    let texts: Vec<String> = paths.iter().map(|path| read(path.as_ref())).collect::<anyhow::Result<_>>()?;
    TrustedKeys::from_texts(&texts).context("reading the trusted keys")
}

impl BundleModel {
    /// Verifies the bundle at `path` and readies its model; `plans` is where its plan is kept.
    ///
    /// # Errors
    /// When the bundle cannot be read, the signature is not by a trusted key, or the model does not reproduce its golden
    /// vectors.
    pub fn open(path: &Path, trusted: &TrustedKeys, plans: Option<&Path>) -> anyhow::Result<Self> {
        let bundle = Bundle::open(path, trusted).with_context(|| format!("opening bundle {}", path.display()))?;
        Self::of(&bundle, plans).with_context(|| format!("readying the model of {}", path.display()))
    }

    /// Readies the model of a verified bundle.
    ///
    /// # Errors
    /// When the model does not reproduce its golden vectors.
    pub fn of(bundle: &Bundle, plans: Option<&Path>) -> anyhow::Result<Self> {
        let (model, readied) = ready(bundle, plans)?;
        let manifest = bundle.manifest();
        let input = &manifest.preprocessing;
        let colour = if input.channels.count() == 1 { "grey" } else { "rgb" };
        let resize = match input.resize {
            remedis_bundle::Resize::Stretch => "stretch",
            remedis_bundle::Resize::CentreCrop => "centre_crop",
        };
        let name = ModelName {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: bundle.digest().to_owned(),
            classes: model.classes().to_vec(),
            confidence_threshold: manifest.operating_point.confidence_threshold,
            preprocessing: format!(
                "{colour} {}x{} {resize}, {} bits",
                input.width,
                input.height,
                input.depth_bits.bits()
            ),
            plan: model.engine().to_owned(),
            is_on_trial: false,
        };
        Ok(Self { model, name, readied })
    }

    /// Whether it has yet to prove itself.
    #[must_use]
    pub fn on_trial(mut self, is_on_trial: bool) -> Self {
        self.name.is_on_trial = is_on_trial;
        self
    }

    /// Where its plan came from.
    pub fn readied(&self) -> &Readied {
        &self.readied
    }

    /// The classes it can name.
    pub fn classes(&self) -> &[String] {
        self.model.classes()
    }
}

impl Predictor for BundleModel {
    fn name(&self) -> ModelName {
        self.name.clone()
    }

    fn depth(&self) -> Depth {
        self.model.manifest().preprocessing.depth_bits
    }

    fn predict(&mut self, image: &Image) -> Result<Opinion, PredictFault> {
        let prediction = self.model.predict(image).map_err(|cause| fault(&cause))?;
        let gates = prediction.gates.iter().map(gate).collect();
        let (verdict, reason) = match prediction.decision {
            Decision::Class { index, name, confidence } => {
                (Verdict::Class { index: class_index(index), name, confidence }, None)
            }
            Decision::CannotSay { reason, best } => {
                let best = best.map(|best| Best {
                    index: class_index(best.index),
                    name: best.name,
                    confidence: best.confidence,
                });
                (Verdict::CannotSay { reason: reason.to_string(), best }, Some(reason.code()))
            }
        };
        Ok(Opinion { verdict, reason, probabilities: prediction.probabilities, gates })
    }

    fn heat_map(&mut self, image: &Image, class_index: u16, keep_going: &mut dyn FnMut() -> bool) -> Option<HeatMap> {
        let map = self.model.heat_map(image, class_index.into(), keep_going).ok()??;
        Some(HeatMap {
            rows: map.rows as u32,
            columns: map.columns as u32,
            relevance: relevance(&map.relevance),
            area: map.area,
        })
    }
}

/// Falls of a probability as shares of the highest, in 255ths; a place that spoke against the class has none.
fn relevance(falls: &[f32]) -> Vec<u8> {
    let highest = falls.iter().copied().fold(FAINT_FALL, f32::max);
    falls.iter().map(|fall| (fall.clamp(0.0, highest) / highest * 255.0).round() as u8).collect()
}

/// An image that cannot be prepared is its own fault; anything else is the model's.
fn fault(cause: &PredictError) -> PredictFault {
    let reason = chain(cause);
    match cause {
        PredictError::Decode(_) | PredictError::Prepare(_) => PredictFault::Image { reason },
        _ => PredictFault::Model { reason },
    }
}

/// What a gate measured, as the journal keeps it.
pub(crate) fn gate(measured: &Measured) -> GateResult {
    let limit = match (measured.low, measured.high) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => "none".to_owned(),
    };
    let value = Some(measured.value).filter(|value| value.is_finite());
    GateResult { name: measured.gate.name().to_owned(), value, limit, passed: measured.passed }
}

/// As the link carries it.
fn class_index(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(remedis_link::Outcome::NO_CLASS)
}

#[cfg(test)]
mod tests {
    use super::relevance;

    #[test]
    fn places_are_told_apart_however_far_the_highest_lets_fall() {
        assert_eq!(relevance(&[0.8, 0.4, -0.2, 0.0]), [255, 128, 0, 0]);
        assert_eq!(relevance(&[0.08, 0.04, -0.5, 0.0]), [255, 128, 0, 0]);
    }

    #[test]
    fn what_hardly_matters_stays_faint() {
        assert_eq!(relevance(&[0.01, 0.0, -0.01]), [51, 0, 0]);
        assert!(relevance(&[]).is_empty());
    }
}
