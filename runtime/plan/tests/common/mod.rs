//! Networks as the specification says, one value after the other, and random networks to try.
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

/// Small numbers that look random and are the same everywhere.
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }

    fn weight(&mut self) -> i8 {
        [-127, 127, self.next(255) as i32 - 127, self.next(255) as i32 - 127, self.next(31) as i32 - 15][self.next(5)]
            as i8
    }

    fn result(&mut self) -> Stored {
        let zero_point = [-128, 0, self.next(256) as i32 - 128][self.next(3)] as i8;
        let high = if self.next(4) == 0 { zero_point.saturating_add(90) } else { 127 };
        let low = if self.next(3) == 0 { zero_point } else { -128 };
        Stored::Bytes { affine: Affine { scale: 0.02 + self.next(100) as f32 / 900.0, zero_point }, low, high }
    }

    fn weights(&mut self, outputs: usize, filter: usize) -> Weights {
        Weights {
            values: (0..outputs * filter).map(|_| self.weight()).collect(),
            scales: (0..outputs).map(|_| 0.05 / (filter as f32).sqrt() / (20.0 + self.next(60) as f32)).collect(),
            bias: (0..outputs).map(|_| self.next(20_000) as i32 - 10_000).collect(),
        }
    }
}

/// A network of blocks as mobile and residual networks have them, and its input's shape.
pub(crate) fn random_graph(seed: u64) -> (Graph, Shape) {
    let mut draws = Draws(seed);
    let mut shape =
        Shape { height: 5 + draws.next(28), width: 5 + draws.next(28), channels: [1, 3, 3, 8][draws.next(4)] };
    let input = shape;
    let mut graph = Graph { inputs: vec!["x".into()], ..Graph::default() };
    let push = |graph: &mut Graph, op: Op, result: Stored| {
        let name = format!("n{}", graph.nodes.len());
        graph.nodes.push(Node { name, op, result });
        graph.nodes.len() - 1
    };
    let mut at = push(&mut graph, Op::Quantise { input: 0 }, draws.result());
    let convolution = |graph: &mut Graph,
                       draws: &mut Draws,
                       from: usize,
                       shape: &mut Shape,
                       outputs: usize,
                       window: Window,
                       groups: usize| {
        let weights = draws.weights(outputs, shape.channels / groups * window.kernel[0] * window.kernel[1]);
        let [height, width] = window.places(*shape)?;
        *shape = Shape { height, width, channels: outputs };
        Some(push(graph, Op::Convolution { input: from, groups, window, weights }, draws.result()))
    };
    let stem = [Window::square(3, 2, 1), Window::square(3, 1, 1), Window::square(5, 2, 2)][draws.next(3)];
    let outputs = 1 + draws.next(40);
    at = convolution(&mut graph, &mut draws, at, &mut shape, outputs, stem, 1).unwrap();
    for _ in 0..2 + draws.next(3) {
        let (start, before) = (at, shape);
        match draws.next(4) {
            0 | 1 => {
                let (wide, stride) = (before.channels * (1 + draws.next(4)), 1 + draws.next(2));
                let side = [3, 5][draws.next(2)];
                at = convolution(&mut graph, &mut draws, at, &mut shape, wide, Window::POINT, 1).unwrap();
                let window = Window::square(side, stride, side / 2);
                at = convolution(&mut graph, &mut draws, at, &mut shape, wide, window, wide).unwrap();
                let narrow = if stride == 1 && draws.next(2) == 0 { before.channels } else { 1 + draws.next(50) };
                at = convolution(&mut graph, &mut draws, at, &mut shape, narrow, Window::POINT, 1).unwrap();
            }
            2 => {
                for _ in 0..2 {
                    at = convolution(
                        &mut graph,
                        &mut draws,
                        at,
                        &mut shape,
                        before.channels,
                        Window::square(3, 1, 1),
                        1,
                    )
                    .unwrap();
                }
            }
            _ => {
                let window = Window::square(3, 2, 1);
                let [height, width] = window.places(shape).unwrap();
                shape = Shape { height, width, ..shape };
                let result = graph.nodes[at].result;
                at = push(&mut graph, Op::MaxPool { input: at, window }, result);
            }
        }
        if shape == before {
            at = push(&mut graph, Op::Add { a: at, b: start }, draws.result());
        }
    }
    if draws.next(3) == 0 {
        graph.outputs.push(GraphOutput { name: "map".into(), node: at });
    }
    at = push(&mut graph, Op::GlobalAveragePool { input: at }, draws.result());
    let weights = draws.weights(1 + draws.0 as usize % 20, shape.channels);
    let result = if draws.next(2) == 0 { Stored::Real } else { draws.result() };
    at = push(&mut graph, Op::Linear { input: at, weights }, result);
    graph.outputs.push(GraphOutput { name: "y".into(), node: at });
    (graph, input)
}

/// Real numbers for an input.
pub(crate) fn random_input(seed: u64, shape: Shape) -> Vec<f32> {
    let mut draws = Draws(seed ^ 0x5eed);
    (0..shape.volume()).map(|_| draws.next(2001) as f32 / 250.0 - 4.0).collect()
}
