//! Which BiT.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::group_norm::groups_of;
use super::resnet::BitResNet;
use crate::count::Count;

/// Everything that decides the form of a BiT backbone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitConfig {
    /// Units in each of the four blocks.
    pub units: [usize; 4],
    /// Multiplies every number of channels; 1 makes a stem of 64 channels and an embedding of 2048.
    pub width: f64,
    /// Channels of the input: 1 grey, 3 colour.
    pub channels: usize,
}

impl BitConfig {
    /// BiT R50x1: 23.50 M parameters, 4.09 GMAC at 224 pixels.
    #[must_use]
    pub const fn r50x1() -> Self {
        Self { units: [3, 4, 6, 3], width: 1.0, channels: 3 }
    }

    /// BiT R50x3: 211.17 M parameters, 36.1 GMAC at 224 pixels.
    #[must_use]
    pub const fn r50x3() -> Self {
        Self { width: 3.0, ..Self::r50x1() }
    }

    /// BiT R101x1: 42.49 M parameters, 7.8 GMAC at 224 pixels.
    #[must_use]
    pub const fn r101x1() -> Self {
        Self { units: [3, 4, 23, 3], width: 1.0, channels: 3 }
    }

    /// BiT R101x3: 381.79 M parameters, 69.5 GMAC at 224 pixels.
    #[must_use]
    pub const fn r101x3() -> Self {
        Self { width: 3.0, ..Self::r101x1() }
    }

    /// BiT R152x2: 232.24 M parameters, 45.8 GMAC at 224 pixels.
    #[must_use]
    pub const fn r152x2() -> Self {
        Self { units: [3, 8, 36, 3], width: 2.0, channels: 3 }
    }

    /// BiT R152x4: 928.34 M parameters, 182.8 GMAC at 224 pixels.
    #[must_use]
    pub const fn r152x4() -> Self {
        Self { width: 4.0, ..Self::r152x2() }
    }

    /// The smallest network of this form that still learns: one unit a block, a quarter of the width, for 64-pixel images.
    /// 0.55 M parameters, 9 MMAC at 64 pixels, an embedding of 512.
    #[must_use]
    pub const fn small() -> Self {
        Self { units: [1, 1, 1, 1], width: 0.25, channels: 3 }
    }

    /// The same form for another number of input channels.
    #[must_use]
    pub const fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Channels of the stem.
    ///
    /// # Panics
    /// If `64 * width` is not a positive multiple of 4, which the groups of the normalisation need.
    #[must_use]
    pub fn stem(&self) -> usize {
        let stem = (64.0 * self.width).round();
        assert!(
            stem == 64.0 * self.width && stem > 0.0 && stem % 4.0 == 0.0,
            "64 * width is {}, expected a multiple of 4",
            64.0 * self.width
        );
        stem as usize
    }

    /// Channels that block `block` (0 to 3) puts out.
    #[must_use]
    pub fn block(&self, block: usize) -> usize {
        (4 * self.stem()) << block
    }

    /// Length of the embedding.
    #[must_use]
    pub fn embedding_size(&self) -> usize {
        self.block(3)
    }

    /// Every unit in order: block, channels in, channels out, stride.
    pub(super) fn each_unit(&self) -> Vec<(usize, usize, usize, usize)> {
        let mut units = Vec::new();
        let mut channels = self.stem();
        for block in 0..4 {
            for unit in 0..self.units[block] {
                let out = self.block(block);
                units.push((block, channels, out, if block > 0 && unit == 0 { 2 } else { 1 }));
                channels = out;
            }
        }
        units
    }

    /// Number of parameters, without allocating any.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.count(1).parameters
    }

    /// Multiply-accumulates of one square image of `size_px` pixels, up to the embedding.
    #[must_use]
    pub fn macs(&self, size_px: usize) -> u64 {
        self.count(size_px).macs
    }

    fn count(&self, size_px: usize) -> Count {
        let mut count = Count::of_images(size_px);
        count.conv(self.channels, self.stem(), 7, 2);
        count.pool(2);
        for (_, channels, out, stride) in self.each_unit() {
            let middle = out / 4;
            if stride != 1 || channels != out {
                count.shortcut(channels, out, 1, stride);
            }
            count.norm(channels);
            count.conv_norm(channels, middle, 1, 1);
            count.conv_norm(middle, middle, 3, stride);
            count.conv(middle, out, 1, 1);
        }
        count.norm(self.embedding_size());
        count
    }

    /// A network with first weights drawn from `seed`.
    ///
    /// # Panics
    /// If a block has no unit, or see [`stem`](Self::stem).
    #[must_use]
    pub fn init(&self, device: &Device, seed: u64) -> BitResNet {
        assert!(
            self.units.iter().all(|&n| n > 0) && self.channels > 0,
            "{self:?} has a block without units or no input"
        );
        assert!(self.stem().is_multiple_of(groups_of(self.stem())), "{self:?} cannot be split into groups");
        BitResNet::new(self, device, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;

    // Published counts, in millions, are with a head of 1000 classes, `1000 * (embedding + 1)`: R50x1 25.55 and
    // R152x2 236.34 (google-research/big_transfer), R50x3 217.32, R101x1 44.54, R101x3 387.93, R152x4 936.53
    // (huggingface/pytorch-image-models, results of resnetv2_*_bit).
    #[test]
    fn published_networks_have_their_published_number_of_parameters() {
        assert_eq!(BitConfig::r50x1().parameters(), 23_500_352);
        for (config, embedding, published) in [
            (BitConfig::r50x1(), 2048, 25.55),
            (BitConfig::r50x3(), 6144, 217.32),
            (BitConfig::r101x1(), 2048, 44.54),
            (BitConfig::r101x3(), 6144, 387.93),
            (BitConfig::r152x2(), 4096, 236.34),
            (BitConfig::r152x4(), 8192, 936.53),
        ] {
            assert_eq!(config.embedding_size(), embedding);
            let millions = (config.parameters() + 1000 * (embedding + 1)) as f64 / 1e6;
            assert!((millions - published).abs() <= 0.005 + 1e-9, "{config:?}: {millions}");
        }
    }

    // In 10^9: the table of what REMEDIS evaluates, 16.35 and 183.2 at 448 pixels; other sizes of one network go with the area.
    #[test]
    fn multiplications_are_as_many_as_published() {
        for (config, size_px, published) in [
            (BitConfig::r50x1(), 224, 4.09),
            (BitConfig::r50x1(), 448, 16.35),
            (BitConfig::r152x2(), 224, 45.8),
            (BitConfig::r152x2(), 448, 183.2),
            (BitConfig::r101x3(), 224, 69.5),
            (BitConfig::r101x3(), 448, 277.9),
        ] {
            let found = config.macs(size_px) as f64 / 1e9;
            assert!((found / published - 1.0).abs() < 1e-3, "{config:?} at {size_px}: {found}");
        }
    }

    #[test]
    fn the_count_is_that_of_the_network_itself() {
        let small = BitConfig::small();
        assert_eq!(small.init(&Device::flex(), 1).num_params(), small.parameters());
        let deep = BitConfig { units: [2, 1, 2, 1], width: 0.125, channels: 1 };
        assert_eq!(deep.init(&Device::flex(), 1).num_params(), deep.parameters());
    }
}
