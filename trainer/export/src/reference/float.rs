//! The float executor.

use rayon::prelude::*;

use super::patches::{LANES, gather, inside, transposed};
use crate::graph::{FloatGraph, FloatWeights, Geometry, Node, Op, Shape, Window, volume};

impl FloatGraph {
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

    /// As [`FloatGraph::run`], showing `see` every value but the logits, with its number.
    pub(crate) fn watch(&self, prepared: &[f32], mut see: impl FnMut(usize, &[f32])) -> Vec<f32> {
        assert_eq!(prepared.len(), volume(self.input), "prepared image for an input of {:?}", self.input);
        let mut values = vec![prepared.to_vec()];
        for (index, node) in self.nodes.iter().enumerate() {
            see(index, &values[index]);
            let mut result = self.compute(node, &values);
            node.op.activate(&mut result);
            values.push(result);
        }
        values.pop().expect("the input is a value")
    }

    /// What `node` makes of `values`, before its activation.
    pub(crate) fn compute(&self, node: &Node<FloatWeights>, values: &[Vec<f32>]) -> Vec<f32> {
        match &node.op {
            Op::Conv { input, geometry, weights, .. } => {
                convolve(&values[*input], self.shape(*input), node.shape, geometry, weights)
            }
            Op::Add { a, b, .. } => values[*a].iter().zip(&values[*b]).map(|(a, b)| a + b).collect(),
            Op::MaxPool { input, window } => {
                max_pool(&values[*input], self.shape(*input), node.shape, window, f32::NEG_INFINITY, f32::max)
            }
            Op::GlobalAveragePool { input } => average(&values[*input], self.shape(*input)),
            Op::Linear { input, weights, .. } => linear(&values[*input], weights),
        }
    }
}

impl Op<FloatWeights> {
    /// Applies the activation to the operation's result.
    pub(crate) fn activate(&self, result: &mut [f32]) {
        let (low, high) = self.activation().range();
        if low.is_finite() {
            result.iter_mut().for_each(|value| *value = value.clamp(low, high));
        }
    }
}

fn convolve(input: &[f32], shape: Shape, output: Shape, geometry: &Geometry, weights: &FloatWeights) -> Vec<f32> {
    let length = geometry.dot_length();
    let n_pixels = output[1] * output[2];
    let n_out = output[0] / geometry.groups;
    let mut result = vec![0.0; volume(output)];
    for group in 0..geometry.groups {
        let rows = gather(input, shape, output, geometry, group, 0.0);
        for (tile, rows) in rows.chunks(LANES * length).enumerate() {
            let columns = transposed(rows, length);
            for channel in group * n_out..(group + 1) * n_out {
                let sums = dots(&columns, &weights.values[channel * length..][..length], weights.bias[channel]);
                let n = rows.len() / length;
                result[channel * n_pixels + tile * LANES..][..n].copy_from_slice(&sums[..n]);
            }
        }
    }
    result
}

fn dots(columns: &[[f32; LANES]], filter: &[f32], bias: f32) -> [f32; LANES] {
    let mut sums = [bias; LANES];
    for (column, &weight) in columns.iter().zip(filter) {
        for (sum, &value) in sums.iter_mut().zip(column) {
            *sum += weight * value;
        }
    }
    sums
}

/// Largest of `values` under each window, by `larger`, starting from `least`.
pub(super) fn max_pool<T: Copy>(
    input: &[T],
    shape: Shape,
    output: Shape,
    window: &Window,
    least: T,
    larger: impl Fn(T, T) -> T,
) -> Vec<T> {
    let [_, height, width] = shape;
    let mut result = Vec::with_capacity(volume(output));
    for plane in input.chunks_exact(height * width) {
        for y in 0..output[1] {
            for x in 0..output[2] {
                let rows = (0..window.kernel).filter_map(|ky| inside(y * window.stride + ky, window.padding, height));
                let under = rows.flat_map(|iy| {
                    let columns =
                        (0..window.kernel).filter_map(|kx| inside(x * window.stride + kx, window.padding, width));
                    columns.map(move |ix| plane[iy * width + ix])
                });
                result.push(under.fold(least, &larger));
            }
        }
    }
    result
}

fn average(input: &[f32], [_, height, width]: Shape) -> Vec<f32> {
    let n_pixels = height * width;
    input
        .chunks_exact(n_pixels)
        .map(|plane| (plane.iter().map(|&value| f64::from(value)).sum::<f64>() / n_pixels as f64) as f32)
        .collect()
}

fn linear(input: &[f32], weights: &FloatWeights) -> Vec<f32> {
    let dot = |(row, &bias): (&[f32], &f32)| {
        let products = row.iter().zip(input).map(|(&weight, &value)| f64::from(weight) * f64::from(value));
        (products.sum::<f64>() + f64::from(bias)) as f32
    };
    weights.values.chunks_exact(input.len()).zip(&weights.bias).map(dot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Sides;

    #[test]
    fn a_padded_strided_convolution_gives_the_hand_computed_sums() {
        let geometry = Geometry { kernel: [1, 1, 3, 3], stride: 2, padding: Sides::even(1), groups: 1 };
        let weights = FloatWeights { values: vec![1.0; 9], bias: vec![0.5] };
        let image: Vec<f32> = (1..=9).map(|value| value as f32).collect();
        // Corners of 1..9 as a 3x3 square: 1+2+4+5, 2+3+5+6, 4+5+7+8, 5+6+8+9.
        assert_eq!(convolve(&image, [1, 3, 3], [1, 2, 2], &geometry, &weights), [12.5, 16.5, 24.5, 28.5]);
    }

    #[test]
    fn padding_never_wins_a_max_pool() {
        let window = Window { kernel: 3, stride: 2, padding: 1 };
        let pooled = max_pool(&[-4.0, -3.0, -2.0, -1.0], [1, 2, 2], [1, 1, 1], &window, f32::NEG_INFINITY, f32::max);
        assert_eq!(pooled, [-1.0]);
    }
}
