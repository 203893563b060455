//! Group normalisation.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation};

use crate::initialise::constant;

/// Group normalisation over height, width and the channels of a group, with scale and shift of every channel.
///
/// Source: Wu and He 2018, "Group Normalization", with the 32 groups and the epsilon of BiT.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// Scale of each channel.
    pub gamma: Param<Tensor<1>>,
    /// Shift of each channel.
    pub beta: Param<Tensor<1>>,
    groups: usize,
}

const EPSILON: f64 = 1e-5;

/// Groups for this many channels: 32 as in BiT, but never fewer than two channels in a group, as in BiT's narrowest layer.
pub(super) fn groups_of(channels: usize) -> usize {
    (channels / 2).clamp(1, 32)
}

impl GroupNorm {
    /// Normalisation of `channels` channels that begins as scale 1 and shift 0.
    ///
    /// # Panics
    /// If the channels cannot be split evenly: above 64 they must be a multiple of 32, below a multiple of 2.
    #[must_use]
    pub fn new(channels: usize, device: &Device) -> Self {
        let groups = groups_of(channels);
        assert!(channels.is_multiple_of(groups), "{channels} channels cannot be split into {groups} groups");
        Self { gamma: constant(1.0, channels, device), beta: constant(0.0, channels, device), groups }
    }

    /// # Shapes
    /// - `x` and the result: `[image, row, column, channel]`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        ops::group_norm(x, self.gamma.val(), self.beta.val(), self.groups, EPSILON, activation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initialise::parameter;
    use burn::tensor::Tolerance;

    /// Two images of four channels and one by two pixels, two groups; scale 1, 2, 3, 4 and shift 0, 1, 0, -1.
    ///
    /// ```python
    /// x = [float(i * i % 7) for i in range(16)]
    /// for group in range(4):  # two of each image
    ///     v = x[4 * group : 4 * group + 4]
    ///     mean = sum(v) / 4
    ///     deviation = (sum((a - mean) ** 2 for a in v) / 4 + 1e-5) ** 0.5
    ///     for k, a in enumerate(v):
    ///         channel = group % 2 * 2 + k // 2
    ///         print((a - mean) / deviation * [1, 2, 3, 4][channel] + [0, 1, 0, -1][channel])
    /// ```
    #[test]
    fn values_are_those_of_the_formula() {
        let device = Device::flex();
        let x: Vec<f32> = (0..16).map(|i| (i * i % 7) as f32).collect();
        let x = parameter(x, [2, 4, 1, 2], &device).val();
        let norm = GroupNorm {
            gamma: parameter(vec![1.0, 2.0, 3.0, 4.0], [4], &device),
            beta: parameter(vec![0.0, 1.0, 0.0, -1.0], [4], &device),
            groups: 2,
        };
        let expected = [
            -1.18321, -0.50709, 4.04255, 1.33806, 0.50709, 4.56382, -3.02837, -5.73285, -1.14707, 1.60590, 0.54117,
            0.54117, 4.99999, -1.00000, -4.99999, -2.33333,
        ];
        let expected = parameter(expected.to_vec(), [2, 4, 1, 2], &device).val().into_data();
        let y = norm.forward(ops::to_pixels(x), Activation::Identity).permute([0, 3, 1, 2]);
        y.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-4));
    }

    #[test]
    fn narrow_layers_keep_two_channels_in_a_group() {
        assert_eq!([16, 64, 256, 2048].map(groups_of), [8, 32, 32, 32]);
    }
}
