//! A loss for views of one image that needs no negatives.

use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorData};

/// Weights of the three terms.
const INVARIANCE: f64 = 25.0;
const VARIANCE: f64 = 25.0;
const COVARIANCE: f64 = 1.0;
/// Deviation that every axis is to have, gamma in the paper.
const DEVIATION: f64 = 1.0;
/// Keeps the root's gradient finite.
const EPSILON: f64 = 1e-4;

/// `VICReg`: the two views of an image close, every axis of deviation 1 at least, no two axes correlated.
///
/// Source: Bardes et al. 2022, "`VICReg`: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", equations 1 to
/// 6 with their weights of 25, 25 and 1. The squared distance is averaged over the axes too, as in the paper's algorithm 1: the
/// weights belong to that form. (The published code halves the variance term.)
/// Embeddings that say nothing score `2 * 25 * (1 - sqrt(0.0001)) = 49.5`.
///
/// # Shapes
/// - `view_a`, `view_b`: `[batch, embedding]`, *not* of unit length
/// - returns: `[1]`, no unit
///
/// # Panics
/// If the two shapes differ or there are not at least two images.
#[must_use]
pub fn vicreg(view_a: Tensor<2>, view_b: Tensor<2>) -> Tensor<1> {
    assert_eq!(view_a.dims(), view_b.dims(), "the two views have different shapes");
    let batch = view_a.dims()[0];
    assert!(batch >= 2, "{batch} image has no variance");
    let apart = view_a.clone() - view_b.clone();
    let invariance = (apart.clone() * apart).mean();
    let [(variance_a, covariance_a), (variance_b, covariance_b)] = [view_a, view_b].map(spread);
    invariance.mul_scalar(INVARIANCE)
        + (variance_a + variance_b).mul_scalar(VARIANCE)
        + (covariance_a + covariance_b).mul_scalar(COVARIANCE)
}

/// Variance (equation 1) and covariance (equation 4) of one view's embeddings.
fn spread(view: Tensor<2>) -> (Tensor<1>, Tensor<1>) {
    let ([batch, width], device) = (view.dims(), view.device());
    let centred = view.clone() - view.mean_dim(0);
    let squares = centred.clone() * centred.clone();
    let deviation = squares.sum_dim(0).div_scalar((batch - 1) as f64).add_scalar(EPSILON).sqrt();
    let variance = relu(deviation.neg().add_scalar(DEVIATION)).mean();
    let covariance = centred.clone().transpose().matmul(centred).div_scalar((batch - 1) as f64);
    let mut off_diagonal = vec![1.0_f32; width * width];
    off_diagonal.iter_mut().step_by(width + 1).for_each(|diagonal| *diagonal = 0.0);
    let covariance = covariance * Tensor::from_data(TensorData::new(off_diagonal, [width, width]), &device);
    (variance, (covariance.clone() * covariance).sum().div_scalar(width as f64))
}

#[cfg(test)]
mod tests {
    use super::super::check::gradient_error;
    use super::*;
    use crate::checkpoint::floats;
    use burn::tensor::Device;

    /// Views a (three rows) and b (three rows).
    const ROWS: [f32; 12] = [1.0, 0.2, 0.3, 1.0, -1.0, 0.5, 0.9, 0.1, 0.1, 0.8, -0.7, 0.9];

    fn loss(rows: Tensor<2>) -> Tensor<1> {
        let [a, b]: [Tensor<2>; 2] = rows.chunk(2, 0).try_into().unwrap();
        vicreg(a, b)
    }

    fn rows(values: &[f32], width: usize) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), &Device::flex())
    }

    /// ```python
    /// from math import *
    /// from statistics import mean, variance
    /// a, b = [[1, .2], [.3, 1], [-1, .5]], [[.9, .1], [.1, .8], [-.7, .9]]
    /// invariance = mean((x - y) ** 2 for p, q in zip(a, b) for x, y in zip(p, q))
    /// def v(z): return mean(max(0, 1 - sqrt(variance(axis) + 1e-4)) for axis in zip(*z))
    /// def c(z):
    ///     x, y = [[v - mean(axis) for v in axis] for axis in zip(*z)]
    ///     return 2 * (sum(p * q for p, q in zip(x, y)) / (len(z) - 1)) ** 2 / 2
    /// print(25 * invariance + 25 * (v(a) + v(b)) + c(a) + c(b))
    /// ```
    #[test]
    fn the_value_is_that_of_equation_6() {
        let value = floats(loss(rows(&ROWS, 2)))[0];
        assert!((value - 18.563_759).abs() < 1e-4, "{value}");
    }

    #[test]
    fn its_gradient_is_that_of_finite_differences() {
        let error = gradient_error(&ROWS, [6, 2], loss);
        assert!(error < 2e-2, "{error}");
    }

    #[test]
    fn embeddings_that_say_nothing_lack_all_variance() {
        let same = rows(&[3.0, -1.0].repeat(8), 2);
        let value = floats(vicreg(same.clone(), same))[0];
        assert!((value - 49.5).abs() < 1e-4, "{value}");
    }

    /// Both axes have mean 0, variance 4 / 3 and no covariance.
    #[test]
    fn equal_views_of_uncorrelated_wide_axes_score_nothing() {
        let cross = rows(&[1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0], 2);
        assert_eq!(floats(vicreg(cross.clone(), cross))[0], 0.0);
    }

    // Shifted by 3, views are 3^2 apart on each axis. On a line, both covariances are 4 / 3: their squares, over two axes, for
    // each of two views.
    #[test]
    fn each_term_is_the_one_meant() {
        let cross = rows(&[1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0], 2);
        let apart = floats(vicreg(cross.clone(), cross + 3.0))[0];
        assert!((apart - 25.0 * 9.0).abs() < 1e-4, "{apart}");
        let line = rows(&[1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0], 2);
        let correlated = floats(vicreg(line.clone(), line))[0];
        assert!((correlated - 2.0 * (4.0_f32 / 3.0).powi(2)).abs() < 1e-4, "{correlated}");
    }
}
