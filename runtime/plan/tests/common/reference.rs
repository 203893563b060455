//! Networks as the specification says, one value after the other.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use remedis_kernels::{Layer, Limits, Requantise, Shape, Window, reference};
use remedis_plan::{Affine, Graph, GraphOutput, Node, Op, Stored, Weights};

/// A stored picture, `[row, column, channel]`.
#[derive(Clone)]
struct Value {
    shape: Shape,
    stored: Vec<i8>,
    real: Vec<f32>,
}

/// What `graph` gives for `[channel, row, column]` inputs of `shapes`.
pub(crate) fn evaluate(graph: &Graph, shapes: &[Shape], inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut values: Vec<Value> = vec![];
    for node in &graph.nodes {
        let value = one(graph, node, &values, shapes, inputs);
        values.push(value);
    }
    let real = |output: &GraphOutput| match graph.nodes[output.node].result {
        Stored::Real => values[output.node].real.clone(),
        Stored::Bytes { affine, .. } => {
            let Value { shape, stored, .. } = &values[output.node];
            let pixels = shape.height * shape.width;
            let value = |at: usize| stored[at % pixels * shape.channels + at / pixels];
            (0..stored.len()).map(|at| affine.scale * (f32::from(value(at)) - f32::from(affine.zero_point))).collect()
        }
    };
    graph.outputs.iter().map(real).collect()
}

fn affine(graph: &Graph, node: usize) -> Affine {
    match graph.nodes[node].result {
        Stored::Bytes { affine, .. } => affine,
        Stored::Real => panic!("a real result is no source"),
    }
}

fn one(graph: &Graph, node: &Node, values: &[Value], shapes: &[Shape], inputs: &[Vec<f32>]) -> Value {
    let (to, limits) = match node.result {
        Stored::Bytes { affine, low, high } => (affine, Limits { zero_point: affine.zero_point, low, high }),
        Stored::Real => (Affine { scale: 1.0, zero_point: 0 }, Limits { zero_point: 0, low: -128, high: 127 }),
    };
    let stored = |shape: Shape, stored: Vec<i8>| Value { shape, stored, real: vec![] };
    match &node.op {
        Op::Quantise { input } => {
            let (shape, input) = (shapes[*input], &inputs[*input]);
            let pixels = shape.height * shape.width;
            let at = |at: usize| input[at % shape.channels * pixels + at / shape.channels];
            stored(shape, (0..shape.volume()).map(|place| limits.store(at(place) / to.scale)).collect())
        }
        Op::Convolution { input, groups, window, weights } => {
            let from = &values[*input];
            let result = convolution(from, affine(graph, *input), *groups, window, weights, to, limits);
            let [height, width] = window.places(from.shape).unwrap();
            stored(Shape { height, width, channels: weights.bias.len() }, result)
        }
        Op::Linear { input, weights } => {
            let from = &values[*input];
            let window = Window { kernel: [from.shape.height, from.shape.width], ..Window::POINT };
            let shape = Shape { height: 1, width: 1, channels: weights.bias.len() };
            if let Stored::Bytes { .. } = node.result {
                return stored(shape, convolution(from, affine(graph, *input), 1, &window, weights, to, limits));
            }
            let reads = affine(graph, *input);
            let sum = |out: usize| {
                let filter = &weights.values[out * from.stored.len()..];
                let products = filter.iter().zip(&from.stored);
                let products = products
                    .map(|(weight, value)| i32::from(*weight) * (i32::from(*value) - i32::from(reads.zero_point)));
                weights.bias[out] + products.sum::<i32>()
            };
            let scale = |out: usize| (f64::from(reads.scale) * f64::from(weights.scales[out])) as f32;
            let real = (0..weights.bias.len()).map(|out| sum(out) as f32 * scale(out)).collect();
            Value { shape, stored: vec![], real }
        }
        Op::Add { a, b } => {
            let [reads_a, reads_b] = [affine(graph, *a), affine(graph, *b)];
            let scale = |reads: Affine| (f64::from(reads.scale) / f64::from(to.scale)) as f32;
            let real = |value: i8, reads: Affine| (f32::from(value) - f32::from(reads.zero_point)) * scale(reads);
            let pairs = values[*a].stored.iter().zip(&values[*b].stored);
            stored(values[*a].shape, pairs.map(|(x, y)| limits.store(real(*x, reads_a) + real(*y, reads_b))).collect())
        }
        Op::MaxPool { input, window } => {
            let (Value { shape, stored: from, .. }, [height, width]) =
                (&values[*input], window.places(values[*input].shape).unwrap());
            let largest = |row: usize, column: usize, channel: usize| {
                let rows = (row * window.stride[0]..row * window.stride[0] + window.kernel[0])
                    .filter_map(|row| row.checked_sub(window.before[0]))
                    .filter(|row| *row < shape.height);
                let under = rows.flat_map(|row| {
                    let columns = column * window.stride[1]..column * window.stride[1] + window.kernel[1];
                    let columns = columns.filter_map(|column| column.checked_sub(window.before[1]));
                    columns.filter(|column| *column < shape.width).map(move |column| (row, column))
                });
                under.map(|(row, column)| from[(row * shape.width + column) * shape.channels + channel]).max().unwrap()
            };
            let shape = Shape { height, width, channels: shape.channels };
            let all = (0..shape.volume())
                .map(|at| largest(at / shape.channels / width, at / shape.channels % width, at % shape.channels));
            stored(shape, all.collect())
        }
        Op::GlobalAveragePool { input } => {
            let (Value { shape, stored: from, .. }, reads) = (&values[*input], affine(graph, *input));
            let pixels = shape.height * shape.width;
            let multiplier = (f64::from(reads.scale) / (pixels as f64 * f64::from(to.scale))) as f32;
            let sum = |channel: usize| -> i32 {
                (0..pixels).map(|at| i32::from(from[at * shape.channels + channel]) - i32::from(reads.zero_point)).sum()
            };
            let means = (0..shape.channels).map(|channel| limits.store(sum(channel) as f32 * multiplier)).collect();
            stored(Shape { height: 1, width: 1, channels: shape.channels }, means)
        }
    }
}

fn convolution(
    from: &Value,
    reads: Affine,
    groups: usize,
    window: &Window,
    weights: &Weights,
    to: Affine,
    limits: Limits,
) -> Vec<i8> {
    let scale = |scale: &f32| (f64::from(reads.scale) * f64::from(*scale) / f64::from(to.scale)) as f32;
    let multipliers = weights.scales.iter().map(scale).collect();
    let requantise = Requantise { multipliers, zero_point: limits.zero_point, low: limits.low, high: limits.high };
    let (taps, inner) = (window.kernel[0] * window.kernel[1], from.shape.channels / groups);
    let filters = weights.values.chunks_exact(taps * inner);
    let last =
        |filter: &[i8]| -> Vec<i8> { (0..taps * inner).map(|at| filter[at % inner * taps + at / inner]).collect() };
    let values: Vec<i8> = filters.flat_map(last).collect();
    let layer = Layer {
        input: from.shape,
        input_zero: reads.zero_point,
        window: *window,
        weights: &values,
        bias: &weights.bias,
        requantise: &requantise,
    };
    reference::convolution(&layer, groups, &from.stored)
}
