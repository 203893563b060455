//! Any network that can stand under a head.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{BitConfig, BitResNet};
use crate::inverted_residual::{InvertedResidualConfig, InvertedResidualNet};

/// From image to embedding.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful of networks, whose tensors lie elsewhere")]
pub enum Backbone {
    /// BiT: what REMEDIS trains.
    Bit(BitResNet),
    /// EfficientNet-Lite or MobileNetV2, for weights that others trained; the network's own classifier is not used.
    InvertedResidual(InvertedResidualNet),
}

impl From<BitResNet> for Backbone {
    fn from(network: BitResNet) -> Self {
        Self::Bit(network)
    }
}

/// Everything that decides the form of a [`Backbone`].
#[derive(Clone, Debug, PartialEq)]
pub enum BackboneForm {
    /// See [`BitConfig`].
    Bit(BitConfig),
    /// See [`InvertedResidualConfig`]; the number of classes does not matter.
    InvertedResidual(InvertedResidualConfig),
}

impl BackboneForm {
    /// A network with first weights drawn from `seed`.
    ///
    /// # Panics
    /// As [`BitConfig::init`] and [`InvertedResidualConfig::init`] do.
    #[must_use]
    pub fn init(&self, device: &Device, seed: u64) -> Backbone {
        match self {
            Self::Bit(config) => Backbone::Bit(config.init(device, seed)),
            Self::InvertedResidual(config) => {
                let config = InvertedResidualConfig { n_classes: 1, ..config.clone() };
                Backbone::InvertedResidual(config.init(device, seed))
            }
        }
    }
}

impl Backbone {
    /// The embedding of each image.
    ///
    /// # Shapes
    /// - `x`: `[batch, channel, height, width]`, normalised as the network wants it
    /// - returns: `[batch, embedding]`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Bit(network) => network.forward(x),
            Self::InvertedResidual(network) => network.embedding(x),
        }
    }

    /// Length of the embedding.
    #[must_use]
    pub fn embedding_size(&self) -> usize {
        match self {
            Self::Bit(network) => network.embedding_size(),
            Self::InvertedResidual(network) => network.embedding_size(),
        }
    }

    /// Whether an image's embedding depends on the rest of its training batch: by batch normalisation.
    #[must_use]
    pub const fn sees_the_batch(&self) -> bool {
        matches!(self, Self::InvertedResidual(_))
    }

    /// In how many [segments](Self::segment) this network computes.
    #[must_use]
    pub const fn n_segments(&self) -> usize {
        match self {
            Self::Bit(_) => BitResNet::SEGMENTS,
            Self::InvertedResidual(_) => 1,
        }
    }

    /// One segment of [`forward`](Self::forward), from images or the map of the segment before to a map; the last one gives the
    /// embedding, as a map of one pixel. Gradients can be taken segment by segment.
    ///
    /// # Shapes
    /// - `x` of segment 0: as in `forward`; of others: what the segment before gave
    /// - returns: `[batch, row, column, channel]`
    ///
    /// # Panics
    /// If there are not that many segments.
    #[must_use]
    pub fn segment(&self, number: usize, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Bit(network) => network.segment(number, x),
            Self::InvertedResidual(network) => {
                let embedding = network.embedding(x);
                let [batch, length] = embedding.dims();
                embedding.reshape([batch, 1, 1, length])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Weights;
    use burn::tensor::TensorData;

    fn image(device: &Device) -> Tensor<4> {
        let values: Vec<f32> = (0..2 * 3 * 32 * 32).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        Tensor::from_data(TensorData::new(values, [2, 3, 32, 32]), device)
    }

    #[test]
    fn segments_one_after_the_other_are_the_network() {
        let device = Device::flex();
        let forms = [
            BackboneForm::Bit(BitConfig::small()),
            BackboneForm::InvertedResidual(InvertedResidualConfig::efficientnet_lite0(1000)),
        ];
        for form in forms {
            let network = form.init(&device, 3);
            let whole = network.forward(image(&device));
            let last = (0..network.n_segments()).fold(image(&device), |x, number| network.segment(number, x));
            assert_eq!(whole.dims(), [2, network.embedding_size()]);
            let last = last.reshape(whole.dims());
            assert_eq!(whole.into_data(), last.into_data());
        }
    }

    #[test]
    fn which_network_it_is_does_not_name_its_tensors() {
        let bit = BitConfig::small().init(&Device::flex(), 1);
        let names = |weights: &Weights| weights.tensors().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&Weights::of(&Backbone::Bit(bit.clone()))), names(&Weights::of(&bit)));
    }
}
