//! The student as a list of layers.

use burn::module::Module;

use super::Student;
use crate::layer::{Activation, Layer, LayerList};

impl Student {
    /// What this student computes in evaluation, as plain numbers in the order of execution.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        // `valid` brings the batch statistics of the last training steps in.
        let student = self.valid();
        let mut layers = LayerList::default();
        let stem = layers.conv("stem", 0, &student.stem, Activation::Relu);
        let mut x =
            layers.push(Layer::MaxPool { name: "pool".to_owned(), input: stem, kernel: 3, stride: 2, padding: 1 });
        let groups = [&student.group1, &student.group2, &student.group3, &student.group4];
        let blocks =
            groups.iter().enumerate().flat_map(|(g, group)| group.iter().enumerate().map(move |(i, b)| (g, i, b)));
        for (g, i, block) in blocks {
            let name = format!("group{}.{i}", g + 1);
            let a = layers.conv(&format!("{name}.a"), x, &block.a, Activation::Relu);
            let b = layers.conv(&format!("{name}.b"), a, &block.b, Activation::Identity);
            let shortcut = match &block.shortcut {
                Some(shortcut) => layers.conv(&format!("{name}.shortcut"), x, shortcut, Activation::Identity),
                None => x,
            };
            let activation = Activation::Relu;
            x = layers.push(Layer::Add { name: format!("{name}.add"), a: b, b: shortcut, activation });
        }
        layers.classifier(x, &student.head);
        layers.0
    }
}
