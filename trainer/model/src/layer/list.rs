//! Modules as layers, one after the other.

use burn::nn::Linear;
use burn::tensor::Tensor;

use super::{Activation, BatchNormParts, Layer};
use crate::conv_norm::ConvNorm;

/// Layers so far, in the order of execution. Each method appends one and gives the index of its output.
#[derive(Default)]
pub(crate) struct LayerList(pub(crate) Vec<Layer>);

impl LayerList {
    pub(crate) fn push(&mut self, layer: Layer) -> usize {
        self.0.push(layer);
        self.0.len()
    }

    pub(crate) fn conv(&mut self, name: &str, input: usize, conv: &ConvNorm, activation: Activation) -> usize {
        let norm = &conv.norm;
        self.push(Layer::Conv {
            name: name.to_owned(),
            input,
            weight: values(conv.weight.val()),
            shape: conv.weight.dims(),
            stride: conv.slide.stride,
            padding: conv.slide.padding,
            groups: conv.slide.groups,
            batch_norm: Some(BatchNormParts {
                gamma: values(norm.gamma.val()),
                beta: values(norm.beta.val()),
                mean: values(norm.running_mean.value()),
                variance: values(norm.running_var.value()),
                epsilon: norm.epsilon as f32,
            }),
            activation,
        })
    }

    /// The mean over all pixels, then the classifier: how every student ends.
    pub(crate) fn classifier(&mut self, input: usize, head: &Linear) -> usize {
        let input = self.push(Layer::GlobalAveragePool { name: "embedding".to_owned(), input });
        let [inputs, outputs] = head.weight.dims();
        self.push(Layer::Linear {
            name: "head".to_owned(),
            input,
            weight: values(head.weight.val().transpose()),
            bias: head.bias.as_ref().map_or_else(|| vec![0.0; outputs], |bias| values(bias.val())),
            shape: [outputs, inputs],
        })
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().expect("the data was just converted to f32")
}
