//! A convolution with batch normalisation: what students are made of.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use crate::initialise::Initialiser;
use crate::layer::Padding;

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

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let Slide { stride, padding, groups } = self.slide;
        let ([_, _, height, width], [_, _, rows, columns]) = (x.dims(), self.weight.dims());
        let padding = [padding.around(height, rows, stride), padding.around(width, columns, stride)];
        let options = ConvOptions::new_with_padding([stride; 2], padding, [1, 1], groups);
        self.norm.forward(conv2d(x, self.weight.val(), None, options))
    }
}
