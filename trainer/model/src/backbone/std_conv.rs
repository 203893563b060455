//! Convolution with standardised weights.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Window};

use crate::initialise::Initialiser;

/// Convolution without bias whose kernels are brought to mean 0 and variance 1 at every use.
///
/// Source: Qiao et al. 2019, "Weight Standardization", equation 4, with the epsilon of BiT.
#[derive(Module, Debug)]
pub struct StdConv {
    /// `[out, in, kernel, kernel]`, as trained, before standardisation.
    pub weight: Param<Tensor<4>>,
    stride: usize,
}

const EPSILON: f64 = 1e-10;

impl StdConv {
    pub(super) fn new(
        channels: usize,
        out: usize,
        kernel: usize,
        stride: usize,
        draw: &mut Initialiser,
        device: &Device,
    ) -> Self {
        Self { weight: draw.kernel([out, channels, kernel, kernel], device), stride }
    }

    /// Pads so that a stride of 1 keeps the size.
    ///
    /// # Shapes
    /// - `x`: `[image, row, column, in]`
    /// - returns: `[image, ceil(row / stride), ceil(column / stride), out]`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let weight = self.weight.val();
        let kernel = weight.dims()[2];
        ops::conv2d(x, standardise(weight), Window::square(kernel, self.stride, kernel / 2))
    }
}

/// The weights a standardised convolution uses: each output channel's kernel less its mean, over its deviation (biased).
#[must_use]
pub fn standardise(weight: Tensor<4>) -> Tensor<4> {
    ops::standardise(weight, EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    /// Of 1, 2, 3, 6: mean 3, biased variance 3.5. Of 0, 0, 0, 4: mean 1, variance 3.
    ///
    /// So the first row is -2, -1, 0, 3 over 1.870829, the second -1, -1, -1, 3 over 1.732051.
    #[test]
    fn each_output_channel_has_mean_zero_and_biased_variance_one() {
        let weight = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 6.0]]], [[[0.0, 0.0], [0.0, 4.0]]]], &Device::flex());
        let expected = [
            [[[-1.069_045, -0.534_522_5], [0.0, 1.603_567_5]]],
            [[[-0.577_350_3, -0.577_350_3], [-0.577_350_3, 1.732_050_8]]],
        ];
        let expected = Tensor::<4>::from_data(expected, &Device::flex()).into_data();
        standardise(weight).into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }
}
