//! One training step again and again: what `remedis-train bench` times.

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use remedis_model::{BitConfig, Classifier, InvertedResidualConfig, StudentConfig};

use crate::chance::Key;
use crate::checkpoint::floats;
use crate::loss::cross_entropy;
use crate::optimiser;
use crate::stage::among_threads;

/// Length of the logits.
const CLASSES: usize = 100;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchNetwork {
    /// BiT ResNet-50x1: bottlenecks with group normalisation and standardised weights.
    BitR50x1,
    /// ResNet-18 with batch normalisation.
    Resnet18,
    /// EfficientNet-Lite0: inverted residuals with batch normalisation.
    EfficientnetLite0,
}

/// Runs `steps` whole training steps on one batch of noise and says how long each took: forward, cross-entropy over 100
/// classes, backward, SGD with momentum.
///
/// # Panics
/// If the loss is not finite: times of a broken network mean nothing.
#[must_use]
pub fn step_times(network: BenchNetwork, batch: usize, size_px: usize, steps: usize, device: &Device) -> Vec<Duration> {
    let device = &device.clone().autodiff();
    match network {
        BenchNetwork::BitR50x1 => {
            let network = Classifier::new(BitConfig::r50x1().init(device, 1), CLASSES, device);
            times(network, batch, size_px, steps, device, |network, x| network.forward(x))
        }
        BenchNetwork::Resnet18 => {
            let network = StudentConfig::resnet18(CLASSES).init(device, 1);
            times(network, batch, size_px, steps, device, |network, x| network.forward(x))
        }
        BenchNetwork::EfficientnetLite0 => {
            let network = InvertedResidualConfig::efficientnet_lite0(CLASSES).init(device, 1);
            times(network, batch, size_px, steps, device, |network, x| network.forward(x))
        }
    }
}

fn times<M: Module + Sync>(
    mut network: M,
    batch: usize,
    size_px: usize,
    steps: usize,
    device: &Device,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2> + Sync,
) -> Vec<Duration> {
    let mut chance = Key::new(1, "bench").chance();
    let shape = [batch, 3, size_px, size_px];
    let pixels: Vec<f32> = (0..shape.iter().product()).map(|_| chance.uniform(-1.0, 1.0)).collect();
    let x = Tensor::<4>::from_data(TensorData::new(pixels, shape), device);
    let classes: Vec<i64> = (0..batch).map(|i| (i * 37 % CLASSES) as i64).collect();
    let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [batch]), device);
    let mut optimiser = optimiser::sgd(0.0);
    let mut times = Vec::new();
    for _ in 0..steps {
        let began = Instant::now();
        network = among_threads(|| {
            let loss = cross_entropy(forward(&network, x.clone()), classes.clone());
            let value = floats(loss.clone())[0];
            assert!(value.is_finite(), "the loss is {value}");
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            optimiser.step(0.01, network, gradients)
        });
        times.push(began.elapsed());
    }
    times
}
