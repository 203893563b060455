//! Choosing the confidence below which a model answers "cannot say".

use serde::Serialize;

use crate::interval::{Interval, wilson};

/// A threshold with what it gave on the images it was chosen on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ConfidenceThreshold {
    /// Answers need at least this confidence.
    pub threshold: f32,
    /// Accuracy among the answered images.
    pub accuracy: Interval,
    /// Share of images answered.
    pub coverage: Interval,
    /// Whether the wanted accuracy was reached; if not, this is the most accurate threshold with the wanted coverage.
    pub is_reached: bool,
}

/// The lowest threshold whose answered images are right at least `wanted_accuracy` of the time, answering at least
/// `least_coverage` of the images.
///
/// When no threshold reaches it, the most accurate one with that coverage is returned and says so. `images` are pairs of
/// confidence and "the decision is right". `None` without images or when a confidence is not a number.
/// Source: El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification" (risk against coverage).
pub fn fit_confidence_threshold(
    images: &[(f32, bool)],
    wanted_accuracy: f64,
    least_coverage: f64,
) -> Option<ConfidenceThreshold> {
    if images.is_empty() || images.iter().any(|image| image.0.is_nan()) {
        return None;
    }
    let mut sorted = images.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let n = sorted.len() as u64;
    let (mut hits, mut candidates) = (0_u64, Vec::new());
    for (place, &(confidence, is_right)) in sorted.iter().enumerate() {
        hits += u64::from(is_right);
        let answered = place as u64 + 1;
        let is_last_of_ties = sorted.get(place + 1).is_none_or(|next| next.0 < confidence);
        if is_last_of_ties && answered as f64 >= least_coverage * n as f64 {
            candidates.push((confidence, hits, answered));
        }
    }
    let share = |candidate: &(f32, u64, u64)| candidate.1 as f64 / candidate.2 as f64;
    let reached = candidates.iter().rev().find(|candidate| share(candidate) >= wanted_accuracy);
    // Of equally accurate ones the last, which answers most.
    let best = reached.or_else(|| candidates.iter().max_by(|a, b| share(a).total_cmp(&share(b))))?;
    Some(ConfidenceThreshold {
        threshold: best.0,
        accuracy: wilson(best.1, best.2)?,
        coverage: wilson(best.2, n)?,
        is_reached: reached.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: [(f32, bool); 6] = [(0.9, true), (0.8, true), (0.7, false), (0.6, true), (0.5, false), (0.4, false)];

    #[test]
    fn takes_the_lowest_threshold_that_is_accurate_enough() {
        // From the top: 1/1, 2/2, 2/3, 3/4, 3/5, 3/6.
        let found = fit_confidence_threshold(&IMAGES, 0.7, 0.0).expect("images");
        assert_eq!((found.threshold, found.is_reached), (0.6, true));
        assert_eq!((found.accuracy.value, found.coverage.value), (0.75, 4.0 / 6.0));
    }

    #[test]
    fn out_of_reach_takes_the_most_accurate_with_the_wanted_coverage() {
        let found = fit_confidence_threshold(&IMAGES, 0.9, 0.5).expect("images");
        assert_eq!((found.threshold, found.is_reached), (0.6, false));
    }

    #[test]
    fn images_of_equal_confidence_are_answered_together() {
        let found = fit_confidence_threshold(&[(0.9, true), (0.9, false), (0.1, true)], 1.0, 0.0).expect("images");
        assert_eq!((found.threshold, found.is_reached), (0.1, false));
    }

    #[test]
    fn a_model_that_is_always_right_answers_everything() {
        let found = fit_confidence_threshold(&[(0.9, true), (0.3, true)], 0.9, 0.5).expect("images");
        assert_eq!((found.threshold, found.coverage.value), (0.3, 1.0));
    }

    #[test]
    fn no_images_have_no_threshold() {
        assert_eq!(fit_confidence_threshold(&[], 0.9, 0.5), None);
        assert_eq!(fit_confidence_threshold(&[(f32::NAN, true)], 0.9, 0.5), None);
    }
}
