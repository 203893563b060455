//! Random networks to try.
#![expect(clippy::unwrap_used, reason = "the sizes are right")]

use remedis_kernels::{Shape, Window};
use remedis_plan::{Affine, Graph, GraphOutput, Node, Op, Stored, Weights};

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
