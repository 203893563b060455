//! What is kept about one image: who asked, what was decided, by which model, and how.

use serde::{Deserialize, Serialize};

/// One answer. Holds no patient data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Which input the image came from: `link`, `openmv` or `folder`.
    pub source: String,
    /// The request it answers; none for a frame that nobody asked about.
    pub request: Option<Request>,
    /// SHA-256 of the image as it arrived, in hexadecimal.
    pub image_sha256: String,
    /// Length of the image as it arrived, in bytes.
    pub image_bytes: u64,
    /// What was decided.
    pub verdict: Verdict,
    /// Calibrated probability of each class, in the bundle's order; empty when the image could not be read.
    pub probabilities: Vec<f32>,
    /// The model that answered.
    pub model: ModelId,
    /// When, in milliseconds since 1970-01-01 UTC by the device's own clock.
    pub unix_ms: u64,
    /// Whether the device had reason to believe that clock.
    pub is_clock_trusted: bool,
    /// Which start of the device this was: [`Opened::boot`](crate::Opened::boot).
    pub boot: u64,
    /// Milliseconds since that start, by a clock that never jumps.
    pub uptime_ms: u64,
    /// How the answer came about.
    pub trace: Trace,
}

/// Who is owed the answer until it is [delivered](crate::Store::delivered).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The source's name for the request; one answer a source and id.
    pub id: String,
    /// What the source announced of the image, so that an id that comes again with another image is noticed.
    pub fingerprint: String,
}

/// What was decided about an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// It shows this class.
    Class {
        /// Index into the bundle's classes.
        index: u16,
        /// The class.
        name: String,
        /// Its calibrated probability, 0 to 1.
        confidence: f32,
    },
    /// The model is not sure enough, or a gate kept the image from it.
    CannotSay {
        /// Why.
        reason: String,
        /// The class that came nearest, when the model was asked.
        best: Option<Best>,
    },
    /// The image could not be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// The class that came nearest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Index into the bundle's classes.
    pub index: u16,
    /// The class.
    pub name: String,
    /// Its calibrated probability, 0 to 1.
    pub confidence: f32,
}

/// Which bundle answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelId {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: String,
    /// The bundle's SHA-256 digest in hexadecimal.
    pub digest: String,
}

/// How an answer came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Digest or description of the preprocessing.
    pub preprocessing: String,
    /// Version and processor family of the plan that computed.
    pub plan: String,
    /// What each gate measured, in the order of asking.
    pub gates: Vec<GateResult>,
    /// Stage and milliseconds spent in it, in order.
    pub timings_ms: Vec<(String, f64)>,
    /// Live frames that were passed over since the answer before.
    pub skipped_frames: u64,
    /// What the input says of itself: retransmissions, baud rate, checksums that failed.
    pub link: Option<serde_json::Value>,
}

/// What a gate measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateResult {
    /// The gate.
    pub name: String,
    /// Its measure; none where undefined.
    pub value: Option<f64>,
    /// The limit in words and numbers.
    pub limit: String,
    /// Whether the image passed.
    pub passed: bool,
}

impl Answer {
    /// The first number that neither SQL nor JSON can say.
    pub(crate) fn not_finite(&self) -> Option<&'static str> {
        let confidence = match &self.verdict {
            Verdict::Class { confidence, .. } | Verdict::CannotSay { best: Some(Best { confidence, .. }), .. } => {
                *confidence
            }
            Verdict::CannotSay { best: None, .. } | Verdict::Unreadable { .. } => 0.0,
        };
        let finite = |value: &f64| value.is_finite();
        [
            ("confidence", confidence.is_finite()),
            ("probabilities", self.probabilities.iter().all(|value| value.is_finite())),
            ("gates", self.trace.gates.iter().filter_map(|gate| gate.value.as_ref()).all(finite)),
            ("timings_ms", self.trace.timings_ms.iter().map(|(_, spent)| spent).all(finite)),
        ]
        .into_iter()
        .find_map(|(field, is_finite)| (!is_finite).then_some(field))
    }
}
