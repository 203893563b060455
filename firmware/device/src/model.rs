//! The bundle's model as the worker knows it.

use crate::journal::Verdict;
use crate::plan::{Readied, ready};
use crate::worker::{Answer, ModelName, Predictor, chain};
use anyhow::Context;
use remedis_bundle::{Bundle, Depth, TrustedKeys};
use remedis_imaging::Image;
use remedis_inference::{Decision, Model};
use std::path::Path;

/// A model from a verified bundle whose golden vectors came out right on this very processor.
pub struct BundleModel {
    model: Model,
    name: ModelName,
    readied: Readied,
}

impl BundleModel {
    /// Verifies the bundle at `path` against the public keys in `trusted_keys` and readies its model; `plans` is where its
    /// plan is kept.
    ///
    /// # Errors
    /// When a key or the bundle cannot be read, the signature is not by a trusted key, or the model does not reproduce
    /// its golden vectors.
    pub fn open(path: &Path, trusted_keys: &[impl AsRef<Path>], plans: Option<&Path>) -> anyhow::Result<Self> {
        let texts: Vec<String> =
            trusted_keys.iter().map(|key| read_key(key.as_ref())).collect::<anyhow::Result<_>>()?;
        let trusted = TrustedKeys::from_texts(&texts).context("reading the trusted keys")?;
        let bundle = Bundle::open(path, &trusted).with_context(|| format!("opening bundle {}", path.display()))?;
        let (model, readied) =
            ready(&bundle, plans).with_context(|| format!("readying the model of {}", path.display()))?;
        let manifest = bundle.manifest();
        let name = ModelName {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: bundle.digest().to_owned(),
            confidence_threshold: manifest.operating_point.confidence_threshold,
        };
        Ok(Self { model, name, readied })
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

    fn predict(&mut self, image: &Image) -> Result<Answer, String> {
        let prediction = self.model.predict(image).map_err(|cause| chain(&cause))?;
        let verdict = match prediction.decision {
            Decision::Class { index, name, confidence } => {
                Verdict::Class { index: class_index(index), name, confidence }
            }
            Decision::CannotSay { reason, best } => Verdict::CannotSay {
                reason,
                index: class_index(best.index),
                name: best.name,
                confidence: best.confidence,
            },
        };
        Ok(Answer { verdict, probabilities: prediction.probabilities })
    }
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading the public key {}", path.display()))
}

/// As the link carries it.
fn class_index(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(remedis_link::Outcome::NO_CLASS)
}
