//! Students of inverted residual blocks: EfficientNet-Lite0 and MobileNetV2, and others whose stages a table lists.
//!
//! Few multiplications for their accuracy, in forms that suit eight bits: ReLU6, whose range is known before calibration, no
//! squeeze-and-excitation and no swish. Padding and epsilon are TensorFlow's, where both networks were trained, or torchvision's.

mod block;
mod config;
mod layers;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation};

use crate::conv_norm::ConvNorm;
use crate::head::linear;
use crate::initialise::{Initialiser, constant, parameter};
use crate::layer::Padding;
use block::{Block, conv};
pub use config::{Convention, InvertedResidualConfig, StageConfig};

/// A network of inverted residual blocks; [`InvertedResidualConfig::init`] makes one.
///
/// Tensor names: `stem.weight`, `stem.norm.gamma`, `blocks.0.depthwise.weight`, `blocks.1.expand.norm.running_mean`,
/// `blocks.1.project.weight`, `top.weight`, `head.weight` (`[embedding, class]`), `head.bias`.
#[derive(Module, Debug)]
pub struct InvertedResidualNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
    top: ConvNorm,
    head: Linear,
}

impl InvertedResidualConfig {
    /// A network with first weights drawn from `seed`; the classifier starts at zero.
    ///
    /// # Panics
    /// If a number is 0 or there is no stage.
    #[must_use]
    pub fn init(&self, device: &Device, seed: u64) -> InvertedResidualNet {
        self.assert_whole();
        let mut draw = Initialiser::new(seed);
        let stem = conv([self.stem, self.channels, 3, 3], 2, 1, self.convention, &mut draw, device);
        let mut channels = self.stem;
        let mut blocks = Vec::new();
        for stage in &self.stages {
            for i in 0..stage.repeats {
                let stride = if i == 0 { stage.stride } else { 1 };
                blocks.push(Block::new(channels, stride, stage, self.convention, &mut draw, device));
                channels = stage.channels;
            }
        }
        let top = conv([self.embedding, channels, 1, 1], 1, 1, self.convention, &mut draw, device);
        let weight = parameter(vec![0.0; self.embedding * self.n_classes], [self.embedding, self.n_classes], device);
        let head = linear(weight, Some(constant(0.0, self.n_classes, device)));
        InvertedResidualNet { stem, blocks, top, head }
    }
}

impl InvertedResidualNet {
    /// The embedding of each image. On a device with autodiff, batch normalisation uses the batch's own statistics.
    ///
    /// # Shapes
    /// - `x`: `[batch, channel, height, width]`, of any size
    /// - returns: `[batch, embedding]`
    #[must_use]
    pub fn embedding(&self, x: Tensor<4>) -> Tensor<2> {
        let mut x = self.stem.forward(ops::to_pixels(x), Activation::Relu6);
        for block in &self.blocks {
            x = block.forward(x);
        }
        ops::average(self.top.forward(x, Activation::Relu6))
    }

    /// Logits of embeddings: `[batch, embedding]` to `[batch, class]`.
    #[must_use]
    pub fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.head.forward(embedding)
    }

    /// Logits of images: `[batch, channel, height, width]` to `[batch, class]`.
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.classify(self.embedding(x))
    }

    /// Whose padding and epsilon it has.
    #[must_use]
    pub fn convention(&self) -> Convention {
        match self.stem.slide.padding {
            Padding::Same => Convention::Tensorflow,
            Padding::Even(_) => Convention::Pytorch,
        }
    }

    /// Length of the embedding.
    #[must_use]
    pub fn embedding_size(&self) -> usize {
        self.head.weight.dims()[0]
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.head.weight.dims()[1]
    }
}
