//! The network that goes on the device: a ResNet-18 in form, of any width.
//!
//! Batch normalisation folds into the convolutions and ReLU into the ranges, so that nothing but convolution, addition, pooling
//! and one matrix remain. No squeeze-and-excitation and no other activation: both cost accuracy in eight bits.

mod block;
mod layers;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation, Outside, Window};
use serde::{Deserialize, Serialize};

use crate::conv_norm::ConvNorm;
use crate::count::Count;
use crate::head::linear;
use crate::initialise::{Initialiser, constant};
use block::Block;

/// The first convolution; a 3x3 max-pool of stride 2 follows either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// 3x3, stride 2: for images up to about 128 pixels.
    Three,
    /// 7x7, stride 2: ResNet-18's.
    Seven,
}

impl Stem {
    fn kernel(self) -> usize {
        match self {
            Self::Three => 3,
            Self::Seven => 7,
        }
    }
}

/// Everything that decides the form of a student.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentConfig {
    /// Channels of the input: 1 grey, 3 colour.
    pub channels: usize,
    /// The first convolution.
    pub stem: Stem,
    /// Blocks in each of the four groups; 2, 2, 2, 2 is ResNet-18.
    pub blocks: [usize; 4],
    /// Channels of the first group; each group doubles them. 64 is ResNet-18.
    pub width: usize,
    /// Length of the logits.
    pub n_classes: usize,
}

impl StudentConfig {
    /// Groups of 16, 32, 64 and 128 channels, one block each: 0.3 M parameters, 4.4 MMAC at 64 pixels.
    #[must_use]
    pub const fn small(n_classes: usize) -> Self {
        Self { channels: 3, stem: Stem::Three, blocks: [1, 1, 1, 1], width: 16, n_classes }
    }

    /// ResNet-18: 11.2 M parameters before the classifier, 1.8 GMAC at 224 pixels.
    #[must_use]
    pub const fn resnet18(n_classes: usize) -> Self {
        Self { channels: 3, stem: Stem::Seven, blocks: [2, 2, 2, 2], width: 64, n_classes }
    }

    /// Length of the embedding.
    #[must_use]
    pub fn embedding_size(&self) -> usize {
        8 * self.width
    }

    /// Number of trained parameters, classifier included, without allocating any.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.count(1).parameters
    }

    /// Multiply-accumulates of one square image of `size_px` pixels, classifier included.
    #[must_use]
    pub fn macs(&self, size_px: usize) -> u64 {
        self.count(size_px).macs
    }

    fn count(&self, size_px: usize) -> Count {
        let mut count = Count::of_images(size_px);
        count.conv_norm(self.channels, self.width, self.stem.kernel(), 2);
        count.pool(2);
        let mut channels = self.width;
        for (group, blocks) in self.blocks.into_iter().enumerate() {
            let out = self.width << group;
            for i in 0..blocks {
                let stride = if i == 0 && group > 0 { 2 } else { 1 };
                if stride != 1 || channels != out {
                    count.shortcut(channels, out, 1, stride);
                    count.norm(out);
                }
                count.conv_norm(channels, out, 3, stride);
                count.conv_norm(out, out, 3, 1);
                channels = out;
            }
        }
        count.linear(self.embedding_size(), self.n_classes);
        count
    }

    /// A network with first weights drawn from `seed`; the classifier starts at zero.
    ///
    /// # Panics
    /// If a number is 0.
    #[must_use]
    pub fn init(&self, device: &Device, seed: u64) -> Student {
        let numbers = [self.channels, self.width, self.n_classes];
        assert!(numbers.iter().chain(&self.blocks).all(|&n| n > 0), "{self:?} holds a 0");
        let mut draw = Initialiser::new(seed);
        let stem = block::conv(self.channels, self.width, self.stem.kernel(), 2, &mut draw, device);
        let mut channels = self.width;
        let mut group = |group: usize| -> Vec<Block> {
            let out = self.width << group;
            let block = |i: usize| {
                let stride = if i == 0 && group > 0 { 2 } else { 1 };
                let block = Block::new(channels, out, stride, &mut draw, device);
                channels = out;
                block
            };
            (0..self.blocks[group]).map(block).collect()
        };
        let [group1, group2, group3, group4] = [0, 1, 2, 3].map(&mut group);
        let weight = crate::initialise::parameter(
            vec![0.0; self.embedding_size() * self.n_classes],
            [self.embedding_size(), self.n_classes],
            device,
        );
        let head = linear(weight, Some(constant(0.0, self.n_classes, device)));
        Student { stem, group1, group2, group3, group4, head }
    }
}

/// A student; [`StudentConfig::init`] makes one.
///
/// Tensor names: `stem.weight`, `stem.norm.gamma`, `group1.0.a.weight`, `group2.0.shortcut.norm.running_mean`, `head.weight`
/// (`[embedding, class]`).
#[derive(Module, Debug)]
pub struct Student {
    stem: ConvNorm,
    group1: Vec<Block>,
    group2: Vec<Block>,
    group3: Vec<Block>,
    group4: Vec<Block>,
    head: Linear,
}

impl Student {
    /// The embedding of each image. On a device with autodiff, batch normalisation uses the batch's own statistics.
    ///
    /// # Shapes
    /// - `x`: `[batch, channel, height, width]`
    /// - returns: `[batch, embedding]`
    #[must_use]
    pub fn embedding(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.stem.forward(ops::to_pixels(x), Activation::Relu);
        let mut x = ops::max_pool2d(x, Window::square(3, 2, 1), Outside::Nothing);
        for block in self.blocks() {
            x = block.forward(x);
        }
        ops::average(x)
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

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        [&self.group1, &self.group2, &self.group3, &self.group4].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::trained;

    // torchvision's ResNet18_Weights: 11,689,512 parameters with 1000 classes, 1.814 GMAC at 224 pixels.
    #[test]
    fn resnet_18_is_as_large_as_published() {
        let config = StudentConfig::resnet18(1000);
        assert_eq!(config.parameters(), 11_689_512);
        assert_eq!((config.macs(224) as f64 / 1e6).round(), 1814.0);
    }

    #[test]
    fn the_count_is_that_of_the_network_itself() {
        let deep = StudentConfig { channels: 1, stem: Stem::Seven, blocks: [2, 1, 3, 1], width: 4, n_classes: 5 };
        for config in [StudentConfig::small(3), deep] {
            assert_eq!(trained(&config.init(&Device::flex(), 1)), config.parameters());
        }
    }
}
