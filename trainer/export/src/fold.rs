//! From the trained layers to a float graph: each BatchNorm becomes part of the convolution before it.
//!
//! At inference BatchNorm is `gamma * (x - mean) / sqrt(variance + epsilon) + beta` per channel, which a convolution
//! absorbs exactly. The arithmetic is done in `f64` and rounded to `f32` once.

use std::collections::BTreeMap;

use remedis_model::{BatchNormParts, Layer, Padding};

use crate::graph::{FloatGraph, FloatWeights, Geometry, Node, Op, Shape, Sides, Window, volume};

/// Folds `layers` into a graph for prepared images of shape `input`.
///
/// # Panics
/// If the layers do not fit together: a value used before it exists, sizes that differ, two layers of one name, or a
/// last layer that is not the only [`Layer::Linear`].
pub fn float_graph(layers: &[Layer], input: Shape) -> FloatGraph {
    let mut graph = FloatGraph { input, nodes: Vec::with_capacity(layers.len()), metadata: BTreeMap::new() };
    for layer in layers {
        let node = node(layer, &graph);
        assert!(graph.nodes.iter().all(|earlier| earlier.name != node.name), "two layers are named {}", node.name);
        graph.nodes.push(node);
    }
    let n_linear = graph.nodes.iter().filter(|node| matches!(node.op, Op::Linear { .. })).count();
    let ends_in_linear = graph.nodes.last().is_some_and(|node| matches!(node.op, Op::Linear { .. }));
    assert!(
        ends_in_linear && n_linear == 1,
        "a network ends in its only linear layer, the classifier head; found {n_linear}"
    );
    graph
}

fn node(layer: &Layer, graph: &FloatGraph) -> Node<FloatWeights> {
    match layer {
        Layer::Conv { name, input, weight, shape: kernel, stride, padding, groups, batch_norm, activation } => {
            assert_eq!(weight.len(), kernel.iter().product::<usize>(), "weights of {name} against kernel {kernel:?}");
            let read = known(name, *input, graph);
            let padding = sides(*padding, read, *kernel, *stride);
            let geometry = Geometry { kernel: *kernel, stride: *stride, padding, groups: *groups };
            let weights = fold(weight, kernel[0], batch_norm.as_ref());
            let op = Op::Conv { input: *input, geometry, weights, activation: *activation };
            Node { name: name.clone(), shape: geometry.output(read), op }
        }
        Layer::Add { name, a, b, activation } => {
            let shape = known(name, *a, graph);
            assert_eq!(shape, known(name, *b, graph), "{name} adds two shapes");
            Node { name: name.clone(), shape, op: Op::Add { a: *a, b: *b, activation: *activation } }
        }
        Layer::MaxPool { name, input, kernel, stride, padding } => {
            let window = Window { kernel: *kernel, stride: *stride, padding: *padding };
            let shape = window.output(known(name, *input, graph));
            Node { name: name.clone(), shape, op: Op::MaxPool { input: *input, window } }
        }
        Layer::GlobalAveragePool { name, input } => {
            let [channels, ..] = known(name, *input, graph);
            Node { name: name.clone(), shape: [channels, 1, 1], op: Op::GlobalAveragePool { input: *input } }
        }
        Layer::Linear { name, input, weight, bias, shape: [n_out, n_in] } => {
            let read = known(name, *input, graph);
            assert_eq!(read, [*n_in, 1, 1], "{name} reads a vector of {n_in}");
            assert_eq!((weight.len(), bias.len()), (n_out * n_in, *n_out), "weights and bias of {name}");
            let weights = FloatWeights { values: weight.clone(), bias: bias.clone() };
            Node {
                name: name.clone(),
                shape: [*n_out, 1, 1],
                op: Op::Linear { input: *input, weights, shape: [*n_out, *n_in] },
            }
        }
    }
}

fn sides(padding: Padding, [_, height, width]: Shape, [_, _, rows, columns]: [usize; 4], stride: usize) -> Sides {
    let [(above, below), (left, right)] =
        [padding.around(height, rows, stride), padding.around(width, columns, stride)];
    Sides { before: [above, left], after: [below, right] }
}

fn known(name: &str, value: usize, graph: &FloatGraph) -> Shape {
    assert!(
        value <= graph.nodes.len(),
        "{name} reads value {value}, but only {} are known before it",
        graph.nodes.len() + 1
    );
    let shape = graph.shape(value);
    assert!(volume(shape) > 0, "{name} reads an empty value of shape {shape:?}");
    shape
}

fn fold(weight: &[f32], n_out: usize, batch_norm: Option<&BatchNormParts>) -> FloatWeights {
    let Some(parts) = batch_norm else {
        return FloatWeights { values: weight.to_vec(), bias: vec![0.0; n_out] };
    };
    let lengths = [&parts.gamma, &parts.beta, &parts.mean, &parts.variance].map(|part| part.len());
    assert_eq!(lengths, [n_out; 4], "BatchNorm parts for {n_out} channels");
    let mut folded = FloatWeights { values: Vec::with_capacity(weight.len()), bias: Vec::with_capacity(n_out) };
    for (channel, filter) in weight.chunks_exact(weight.len() / n_out).enumerate() {
        let deviation = (f64::from(parts.variance[channel]) + f64::from(parts.epsilon)).sqrt();
        let gain = f64::from(parts.gamma[channel]) / deviation;
        folded.values.extend(filter.iter().map(|&weight| (f64::from(weight) * gain) as f32));
        folded.bias.push((f64::from(parts.beta[channel]) - f64::from(parts.mean[channel]) * gain) as f32);
    }
    folded
}

#[cfg(test)]
mod tests {
    use remedis_model::Activation;

    use super::*;

    fn conv(batch_norm: Option<BatchNormParts>) -> Layer {
        let weight = vec![2.0, -1.0];
        Layer::Conv {
            name: "conv".into(),
            input: 0,
            weight,
            shape: [2, 1, 1, 1],
            stride: 1,
            padding: Padding::Even(0),
            groups: 1,
            batch_norm,
            activation: Activation::Identity,
        }
    }

    fn head() -> [Layer; 2] {
        let weight = vec![1.0, 0.0, 0.0, 1.0];
        [
            Layer::GlobalAveragePool { name: "pool".into(), input: 1 },
            Layer::Linear { name: "head".into(), input: 2, weight, bias: vec![0.0; 2], shape: [2, 2] },
        ]
    }

    fn run(conv: Layer, image: &[f32]) -> Vec<f32> {
        let [pool, head] = head();
        float_graph(&[conv, pool, head], [1, 1, 2]).run(image)
    }

    #[test]
    fn a_folded_batch_norm_gives_the_hand_computed_value() {
        // Channel 0: 2x, then 3 (2x - 1) / sqrt(3.75 + 0.25) + 0.5 = 3x - 1.
        // Channel 1: -x, then 1 (-x - 0) / sqrt(0.75 + 0.25) - 2 = -x - 2.
        let parts = BatchNormParts {
            gamma: vec![3.0, 1.0],
            beta: vec![0.5, -2.0],
            mean: vec![1.0, 0.0],
            variance: vec![3.75, 0.75],
            epsilon: 0.25,
        };
        assert_eq!(run(conv(Some(parts)), &[1.0, 3.0]), [5.0, -4.0]);
        assert_eq!(run(conv(None), &[1.0, 3.0]), [4.0, -2.0]);
    }

    #[test]
    fn folding_equals_convolution_then_batch_norm() {
        let parts = BatchNormParts {
            gamma: vec![0.7, -1.3],
            beta: vec![0.1, 0.2],
            mean: vec![-0.4, 0.9],
            variance: vec![1.7, 0.02],
            epsilon: 1e-5,
        };
        let image = [0.31, -1.7];
        let plain = run(conv(None), &image);
        let folded = run(conv(Some(parts.clone())), &image);
        for channel in 0..2 {
            let deviation = (parts.variance[channel] + 1e-5).sqrt();
            let expected =
                parts.gamma[channel] * (plain[channel] - parts.mean[channel]) / deviation + parts.beta[channel];
            assert!(
                (folded[channel] - expected).abs() < 1e-5,
                "channel {channel}: {} against {expected}",
                folded[channel]
            );
        }
    }

    #[test]
    #[should_panic(expected = "reads value 9")]
    fn a_value_from_the_future_is_refused() {
        let mut layers = vec![conv(None)];
        layers.extend(head());
        layers[1] = Layer::GlobalAveragePool { name: "pool".into(), input: 9 };
        float_graph(&layers, [1, 1, 2]);
    }
}
