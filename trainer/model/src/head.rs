//! What stands on a backbone: a classifier head, or a projection head for contrastive training.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::backbone::Backbone;
use crate::initialise::{Initialiser, constant, parameter};
use crate::running::normalise;

/// A linear map from embedding to logits that starts at zero, so that all classes begin equally likely.
#[derive(Module, Debug)]
pub struct ClassifierHead {
    linear: Linear,
}

impl ClassifierHead {
    /// A head of zeros for embeddings of length `embedding`.
    #[must_use]
    pub fn new(embedding: usize, n_classes: usize, device: &Device) -> Self {
        let weight = parameter(vec![0.0; embedding * n_classes], [embedding, n_classes], device);
        Self { linear: linear(weight, Some(constant(0.0, n_classes, device))) }
    }

    /// A head of these numbers: `weight` is `[embedding, class]`, row-major, and `bias` one number a class.
    ///
    /// # Panics
    /// If there is no class or `weight` is not one row of classes after the other.
    #[must_use]
    pub fn of(weight: Vec<f32>, bias: Vec<f32>, device: &Device) -> Self {
        let (values, n_classes) = (weight.len(), bias.len());
        assert!(n_classes > 0 && values.is_multiple_of(n_classes), "{values} weights for {n_classes} classes");
        let weight = parameter(weight, [values / n_classes, n_classes], device);
        Self { linear: linear(weight, Some(parameter(bias, [n_classes], device))) }
    }

    /// # Shapes
    /// - `embedding`: `[batch, embedding]`
    /// - returns: `[batch, class]`
    #[must_use]
    pub fn forward(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.linear.forward(embedding)
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.linear.weight.dims()[1]
    }
}

/// A linear layer of these weights (`[in, out]`), without Burn's own random ones.
#[must_use]
pub fn linear(weight: Param<Tensor<2>>, bias: Option<Param<Tensor<1>>>) -> Linear {
    Linear { weight, bias }
}

/// A backbone under a classifier head.
#[derive(Module, Debug)]
pub struct Classifier {
    /// From image to embedding.
    pub backbone: Backbone,
    /// From embedding to logits.
    pub head: ClassifierHead,
}

impl Classifier {
    /// A head of zeros on `backbone`.
    #[must_use]
    pub fn new(backbone: impl Into<Backbone>, n_classes: usize, device: &Device) -> Self {
        let backbone = backbone.into();
        let head = ClassifierHead::new(backbone.embedding_size(), n_classes, device);
        Self { backbone, head }
    }

    /// # Shapes
    /// - `x`: `[batch, channel, height, width]`
    /// - returns: logits, `[batch, class]`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.backbone.forward(x))
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.head.n_classes()
    }
}

/// Two linear layers with batch normalisation, a ReLU between them; thrown away after contrastive training.
///
/// Source: google-research/simclr, `model_util.py`: no biases, kernels of deviation 0.01, no shift in the last normalisation.
#[derive(Module, Debug)]
pub struct ProjectionHead {
    hidden: Linear,
    hidden_norm: BatchNorm,
    output: Linear,
    output_norm: BatchNorm,
}

impl ProjectionHead {
    /// A head from embeddings of length `embedding` to projections of length `projection` (128 in `SimCLR`).
    #[must_use]
    pub fn new(embedding: usize, projection: usize, device: &Device, seed: u64) -> Self {
        let mut draw = Initialiser::new(seed);
        let mut layer = |out| linear(draw.matrix([embedding, out], 0.01, device), None);
        let (hidden, output) = (layer(embedding), layer(projection));
        let mut output_norm = BatchNormConfig::new(projection).init(device);
        output_norm.gamma = constant(1.0, projection, device);
        output_norm.beta = constant(0.0, projection, device).set_require_grad(false);
        Self { hidden, hidden_norm: BatchNormConfig::new(embedding).init(device), output, output_norm }
    }

    /// On a device with autodiff the statistics are the batch's, else those gathered in training.
    ///
    /// # Shapes
    /// - `embedding`: `[batch, embedding]`
    /// - returns: `[batch, projection]`, not of unit length
    #[must_use]
    pub fn forward(&self, embedding: Tensor<2>) -> Tensor<2> {
        let hidden = relu(normalise(&self.hidden_norm, self.hidden.forward(embedding)));
        normalise(&self.output_norm, self.output.forward(hidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_classifier_finds_all_classes_equally_likely() {
        let device = Device::flex();
        let classifier = Classifier::new(crate::BitConfig::small().init(&device, 1), 3, &device);
        let logits = classifier.forward(Tensor::ones([2, 3, 32, 32], &device));
        assert_eq!(logits.into_data().try_to_vec::<f32>().unwrap(), [0.0; 6]);
        assert_eq!(classifier.n_classes(), 3);
    }

    // [1, 2] times columns [1, 3] and [2, -1], plus [0.5, -10].
    #[test]
    fn a_head_of_given_numbers_maps_an_embedding_by_its_columns() {
        let device = Device::flex();
        let head = ClassifierHead::of(vec![1.0, 2.0, 3.0, -1.0], vec![0.5, -10.0], &device);
        let logits = head.forward(Tensor::from_data([[1.0, 2.0]], &device));
        assert_eq!(logits.into_data().try_to_vec::<f32>().unwrap(), [7.5, -10.0]);
    }

    #[test]
    fn projections_of_a_training_batch_have_mean_zero_and_deviation_one() {
        let device = Device::flex().autodiff();
        // Long enough an embedding that the variance before the last normalisation is far above its epsilon.
        let head = ProjectionHead::new(256, 4, &device, 5);
        let x = Initialiser::new(9).matrix([16, 256], 1.0, &device).val();
        let y = head.forward(x);
        assert_eq!(y.dims(), [16, 4]);
        assert!(y.clone().mean_dim(0).abs().max().into_scalar::<f32>() < 1e-5);
        let deviation = (y.clone() * y).mean_dim(0).sqrt();
        assert!((deviation - 1.0).abs().max().into_scalar::<f32>() < 0.02);
    }
}
