//! From logits to a decision.

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

/// What the operating point makes of the probabilities.
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
    /// Not sure enough; an answer like any other.
    CannotSay {
        /// Why, in words.
        reason: String,
        /// The class that came nearest.
        best: Best,
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

/// The answer for one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The model's output, one value a class.
    pub logits: Vec<f32>,
    /// Calibrated: `softmax(logits / temperature)`.
    pub probabilities: Vec<f32>,
    /// The operating point applied.
    pub decision: Decision,
}

impl Prediction {
    /// Calibrates `logits` (finite, one a class) and decides.
    pub(crate) fn new(logits: Vec<f32>, classes: &[String], temperature: f32, threshold: f32) -> Self {
        let probabilities = remedis_plan::probabilities(&logits, temperature);
        // The first of equal ones, as every argmax of the field does.
        let index = (0..logits.len()).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0);
        let best = Best { index, name: classes[index].clone(), confidence: probabilities[index] };
        let decision = if best.confidence < threshold {
            let percent = |value: f32| 100.0 * value;
            let reason = format!(
                "confidence {:.1} % is below the operating point of {:.1} %",
                percent(best.confidence),
                percent(threshold)
            );
            Decision::CannotSay { reason, best }
        } else {
            Decision::Class { index: best.index, name: best.name, confidence: best.confidence }
        };
        Self { logits, probabilities, decision }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(logits: [f32; 3], temperature: f32, threshold: f32) -> Prediction {
        let classes = ["a", "b", "c"].map(str::to_owned);
        Prediction::new(logits.to_vec(), &classes, temperature, threshold)
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
    fn below_the_threshold_it_cannot_say() {
        let Decision::CannotSay { reason, best } = decide([1.0, 2.0, 3.0], 1.0, 0.9).decision else {
            panic!("it said")
        };
        assert_eq!(reason, "confidence 66.5 % is below the operating point of 90.0 %");
        assert_eq!((best.index, best.name.as_str()), (2, "c"));
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
