//! What turns an image into an answer, as the pipeline knows it.

use remedis_bundle::Depth;
use remedis_imaging::Image;
use remedis_store::{GateResult, Verdict};

/// What turns an image into an answer.
pub trait Predictor: Send {
    /// Who answers.
    fn name(&self) -> ModelName;

    /// Bits of a sample that it wants pictures decoded to.
    fn depth(&self) -> Depth;

    /// Judges one image.
    ///
    /// # Errors
    /// When this image cannot be judged at all, or the model fails.
    fn predict(&mut self, image: &Image) -> Result<Opinion, PredictFault>;

    /// Where in the image the evidence for a class lies; `None` when it cannot be told, or not while `keep_going` says so.
    fn heat_map(&mut self, image: &Image, class_index: u16, keep_going: &mut dyn FnMut() -> bool) -> Option<HeatMap>;
}

/// Why there is no opinion. The reasons are for the reader, free of patient data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PredictFault {
    /// The image is at fault.
    Image {
        /// Why.
        reason: String,
    },
    /// The model is at fault: the next image would fare no better.
    Model {
        /// Why.
        reason: String,
    },
}

impl From<PredictFault> for Opinion {
    fn from(fault: PredictFault) -> Self {
        let (code, reason) = match fault {
            PredictFault::Image { reason } => ("unreadable", reason),
            PredictFault::Model { reason } => ("model_fault", reason),
        };
        Self { verdict: Verdict::Unreadable { reason }, reason: Some(code), probabilities: vec![], gates: vec![] }
    }
}

/// Which model answers, as screen, journal and hardware are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelName {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: String,
    /// The bundle's SHA-256 digest in hexadecimal.
    pub digest: String,
    /// The classes it can name, in the order of its probabilities.
    pub classes: Vec<String>,
    /// Calibrated probability below which it cannot say, 0 to 1.
    pub confidence_threshold: f32,
    /// How an image becomes the model's input, in words.
    pub preprocessing: String,
    /// What runs the model.
    pub plan: String,
    /// Whether it has yet to prove itself.
    pub is_on_trial: bool,
}

/// What was decided about an image that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// The decision.
    pub verdict: Verdict,
    /// A code for why it cannot say, the same in every language; none where it says.
    pub reason: Option<&'static str>,
    /// Calibrated probability of each class, in the bundle's order.
    pub probabilities: Vec<f32>,
    /// What was measured before the decision, and within which limits.
    pub gates: Vec<GateResult>,
}

/// Where the evidence lies: how far the class's probability falls when a place is hidden (Zeiler and Fergus 2014).
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Rows of the map.
    pub rows: u32,
    /// Columns of the map.
    pub columns: u32,
    /// `rows * columns` values from the top left: 0 where hiding changes nothing or helps, 255 where it hurts most, unless that is hardly
    /// anything.
    pub relevance: Vec<u8>,
    /// Left, top, width and height of what the map covers, as shares of the image.
    pub area: [f32; 4],
}
