//! Biases moved so that eight bits leave the mean of every channel where it was.
//!
//! Rounding weights moves the mean of what they give: little in a long dot product, much in a depthwise one of nine. The next
//! layers take the shift for a signal. Measured on a few images, layer after layer, it goes into the bias, where it costs
//! nothing.
//!
//! Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2 and, for the
//! measured form used here, appendix D.

use rayon::prelude::*;

use crate::graph::{FloatGraph, FloatWeights, Node, Op, QuantGraph, QuantWeights};
use crate::quantise::{Affine, LARGEST_BIAS, bias_scale};

/// What one image has become so far, in both forms; values that nothing reads any more are empty.
struct Trace {
    float: Vec<Vec<f32>>,
    stored: Vec<Vec<i8>>,
}

/// Moves the biases of `quant`, which [`crate::quantise()`] made of `float`, by the mean difference of each channel before its
/// activation over the images `prepared`.
///
/// A layer's difference is measured behind corrected layers, so that each correction is of what is left. Some tens of images
/// are enough; without any, nothing moves.
///
/// # Panics
/// If the graphs are not of one network, or a prepared image is not of its input's size.
pub fn correct_biases(float: &FloatGraph, mut quant: QuantGraph, prepared: &[Vec<f32>]) -> QuantGraph {
    assert_eq!((float.input, float.nodes.len()), (quant.input, quant.nodes.len()), "graphs of two networks");
    let last_reads = last_reads(float);
    let input = quant.activations[0];
    let begin = |image: &Vec<f32>| Trace {
        float: vec![image.clone()],
        stored: vec![image.iter().map(|&real| input.encode(real)).collect()],
    };
    let mut traces: Vec<Trace> = prepared.par_iter().map(begin).collect();
    for index in 0..float.nodes.len() {
        let reals: Vec<Vec<f32>> =
            traces.par_iter().map(|trace| float.compute(&float.nodes[index], &trace.float)).collect();
        correct(float, &mut quant, index, &traces, &reals);
        let (node, stored_node) = (&float.nodes[index], &quant.nodes[index]);
        let Some(&to) = quant.activations.get(index + 1) else { break };
        traces.par_iter_mut().zip(reals).for_each(|(trace, mut real)| {
            node.op.activate(&mut real);
            trace.float.push(real);
            trace.stored.push(quant.step(stored_node, to, &trace.stored));
            for value in (0..=index).filter(|&value| last_reads[value] == index) {
                trace.float[value] = Vec::new();
                trace.stored[value] = Vec::new();
            }
        });
    }
    quant
}

/// By value: the last node that reads it.
fn last_reads(graph: &FloatGraph) -> Vec<usize> {
    let mut last = vec![0; graph.nodes.len() + 1];
    for (index, node) in graph.nodes.iter().enumerate() {
        node.op.inputs().into_iter().for_each(|value| last[value] = index);
    }
    last
}

/// Moves the biases of node `index`, if it has any, by what its results lack to the float ones, `reals`.
fn correct(float: &FloatGraph, quant: &mut QuantGraph, index: usize, traces: &[Trace], reals: &[Vec<f32>]) {
    let (Op::Conv { input, weights, .. } | Op::Linear { input, weights, .. }) = &quant.nodes[index].op else { return };
    let (input, from, n_out) = (*input, quant.activations[*input], weights.bias.len());
    let decoded = with_weights(&float.nodes[index], decoded(weights, from));
    // Each image's shifts are summed in the order of the images, whatever thread had them.
    let of_one = |(trace, real): (&Trace, &Vec<f32>)| {
        let mut values = vec![Vec::new(); input + 1];
        values[input] = trace.stored[input].iter().map(|&stored| from.decode(stored)).collect();
        shifts(real, &float.compute(&decoded, &values), n_out)
    };
    let each: Vec<Vec<f64>> = traces.par_iter().zip(reals).map(of_one).collect();
    let (Op::Conv { weights, .. } | Op::Linear { weights, .. }) = &mut quant.nodes[index].op else { return };
    for (channel, (bias, &scale)) in weights.bias.iter_mut().zip(&weights.scales).enumerate() {
        let shift = each.iter().map(|shifts| shifts[channel]).sum::<f64>() / each.len().max(1) as f64;
        let steps = f64::from(*bias) + shift / f64::from(bias_scale(from.scale, scale));
        *bias = steps.round_ties_even().clamp(-LARGEST_BIAS, LARGEST_BIAS) as i32;
    }
}

/// The real numbers that integer weights and biases stand for.
fn decoded(weights: &QuantWeights, from: Affine) -> FloatWeights {
    let length = weights.values.len() / weights.bias.len();
    let filters = weights.values.chunks_exact(length).zip(&weights.scales);
    FloatWeights {
        values: filters.flat_map(|(filter, &scale)| filter.iter().map(move |&w| f32::from(w) * scale)).collect(),
        bias: weights.bias.iter().zip(&weights.scales).map(|(&b, &s)| b as f32 * bias_scale(from.scale, s)).collect(),
    }
}

fn with_weights(node: &Node<FloatWeights>, new: FloatWeights) -> Node<FloatWeights> {
    let mut node = node.clone();
    if let Op::Conv { weights, .. } | Op::Linear { weights, .. } = &mut node.op {
        *weights = new;
    }
    node
}

/// By channel: the mean of `real - found`.
fn shifts(real: &[f32], found: &[f32], n_channels: usize) -> Vec<f64> {
    let n_pixels = real.len() / n_channels;
    let mean = |(real, found): (&[f32], &[f32])| {
        real.iter().zip(found).map(|(&a, &b)| f64::from(a) - f64::from(b)).sum::<f64>() / n_pixels as f64
    };
    real.chunks_exact(n_pixels).zip(found.chunks_exact(n_pixels)).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::calibrate;
    use crate::quantise::quantise;
    use crate::random_net::{images, inverted_net, residual_net, signal_to_noise_db};

    fn both(float: &FloatGraph, images: &[Vec<f32>]) -> [QuantGraph; 2] {
        let plain = quantise(float, &calibrate(float, images, 100.0).unwrap()).unwrap();
        [correct_biases(float, plain.clone(), images), plain]
    }

    #[test]
    fn the_mean_of_every_logit_comes_back() {
        let float = inverted_net(5);
        let images = images(5, &float, 12);
        let mean = |logits: Vec<Vec<f32>>| {
            (0..5).map(|class| logits.iter().map(|l| l[class]).sum::<f32>() / 12.0).collect::<Vec<_>>()
        };
        let expected = mean(float.run_all(&images));
        let [corrected, plain] = both(&float, &images).map(|graph| mean(graph.run_all(&images)));
        let away = |found: &[f32]| found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(away(&corrected) < 3e-4 && away(&plain) > 3e-3, "{corrected:?} {plain:?} {expected:?}");
    }

    #[test]
    fn corrected_logits_are_closer_to_float_on_other_images() {
        for float in [inverted_net(1), inverted_net(2), residual_net(3)] {
            let (seen, unseen) = (images(1, &float, 24), images(2, &float, 24));
            let signal = float.run_all(&unseen).concat();
            let ratio = |graph: QuantGraph| signal_to_noise_db(&signal, &graph.run_all(&unseen).concat());
            let [corrected, plain] = both(&float, &seen).map(ratio);
            assert!(corrected > plain - 0.2, "{corrected:.1} dB, without correction {plain:.1} dB");
        }
    }

    #[test]
    fn no_images_move_nothing_and_threads_change_nothing() {
        let float = inverted_net(4);
        let images = images(4, &float, 5);
        let plain = quantise(&float, &calibrate(&float, &images, 100.0).unwrap()).unwrap();
        assert_eq!(correct_biases(&float, plain.clone(), &[]), plain);
        let with = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| correct_biases(&float, plain.clone(), &images))
        };
        assert_eq!(with(1), with(3));
    }
}
