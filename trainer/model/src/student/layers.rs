//! The student as a list of layers.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Student;
use super::block::ConvNorm;
use crate::layer::{BatchNormParts, Layer};

impl Student {
    /// What this student computes in evaluation, as plain numbers in the order of execution.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        // `valid` brings the batch statistics of the last training steps in.
        let student = self.valid();
        let mut layers = Layers(Vec::new());
        let stem = layers.conv("stem", 0, &student.stem, true);
        let mut x =
            layers.push(Layer::MaxPool { name: "pool".to_owned(), input: stem, kernel: 3, stride: 2, padding: 1 });
        let groups = [&student.group1, &student.group2, &student.group3, &student.group4];
        let blocks =
            groups.iter().enumerate().flat_map(|(g, group)| group.iter().enumerate().map(move |(i, b)| (g, i, b)));
        for (g, i, block) in blocks {
            let name = format!("group{}.{i}", g + 1);
            let a = layers.conv(&format!("{name}.a"), x, &block.a, true);
            let b = layers.conv(&format!("{name}.b"), a, &block.b, false);
            let shortcut = match &block.shortcut {
                Some(shortcut) => layers.conv(&format!("{name}.shortcut"), x, shortcut, false),
                None => x,
            };
            x = layers.push(Layer::Add { name: format!("{name}.add"), a: b, b: shortcut, relu: true });
        }
        let embedding = layers.push(Layer::GlobalAveragePool { name: "embedding".to_owned(), input: x });
        let [inputs, outputs] = student.head.weight.dims();
        layers.push(Layer::Linear {
            name: "head".to_owned(),
            input: embedding,
            weight: values(student.head.weight.val().transpose()),
            bias: student.head.bias.as_ref().map_or_else(|| vec![0.0; outputs], |bias| values(bias.val())),
            shape: [outputs, inputs],
        });
        layers.0
    }
}

struct Layers(Vec<Layer>);

impl Layers {
    /// Appends a layer and gives the index of its output.
    fn push(&mut self, layer: Layer) -> usize {
        self.0.push(layer);
        self.0.len()
    }

    fn conv(&mut self, name: &str, input: usize, conv: &ConvNorm, relu: bool) -> usize {
        let norm = &conv.norm;
        self.push(Layer::Conv {
            name: name.to_owned(),
            input,
            weight: values(conv.weight.val()),
            shape: conv.weight.dims(),
            stride: conv.stride,
            padding: conv.padding(),
            groups: 1,
            batch_norm: Some(BatchNormParts {
                gamma: values(norm.gamma.val()),
                beta: values(norm.beta.val()),
                mean: values(norm.running_mean.value()),
                variance: values(norm.running_var.value()),
                epsilon: norm.epsilon as f32,
            }),
            relu,
        })
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().expect("the data was just converted to f32")
}
