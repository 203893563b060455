//! Small networks with random weights and the images to run through them, for tests.

use std::f32::consts::TAU;

use remedis_model::{Activation, BatchNormParts, Layer, Padding};

use crate::fold::float_graph;
use crate::graph::{FloatGraph, volume};

/// SplitMix64: enough randomness for a test, without a dependency.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / 16_777_216.0
    }

    fn normal(&mut self) -> f32 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (TAU * self.unit()).cos()
    }

    fn normals(&mut self, n: usize, deviation: f32) -> Vec<f32> {
        (0..n).map(|_| self.normal() * deviation).collect()
    }

    /// A convolution whose channels' gains differ by up to 30 times; `slide` is stride, padding and groups.
    fn conv(
        &mut self,
        name: &str,
        input: usize,
        shape: [usize; 4],
        (stride, padding, groups): (usize, Padding, usize),
        activation: Activation,
    ) -> Layer {
        let n_in = shape[1] * shape[2] * shape[3];
        let mut weight = self.normals(shape.iter().product(), (2.0 / n_in as f32).sqrt());
        let gains: Vec<f32> = (0..shape[0]).map(|_| 30f32.powf(self.unit() - 1.0)).collect();
        for (filter, gain) in weight.chunks_exact_mut(n_in).zip(&gains) {
            filter.iter_mut().for_each(|value| *value *= gain);
        }
        let batch_norm = Some(BatchNormParts {
            gamma: (0..shape[0]).map(|_| 0.5 + self.unit()).collect(),
            beta: self.normals(shape[0], 0.2),
            mean: self.normals(shape[0], 0.1),
            variance: (0..shape[0]).map(|_| 0.2 + self.unit()).collect(),
            epsilon: 1e-5,
        });
        Layer::Conv { name: name.into(), input, weight, shape, stride, padding, groups, batch_norm, activation }
    }

    fn head(&mut self, input: usize, n_in: usize) -> [Layer; 2] {
        let (weight, bias) = (self.normals(5 * n_in, 1.0), self.normals(5, 0.3));
        [
            Layer::GlobalAveragePool { name: "average".into(), input },
            Layer::Linear { name: "head".into(), input: input + 1, weight, bias, shape: [5, n_in] },
        ]
    }
}

/// Every kind of layer of a ResNet, strided, grouped and residual.
pub(crate) fn residual_layers(seed: u64) -> Vec<Layer> {
    let mut random = Random(seed);
    let (relu, none) = (Activation::Relu, Activation::Identity);
    let by = |stride, padding, groups| (stride, Padding::Even(padding), groups);
    let mut layers = vec![
        random.conv("stem", 0, [16, 3, 3, 3], by(2, 1, 1), relu),
        Layer::MaxPool { name: "pool".into(), input: 1, kernel: 3, stride: 2, padding: 1 },
        random.conv("a1", 2, [16, 16, 3, 3], by(1, 1, 1), relu),
        random.conv("a2", 3, [16, 16, 3, 3], by(1, 1, 1), none),
        Layer::Add { name: "a".into(), a: 4, b: 2, activation: relu },
        random.conv("b1", 5, [24, 16, 3, 3], by(2, 1, 1), relu),
        random.conv("b2", 6, [24, 1, 3, 3], by(1, 1, 24), none),
        random.conv("short", 5, [24, 16, 1, 1], by(2, 0, 1), none),
        Layer::Add { name: "b".into(), a: 7, b: 8, activation: relu },
    ];
    layers.extend(random.head(9, 24));
    layers
}

/// Every kind of layer of a MobileNet: lopsided padding, ReLU6, depthwise kernels of both sizes, sums without activation.
pub(crate) fn inverted_layers(seed: u64) -> Vec<Layer> {
    let mut random = Random(seed);
    let (relu6, none) = (Activation::Relu6, Activation::Identity);
    let by = |stride, groups| (stride, Padding::Same, groups);
    let mut layers = vec![
        random.conv("stem", 0, [16, 3, 3, 3], by(2, 1), relu6),
        random.conv("a.depthwise", 1, [16, 1, 3, 3], by(1, 16), relu6),
        random.conv("a.project", 2, [16, 16, 1, 1], by(1, 1), none),
        Layer::Add { name: "a".into(), a: 3, b: 1, activation: none },
        random.conv("b.expand", 4, [48, 16, 1, 1], by(1, 1), relu6),
        random.conv("b.depthwise", 5, [48, 1, 5, 5], by(2, 48), relu6),
        random.conv("b.project", 6, [24, 48, 1, 1], by(1, 1), none),
        random.conv("c.expand", 7, [72, 24, 1, 1], by(1, 1), relu6),
        random.conv("c.depthwise", 8, [72, 1, 3, 3], by(2, 72), relu6),
        random.conv("c.project", 9, [24, 72, 1, 1], by(1, 1), none),
    ];
    layers.extend(random.head(10, 24));
    layers
}

pub(crate) fn inverted_net(seed: u64) -> FloatGraph {
    float_graph(&inverted_layers(seed), [3, 37, 32])
}

pub(crate) fn residual_net(seed: u64) -> FloatGraph {
    float_graph(&residual_layers(seed), [3, 37, 32])
}

/// Smooth pictures in the range a prepared image has.
pub(crate) fn images(seed: u64, graph: &FloatGraph, n: usize) -> Vec<Vec<f32>> {
    let mut random = Random(seed ^ 0x5eed);
    let [_, height, width] = graph.input;
    (0..n)
        .map(|_| {
            let (fx, fy, phase, gain) =
                (random.unit() * 0.8, random.unit() * 0.8, random.unit() * TAU, 0.5 + random.unit());
            (0..volume(graph.input))
                .map(|at| {
                    let (channel, y, x) = (at / (height * width), at / width % height, at % width);
                    gain * (fx * x as f32 + fy * y as f32 + phase * (channel + 1) as f32).sin() + 0.2 * random.normal()
                })
                .collect()
        })
        .collect()
}

pub(crate) fn signal_to_noise_db(signal: &[f32], noisy: &[f32]) -> f64 {
    let power: f64 = signal.iter().map(|&value| f64::from(value).powi(2)).sum();
    let noise: f64 = signal.iter().zip(noisy).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    10.0 * (power / noise).log10()
}
