//! Tables of stages.

use serde::{Deserialize, Serialize};

use crate::count::Count;
use crate::layer::Padding;

/// What a framework puts around its convolutions and adds to its variances. Weights trained under one are wrong under the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convention {
    /// "SAME" padding, lopsided where the stride is 2, and an epsilon of 1e-3: TensorFlow and what was converted from it.
    Tensorflow,
    /// Half a kernel of zeros on every side and an epsilon of 1e-5: torchvision.
    Pytorch,
}

impl Convention {
    pub(super) fn padding(self, kernel: usize) -> Padding {
        match self {
            Self::Tensorflow => Padding::Same,
            Self::Pytorch => Padding::Even(kernel / 2),
        }
    }

    pub(super) fn epsilon(self) -> f64 {
        match self {
            Self::Tensorflow => 1e-3,
            Self::Pytorch => 1e-5,
        }
    }
}

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
    /// Padding and epsilon.
    pub convention: Convention,
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
        Self {
            channels: 3,
            stem: 32,
            stages: table(&stages),
            embedding: 1280,
            n_classes,
            convention: Convention::Tensorflow,
        }
    }

    /// MobileNetV2: 2.2 M parameters before the classifier, 0.3 GMAC at 224 pixels.
    ///
    /// Padding is TensorFlow's, where its authors trained it; torchvision's weights want [`Convention::Pytorch`].
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
        Self {
            channels: 3,
            stem: 32,
            stages: table(&stages),
            embedding: 1280,
            n_classes,
            convention: Convention::Tensorflow,
        }
    }

    /// The same network padded and normalised as another framework does.
    #[must_use]
    pub fn with_convention(self, convention: Convention) -> Self {
        Self { convention, ..self }
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
        count.conv_norm(self.channels, self.stem, 3, 2);
        let mut channels = self.stem;
        for stage in &self.stages {
            for i in 0..stage.repeats {
                let inner = channels * stage.expansion;
                if stage.expansion > 1 {
                    count.conv_norm(channels, inner, 1, 1);
                }
                count.conv_norm(1, inner, stage.kernel, if i == 0 { stage.stride } else { 1 });
                count.conv_norm(inner, stage.channels, 1, 1);
                channels = stage.channels;
            }
        }
        count.conv_norm(channels, self.embedding, 1, 1);
        count.linear(self.embedding, self.n_classes);
        count
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
    use burn::tensor::Device;

    use super::*;
    use crate::count::trained;

    // torchvision's MobileNet_V2_Weights: 3,504,872 parameters with 1000 classes, 0.301 GMAC at 224 pixels.
    // EfficientNet-Lite0: 4.65 M parameters (huggingface/pytorch-image-models); its authors' 407 M count more than
    // convolutions and the matrix, which are 385 M.
    #[test]
    fn published_networks_are_as_large_as_published() {
        let mobile = InvertedResidualConfig::mobilenet_v2(1000);
        assert_eq!(mobile.parameters(), 3_504_872);
        assert_eq!((mobile.macs(224) as f64 / 1e6).round(), 301.0);
        let lite = InvertedResidualConfig::efficientnet_lite0(1000);
        assert_eq!((lite.parameters() as f64 / 1e4).round(), 465.0);
        assert_eq!((lite.macs(224) as f64 / 1e6).round(), 385.0);
    }

    #[test]
    fn the_count_is_that_of_the_network_itself() {
        let narrow = InvertedResidualConfig::mobilenet_v2(7).scaled(0.35).with_convention(Convention::Pytorch);
        for config in [InvertedResidualConfig::efficientnet_lite0(3).scaled(0.5), narrow] {
            assert_eq!(trained(&config.init(&Device::flex(), 0)), config.parameters());
        }
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
