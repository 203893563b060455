//! The block all groups are made of.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use crate::initialise::Initialiser;

/// A convolution without bias, then batch normalisation.
#[derive(Module, Debug)]
pub(super) struct ConvNorm {
    pub(super) weight: Param<Tensor<4>>,
    pub(super) norm: BatchNorm,
    pub(super) stride: usize,
}

impl ConvNorm {
    pub(super) fn new(
        channels: usize,
        out: usize,
        kernel: usize,
        stride: usize,
        draw: &mut Initialiser,
        device: &Device,
    ) -> Self {
        let weight = draw.kernel([out, channels, kernel, kernel], device);
        Self { weight, norm: BatchNormConfig::new(out).init(device), stride }
    }

    pub(super) fn padding(&self) -> usize {
        self.weight.dims()[2] / 2
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([self.stride; 2], [self.padding(); 2], [1, 1], 1);
        self.norm.forward(conv2d(x, self.weight.val(), None, options))
    }
}

/// Two 3x3 convolutions, the stride in the first, added to the input or a 1x1 convolution of it where the shape changes.
///
/// Source: He et al. 2015, "Deep Residual Learning for Image Recognition", figure 5 left.
#[derive(Module, Debug)]
pub(super) struct Block {
    pub(super) a: ConvNorm,
    pub(super) b: ConvNorm,
    pub(super) shortcut: Option<ConvNorm>,
}

impl Block {
    pub(super) fn new(channels: usize, out: usize, stride: usize, draw: &mut Initialiser, device: &Device) -> Self {
        let a = ConvNorm::new(channels, out, 3, stride, draw, device);
        let b = ConvNorm::new(out, out, 3, 1, draw, device);
        let changes = stride != 1 || channels != out;
        let shortcut = changes.then(|| ConvNorm::new(channels, out, 1, stride, draw, device));
        Self { a, b, shortcut }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let residual = self.b.forward(relu(self.a.forward(x.clone())));
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        relu(residual + shortcut)
    }
}
