//! The networks of the field, with made-up weights: speed and bytes do not depend on what they were trained for.
#![expect(clippy::unwrap_used, reason = "the sizes are right")]

use remedis_kernels::{Shape, Window};
use remedis_plan::{Affine, Graph, GraphOutput, Node, Op, Stored, Weights};

/// Blocks of a mobile network: expansion, outputs, repetitions, stride of the first, side of the window.
type Blocks = &'static [[usize; 5]];

/// Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2.
const MOBILE_NET_V2: Blocks = &[
    [1, 16, 1, 1, 3],
    [6, 24, 2, 2, 3],
    [6, 32, 3, 2, 3],
    [6, 64, 4, 2, 3],
    [6, 96, 3, 1, 3],
    [6, 160, 3, 2, 3],
    [6, 320, 1, 1, 3],
];

/// EfficientNet-B0 of Tan and Le 2019, table 1, without squeeze and excitation.
const EFFICIENT_NET_LITE_0: Blocks = &[
    [1, 16, 1, 1, 3],
    [6, 24, 2, 2, 3],
    [6, 40, 2, 2, 5],
    [6, 80, 3, 2, 3],
    [6, 112, 3, 1, 5],
    [6, 192, 4, 2, 5],
    [6, 320, 1, 1, 3],
];

/// `mbv2`, `lite0` or `rn18` for three channels of `side` by `side`.
pub(crate) fn network(name: &str, side: usize) -> (Graph, Shape) {
    let shape = Shape { height: side, width: side, channels: 3 };
    let graph = match name {
        "mbv2" => mobile(shape, MOBILE_NET_V2),
        "lite0" => mobile(shape, EFFICIENT_NET_LITE_0),
        "rn18" => resnet(shape),
        _ => panic!("{name} is none of mbv2, lite0, rn18"),
    };
    (graph, shape)
}

struct Builder {
    graph: Graph,
    shapes: Vec<Shape>,
}

impl Builder {
    fn push(&mut self, op: Op, shape: Shape, low: i8) -> usize {
        let affine = Affine { scale: 0.05, zero_point: (self.shapes.len() % 7) as i8 * 9 - 30 };
        let name = format!("{}", self.graph.nodes.len());
        self.graph.nodes.push(Node { name, op, result: Stored::Bytes { affine, low, high: 127 } });
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    /// Weights of any sign, scaled so that sums neither vanish nor saturate.
    fn weights(&self, outputs: usize, filter: usize) -> Weights {
        let mut state = self.shapes.len() as u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % 255) as i32 - 127
        };
        let values = (0..outputs * filter).map(|_| draw() as i8).collect();
        let scale = 0.011 / (filter as f32).sqrt();
        let scales = (0..outputs).map(|out| scale * (1.0 + (out % 5) as f32 / 8.0)).collect();
        Weights { values, scales, bias: (0..outputs).map(|out| (out as i32 * 7919) % 4001 - 2000).collect() }
    }

    fn conv(&mut self, input: usize, outputs: usize, side: usize, stride: usize, groups: usize) -> usize {
        let (window, shape) = (Window::square(side, stride, side / 2), self.shapes[input]);
        let [height, width] = window.places(shape).unwrap();
        let weights = self.weights(outputs, shape.channels / groups * side * side);
        let op = Op::Convolution { input, groups, window, weights };
        self.push(op, Shape { height, width, channels: outputs }, -128)
    }

    fn add(&mut self, a: usize, b: usize) -> usize {
        self.push(Op::Add { a, b }, self.shapes[a], -128)
    }

    fn finish(mut self, from: usize) -> Graph {
        let channels = self.shapes[from].channels;
        let from = self.push(Op::GlobalAveragePool { input: from }, Shape { height: 1, width: 1, channels }, -128);
        let shape = Shape { height: 1, width: 1, channels: 1000 };
        let weights = self.weights(1000, channels);
        let from = self.push(Op::Linear { input: from, weights }, shape, -128);
        self.graph.outputs.push(GraphOutput { name: "y".into(), node: from });
        self.graph
    }
}

fn mobile(input: Shape, blocks: Blocks) -> Graph {
    let mut builder = Builder { graph: Graph { inputs: vec!["x".into()], ..Graph::default() }, shapes: vec![] };
    let from = builder.push(Op::Quantise { input: 0 }, input, -128);
    let mut from = builder.conv(from, 32, 3, 2, 1);
    for &[factor, outputs, count, stride, side] in blocks {
        for number in 0..count {
            let (start, channels, stride) = (from, builder.shapes[from].channels, if number == 0 { stride } else { 1 });
            let wide = channels * factor;
            if factor != 1 {
                from = builder.conv(from, wide, 1, 1, 1);
            }
            from = builder.conv(from, wide, side, stride, wide);
            from = builder.conv(from, outputs, 1, 1, 1);
            if stride == 1 && channels == outputs {
                from = builder.add(start, from);
            }
        }
    }
    let from = builder.conv(from, 1280, 1, 1, 1);
    builder.finish(from)
}

fn resnet(input: Shape) -> Graph {
    let mut builder = Builder { graph: Graph { inputs: vec!["x".into()], ..Graph::default() }, shapes: vec![] };
    let from = builder.push(Op::Quantise { input: 0 }, input, -128);
    let from = builder.conv(from, 64, 7, 2, 1);
    let window = Window::square(3, 2, 1);
    let [height, width] = window.places(builder.shapes[from]).unwrap();
    let mut from = builder.push(Op::MaxPool { input: from, window }, Shape { height, width, channels: 64 }, -128);
    for (outputs, stride) in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)] {
        let first = builder.conv(from, outputs, 3, stride, 1);
        let second = builder.conv(first, outputs, 3, 1, 1);
        let shortcut = if stride == 1 && builder.shapes[from].channels == outputs {
            from
        } else {
            builder.conv(from, outputs, 1, stride, 1)
        };
        from = builder.add(shortcut, second);
    }
    builder.finish(from)
}
