//! The block all groups are made of.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation};

use crate::conv_norm::{ConvNorm, Slide};
use crate::initialise::Initialiser;
use crate::layer::Padding;

/// Added to the variance of each channel, as PyTorch's ResNets have it.
const EPSILON: f64 = 1e-5;

/// A square convolution that keeps the size of its input, but for the stride.
pub(super) fn conv(
    channels: usize,
    out: usize,
    kernel: usize,
    stride: usize,
    draw: &mut Initialiser,
    device: &Device,
) -> ConvNorm {
    let slide = Slide { stride, padding: Padding::Even(kernel / 2), groups: 1 };
    ConvNorm::new([out, channels, kernel, kernel], slide, EPSILON, draw, device)
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
        let a = conv(channels, out, 3, stride, draw, device);
        let b = conv(out, out, 3, 1, draw, device);
        let changes = stride != 1 || channels != out;
        let shortcut = changes.then(|| conv(channels, out, 1, stride, draw, device));
        Self { a, b, shortcut }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let residual = self.b.forward(self.a.forward(x.clone(), Activation::Relu), Activation::Identity);
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x, Activation::Identity),
            None => x,
        };
        ops::add(residual, shortcut, Activation::Relu)
    }
}
