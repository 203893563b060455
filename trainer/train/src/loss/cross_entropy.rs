//! Softmax cross-entropy.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// Softmax cross-entropy against class indices.
///
/// # Shapes
/// - `logits`: `[batch, class]`
/// - `classes`: `[batch]`, from 0
/// - returns: `[1]`
#[must_use]
pub fn cross_entropy(logits: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
    smoothed_cross_entropy(logits, classes, 0.0)
}

/// Softmax cross-entropy against `(1 - smoothing)` of the class and `smoothing` spread evenly over all classes.
///
/// Source: Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer Vision", section 7.
///
/// # Panics
/// If `smoothing` is not from 0 to 1.
#[must_use]
pub fn smoothed_cross_entropy(logits: Tensor<2>, classes: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    assert!((0.0..=1.0).contains(&smoothing), "label smoothing is {smoothing}, expected 0 to 1");
    let batch = logits.dims()[0];
    let log_probabilities = log_softmax(logits, 1);
    let hit = log_probabilities.clone().gather(1, classes.reshape([batch, 1])).mean();
    if smoothing == 0.0 {
        return hit.neg();
    }
    (hit.mul_scalar(1.0 - smoothing) + log_probabilities.mean().mul_scalar(smoothing)).neg()
}

#[cfg(test)]
mod tests {
    use super::super::check::gradient_error;
    use super::*;
    use crate::checkpoint::floats;
    use burn::tensor::Device;

    const LOGITS: [f32; 6] = [1.0, 2.0, 3.0, 0.5, -1.0, 0.0];

    fn loss(logits: Tensor<2>, smoothing: f64) -> Tensor<1> {
        let classes = Tensor::<1, Int>::from_data([2_i64, 0], &logits.device());
        smoothed_cross_entropy(logits, classes, smoothing)
    }

    fn value(smoothing: f64) -> f32 {
        floats(loss(Tensor::<1>::from_data(LOGITS, &Device::flex()).reshape([2, 3]), smoothing))[0]
    }

    /// ```python
    /// from math import *
    /// rows, classes = [[1, 2, 3], [.5, -1, 0]], [2, 0]
    /// logs = [[v - log(sum(map(exp, row))) for v in row] for row in rows]
    /// print(-sum(l[c] for l, c in zip(logs, classes)) / 2, -sum(.8 * l[c] + .2 * sum(l) / 3 for l, c in zip(logs, classes)) / 2)
    /// ```
    #[test]
    fn values_are_those_of_the_definition() {
        assert!((value(0.0) - 0.505_868).abs() < 1e-6, "{}", value(0.0));
        assert!((value(0.2) - 0.672_535).abs() < 1e-6, "{}", value(0.2));
    }

    #[test]
    fn its_gradient_is_that_of_finite_differences() {
        for smoothing in [0.0, 0.2] {
            let error = gradient_error(&LOGITS, [2, 3], |x| loss(x, smoothing));
            assert!(error < 1e-3, "{error}");
        }
    }
}
