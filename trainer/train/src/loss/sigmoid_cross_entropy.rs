//! Sigmoid cross-entropy: every class answers for itself.

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Int, Tensor};

/// Sigmoid cross-entropy, summed over the classes and averaged over the batch.
///
/// Source: Kolesnikov et al. 2020, "Big Transfer (BiT)", for ImageNet-21k, whose images may show several classes; the sum over
/// classes is google-research/big_vision's. With 1,000 classes and a zero head it begins at 693, so heads begin with a bias that
/// finds every class unlikely ([`SIGMOID_BIAS`]).
///
/// # Shapes
/// - `logits`: `[batch, class]`
/// - `targets`: `[batch, class]`, each from 0 to 1; see [`one_hot`]
/// - returns: `[1]`, in nats
///
/// # Panics
/// If the two shapes differ.
#[must_use]
pub fn sigmoid_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    assert_eq!(logits.dims(), targets.dims(), "logits and targets have different shapes");
    let batch = logits.dims()[0] as f64;
    let present = targets.clone() * log_sigmoid(logits.clone());
    let absent = targets.neg().add_scalar(1.0) * log_sigmoid(logits.neg());
    (present + absent).sum().div_scalar(batch).neg()
}

/// First bias of a head under [`sigmoid_cross_entropy`]: every class has a probability of 0.000045.
///
/// Source: google-research/big_vision, `configs/bit_i21k.py`.
pub const SIGMOID_BIAS: f32 = -10.0;

/// 1 at each image's class, 0 elsewhere.
///
/// # Shapes
/// - `classes`: `[batch]`, each below `n_classes`
/// - returns: `[batch, class]`
#[must_use]
pub fn one_hot(classes: Tensor<1, Int>, n_classes: usize) -> Tensor<2> {
    classes.one_hot::<2>(n_classes).float()
}

#[cfg(test)]
mod tests {
    use super::super::check::gradient_error;
    use super::*;
    use crate::checkpoint::floats;
    use burn::tensor::Device;

    const LOGITS: [f32; 6] = [1.0, 2.0, 3.0, 0.5, -1.0, 0.0];

    /// The second image is a mixture.
    fn targets(device: &Device) -> Tensor<2> {
        Tensor::from_data([[0.0, 0.0, 1.0], [0.7, 0.3, 0.0]], device)
    }

    /// ```python
    /// from math import *
    /// logits, targets = [[1, 2, 3], [.5, -1, 0]], [[0, 0, 1], [.7, .3, 0]]
    /// s = lambda z: log(1 / (1 + exp(-z)))
    /// print(-sum(t * s(z) + (1 - t) * s(-z) for a, b in zip(logits, targets) for z, t in zip(a, b)) / 2)
    /// ```
    #[test]
    fn the_value_is_that_of_the_definition() {
        let device = Device::flex();
        let logits = Tensor::<1>::from_data(LOGITS, &device).reshape([2, 3]);
        let value = floats(sigmoid_cross_entropy(logits, targets(&device)))[0];
        assert!((value - 2.709_631).abs() < 1e-6, "{value}");
    }

    #[test]
    fn its_gradient_is_that_of_finite_differences() {
        let error = gradient_error(&LOGITS, [2, 3], |x| sigmoid_cross_entropy(x.clone(), targets(&x.device())));
        assert!(error < 1e-3, "{error}");
    }

    // At -200 and 200 the exponential is not a number of 32 bits; each wrong logit costs its size.
    #[test]
    fn logits_far_out_cost_their_size_and_no_more() {
        let device = Device::flex();
        let value = |logits: [[f32; 2]; 1]| {
            let targets = Tensor::from_data([[1.0, 0.0]], &device);
            floats(sigmoid_cross_entropy(Tensor::from_data(logits, &device), targets))[0]
        };
        assert_eq!(value([[200.0, -200.0]]), 0.0);
        assert_eq!(value([[-200.0, 200.0]]), 400.0);
    }

    // 10.000045 for the class that is there, 0.000045 for each of the other 999.
    #[test]
    fn a_head_with_the_first_bias_begins_at_ten_and_not_at_693() {
        let device = Device::flex();
        let one = one_hot(Tensor::from_data([7_i64, 3], &device), 1000);
        let value = |bias: f32| floats(sigmoid_cross_entropy(Tensor::full([2, 1000], bias, &device), one.clone()))[0];
        assert!((value(SIGMOID_BIAS) - 10.0454).abs() < 1e-3, "{}", value(SIGMOID_BIAS));
        assert!((value(0.0) - 693.147).abs() < 1e-2, "{}", value(0.0));
    }

    #[test]
    fn one_hot_marks_each_images_class() {
        let marks = one_hot(Tensor::from_data([2_i64, 0], &Device::flex()), 3);
        assert_eq!(floats(marks), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }
}
