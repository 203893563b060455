//! First weights, from a seed.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Draws weights one tensor after the other; the same seed and the same order give the same weights on any machine.
pub struct Initialiser(ChaCha8Rng);

/// Standard deviation of a standard normal cut at two, by which a truncated draw is divided to have deviation 1.
const TRUNCATED_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initialiser {
    /// Starts the stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A kernel `[out, in, height, width]` for a layer before a ReLU: normal, variance `2 / (in * height * width)`, cut at two
    /// deviations. Source: He et al. 2015, "Delving Deep into Rectifiers", equation 10.
    pub fn kernel(&mut self, shape: [usize; 4], device: &Device) -> Param<Tensor<4>> {
        let fan_in = shape[1] * shape[2] * shape[3];
        let deviation = (2.0 / fan_in as f64).sqrt() / TRUNCATED_DEVIATION;
        let values = (0..shape.iter().product()).map(|_| (self.truncated_normal() * deviation) as f32).collect();
        parameter(values, shape, device)
    }

    /// A matrix of normal values around zero.
    pub fn matrix(&mut self, shape: [usize; 2], deviation: f64, device: &Device) -> Param<Tensor<2>> {
        let values = (0..shape.iter().product()).map(|_| (self.normal() * deviation) as f32).collect();
        parameter(values, shape, device)
    }

    fn truncated_normal(&mut self) -> f64 {
        loop {
            let value = self.normal();
            if value.abs() <= 2.0 {
                return value;
            }
        }
    }

    /// Box and Muller's transform, one of the pair.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Evenly in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A trainable tensor of these values.
pub(crate) fn parameter<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

/// A trainable vector of one value.
pub(crate) fn constant(value: f32, length: usize, device: &Device) -> Param<Tensor<1>> {
    parameter(vec![value; length], [length], device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64)
    }

    #[test]
    fn a_kernel_has_the_variance_of_he_and_nothing_beyond_the_cut() {
        let kernel = Initialiser::new(1).kernel([64, 32, 3, 3], &Device::flex());
        let values: Vec<f64> = kernel.val().into_data().iter::<f32>().map(f64::from).collect();
        let (mean, variance) = moments(&values);
        let expected = 2.0 / 288.0;
        assert!(mean.abs() < 0.003 && (variance / expected - 1.0).abs() < 0.03, "{mean} {variance}");
        let cut = 2.0 * expected.sqrt() / TRUNCATED_DEVIATION;
        assert!(values.iter().all(|v| v.abs() <= cut * 1.000_001));
    }

    #[test]
    fn a_seed_gives_the_same_weights_and_another_gives_others() {
        let draw = |seed| Initialiser::new(seed).matrix([3, 4], 0.01, &Device::flex()).val().into_data();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
