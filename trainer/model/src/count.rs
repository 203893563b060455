//! Counting the parameters and multiplications of networks that are not built.

/// Sums over layers, in the order of execution. Every convolution here pads so that a side of `n` pixels becomes
/// `ceil(n / stride)`.
pub(crate) struct Count {
    /// Side of the map in pixels.
    side: usize,
    /// Trained numbers; running statistics are none.
    pub(crate) parameters: usize,
    /// Multiply-accumulates of convolutions and matrices for one image. Normalisations, activations and pools are not counted,
    /// as in the published numbers.
    pub(crate) macs: u64,
}

impl Count {
    /// Before the first layer, for square images.
    pub(crate) fn of_images(size_px: usize) -> Self {
        Self { side: size_px, parameters: 0, macs: 0 }
    }

    /// A square convolution without bias; a depthwise one reads a single channel for each that it gives.
    pub(crate) fn conv(&mut self, channels: usize, out: usize, kernel: usize, stride: usize) {
        self.shortcut(channels, out, kernel, stride);
        self.pool(stride);
    }

    /// A convolution beside the path: the layers after it do not read its output.
    pub(crate) fn shortcut(&mut self, channels: usize, out: usize, kernel: usize, stride: usize) {
        let weights = channels * out * kernel * kernel;
        self.parameters += weights;
        self.macs += (weights * self.side.div_ceil(stride).pow(2)) as u64;
    }

    /// Steps over pixels.
    pub(crate) fn pool(&mut self, stride: usize) {
        self.side = self.side.div_ceil(stride);
    }

    /// A scale and a shift of each channel.
    pub(crate) fn norm(&mut self, channels: usize) {
        self.parameters += 2 * channels;
    }

    /// A convolution, then a normalisation of what it gives.
    pub(crate) fn conv_norm(&mut self, channels: usize, out: usize, kernel: usize, stride: usize) {
        self.conv(channels, out, kernel, stride);
        self.norm(out);
    }

    /// A matrix with bias.
    pub(crate) fn linear(&mut self, inputs: usize, outputs: usize) {
        self.parameters += (inputs + 1) * outputs;
        self.macs += (inputs * outputs) as u64;
    }
}

/// Trained parameters of a network that is built: all but running statistics.
#[cfg(test)]
pub(crate) fn trained<M: burn::module::Module>(network: &M) -> usize {
    let weights = crate::Weights::of(network);
    weights.tensors().filter(|(name, _)| !name.contains("running_")).map(|(_, values)| values.values.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3x3 of 2 to 4 channels: 72 weights, at 3x3 places of a 5x5 image with stride 2; the matrix has 4 * 10 + 10.
    #[test]
    fn a_convolution_is_its_weights_at_each_place() {
        let mut count = Count::of_images(5);
        count.shortcut(2, 4, 1, 2);
        count.conv_norm(2, 4, 3, 2);
        count.linear(4, 10);
        assert_eq!((count.parameters, count.macs), (8 + 72 + 8 + 50, 8 * 9 + 72 * 9 + 40));
    }
}
