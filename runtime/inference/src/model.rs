//! A bundle's model, ready to run, that has proved itself.

use remedis_bundle::{Bundle, Manifest};
use remedis_imaging::{Image, PrepareError, Quality, decode, energy, normalise, resize, seen};
use remedis_plan::{Plan, probabilities};

use crate::heat_map::{HeatMap, Occlusion};
use crate::network::{Network, NetworkError};
use crate::{Decision, Prediction};

/// Model formats that this runtime executes.
const FORMATS: [&str; 2] = ["onnx-qdq-13", "onnx-float-13"];

/// Why a bundle's model cannot be used on this device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenModelError {
    /// A format that this runtime does not execute.
    #[error("the model has format {found}, this runtime executes {FORMATS:?}: update the program")]
    Format {
        /// As the manifest says.
        found: String,
    },
    /// tract refused the model.
    #[error("the model cannot be loaded")]
    Load(#[source] NetworkError),
    /// A golden vector's picture cannot be read or prepared.
    #[error("golden vector {vector} cannot be computed")]
    GoldenInput {
        /// Its section.
        vector: String,
        /// What failed.
        source: PredictError,
    },
    /// This processor computes something else than the trainer did.
    #[error(
        "golden vector {vector} did not come back on this processor: expected {expected:?} within {tolerance}, found \
         {found:?}; do not use this model here"
    )]
    GoldenLogits {
        /// Its section.
        vector: String,
        /// The int8 reference's logits.
        expected: Vec<f32>,
        /// What was computed here.
        found: Vec<f32>,
        /// Largest accepted difference.
        tolerance: f32,
    },
    /// The logits are near, the decision is another.
    #[error("golden vector {vector} should be decided {expected}, found {found}; do not use this model here")]
    GoldenDecision {
        /// Its section.
        vector: String,
        /// As the manifest says.
        expected: String,
        /// As decided here.
        found: String,
    },
}

/// Why there is no answer for a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The bytes are not a picture.
    #[error("cannot decode the image")]
    Decode(#[from] remedis_imaging::DecodeError),
    /// The picture cannot become the model's input.
    #[error("cannot prepare the image")]
    Prepare(#[from] PrepareError),
    /// tract failed.
    #[error("the model cannot be executed")]
    Execute(#[from] NetworkError),
    /// Not every logit is a number.
    #[error("the model's output is not finite: {logits:?}")]
    NotFinite {
        /// The output.
        logits: Vec<f32>,
    },
}

/// A picture as the model sees it, and what was measured of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// `[channel, height, width]`.
    pub input: Vec<f32>,
    /// How well it was taken.
    pub quality: Quality,
}

/// A model whose golden vectors came back on this processor.
#[derive(Clone, Debug)]
pub struct Model {
    network: Network,
    manifest: Manifest,
}

impl Model {
    /// Build the plan of the bundle's model and check its golden vectors.
    ///
    /// # Errors
    /// If the model cannot be read or executed, or a golden vector does not come back.
    pub fn open(bundle: &Bundle) -> Result<Self, OpenModelError> {
        let (shape, n_classes) = described(bundle.manifest())?;
        Self::proved(bundle, Network::load(bundle.model(), shape, n_classes))
    }

    /// The plan of the bundle's model for this processor, to be kept and given to [`Model::open_plan`]; `None` where a node has no
    /// integer kernel.
    ///
    /// # Errors
    /// If the model cannot be read or planned.
    pub fn plan(bundle: &Bundle) -> Result<Option<Plan>, OpenModelError> {
        let (shape, _) = described(bundle.manifest())?;
        Network::plan(bundle.model(), shape).map_err(OpenModelError::Load)
    }

    /// As [`Model::open`], with a plan that was made of this bundle's model before. The golden vectors prove it all the same.
    ///
    /// # Errors
    /// If the plan has other inputs or outputs than the bundle says, or a golden vector does not come back.
    pub fn open_plan(bundle: &Bundle, plan: Plan) -> Result<Self, OpenModelError> {
        let (shape, n_classes) = described(bundle.manifest())?;
        Self::proved(bundle, Network::of_plan(plan, shape, n_classes))
    }

    fn proved(bundle: &Bundle, network: Result<Network, NetworkError>) -> Result<Self, OpenModelError> {
        let network = network.map_err(OpenModelError::Load)?;
        let model = Self { network, manifest: bundle.manifest().clone() };
        model.check_golden_vectors(bundle)?;
        Ok(model)
    }

    /// Class names in the order of the logits.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.manifest.classes
    }

    /// What the bundle says about the model.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What runs it, in words.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.network.engine()
    }

    /// The answer for a decoded picture of any size: [`prepare`](Self::prepare), then [`answer`](Self::answer).
    ///
    /// # Errors
    /// If the picture cannot be prepared, or the output is not finite.
    pub fn predict(&self, image: &Image) -> Result<Prediction, PredictError> {
        self.answer(&self.prepare(image)?)
    }

    /// Resizes, measures and normalises a decoded picture of any size.
    ///
    /// # Errors
    /// If the picture is empty.
    pub fn prepare(&self, image: &Image) -> Result<Prepared, PredictError> {
        let preprocessing = &self.manifest.preprocessing;
        let resized = resize(image, preprocessing)?;
        let quality = Quality::measure([image.width, image.height], &resized);
        Ok(Prepared { input: normalise(&resized, preprocessing), quality })
    }

    /// Runs the network, then decides by gates and operating point.
    ///
    /// # Errors
    /// If tract fails or the output is not finite.
    ///
    /// # Panics
    /// If the picture was prepared for another model.
    pub fn answer(&self, prepared: &Prepared) -> Result<Prediction, PredictError> {
        let (manifest, logits) = (&self.manifest, self.logits(&prepared.input)?);
        let gates = match &manifest.gates {
            None => Vec::new(),
            Some(gates) => prepared.quality.gates_with_energy(energy(&logits), &manifest.preprocessing, gates),
        };
        let temperature = manifest.probability_calibration.temperature;
        let threshold = manifest.operating_point.confidence_threshold;
        Ok(Prediction::new(logits, &manifest.classes, temperature, threshold, gates))
    }

    /// Which places of a picture speak for a class, by hiding them one after another.
    ///
    /// A hidden place holds the mean of the images that the model knows: that of the bundle's gates, else zero after preprocessing.
    /// `keep_going` is asked before the network runs each time; where it declines, the map has what there was time for. So the map
    /// takes no longer than it allows and one answer more. `None` where not even the coarse grid of 4 x 4 became whole (17 answers).
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    ///
    /// # Panics
    /// If there is no class `class_index`.
    pub fn heat_map(
        &self,
        image: &Image,
        class_index: usize,
        keep_going: impl FnMut() -> bool,
    ) -> Result<Option<HeatMap>, PredictError> {
        assert!(class_index < self.classes().len(), "class {class_index} of {}", self.classes().len());
        let preprocessing = &self.manifest.preprocessing;
        let input = self.prepare(image)?.input;
        let n_channels = preprocessing.channels.count();
        let known = self.manifest.gates.as_ref().map(|gates| &gates.in_distribution.mean[..n_channels]);
        let hidden: Vec<f32> =
            known.map_or(vec![0.0; n_channels], |means| means.iter().map(|&mean| mean as f32).collect());
        let temperature = self.manifest.probability_calibration.temperature;
        let occlusion = Occlusion {
            input: &input,
            sizes: [preprocessing.height, preprocessing.width].map(|side| side as usize),
            hidden: &hidden,
            score: |input: &[f32]| Ok::<_, PredictError>(probabilities(&self.logits(input)?, temperature)[class_index]),
        };
        let area = seen([image.width, image.height], preprocessing).map(|share| share as f32);
        occlusion.map(area, keep_going)
    }

    /// The logits for a prepared input, `[channel, height, width]`.
    ///
    /// # Errors
    /// If tract fails or the output is not finite.
    ///
    /// # Panics
    /// If `prepared` has another length than the model's input.
    pub fn logits(&self, prepared: &[f32]) -> Result<Vec<f32>, PredictError> {
        let logits = self.network.run(prepared)?;
        match logits.iter().all(|logit| logit.is_finite()) {
            true => Ok(logits),
            false => Err(PredictError::NotFinite { logits }),
        }
    }

    fn check_golden_vectors(&self, bundle: &Bundle) -> Result<(), OpenModelError> {
        let tolerance = self.manifest.golden.tolerance;
        for vector in &self.manifest.golden.vectors {
            let name = || vector.input.clone();
            let picture = bundle.section(&vector.input).unwrap_or_default();
            let prediction = decode(picture, self.manifest.preprocessing.depth_bits)
                .map_err(PredictError::from)
                .and_then(|image| self.predict(&image))
                .map_err(|source| OpenModelError::GoldenInput { vector: name(), source })?;
            let is_near = |(found, expected): (&f32, &f32)| (found - expected).abs() <= tolerance;
            if !prediction.logits.iter().zip(&vector.logits).all(is_near) {
                let (expected, found) = (vector.logits.clone(), prediction.logits);
                return Err(OpenModelError::GoldenLogits { vector: name(), expected, found, tolerance });
            }
            let found = Decision::name(&prediction.decision);
            if found != vector.decision {
                let (expected, found) = (vector.decision.clone(), found.to_owned());
                return Err(OpenModelError::GoldenDecision { vector: name(), expected, found });
            }
        }
        Ok(())
    }
}

/// Shape of the input and number of outputs.
fn described(manifest: &Manifest) -> Result<([usize; 3], usize), OpenModelError> {
    if !FORMATS.contains(&manifest.model.format.as_str()) {
        return Err(OpenModelError::Format { found: manifest.model.format.clone() });
    }
    let input = &manifest.preprocessing;
    Ok(([input.channels.count(), input.height as usize, input.width as usize], manifest.classes.len()))
}
