//! A convolution with batch normalisation: what students are made of.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation, Window};

use crate::initialise::Initialiser;
use crate::layer::Padding;
use crate::running;

/// What a convolution is beside its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slide {
    /// Step in pixels, the same both ways.
    pub(crate) stride: usize,
    /// Zeros around the input.
    pub(crate) padding: Padding,
    /// Channel groups that do not see each other.
    pub(crate) groups: usize,
}

/// A convolution without bias, then batch normalisation.
#[derive(Module, Debug)]
pub(crate) struct ConvNorm {
    pub(crate) weight: Param<Tensor<4>>,
    pub(crate) norm: BatchNorm,
    #[module(skip)]
    pub(crate) slide: Slide,
}

impl ConvNorm {
    /// `shape` is `[out, in / groups, height, width]`; `epsilon` is added to the variance.
    pub(crate) fn new(shape: [usize; 4], slide: Slide, epsilon: f64, draw: &mut Initialiser, device: &Device) -> Self {
        let norm = BatchNormConfig::new(shape[0]).with_epsilon(epsilon).init(device);
        Self { weight: draw.kernel(shape, device), norm, slide }
    }

    /// Maps `[image, row, column, channel]`. On a device with autodiff, the batch's own statistics normalise.
    pub(crate) fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        let Slide { stride, padding, groups } = self.slide;
        let ([_, height, width, _], [_, _, rows, columns]) = (x.dims(), self.weight.dims());
        let (top, bottom) = padding.around(height, rows, stride);
        let (left, right) = padding.around(width, columns, stride);
        let window = Window { kernel: [rows, columns], stride, before: [top, left], after: [bottom, right], groups };
        let x = ops::conv2d(x, self.weight.val(), window);
        let norm = &self.norm;
        let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
        if running::is_training(norm, &x) {
            let (y, moments) = ops::batch_norm(x, gamma, beta, norm.epsilon, activation);
            running::remember(norm, moments.mean, moments.variance);
            return y;
        }
        let scale = gamma / (norm.running_var.value() + norm.epsilon).sqrt();
        let shift = beta - norm.running_mean.value() * scale.clone();
        ops::affine(x, scale, shift, activation)
    }
}
