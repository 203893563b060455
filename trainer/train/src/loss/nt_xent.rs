//! The contrastive loss.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::similarity::Similarities;

/// NT-Xent contrastive loss over two augmented views of one batch.
///
/// Row `i` of `view_a` and row `i` of `view_b` are a positive pair; every other row of both views is a negative.
/// Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations", equation 1.
/// Embeddings that say nothing score `ln(2 * batch - 1)`.
///
/// # Shapes
/// - `view_a`, `view_b`: `[batch, embedding]`, each row of unit length
/// - returns: `[1]`, in nats, the mean over the `2 * batch` anchors
///
/// # Panics
/// If the two shapes differ or `temperature` is not positive.
#[must_use]
pub fn nt_xent(view_a: Tensor<2>, view_b: Tensor<2>, temperature: f64) -> Tensor<1> {
    assert_eq!(view_a.dims(), view_b.dims(), "the two views have different shapes");
    let anchors = 2 * view_a.dims()[0];
    let all = Tensor::cat(vec![view_a, view_b], 0);
    nt_xent_of(all.clone(), 0, all, temperature).div_scalar(anchors as f64)
}

/// The part of [`nt_xent`] that some anchors add: a sum, not a mean.
///
/// With its own views as anchors and the views of all processes as `all`, each of several processes computes its part; the
/// parts of all anchors, added and divided by the number of rows of `all`, are the loss of the whole batch.
///
/// # Shapes
/// - `anchors`: `[anchor, embedding]`, the rows of `all` from `first_anchor` on
/// - `all`: `[2 * batch, embedding]`, each row of unit length: all first views, then all second views in the same order
/// - returns: `[1]`, in nats, the sum over the anchors
///
/// # Panics
/// If anchors reach beyond `all` or differ from it in length, `all` has an odd number of rows, or `temperature` is not positive.
#[must_use]
pub fn nt_xent_of(anchors: Tensor<2>, first_anchor: usize, all: Tensor<2>, temperature: f64) -> Tensor<1> {
    let similarities = Similarities::new(anchors, first_anchor, all, temperature);
    log_softmax(similarities.with_others(), 1).gather(1, similarities.partners()).sum().neg()
}

/// Each row divided by its length; a row of zeros stays zero.
#[must_use]
pub fn unit_length(rows: Tensor<2>) -> Tensor<2> {
    let squares = rows.clone() * rows.clone();
    rows / squares.sum_dim(1).add_scalar(1e-12).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::check::gradient_error;
    use super::*;
    use crate::checkpoint::floats;
    use burn::tensor::{Device, Int, TensorData};
    use remedis_views::Key;

    /// Views a (three rows) and b (three rows), before they are brought to unit length.
    const ROWS: [f32; 12] = [1.0, 0.2, 0.3, 1.0, -1.0, 0.5, 0.9, 0.1, 0.1, 0.8, -0.7, 0.9];

    fn loss(rows: Tensor<2>) -> Tensor<1> {
        let [a, b]: [Tensor<2>; 2] = unit_length(rows).chunk(2, 0).try_into().unwrap();
        nt_xent(a, b, 0.5)
    }

    fn rows(values: &[f32], width: usize) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), &Device::flex())
    }

    /// ```python
    /// from math import *
    /// z = [[1, .2], [.3, 1], [-1, .5], [.9, .1], [.1, .8], [-.7, .9]]
    /// z = [[v / hypot(*row) for v in row] for row in z]
    /// s = lambda i, j: exp(sum(a * b for a, b in zip(z[i], z[j])) / .5)
    /// print(-sum(log(s(i, (i + 3) % 6) / sum(s(i, j) for j in range(6) if j != i)) for i in range(6)) / 6)
    /// ```
    #[test]
    fn the_value_is_that_of_equation_1() {
        let value = floats(loss(rows(&ROWS, 2)))[0];
        assert!((value - 0.664_945).abs() < 1e-5, "{value}");
    }

    #[test]
    fn its_gradient_is_that_of_finite_differences() {
        let error = gradient_error(&ROWS, [6, 2], loss);
        assert!(error < 2e-3, "{error}");
    }

    #[test]
    fn the_parts_of_two_processes_add_up_to_the_whole() {
        let all = unit_length(rows(&ROWS, 2));
        // One process holds images 0 and 1, the other image 2: views 0, 1, 3, 4 and 2, 5.
        let part = |first: usize, n: usize| {
            let anchors = all.clone().slice([first..first + n, 0..2]);
            floats(nt_xent_of(anchors, first, all.clone(), 0.5))[0]
        };
        let sum = part(0, 2) + part(3, 2) + part(2, 1) + part(5, 1);
        let whole = floats(loss(rows(&ROWS, 2)))[0];
        assert!((sum / 6.0 - whole).abs() < 1e-6, "{sum} / 6, expected {whole}");
    }

    /// The formula without anchors apart, as it was before; runs of that time can be repeated.
    fn mean_over_the_batch(view_a: Tensor<2>, view_b: Tensor<2>, temperature: f64) -> Tensor<1> {
        let (batch, device) = (view_a.dims()[0], view_a.device());
        let anchors = 2 * batch;
        let all = Tensor::cat(vec![view_a, view_b], 0);
        let mut mask = vec![0.0_f32; anchors * anchors];
        mask.iter_mut().step_by(anchors + 1).for_each(|diagonal| *diagonal = -1e9);
        let mask = Tensor::from_data(TensorData::new(mask, [anchors, anchors]), &device);
        let similarities = all.clone().matmul(all.transpose()).div_scalar(temperature) + mask;
        let partner: Vec<i64> = (0..anchors).map(|anchor| ((anchor + batch) % anchors) as i64).collect();
        let partner = Tensor::<2, Int>::from_data(TensorData::new(partner, [anchors, 1]), &device);
        log_softmax(similarities, 1).gather(1, partner).mean().neg()
    }

    #[test]
    fn value_and_gradient_have_the_bits_of_the_mean_over_the_batch() {
        let mut chance = Key::new(2, "test").chance();
        for batch in [3_usize, 8, 16] {
            let values: Vec<f32> = (0..2 * batch * 5).map(|_| chance.uniform(-1.0, 1.0)).collect();
            let bits = |loss: fn(Tensor<2>, Tensor<2>, f64) -> Tensor<1>| {
                let rows = rows(&values, 5).autodiff().require_grad();
                let [a, b]: [Tensor<2>; 2] = unit_length(rows.clone()).chunk(2, 0).try_into().unwrap();
                let loss = loss(a, b, 0.2);
                let gradient = rows.grad(&loss.backward()).unwrap();
                [floats(loss), floats(gradient)].concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
            };
            assert_eq!(bits(nt_xent), bits(mean_over_the_batch), "batch {batch}");
        }
    }

    #[test]
    fn embeddings_that_say_nothing_score_the_logarithm_of_the_others() {
        for batch in [2_usize, 128] {
            let same = rows(&[1.0, 0.0].repeat(batch), 2);
            let value = floats(nt_xent(same.clone(), same, 0.1))[0];
            let chance = ((2 * batch - 1) as f32).ln();
            assert!((value - chance).abs() < 1e-4, "{value}, expected {chance}");
        }
    }

    #[test]
    fn the_order_of_the_pairs_and_of_the_views_does_not_matter() {
        let mut chance = Key::new(1, "test").chance();
        let values: Vec<f32> = (0..2 * 8 * 5).map(|_| chance.uniform(-1.0, 1.0)).collect();
        let (a, b) = values.split_at(40);
        let unit = |values: &[f32]| unit_length(rows(values, 5));
        let turned = |values: &[f32]| unit(&values.chunks(5).rev().flatten().copied().collect::<Vec<_>>());
        let value = floats(nt_xent(unit(a), unit(b), 0.2))[0];
        for other in [nt_xent(turned(a), turned(b), 0.2), nt_xent(unit(b), unit(a), 0.2)] {
            assert!((floats(other)[0] - value).abs() < 1e-5);
        }
    }

    #[test]
    #[should_panic(expected = "temperature is 0")]
    fn a_temperature_of_zero_is_refused() {
        let _ = nt_xent(rows(&ROWS, 2), rows(&ROWS, 2), 0.0);
    }
}
