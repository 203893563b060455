//! Tables of stages.

use serde::{Deserialize, Serialize};

/// Blocks in a row that give the same number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// How many blocks.
    pub repeats: usize,
    /// Side of the depthwise kernels in pixels.
    pub kernel: usize,
    /// Step of the first block's depthwise convolution; the others' is 1.
    pub stride: usize,
    /// Channels inside of a block for each channel that it reads.
    pub expansion: usize,
    /// Channels that a block gives.
    pub channels: usize,
}

/// Everything that decides the form of a network of inverted residual blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvertedResidualConfig {
    /// Channels of the input: 1 grey, 3 colour.
    pub channels: usize,
    /// Channels after the first convolution, 3x3 of stride 2.
    pub stem: usize,
    /// The table of stages.
    pub stages: Vec<StageConfig>,
    /// Channels of the last convolution, 1x1: the length of the embedding.
    pub embedding: usize,
    /// Length of the logits.
    pub n_classes: usize,
}

impl InvertedResidualConfig {
    /// EfficientNet-Lite0: 3.4 M parameters before the classifier, 0.4 GMAC at 224 pixels.
    ///
    /// Source: <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>; the stages are those of
    /// EfficientNet-B0 (Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", table 1).
    #[must_use]
    pub fn efficientnet_lite0(n_classes: usize) -> Self {
        let stages = [
            (1, 3, 1, 1, 16),
            (2, 3, 2, 6, 24),
            (2, 5, 2, 6, 40),
            (3, 3, 2, 6, 80),
            (3, 5, 1, 6, 112),
            (4, 5, 2, 6, 192),
            (1, 3, 1, 6, 320),
        ];
        Self { channels: 3, stem: 32, stages: table(&stages), embedding: 1280, n_classes }
    }

    /// MobileNetV2: 2.2 M parameters before the classifier, 0.3 GMAC at 224 pixels.
    ///
    /// Source: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2.
    #[must_use]
    pub fn mobilenet_v2(n_classes: usize) -> Self {
        let stages = [
            (1, 3, 1, 1, 16),
            (2, 3, 2, 6, 24),
            (3, 3, 2, 6, 32),
            (4, 3, 2, 6, 64),
            (3, 3, 1, 6, 96),
            (3, 3, 2, 6, 160),
            (1, 3, 1, 6, 320),
        ];
        Self { channels: 3, stem: 32, stages: table(&stages), embedding: 1280, n_classes }
    }

    /// The same network with `width` times the channels, each count a multiple of 8 and at least nine tenths of what it should
    /// be. The embedding grows with a width above 1 and does not shrink below it.
    ///
    /// Source: Sandler et al. 2018, section 5.1 and the rule of the published code.
    #[must_use]
    pub fn scaled(mut self, width: f64) -> Self {
        self.stem = scaled(self.stem, width);
        for stage in &mut self.stages {
            stage.channels = scaled(stage.channels, width);
        }
        self.embedding = scaled(self.embedding, width.max(1.0));
        self
    }

    pub(super) fn assert_whole(&self) {
        let stage = |s: &StageConfig| [s.repeats, s.kernel, s.stride, s.expansion, s.channels];
        let mut numbers = self.stages.iter().flat_map(stage).chain([
            self.channels,
            self.stem,
            self.stages.len(),
            self.embedding,
            self.n_classes,
        ]);
        assert!(numbers.all(|n| n > 0), "{self:?} holds a 0 or no stage");
    }
}

/// Rows of repeats, kernel, stride, expansion and channels.
fn table(rows: &[(usize, usize, usize, usize, usize)]) -> Vec<StageConfig> {
    let stage = |&(repeats, kernel, stride, expansion, channels): &_| StageConfig {
        repeats,
        kernel,
        stride,
        expansion,
        channels,
    };
    rows.iter().map(stage).collect()
}

fn scaled(channels: usize, width: f64) -> usize {
    let exact = channels as f64 * width;
    let near = ((exact / 8.0).round() as usize * 8).max(8);
    if (near as f64) < 0.9 * exact { near + 8 } else { near }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn parameters_are_as_many_as_published() {
        let count = |config: InvertedResidualConfig| config.init(&Device::flex(), 0).num_params();
        // 4.65 M for Lite0 and 3.50 M for MobileNetV2, classifier of 1,281,000 included; running statistics counted or not.
        let lite = count(InvertedResidualConfig::efficientnet_lite0(1000));
        assert!((4_650_000..4_700_000).contains(&lite), "{lite}");
        let mobile = count(InvertedResidualConfig::mobilenet_v2(1000));
        assert!((3_500_000..3_545_000).contains(&mobile), "{mobile}");
    }

    #[test]
    fn half_the_width_is_mobilenets_half() {
        let half = InvertedResidualConfig::mobilenet_v2(10).scaled(0.5);
        let channels: Vec<usize> = half.stages.iter().map(|stage| stage.channels).collect();
        assert_eq!((half.stem, channels, half.embedding), (16, vec![8, 16, 16, 32, 48, 80, 160], 1280));
        // 0.35 * 24 = 8.4, rounded to 8; 0.35 * 32 = 11.2 would lose more than a tenth at 8.
        assert_eq!((scaled(24, 0.35), scaled(32, 0.35)), (8, 16));
    }
}
