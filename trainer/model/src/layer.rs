//! A trained network as plain numbers, for export.

mod list;

pub(crate) use list::LayerList;
pub use remedis_ops::Activation;

/// What batch normalisation does to one channel `c` in evaluation:
/// `(x - mean[c]) / sqrt(variance[c] + epsilon) * gamma[c] + beta[c]`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormParts {
    /// Scale of each channel.
    pub gamma: Vec<f32>,
    /// Shift of each channel.
    pub beta: Vec<f32>,
    /// Running mean of each channel.
    pub mean: Vec<f32>,
    /// Running biased variance of each channel.
    pub variance: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

/// Zeros that a convolution reads around its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// This many on every side.
    Even(usize),
    /// As many as make the output `ceil(input / stride)` long, the odd one below and to the right: TensorFlow's "SAME", which
    /// depends on the size of the input.
    Same,
}

impl Padding {
    /// Zeros before and after an axis of length `size`.
    ///
    /// Source for [`Padding::Same`]: <https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2>.
    #[must_use]
    pub fn around(self, size: usize, kernel: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Even(padding) => (padding, padding),
            Self::Same => {
                let last = size.div_ceil(stride).saturating_sub(1) * stride;
                let total = (last + kernel).saturating_sub(size);
                (total / 2, total - total / 2)
            }
        }
    }
}

/// One step of a network. Inputs are indices into the list of values: value 0 is the network's input, value `i + 1` the output
/// of layer `i`. The last layer's output is the network's.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields common to all variants are explained above, the others where they are not obvious"
)]
pub enum Layer {
    /// Convolution without bias, then batch normalisation if there is one, then the activation.
    Conv {
        name: String,
        input: usize,
        /// `[out, in / groups, kernel height, kernel width]`, row-major.
        weight: Vec<f32>,
        shape: [usize; 4],
        stride: usize,
        padding: Padding,
        /// Channel groups that do not see each other; as many as channels is a depthwise convolution.
        groups: usize,
        batch_norm: Option<BatchNormParts>,
        activation: Activation,
    },
    /// Sum of two values of one shape, then the activation.
    Add { name: String, a: usize, b: usize, activation: Activation },
    /// Largest value of a square window; padding never wins.
    MaxPool { name: String, input: usize, kernel: usize, stride: usize, padding: usize },
    /// Mean over height and width.
    GlobalAveragePool { name: String, input: usize },
    /// `weight x + bias`.
    Linear {
        name: String,
        input: usize,
        /// `[out, in]`, row-major.
        weight: Vec<f32>,
        bias: Vec<f32>,
        shape: [usize; 2],
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        // (size, kernel, stride) -> (before, after), from the formula's own table: even sizes with stride 2 are lopsided.
        for (size, kernel, stride, expected) in [
            (224, 3, 2, (0, 1)),
            (75, 3, 2, (1, 1)),
            (56, 5, 2, (1, 2)),
            (19, 5, 2, (2, 2)),
            (7, 5, 1, (2, 2)),
            (9, 1, 1, (0, 0)),
            (5, 1, 2, (0, 0)),
        ] {
            assert_eq!(Padding::Same.around(size, kernel, stride), expected, "{size} {kernel} {stride}");
        }
        assert_eq!(Padding::Even(1).around(224, 3, 2), (1, 1));
    }
}
