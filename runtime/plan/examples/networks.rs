//! Times the networks of the field, with made-up weights, layer by layer:
//! `cargo run --release -p remedis-plan --example networks -- mbv2:224,rn18:96 [threads]`.
//!
//! Least times of the runs. For real models use `remedis bench`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints and may stop at a surprise")]

use std::time::Instant;

use remedis_kernels::{Shape, Window};
use remedis_plan::{Affine, Engine, Graph, GraphOutput, Node, Op, Plan, Stored, Weights};

const RUNS: usize = 60;

struct Builder {
    graph: Graph,
    shapes: Vec<Shape>,
}

impl Builder {
    fn push(&mut self, op: Op, shape: Shape, low: i8) -> usize {
        let affine = Affine { scale: 0.05, zero_point: -3 };
        let name = format!("{}", self.graph.nodes.len());
        self.graph.nodes.push(Node { name, op, result: Stored::Bytes { affine, low, high: 127 } });
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    fn weights(outputs: usize, filter: usize) -> Weights {
        let values = (0..outputs * filter).map(|at| ((at * 37 + at / 7) % 251) as i8 / 2).collect();
        Weights { values, scales: vec![0.1 / filter as f32; outputs], bias: vec![5; outputs] }
    }

    fn conv(&mut self, input: usize, outputs: usize, side: usize, stride: usize, groups: usize) -> usize {
        let (window, shape) = (Window::square(side, stride, side / 2), self.shapes[input]);
        let [height, width] = window.places(shape).unwrap();
        let weights = Self::weights(outputs, shape.channels / groups * side * side);
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
        let from = self.push(Op::Linear { input: from, weights: Self::weights(1000, channels) }, shape, -128);
        self.graph.outputs.push(GraphOutput { name: "y".into(), node: from });
        self.graph
    }
}

fn mobile(input: Shape, blocks: &[[usize; 5]]) -> Graph {
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

fn main() {
    let names = std::env::args().nth(1).unwrap_or_else(|| "mbv2:96,mbv2:224,lite0:224,rn18:96,rn18:224".into());
    let threads = std::env::args().nth(2).map_or(1, |threads| threads.parse().unwrap());
    for name in names.split(',') {
        let (network, side) = name.split_once(':').unwrap();
        let side = side.parse().unwrap();
        let shape = Shape { height: side, width: side, channels: 3 };
        let graph = match network {
            "mbv2" => mobile(
                shape,
                &[
                    [1, 16, 1, 1, 3],
                    [6, 24, 2, 2, 3],
                    [6, 32, 3, 2, 3],
                    [6, 64, 4, 2, 3],
                    [6, 96, 3, 1, 3],
                    [6, 160, 3, 2, 3],
                    [6, 320, 1, 1, 3],
                ],
            ),
            "lite0" => mobile(
                shape,
                &[
                    [1, 16, 1, 1, 3],
                    [6, 24, 2, 2, 3],
                    [6, 40, 2, 2, 5],
                    [6, 80, 3, 2, 3],
                    [6, 112, 3, 1, 5],
                    [6, 192, 4, 2, 5],
                    [6, 320, 1, 1, 3],
                ],
            ),
            _ => resnet(shape),
        };
        let plan = Plan::compile_here(&graph, &[shape]).unwrap();
        time(name, &plan, threads, &vec![0.3; shape.volume()]);
    }
}

fn time(name: &str, plan: &Plan, threads: usize, input: &[f32]) {
    let mut engine = Engine::new(plan.clone(), threads);
    let mut output = vec![0.0; 1000];
    let mut whole = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        engine.run(&[input], &mut [&mut output]);
        whole = whole.min(start.elapsed().as_secs_f64() * 1e3);
    }
    let mut least = vec![f64::MAX; plan.program().chains.len()];
    for _ in 0..RUNS {
        let mut start = Instant::now();
        engine.watch(&[input], &mut [&mut output], |chain, _| {
            least[chain] = least[chain].min(start.elapsed().as_secs_f64() * 1e3);
            start = Instant::now();
        });
    }
    let mut n_all = 0;
    for (chain, (links, least)) in plan.chains().zip(&least).enumerate() {
        let n: u64 = links.iter().map(|(_, _, n)| n).sum();
        n_all += n;
        let what: Vec<String> =
            links.iter().map(|(link, shape, _)| format!("{} {}", link.operation.kernel(), shape)).collect();
        if std::env::var_os("LAYERS").is_some() {
            println!("{chain:3} {least:8.4} ms {:6.1} GMAC/s  {}", n as f64 / least / 1e6, what.join(" > "));
        }
    }
    println!(
        "{name}: {whole:.3} ms, sum of layers {:.3}, {:.1} GMAC/s",
        least.iter().sum::<f64>(),
        n_all as f64 / whole / 1e6
    );
}
