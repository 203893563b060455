//! The block all stages are made of.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation};

use super::{Convention, StageConfig};
use crate::conv_norm::{ConvNorm, Slide};
use crate::initialise::Initialiser;

/// A convolution of `[out, in / groups, height, width]` as `convention` pads and normalises it.
pub(super) fn conv(
    shape: [usize; 4],
    stride: usize,
    groups: usize,
    convention: Convention,
    draw: &mut Initialiser,
    device: &Device,
) -> ConvNorm {
    let slide = Slide { stride, padding: convention.padding(shape[2]), groups };
    ConvNorm::new(shape, slide, convention.epsilon(), draw, device)
}

/// Expand with a 1x1 convolution, filter each channel by itself, project with a 1x1 convolution; the input is added where
/// shapes allow it. No activation follows the projection.
///
/// Source: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 1.
#[derive(Module, Debug)]
pub(super) struct Block {
    /// Absent where the expansion is 1.
    pub(super) expand: Option<ConvNorm>,
    pub(super) depthwise: ConvNorm,
    pub(super) project: ConvNorm,
    pub(super) is_residual: bool,
}

impl Block {
    pub(super) fn new(
        channels: usize,
        stride: usize,
        stage: &StageConfig,
        convention: Convention,
        draw: &mut Initialiser,
        device: &Device,
    ) -> Self {
        let inner = channels * stage.expansion;
        let mut conv = |shape, stride, groups| conv(shape, stride, groups, convention, draw, device);
        let expand = (stage.expansion > 1).then(|| conv([inner, channels, 1, 1], 1, 1));
        let depthwise = conv([inner, 1, stage.kernel, stage.kernel], stride, inner);
        let project = conv([stage.channels, inner, 1, 1], 1, 1);
        Self { expand, depthwise, project, is_residual: stride == 1 && channels == stage.channels }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = match &self.expand {
            Some(expand) => expand.forward(x.clone(), Activation::Relu6),
            None => x.clone(),
        };
        let filtered = self.depthwise.forward(inner, Activation::Relu6);
        let residual = self.project.forward(filtered, Activation::Identity);
        if self.is_residual { ops::add(x, residual, Activation::Identity) } else { residual }
    }
}
