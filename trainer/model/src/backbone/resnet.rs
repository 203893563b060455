//! The whole backbone.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, Activation, Outside, Window};

use super::config::BitConfig;
use super::group_norm::GroupNorm;
use super::std_conv::StdConv;
use super::unit::Unit;
use crate::initialise::Initialiser;

/// A BiT ResNet-v2 without its classifier head; [`BitConfig::init`] makes one.
///
/// Tensor names follow BiT's: `stem.weight`, `block1.0.a.group_norm.gamma`, `block1.0.a.conv.weight`,
/// `block1.0.projection.weight`, `group_norm.beta`; units are counted from 0, kernels are `[out, in, height, width]`.
#[derive(Module, Debug)]
pub struct BitResNet {
    stem: StdConv,
    block1: Vec<Unit>,
    block2: Vec<Unit>,
    block3: Vec<Unit>,
    block4: Vec<Unit>,
    group_norm: GroupNorm,
}

impl BitResNet {
    pub(super) fn new(config: &BitConfig, device: &Device, seed: u64) -> Self {
        let mut draw = Initialiser::new(seed);
        let stem = StdConv::new(config.channels, config.stem(), 7, 2, &mut draw, device);
        let mut blocks: [Vec<Unit>; 4] = Default::default();
        for (block, channels, out, stride) in config.each_unit() {
            blocks[block].push(Unit::new(channels, out, stride, &mut draw, device));
        }
        let [block1, block2, block3, block4] = blocks;
        Self { stem, block1, block2, block3, block4, group_norm: GroupNorm::new(config.embedding_size(), device) }
    }

    /// The embedding of each image.
    ///
    /// # Shapes
    /// - `x`: `[batch, channel, height, width]`, values about -1 to 1
    /// - returns: `[batch, embedding]`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let mut x = self.begin(x);
        for unit in self.blocks().into_iter().flatten() {
            x = unit.forward(x);
        }
        self.end(x)
    }

    /// How many [segments](Self::segment) there are: stem, and four blocks.
    pub(super) const SEGMENTS: usize = 5;

    /// Stem, or one block; the last one ends in the embedding, as a map of one pixel.
    pub(super) fn segment(&self, number: usize, x: Tensor<4>) -> Tensor<4> {
        if number == 0 {
            return self.begin(x);
        }
        let x = self.blocks()[number - 1].iter().fold(x, |x, unit| unit.forward(x));
        if number + 1 < Self::SEGMENTS {
            return x;
        }
        let embedding = self.end(x);
        let [batch, length] = embedding.dims();
        embedding.reshape([batch, 1, 1, length])
    }

    fn begin(&self, x: Tensor<4>) -> Tensor<4> {
        pool(self.stem.forward(ops::to_pixels(x)))
    }

    fn blocks(&self) -> [&Vec<Unit>; 4] {
        [&self.block1, &self.block2, &self.block3, &self.block4]
    }

    fn end(&self, x: Tensor<4>) -> Tensor<2> {
        ops::average(self.group_norm.forward(x, Activation::Relu))
    }

    /// Length of the embedding.
    #[must_use]
    pub fn embedding_size(&self) -> usize {
        self.group_norm.gamma.dims()[0]
    }
}

/// Pads with zeros and pools, which is not pooling with padding: all values of a window may be negative.
fn pool(x: Tensor<4>) -> Tensor<4> {
    ops::max_pool2d(x, Window::square(3, 2, 1), Outside::Zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    fn ramp(shape: [usize; 4], device: &Device) -> Tensor<4> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    #[test]
    fn the_stem_quarters_the_size_and_the_embedding_has_its_length() {
        let device = Device::flex();
        let network = BitConfig::small().init(&device, 3);
        let x = ramp([2, 3, 64, 64], &device);
        assert_eq!(pool(network.stem.forward(ops::to_pixels(x.clone()))).dims(), [2, 16, 16, 16]);
        assert_eq!(network.forward(x).dims(), [2, network.embedding_size()]);
        let grey = BitConfig::small().with_channels(1).init(&device, 3);
        assert_eq!(grey.forward(ramp([1, 1, 40, 48], &device)).dims(), [1, 512]);
    }

    #[test]
    fn zero_padding_wins_over_negative_values() {
        let x = Tensor::<4>::from_data([[[[-1.0], [-2.0]], [[-3.0], [-4.0]]]], &Device::flex());
        assert_eq!(pool(x).into_data().try_to_vec::<f32>().unwrap(), [0.0]);
    }

    #[test]
    fn an_embedding_does_not_depend_on_the_rest_of_the_batch() {
        let device = Device::flex();
        let network = BitConfig::small().init(&device, 3);
        let x = ramp([3, 3, 32, 32], &device);
        let alone = network.forward(x.clone().narrow(0, 1, 1));
        let together = network.forward(x).narrow(0, 1, 1);
        let difference = (alone - together).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
    }

    #[test]
    fn scaling_a_kernel_changes_nothing() {
        let device = Device::flex();
        let mut network = BitConfig::small().init(&device, 3);
        let x = ramp([1, 3, 32, 32], &device);
        let before = network.forward(x.clone());
        network.stem.weight = network.stem.weight.map(|weight| weight * 3.0);
        let difference = (before - network.forward(x)).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-4, "{difference}");
    }
}
