//! The network as a list of layers.

use burn::module::Module;

use super::InvertedResidualNet;
use crate::layer::{Activation, Layer, LayerList};

impl InvertedResidualNet {
    /// What this network computes in evaluation, as plain numbers in the order of execution.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        // `valid` brings the batch statistics of the last training steps in.
        let network = self.valid();
        let mut layers = LayerList::default();
        let mut x = layers.conv("stem", 0, &network.stem, Activation::Relu6);
        for (i, block) in network.blocks.iter().enumerate() {
            let name = |part: &str| format!("blocks.{i}.{part}");
            let inner = match &block.expand {
                Some(expand) => layers.conv(&name("expand"), x, expand, Activation::Relu6),
                None => x,
            };
            let filtered = layers.conv(&name("depthwise"), inner, &block.depthwise, Activation::Relu6);
            let residual = layers.conv(&name("project"), filtered, &block.project, Activation::Identity);
            x = if block.is_residual {
                let activation = Activation::Identity;
                layers.push(Layer::Add { name: name("add"), a: residual, b: x, activation })
            } else {
                residual
            };
        }
        let top = layers.conv("top", x, &network.top, Activation::Relu6);
        layers.classifier(top, &network.head);
        layers.0
    }
}
