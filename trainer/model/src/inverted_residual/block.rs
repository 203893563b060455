//! The block all stages are made of.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation};

use super::StageConfig;
use crate::conv_norm::{ConvNorm, Slide};
use crate::initialise::Initialiser;
use crate::layer::Padding;

/// Added to the variance of each channel, as TensorFlow has it.
pub(super) const EPSILON: f64 = 1e-3;

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
        draw: &mut Initialiser,
        device: &Device,
    ) -> Self {
        let inner = channels * stage.expansion;
        let point = Slide { stride: 1, padding: Padding::Same, groups: 1 };
        let mut conv = |shape, slide| ConvNorm::new(shape, slide, EPSILON, draw, device);
        let expand = (stage.expansion > 1).then(|| conv([inner, channels, 1, 1], point));
        let depthwise = conv([inner, 1, stage.kernel, stage.kernel], Slide { stride, groups: inner, ..point });
        let project = conv([stage.channels, inner, 1, 1], point);
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
