//! A trained network as plain numbers, for export.

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

/// One step of a network. Inputs are indices into the list of values: value 0 is the network's input, value `i + 1` the output
/// of layer `i`. The last layer's output is the network's.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields common to all variants are explained above, the others where they are not obvious"
)]
pub enum Layer {
    /// Convolution without bias, then batch normalisation, then ReLU, as far as present. Padding is with zeros, on all sides.
    Conv {
        name: String,
        input: usize,
        /// `[out, in / groups, kernel height, kernel width]`, row-major.
        weight: Vec<f32>,
        shape: [usize; 4],
        stride: usize,
        padding: usize,
        groups: usize,
        batch_norm: Option<BatchNormParts>,
        relu: bool,
    },
    /// Sum of two values of one shape, then ReLU if set.
    Add { name: String, a: usize, b: usize, relu: bool },
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
