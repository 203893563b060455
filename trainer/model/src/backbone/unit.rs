//! The unit all blocks are made of.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation};

use super::group_norm::GroupNorm;
use super::std_conv::StdConv;
use crate::initialise::Initialiser;

/// Normalisation, ReLU and convolution, in this order.
#[derive(Module, Debug)]
pub(super) struct PreActivated {
    group_norm: GroupNorm,
    conv: StdConv,
}

impl PreActivated {
    fn new(conv: StdConv, device: &Device) -> Self {
        let channels = conv.weight.dims()[1];
        Self { group_norm: GroupNorm::new(channels, device), conv }
    }

    fn activate(&self, x: Tensor<4>) -> Tensor<4> {
        self.group_norm.forward(x, Activation::Relu)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.conv.forward(self.activate(x))
    }
}

/// Pre-activation bottleneck: 1x1, 3x3 with the stride, 1x1, added to the input or its projection.
#[derive(Module, Debug)]
pub(super) struct Unit {
    a: PreActivated,
    b: PreActivated,
    c: PreActivated,
    /// Where the shape changes; it sees the normalised and rectified input, not the input.
    projection: Option<StdConv>,
}

impl Unit {
    pub(super) fn new(channels: usize, out: usize, stride: usize, draw: &mut Initialiser, device: &Device) -> Self {
        let middle = out / 4;
        let mut conv = |channels, out, kernel, stride| StdConv::new(channels, out, kernel, stride, draw, device);
        let a = conv(channels, middle, 1, 1);
        let b = conv(middle, middle, 3, stride);
        let c = conv(middle, out, 1, 1);
        let projection = (stride != 1 || channels != out).then(|| conv(channels, out, 1, stride));
        let pre = |conv| PreActivated::new(conv, device);
        Self { a: pre(a), b: pre(b), c: pre(c), projection }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let activated = self.a.activate(x.clone());
        let shortcut = match &self.projection {
            Some(projection) => projection.forward(activated.clone()),
            None => x,
        };
        let residual = self.c.forward(self.b.forward(self.a.conv.forward(activated)));
        ops::add(residual, shortcut, Activation::Identity)
    }
}
