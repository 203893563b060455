//! The integer executor: `INT8.md`, line by line.

use rayon::prelude::*;

use super::float::max_pool;
use super::patches::{LANES, gather, transposed};
use crate::graph::{Geometry, Node, Op, QuantGraph, QuantWeights, Shape, volume};
use crate::quantise::{Affine, bias_scale};

impl QuantGraph {
    /// Logits for one prepared image `[channel, height, width]`.
    ///
    /// # Panics
    /// If `prepared` is not of the input's size.
    pub fn run(&self, prepared: &[f32]) -> Vec<f32> {
        self.watch(prepared, |_, _| {})
    }

    /// Logits for many prepared images, in parallel.
    ///
    /// # Panics
    /// If an image is not of the input's size.
    pub fn run_all(&self, prepared: &[Vec<f32>]) -> Vec<Vec<f32>> {
        prepared.par_iter().map(|image| self.run(image)).collect()
    }

    /// As [`QuantGraph::run`], letting `touch` see and change every stored value before it is read.
    pub(crate) fn watch(&self, prepared: &[f32], mut touch: impl FnMut(usize, &mut [i8])) -> Vec<f32> {
        assert_eq!(prepared.len(), volume(self.input), "prepared image for an input of {:?}", self.input);
        let mut values: Vec<Vec<i8>> = vec![prepared.iter().map(|&real| self.activations[0].encode(real)).collect()];
        for (index, node) in self.nodes.iter().enumerate() {
            touch(index, &mut values[index]);
            if let Op::Linear { input, weights, .. } = &node.op {
                return linear(&values[*input], self.activations[*input], weights);
            }
            values.push(self.step(node, self.activations[index + 1], &values));
        }
        unreachable!("float_graph refuses a network that does not end in a linear layer")
    }

    /// What `node`, any but the last, makes of `values`.
    pub(crate) fn step(&self, node: &Node<QuantWeights>, to: Affine, values: &[Vec<i8>]) -> Vec<i8> {
        match &node.op {
            Op::Conv { input, geometry, weights, .. } => convolve(
                &values[*input],
                self.activations[*input],
                self.shape(*input),
                to,
                node.shape,
                geometry,
                weights,
            ),
            Op::Add { a, b, .. } => add((&values[*a], self.activations[*a]), (&values[*b], self.activations[*b]), to),
            Op::MaxPool { input, window } => {
                max_pool(&values[*input], self.shape(*input), node.shape, window, i8::MIN, i8::max)
            }
            Op::GlobalAveragePool { input } => {
                average(&values[*input], self.activations[*input], self.shape(*input), to)
            }
            Op::Linear { .. } => unreachable!("the last node returns logits, not stored values"),
        }
    }
}

fn convolve(
    input: &[i8],
    from: Affine,
    shape: Shape,
    to: Affine,
    output: Shape,
    geometry: &Geometry,
    weights: &QuantWeights,
) -> Vec<i8> {
    let length = geometry.dot_length();
    let n_pixels = output[1] * output[2];
    let n_out = output[0] / geometry.groups;
    // Distances from the zero point, so that padding is 0 and no correction is needed; 16 bits hold them.
    let centred: Vec<i16> = input.iter().map(|&stored| i16::from(stored) - i16::from(from.zero_point)).collect();
    let filters: Vec<i16> = weights.values.iter().map(|&weight| i16::from(weight)).collect();
    let mut result = vec![0; volume(output)];
    for group in 0..geometry.groups {
        let rows = gather(&centred, shape, output, geometry, group, 0);
        for (tile, rows) in rows.chunks(LANES * length).enumerate() {
            let columns = transposed(rows, length);
            let n = rows.len() / length;
            for channel in group * n_out..(group + 1) * n_out {
                let sums = dots(&columns, &filters[channel * length..][..length]);
                let multiplier = multiplier(from.scale, weights.scales[channel], to.scale);
                let stored = &mut result[channel * n_pixels + tile * LANES..][..n];
                for (stored, sum) in stored.iter_mut().zip(sums) {
                    *stored = to.store((weights.bias[channel] + sum) as f32 * multiplier);
                }
            }
        }
    }
    result
}

/// The dot product of `filter` with each pixel of `columns`. `quantise` made sure that no sum overflows; wrapping
/// arithmetic tells the compiler so, which it needs in order to use vector instructions.
fn dots(columns: &[[i16; LANES]], filter: &[i16]) -> [i32; LANES] {
    let mut sums = [0; LANES];
    for (column, &weight) in columns.iter().zip(filter) {
        for (sum, &value) in sums.iter_mut().zip(column) {
            *sum = i32::wrapping_add(*sum, i32::from(value).wrapping_mul(i32::from(weight)));
        }
    }
    sums
}

/// Steps of the output for one step of the sum, in single precision.
pub(crate) fn multiplier(input_scale: f32, weight_scale: f32, output_scale: f32) -> f32 {
    (f64::from(input_scale) * f64::from(weight_scale) / f64::from(output_scale)) as f32
}

fn dot(row: &[i16], filter: &[i16]) -> i32 {
    row.iter()
        .zip(filter)
        .fold(0, |sum, (&value, &weight)| i32::wrapping_add(sum, i32::from(value) * i32::from(weight)))
}

fn add((a, from_a): (&[i8], Affine), (b, from_b): (&[i8], Affine), to: Affine) -> Vec<i8> {
    let [ratio_a, ratio_b] = [from_a, from_b].map(|from| multiplier(from.scale, 1.0, to.scale));
    let centred = |stored: i8, from: Affine| (i32::from(stored) - i32::from(from.zero_point)) as f32;
    a.iter().zip(b).map(|(&a, &b)| to.store(centred(a, from_a) * ratio_a + centred(b, from_b) * ratio_b)).collect()
}

fn average(input: &[i8], from: Affine, [_, height, width]: Shape, to: Affine) -> Vec<i8> {
    let n_pixels = height * width;
    let multiplier = (f64::from(from.scale) / (n_pixels as f64 * f64::from(to.scale))) as f32;
    let mean = |plane: &[i8]| {
        let sum: i64 = plane.iter().map(|&stored| i64::from(stored) - i64::from(from.zero_point)).sum();
        to.store(sum as f32 * multiplier)
    };
    input.chunks_exact(n_pixels).map(mean).collect()
}

fn linear(input: &[i8], from: Affine, weights: &QuantWeights) -> Vec<f32> {
    let centred: Vec<i16> = input.iter().map(|&stored| i16::from(stored) - i16::from(from.zero_point)).collect();
    let filters: Vec<i16> = weights.values.iter().map(|&weight| i16::from(weight)).collect();
    let logit = |(channel, filter): (usize, &[i16])| {
        let sum = weights.bias[channel] + dot(&centred, filter);
        sum as f32 * bias_scale(from.scale, weights.scales[channel])
    };
    filters.chunks_exact(input.len()).enumerate().map(logit).collect()
}

#[cfg(test)]
mod tests {
    use remedis_model::Activation;

    use super::*;
    use crate::calibrate::calibrate;
    use crate::graph::FloatGraph;
    use crate::onnx::write_onnx;
    use crate::quantise::quantise;
    use crate::random_net::{images, inverted_net, residual_net};

    fn quantised(seed: u64) -> (QuantGraph, Vec<Vec<f32>>) {
        in_eight_bits(&residual_net(seed), seed)
    }

    fn in_eight_bits(float: &FloatGraph, seed: u64) -> (QuantGraph, Vec<Vec<f32>>) {
        let images = images(seed, float, 12);
        let quant = quantise(float, &calibrate(float, &images, 99.9).unwrap()).unwrap();
        (quant, images)
    }

    fn inverted(seed: u64) -> (QuantGraph, Vec<Vec<f32>>) {
        in_eight_bits(&inverted_net(seed), seed)
    }

    /// A convolution straight from `INT8.md`, with none of the executor's code.
    fn slow_convolution(graph: &QuantGraph, node: usize, input: &[i8]) -> Vec<i8> {
        let Op::Conv { input: read, geometry: g, weights, .. } = &graph.nodes[node].op else { panic!("a convolution") };
        let (from, to) = (graph.activations[*read], graph.activations[node + 1]);
        let ([_, height, width], [n_out, out_height, out_width]) = (graph.shape(*read), graph.nodes[node].shape);
        let mut result = Vec::new();
        for channel in 0..n_out {
            for (y, x) in (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x))) {
                let mut sum = i64::from(weights.bias[channel]);
                for c in 0..g.kernel[1] {
                    for (ky, kx) in (0..g.kernel[2]).flat_map(|ky| (0..g.kernel[3]).map(move |kx| (ky, kx))) {
                        let (iy, ix) = (
                            (y * g.stride + ky) as i64 - g.padding.before[0] as i64,
                            (x * g.stride + kx) as i64 - g.padding.before[1] as i64,
                        );
                        if iy < 0 || ix < 0 || iy >= height as i64 || ix >= width as i64 {
                            continue;
                        }
                        let plane = channel / (n_out / g.groups) * g.kernel[1] + c;
                        let stored = input[(plane * height + iy as usize) * width + ix as usize];
                        let weight =
                            weights.values[((channel * g.kernel[1] + c) * g.kernel[2] + ky) * g.kernel[3] + kx];
                        sum += i64::from(weight) * (i64::from(stored) - i64::from(from.zero_point));
                    }
                }
                let scale = f64::from(from.scale) * f64::from(weights.scales[channel]) / f64::from(to.scale);
                let steps = (sum as f32 * scale as f32).round_ties_even() + f32::from(to.zero_point);
                result.push(steps.clamp(-128.0, 127.0) as i8);
            }
        }
        result
    }

    /// Calls `check` with each convolution of `graph` on `image`: its node, what it reads, what it gives.
    fn each_convolution(graph: &QuantGraph, image: &[f32], mut check: impl FnMut(usize, &Geometry, &[i8], &[i8])) {
        let mut values = Vec::new();
        graph.watch(image, |_, stored| values.push(stored.to_vec()));
        for (index, node) in graph.nodes.iter().enumerate() {
            if let Op::Conv { input, geometry, .. } = &node.op {
                check(index, geometry, &values[*input], &values[index + 1]);
            }
        }
    }

    #[test]
    fn every_convolution_equals_the_slow_one_bit_for_bit() {
        for (float, n_convolutions) in [(residual_net(11), 6), (inverted_net(11), 9)] {
            let (graph, images) = in_eight_bits(&float, 11);
            let mut n_checked = 0;
            each_convolution(&graph, &images[0], |index, _, input, stored| {
                assert_eq!(stored, slow_convolution(&graph, index, input), "{}", graph.nodes[index].name);
                n_checked += 1;
            });
            assert_eq!(n_checked, n_convolutions);
        }
    }

    #[test]
    fn the_devices_engine_computes_the_same_bits() {
        for (graph, images) in [7, 8, 9].map(quantised).into_iter().chain([3, 4].map(inverted)) {
            let reading = remedis_plan::onnx::read(write_onnx(&graph).as_slice()).unwrap();
            let [channels, height, width] = graph.input;
            let shape = remedis_plan::Shape { height, width, channels };
            for family in remedis_plan::Family::ALL {
                let plan = remedis_plan::Plan::compile(reading.whole().unwrap(), &[shape], family).unwrap();
                let mut engine = remedis_plan::Engine::new(plan, 2);
                for image in &images {
                    let mut logits = vec![0.0; graph.n_logits()];
                    engine.run(&[image], &mut [&mut logits]);
                    assert_eq!(logits, graph.run(image), "{family:?}");
                }
            }
        }
    }

    #[test]
    fn a_sum_half_way_goes_to_the_even_step() {
        let half = Affine { scale: 0.5, zero_point: 0 };
        let one = Affine { scale: 1.0, zero_point: 0 };
        // 0.5 -> 0, 1.5 -> 2, 2.5 -> 2, -0.5 -> 0, and beyond the range it saturates.
        assert_eq!(add((&[1, 3, 5, -1, 127], half), (&[0, 0, 0, 0, 127], one), one), [0, 2, 2, 0, 127]);
    }

    #[test]
    fn an_average_is_rounded_once() {
        let map = Affine { scale: 0.25, zero_point: -3 };
        // Distances 1, 2, 3, 4 from the zero point: mean 2.5, to 2, back at -1.
        assert_eq!(average(&[-2, -1, 0, 1], map, [1, 2, 2], map), [-1]);
    }

    #[test]
    fn relu_is_the_lower_end_of_the_range() {
        let (graph, images) = quantised(2);
        for (index, node) in graph.nodes.iter().enumerate() {
            if node.op.activation() == Activation::Relu {
                assert_eq!(graph.activations[index + 1].range().0, 0.0, "{}", node.name);
            }
        }
        let mut stored_zeros = 0;
        graph.watch(&images[0], |value, stored| {
            stored_zeros += if value == 1 { stored.iter().filter(|&&s| s == i8::MIN).count() } else { 0 }
        });
        assert!(stored_zeros > 0, "a random net's first ReLU cuts something off");
    }

    #[test]
    fn relu6_is_both_ends_of_the_range() {
        // Ranges of another network, twice as wide: the activation still ends at 6.
        let float = inverted_net(2);
        let mut ranges = calibrate(&float, &images(2, &float, 4), 100.0).unwrap();
        ranges.values.iter_mut().for_each(|range| range.high = 12.0);
        let graph = quantise(&float, &ranges).unwrap();
        for (node, stored) in graph.nodes.iter().zip(&graph.activations[1..]) {
            let (low, high) = stored.range();
            let ends_at_6 = low == 0.0 && (high - 6.0).abs() < 1e-5;
            assert_eq!(ends_at_6, node.op.activation() == Activation::Relu6, "{}: {low} to {high}", node.name);
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let (graph, images) = quantised(4);
        let with =
            |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(|| graph.run_all(&images));
        assert_eq!(with(1), with(3));
    }
}
