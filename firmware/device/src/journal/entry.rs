//! What is written about one frame.

use remedis_link::{Decision, FrameHeader, Known, NakReason, Outcome};
use serde::{Deserialize, Serialize};

/// One answer: what was asked, what was decided, and by which model. Holds no patient data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The hardware's number for the frame.
    pub frame_id: u64,
    /// CRC-32 of the image as the hardware announced it.
    pub image_crc32: u32,
    /// Length of the image in bytes.
    pub image_bytes: u32,
    /// SHA-256 of the image as it arrived, in hexadecimal.
    pub image_sha256: String,
    /// What was decided.
    pub verdict: Verdict,
    /// Calibrated probability of each class, in the bundle's order; empty when the image could not be read.
    pub probabilities: Vec<f32>,
    /// SHA-256 digest of the bundle that answered, in hexadecimal.
    pub bundle_digest: String,
    /// Name and version of that bundle.
    pub model: String,
    /// From the last byte of the image to the answer, in milliseconds.
    pub latency_ms: u64,
    /// When, in milliseconds since 1970-01-01 UTC by the device's own clock.
    pub unix_ms: u64,
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
    /// The model is not sure enough.
    CannotSay {
        /// Why.
        reason: String,
        /// Index of the class that came nearest.
        index: u16,
        /// That class.
        name: String,
        /// Its calibrated probability, 0 to 1.
        confidence: f32,
    },
    /// The image could not be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl Entry {
    /// What the hardware is told.
    pub fn outcome(&self) -> Outcome {
        let (decision, class, confidence) = match &self.verdict {
            Verdict::Class { index, confidence, .. } => (Decision::Class, *index, *confidence),
            Verdict::CannotSay { index, confidence, .. } => (Decision::CannotSay, *index, *confidence),
            Verdict::Unreadable { .. } => (Decision::Unreadable, Outcome::NO_CLASS, 0.0),
        };
        Outcome {
            frame_id: self.frame_id,
            decision,
            class,
            confidence: of_10000(confidence),
            model: first_bytes(&self.bundle_digest),
        }
    }

    /// What the link is told when the hardware announces this frame id again.
    pub fn known(&self, header: &FrameHeader) -> Known {
        if (header.crc, header.length) == (self.image_crc32, self.image_bytes) {
            Known::Answered(self.outcome())
        } else {
            Known::Refuse(NakReason::IdReused)
        }
    }

    /// The answer on one line: as JSON, or for people.
    pub fn line(&self, is_json: bool) -> String {
        if is_json {
            return String::from_utf8_lossy(&self.to_payload()).into_owned();
        }
        let verdict = match &self.verdict {
            Verdict::Class { name, confidence, .. } => format!("{name} {confidence:.4}"),
            Verdict::CannotSay { reason, .. } => format!("cannot say: {reason}"),
            Verdict::Unreadable { reason } => format!("cannot say: {reason}"),
        };
        let image = self.image_sha256.get(..12).unwrap_or(&self.image_sha256);
        let bundle = self.bundle_digest.get(..12).unwrap_or(&self.bundle_digest);
        format!(
            "frame {} image {image} model {} ({bundle}) {} ms: {verdict}",
            self.frame_id, self.model, self.latency_ms
        )
    }

    pub(super) fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain fields with string keys always serialise")
    }
}

/// A probability in units of 1/10000, rounded down: only certainty is 10 000.
pub(crate) fn of_10000(probability: f32) -> u16 {
    // Within 0..=10000 after the clamp; a NaN becomes 0.
    (f64::from(probability).clamp(0.0, 1.0) * 10_000.0 + 1e-3) as u16
}

/// The first eight bytes of a hexadecimal digest; zeros where it is not one.
fn first_bytes(digest: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = digest.get(2 * index..2 * index + 2);
        *byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
    }
    bytes
}
