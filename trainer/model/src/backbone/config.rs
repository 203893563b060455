//! Which BiT.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::group_norm::groups_of;
use super::resnet::BitResNet;

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

    /// BiT R152x2: 232.24 M parameters, 45.8 GMAC at 224 pixels.
    #[must_use]
    pub const fn r152x2() -> Self {
        Self { units: [3, 8, 36, 3], width: 2.0, channels: 3 }
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
        let stem = self.channels * 49 * self.stem();
        let units: usize = self
            .each_unit()
            .into_iter()
            .map(|(_, channels, out, stride)| {
                let middle = out / 4;
                let kernels = channels * middle + 9 * middle * middle + middle * out;
                let norms = 2 * (channels + middle + middle);
                let projection = if stride != 1 || channels != out { channels * out } else { 0 };
                kernels + norms + projection
            })
            .sum();
        stem + units + 2 * self.embedding_size()
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

    // The published counts, 25.55 M and 236.34 M, are with a head of 1000 classes: 2048 * 1000 + 1000 and 4096 * 1000 + 1000.
    #[test]
    fn published_networks_have_their_published_number_of_parameters() {
        assert_eq!(BitConfig::r50x1().parameters(), 23_500_352);
        let r152x2 = BitConfig::r152x2().parameters();
        assert!((232_235_000..232_245_000).contains(&r152x2), "{r152x2}");
        assert_eq!(BitConfig::r152x2().embedding_size(), 4096);
    }

    #[test]
    fn the_count_is_that_of_the_network_itself() {
        let small = BitConfig::small();
        assert_eq!(small.init(&Device::flex(), 1).num_params(), small.parameters());
        let deep = BitConfig { units: [2, 1, 2, 1], width: 0.125, channels: 1 };
        assert_eq!(deep.init(&Device::flex(), 1).num_params(), deep.parameters());
    }
}
