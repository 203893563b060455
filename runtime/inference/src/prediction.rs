//! From a picture's measures and a network's logits to a decision: the one place where an answer is decided.

use remedis_imaging::{Gate, GateResult};

use crate::Reason;

/// The class with the highest probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Position among the classes.
    pub index: usize,
    /// Class name.
    pub name: String,
    /// Its calibrated probability, from 0 to 1.
    pub confidence: f32,
}

/// What gates and operating point make of picture and probabilities.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Sure enough.
    Class {
        /// Position among the classes.
        index: usize,
        /// Class name.
        name: String,
        /// Its calibrated probability, from 0 to 1.
        confidence: f32,
    },
    /// No picture to judge, or not sure enough; an answer like any other.
    CannotSay {
        /// Why: the first gate that did not pass.
        reason: Reason,
        /// The class that came nearest. None where the picture itself was refused: what a network makes of it means nothing.
        best: Option<Best>,
    },
}

impl Decision {
    /// The class name, or "cannot say".
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Class { name, .. } => name,
            Self::CannotSay { .. } => "cannot say",
        }
    }
}

/// The answer for one picture, with all that led to it.
///
/// The network runs whatever the gates say, so that every answer has a whole trace and takes the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The model's output, one value a class.
    pub logits: Vec<f32>,
    /// Calibrated: `softmax(logits / temperature)`.
    pub probabilities: Vec<f32>,
    /// Every gate, in the order in which they decide; the confidence is the last, and alone where the bundle has no gates.
    pub gates: Vec<GateResult>,
    /// What comes of them.
    pub decision: Decision,
}

impl Prediction {
    /// Calibrates `logits` (finite, one a class) and decides by `gates`, those before the confidence.
    pub(crate) fn new(
        logits: Vec<f32>,
        classes: &[String],
        temperature: f32,
        threshold: f32,
        mut gates: Vec<GateResult>,
    ) -> Self {
        let probabilities = remedis_plan::probabilities(&logits, temperature);
        // The first of equal ones, as every argmax of the field does.
        let index = (0..logits.len()).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0);
        let best = Best { index, name: classes[index].clone(), confidence: probabilities[index] };
        gates.push(GateResult::at_least(Gate::Confidence, best.confidence.into(), threshold.into()));
        let decision = match gates.iter().find(|result| !result.passed) {
            None => Decision::Class { index: best.index, name: best.name, confidence: best.confidence },
            Some(failed) => Decision::CannotSay {
                reason: Reason::of(failed, &gates),
                best: (failed.gate == Gate::Confidence).then_some(best),
            },
        };
        Self { logits, probabilities, gates, decision }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(logits: [f32; 3], temperature: f32, threshold: f32) -> Prediction {
        let classes = ["a", "b", "c"].map(str::to_owned);
        Prediction::new(logits.to_vec(), &classes, temperature, threshold, Vec::new())
    }

    #[test]
    fn probabilities_are_the_softmax() {
        // e^1, e^2, e^3 over their sum
        let expected = [0.090_030_57, 0.244_728_47, 0.665_240_95];
        for (found, expected) in decide([1.0, 2.0, 3.0], 1.0, 0.5).probabilities.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn temperature_softens() {
        assert_eq!(decide([2.0, 4.0, 6.0], 2.0, 0.5).probabilities, decide([1.0, 2.0, 3.0], 1.0, 0.5).probabilities);
    }

    #[test]
    fn below_the_threshold_it_cannot_say_and_names_the_nearest() {
        let prediction = decide([1.0, 2.0, 3.0], 1.0, 0.9);
        let confidence = prediction.probabilities[2];
        let reason = Reason::LowConfidence { confidence, threshold: 0.9 };
        let best = Some(Best { index: 2, name: "c".to_owned(), confidence });
        assert_eq!(prediction.decision, Decision::CannotSay { reason, best });
        assert_eq!(prediction.gates, [GateResult::at_least(Gate::Confidence, confidence.into(), 0.9_f32.into())]);
    }

    #[test]
    fn a_confidence_at_the_threshold_is_enough() {
        let confidence = decide([1.0, 2.0, 3.0], 1.0, 0.0).probabilities[2];
        assert_eq!(decide([1.0, 2.0, 3.0], 1.0, confidence).decision.name(), "c");
        assert_eq!(decide([1.0, 2.0, 3.0], 1.0, confidence.next_up()).decision.name(), "cannot say");
    }

    #[test]
    fn the_first_gate_that_fails_is_the_reason_and_nothing_is_named() {
        let gates = vec![
            GateResult::at_least(Gate::Width, 40.0, 32.0),
            GateResult::at_least(Gate::Sharpness, 2.0, 5.0),
            GateResult::at_most(Gate::Energy, 3.0, 1.0),
        ];
        let classes = ["a", "b"].map(str::to_owned);
        let prediction = Prediction::new(vec![9.0, 0.0], &classes, 1.0, 0.5, gates);
        let reason = Reason::Blurred { sharpness: 2.0, least: 5.0 };
        assert_eq!(prediction.decision, Decision::CannotSay { reason, best: None });
        let passed: Vec<bool> = prediction.gates.iter().map(|result| result.passed).collect();
        assert_eq!(passed, [true, false, false, true], "the trace goes on");
        assert!(prediction.probabilities[0] > 0.99);
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        assert_eq!(decide([1e30, -1e30, 0.0], 1.0, 0.5).probabilities, [1.0, 0.0, 0.0]);
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(decide([1.0, 1.0, 1.0], 1.0, 0.0).decision.name(), "a");
    }
}
