//! The contrastive loss whose positive pair is not among its own rivals.

use burn::tensor::Tensor;

use super::similarity::Similarities;

/// Decoupled contrastive loss over two augmented views of one batch.
///
/// [`nt_xent`](super::nt_xent()) with the positive left out of the denominator: there its own similarity shortens every gradient,
/// the more the smaller the batch. Pairs are not weighted.
/// Source: Yeh et al. 2022, "Decoupled Contrastive Learning", equation 6.
/// Embeddings that say nothing score `ln(2 * batch - 2)`; the loss has no lower bound at 0.
///
/// # Shapes
/// - `view_a`, `view_b`: `[batch, embedding]`, each row of unit length
/// - returns: `[1]`, in nats, the mean over the `2 * batch` anchors
///
/// # Panics
/// If the two shapes differ, there are not at least two images, or `temperature` is not positive.
#[must_use]
pub fn decoupled(view_a: Tensor<2>, view_b: Tensor<2>, temperature: f64) -> Tensor<1> {
    assert_eq!(view_a.dims(), view_b.dims(), "the two views have different shapes");
    let anchors = 2 * view_a.dims()[0];
    let all = Tensor::cat(vec![view_a, view_b], 0);
    decoupled_of(all.clone(), 0, all, temperature).div_scalar(anchors as f64)
}

/// The part of [`decoupled`] that some anchors add: a sum, not a mean.
///
/// For one of several processes, as [`nt_xent_of`](super::nt_xent_of).
///
/// # Shapes
/// - `anchors`: `[anchor, embedding]`, the rows of `all` from `first_anchor` on
/// - `all`: `[2 * batch, embedding]`, each row of unit length: all first views, then all second views in the same order
/// - returns: `[1]`, in nats, the sum over the anchors
///
/// # Panics
/// If anchors reach beyond `all` or differ from it in length, `all` has an odd number of rows or fewer than four, or
/// `temperature` is not positive.
#[must_use]
pub fn decoupled_of(anchors: Tensor<2>, first_anchor: usize, all: Tensor<2>, temperature: f64) -> Tensor<1> {
    let views = all.dims()[0];
    assert!(views >= 4, "{views} views leave an anchor no negative");
    let similarities = Similarities::new(anchors, first_anchor, all, temperature);
    let positive = similarities.values.clone().gather(1, similarities.partners());
    let negatives = similarities.with_negatives();
    // Shifted by the largest, so that nothing overflows at a low temperature.
    let largest = negatives.clone().max_dim(1).detach();
    let crowd = (negatives - largest.clone()).exp().sum_dim(1).log() + largest;
    (crowd - positive).sum()
}

#[cfg(test)]
mod tests {
    use super::super::check::gradient_error;
    use super::super::unit_length;
    use super::*;
    use crate::checkpoint::floats;
    use burn::tensor::{Device, TensorData};

    /// Views a (three rows) and b (three rows), before they are brought to unit length.
    const ROWS: [f32; 12] = [1.0, 0.2, 0.3, 1.0, -1.0, 0.5, 0.9, 0.1, 0.1, 0.8, -0.7, 0.9];

    fn loss(rows: Tensor<2>, temperature: f64) -> Tensor<1> {
        let [a, b]: [Tensor<2>; 2] = unit_length(rows).chunk(2, 0).try_into().unwrap();
        decoupled(a, b, temperature)
    }

    fn rows(values: &[f32]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / 2, 2]), &Device::flex())
    }

    /// ```python
    /// from math import *
    /// z = [[1, .2], [.3, 1], [-1, .5], [.9, .1], [.1, .8], [-.7, .9]]
    /// z = [[v / hypot(*row) for v in row] for row in z]
    /// for t in [.5, .005]:
    ///     s = lambda i, j: sum(a * b for a, b in zip(z[i], z[j])) / t
    ///     print(sum(log(sum(exp(s(i, j)) for j in range(6) if j % 3 != i % 3)) - s(i, (i + 3) % 6) for i in range(6)) / 6)
    /// ```
    #[test]
    fn the_value_is_that_of_equation_6_at_any_temperature() {
        for (temperature, expected) in [(0.5, -0.092_829), (0.005, -86.041_08)] {
            let value = floats(loss(rows(&ROWS), temperature))[0];
            assert!((value - expected).abs() < 1e-5 * expected.abs().max(1.0), "{value}, expected {expected}");
        }
    }

    #[test]
    fn its_gradient_is_that_of_finite_differences() {
        let error = gradient_error(&ROWS, [6, 2], |rows| loss(rows, 0.5));
        assert!(error < 2e-3, "{error}");
    }

    #[test]
    fn embeddings_that_say_nothing_score_the_logarithm_of_the_negatives() {
        for batch in [2_usize, 128] {
            let same = rows(&[1.0, 0.0].repeat(batch));
            let value = floats(decoupled(same.clone(), same, 0.1))[0];
            let chance = ((2 * batch - 2) as f32).ln();
            assert!((value - chance).abs() < 1e-4, "{value}, expected {chance}");
        }
    }

    #[test]
    fn the_parts_of_two_processes_add_up_to_the_whole() {
        let all = unit_length(rows(&ROWS));
        let part = |first: usize, n: usize| {
            let anchors = all.clone().slice([first..first + n, 0..2]);
            floats(decoupled_of(anchors, first, all.clone(), 0.5))[0]
        };
        let sum = part(0, 2) + part(3, 2) + part(2, 1) + part(5, 1);
        let whole = floats(loss(rows(&ROWS), 0.5))[0];
        assert!((sum / 6.0 - whole).abs() < 1e-6, "{sum} / 6, expected {whole}");
    }

    #[test]
    #[should_panic(expected = "2 views leave an anchor no negative")]
    fn one_image_is_refused() {
        let _ = decoupled(rows(&[1.0, 0.0]), rows(&[1.0, 0.0]), 0.5);
    }
}
