//! Probability calibration by temperature scaling: one number that makes confidences honest and changes no decision.

use serde::Serialize;

use crate::probability::negative_log_likelihood;

/// Temperatures outside this range are not believed: the data then say only "as sharp (or as flat) as you can".
pub const TEMPERATURE_RANGE: (f64, f64) = (0.05, 20.0);

/// Result of [`fit_temperature`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TemperatureFit {
    /// Divide logits by this before softmax.
    pub temperature: f64,
    /// Mean negative log likelihood in nats at temperature 1.
    pub likelihood_before: f64,
    /// Mean negative log likelihood in nats at `temperature`.
    pub likelihood_after: f64,
    /// Whether the best value lies outside [`TEMPERATURE_RANGE`], whose end was then taken.
    pub is_at_bound: bool,
}

/// The temperature with the least negative log likelihood on held-out logits (`[image][class]`).
///
/// The loss is convex in `1 / temperature`, so halving an interval on the sign of its slope finds the one minimum.
/// `None` without images, with fewer than two classes, or when a logit is not finite.
/// Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
///
/// # Panics
/// If the slices differ in length or a label has no logit.
pub fn fit_temperature(logits: &[Vec<f32>], labels: &[usize]) -> Option<TemperatureFit> {
    assert_eq!(logits.len(), labels.len(), "one row of logits per label");
    if labels.is_empty() || logits.iter().any(|row| row.len() < 2 || row.iter().any(|z| !z.is_finite())) {
        return None;
    }
    let (mut flat, mut sharp) = (1.0 / TEMPERATURE_RANGE.1, 1.0 / TEMPERATURE_RANGE.0);
    let is_at_bound = slope(logits, labels, flat) >= 0.0 || slope(logits, labels, sharp) <= 0.0;
    for _ in 0..60 {
        let middle = 0.5 * (flat + sharp);
        match slope(logits, labels, middle) < 0.0 {
            true => flat = middle,
            false => sharp = middle,
        }
    }
    let temperature = 2.0 / (flat + sharp);
    Some(TemperatureFit {
        temperature,
        likelihood_before: negative_log_likelihood(logits, labels, 1.0)?,
        likelihood_after: negative_log_likelihood(logits, labels, temperature)?,
        is_at_bound,
    })
}

/// Slope of the mean negative log likelihood in the inverse temperature: expected minus observed logit.
fn slope(logits: &[Vec<f32>], labels: &[usize], inverse: f64) -> f64 {
    let one = |(row, &label): (&Vec<f32>, &usize)| {
        let highest = row.iter().map(|&z| f64::from(z)).fold(f64::NEG_INFINITY, f64::max);
        let (mut total, mut weighted) = (0.0, 0.0);
        for &z in row {
            let e = ((f64::from(z) - highest) * inverse).exp();
            total += e;
            weighted += e * f64::from(z);
        }
        weighted / total - f64::from(row[label])
    };
    logits.iter().zip(labels).map(one).sum::<f64>() / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{LABELS, assert_close, logits};

    #[test]
    fn agrees_with_scipy() {
        let fit = fit_temperature(&logits(), &LABELS).expect("a fit");
        assert_close(Some(fit.temperature), 0.6199585580577109);
        assert_close(Some(fit.likelihood_after), 0.34401223126975267);
        assert!(!fit.is_at_bound);
    }

    #[test]
    fn two_classes_by_hand() {
        // Logit gap 2, right in 3 of 4: the confidence must become 3/4, so 2 / T = ln 3.
        let logits = vec![vec![2.0, 0.0]; 4];
        let fit = fit_temperature(&logits, &[0, 0, 0, 1]).expect("a fit");
        assert_close(Some(fit.temperature), 2.0 / 3.0_f64.ln());
    }

    #[test]
    fn always_right_goes_to_the_bound_and_says_so() {
        let fit = fit_temperature(&[vec![1.0, 0.0], vec![0.0, 1.0]], &[0, 1]).expect("a fit");
        assert!(fit.is_at_bound);
        assert!((fit.temperature - TEMPERATURE_RANGE.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_to_fit_is_none() {
        assert_eq!(fit_temperature(&[], &[]), None);
        assert_eq!(fit_temperature(&[vec![f32::NAN, 1.0]], &[0]), None);
    }

    proptest! {
        #[test]
        fn stretched_logits_stretch_the_temperature(factor in 0.5_f32..4.0) {
            let stretched: Vec<Vec<f32>> =
                logits().iter().map(|row| row.iter().map(|z| z * factor).collect()).collect();
            let fit = fit_temperature(&stretched, &LABELS).expect("a fit").temperature;
            prop_assert!((fit / f64::from(factor) - 0.6199585580577109).abs() < 1e-5);
        }
    }
}
