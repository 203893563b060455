//! From a float graph and its ranges to integers. The rules are written down in `INT8.md`; this is their source.
//!
//! Weights: symmetric, one scale per output channel, never -128. Activations: asymmetric, one scale per tensor, zero
//! exactly representable. Biases: `i32` in steps of input scale times weight scale.

use remedis_model::Activation;

use crate::calibrate::{Range, Ranges};
use crate::graph::{FloatGraph, FloatWeights, Node, Op, QuantGraph, QuantWeights};

/// Largest bias, in steps: up to here an `i32` is also exact in `f32`, so float executors of the ONNX file see the same.
pub(crate) const LARGEST_BIAS: f64 = 16_777_216.0;
/// Longest dot product whose sum, with the largest bias, surely fits an `i32`: `127 * 255 * n + 2^24 < 2^31`.
const LONGEST_DOT: usize = 65_536;
/// Smallest scale we write, far below any range a network uses and far above where `f32` products lose precision.
const SMALLEST_SCALE: f32 = 1e-12;

/// Why a graph cannot be quantised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// Training diverged.
    #[error("weights of layer {layer} hold a value that is not finite: train again with a lower learning rate")]
    NotFinite {
        /// The layer's name.
        layer: String,
    },
    /// The sum might not fit 32 bits.
    #[error("layer {layer} sums {found} products for each output; at most {LONGEST_DOT} surely fit a 32-bit sum")]
    DotTooLong {
        /// The layer's name.
        layer: String,
        /// Length of its dot product.
        found: usize,
    },
    /// The ranges belong to another network.
    #[error("ranges of {found} values, but the network has {expected}: calibrate this network")]
    OtherNetwork {
        /// Values of the network without the logits.
        expected: usize,
        /// Values in the ranges.
        found: usize,
    },
}

/// How a real number is stored in 8 bits: `real = scale * (stored - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Real value of one step; positive.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i8,
}

impl Affine {
    /// The finest map that covers `range` and represents zero exactly.
    pub fn covering(range: Range) -> Affine {
        let low = f64::from(range.low.min(0.0));
        let high = f64::from(range.high.max(0.0));
        let scale = if high > low { (((high - low) / 255.0) as f32).max(SMALLEST_SCALE) } else { 1.0 };
        let zero_point = (-128.0 - low / f64::from(scale)).round_ties_even().clamp(-128.0, 127.0) as i8;
        Affine { scale, zero_point }
    }

    /// Nearest stored value, half to even, saturating. NaN becomes 0, as `as` does; prepared images hold none.
    pub fn encode(self, real: f32) -> i8 {
        let steps = (real / self.scale).round_ties_even() + f32::from(self.zero_point);
        steps.clamp(-128.0, 127.0) as i8
    }

    /// The real number `stored` stands for.
    pub fn decode(self, stored: i8) -> f32 {
        self.scale * f32::from(i16::from(stored) - i16::from(self.zero_point))
    }

    /// The smallest and the largest real number that can be stored.
    pub fn range(self) -> (f32, f32) {
        (self.decode(i8::MIN), self.decode(i8::MAX))
    }

    /// Stores `steps`, a real number in units of the scale: half to even, saturating.
    ///
    /// Adding 1.5 * 2^23 leaves no bit below one, so the addition itself rounds, half to even; this is
    /// `f32::round_ties_even` without the call into the mathematics library that older x86 needs for it.
    pub(crate) fn store(self, steps: f32) -> i8 {
        const ROUNDS_TO_INTEGER: f32 = 12_582_912.0;
        let rounded = steps.clamp(-512.0, 512.0) + ROUNDS_TO_INTEGER - ROUNDS_TO_INTEGER;
        (rounded + f32::from(self.zero_point)).clamp(-128.0, 127.0) as i8
    }
}

/// Quantises `graph` with the activation `ranges` that [`crate::calibrate()`] measured on it.
///
/// A ReLU becomes the lower end of its output's range, ReLU6 both ends, and a max pool keeps the map of its input.
///
/// # Errors
/// If a weight is not finite, a dot product is too long for 32 bits, or the ranges are of another network.
pub fn quantise(graph: &FloatGraph, ranges: &Ranges) -> Result<QuantGraph, QuantiseError> {
    if ranges.values.len() != graph.nodes.len() {
        return Err(QuantiseError::OtherNetwork { expected: graph.nodes.len(), found: ranges.values.len() });
    }
    let mut activations: Vec<Affine> = vec![Affine::covering(ranges.values[0])];
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        nodes.push(quantise_node(node, &activations)?);
        if let Some(&range) = ranges.values.get(index + 1) {
            activations.push(stored_as(&node.op, range, &activations));
        }
    }
    Ok(QuantGraph { input: graph.input, nodes, activations, metadata: graph.metadata.clone() })
}

fn stored_as(op: &Op<FloatWeights>, range: Range, earlier: &[Affine]) -> Affine {
    if let Op::MaxPool { input, .. } = op {
        return earlier[*input];
    }
    match op.activation() {
        Activation::Identity => Affine::covering(range),
        // The ends must be the activation's own, so that saturating is the activation.
        activation @ (Activation::Relu | Activation::Relu6) => {
            let (low, high) = activation.range();
            let affine = Affine::covering(Range { low, high: range.high.min(high) });
            Affine { zero_point: i8::MIN, ..affine }
        }
    }
}

fn quantise_node(node: &Node<FloatWeights>, activations: &[Affine]) -> Result<Node<QuantWeights>, QuantiseError> {
    let name = node.name.clone();
    let op = match &node.op {
        Op::Conv { input, geometry, weights, activation } => {
            let weights = quantise_weights(&name, weights, activations[*input].scale)?;
            Op::Conv { input: *input, geometry: *geometry, weights, activation: *activation }
        }
        Op::Linear { input, weights, shape } => {
            let weights = quantise_weights(&name, weights, activations[*input].scale)?;
            Op::Linear { input: *input, weights, shape: *shape }
        }
        Op::Add { a, b, activation } => Op::Add { a: *a, b: *b, activation: *activation },
        Op::MaxPool { input, window } => Op::MaxPool { input: *input, window: *window },
        Op::GlobalAveragePool { input } => Op::GlobalAveragePool { input: *input },
    };
    Ok(Node { name, shape: node.shape, op })
}

fn quantise_weights(layer: &str, weights: &FloatWeights, input_scale: f32) -> Result<QuantWeights, QuantiseError> {
    let n_out = weights.bias.len();
    let dot_length = weights.values.len() / n_out;
    if dot_length > LONGEST_DOT {
        return Err(QuantiseError::DotTooLong { layer: layer.to_owned(), found: dot_length });
    }
    if !weights.values.iter().chain(&weights.bias).all(|value| value.is_finite()) {
        return Err(QuantiseError::NotFinite { layer: layer.to_owned() });
    }
    let mut quantised = QuantWeights {
        values: Vec::with_capacity(weights.values.len()),
        scales: Vec::with_capacity(n_out),
        bias: Vec::with_capacity(n_out),
    };
    for (filter, &bias) in weights.values.chunks_exact(dot_length).zip(&weights.bias) {
        let scale = weight_scale(filter, bias, input_scale);
        quantised.values.extend(
            filter
                .iter()
                .map(|&weight| (f64::from(weight) / f64::from(scale)).round_ties_even().clamp(-127.0, 127.0) as i8),
        );
        quantised.bias.push((f64::from(bias) / f64::from(bias_scale(input_scale, scale))).round_ties_even() as i32);
        quantised.scales.push(scale);
    }
    Ok(quantised)
}

/// Real value of one step of a bias: the `f32` product, which is what the ONNX file carries.
pub(crate) fn bias_scale(input_scale: f32, weight_scale: f32) -> f32 {
    input_scale * weight_scale
}

fn weight_scale(filter: &[f32], bias: f32, input_scale: f32) -> f32 {
    let largest = filter.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
    // A channel of nearly dead weights and a real bias: coarser weights, so that the bias still fits.
    let for_bias = f64::from(bias.abs()) / (f64::from(input_scale) * (LARGEST_BIAS - 1.0));
    (largest / 127.0).max(for_bias as f32).max(SMALLEST_SCALE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calibrate::calibrate;
    use crate::random_net::{images, inverted_net, residual_net, signal_to_noise_db};

    proptest! {
        #[test]
        fn error_is_at_most_half_a_step(scale in 1e-4f32..10.0, zero_point: i8, unit in 0f32..1.0) {
            let map = Affine { scale, zero_point };
            let (low, high) = map.range();
            let real = low + unit * (high - low);
            let error = (map.decode(map.encode(real)) - real).abs();
            prop_assert!(error <= scale * 0.501, "{real} came back {error} away");
        }

        #[test]
        fn storing_rounds_half_to_even(half_steps in -2000i32..2000, nudge in -1e-3f32..1e-3, zero_point: i8) {
            let halves = half_steps as f32 / 2.0;
            for steps in [halves, halves + nudge, halves * 1e6] {
                let expected = (steps.round_ties_even() + f32::from(zero_point)).clamp(-128.0, 127.0) as i8;
                prop_assert_eq!(Affine { scale: 1.0, zero_point }.store(steps), expected, "{}", steps);
            }
        }

        #[test]
        fn every_stored_value_comes_back(scale in 1e-6f32..1e6, zero_point: i8, stored: i8) {
            let map = Affine { scale, zero_point };
            prop_assert_eq!(map.encode(map.decode(stored)), stored);
        }

        #[test]
        fn a_covering_map_holds_zero_and_its_range(low in -50f32..50.0, width in 1e-3f32..50.0) {
            let map = Affine::covering(Range { low, high: low + width });
            prop_assert_eq!(map.decode(map.encode(0.0)), 0.0);
            for end in [low, low + width] {
                // The zero point is rounded, so one end may lie up to half a step outside.
                let error = (map.decode(map.encode(end)) - end).abs();
                prop_assert!(error <= map.scale * 1.01, "{end} came back {error} away, step {}", map.scale);
            }
        }
    }

    #[test]
    fn weights_are_scaled_by_their_own_channel() {
        let weights = FloatWeights { values: vec![1.27, -0.64, 0.0127, 0.0064], bias: vec![0.5, 0.0] };
        let quantised = quantise_weights("conv", &weights, 0.1).unwrap();
        assert_eq!(quantised.values, [127, -64, 127, 64]);
        assert_eq!(quantised.bias, [500, 0]);
        assert!((quantised.scales[0] / quantised.scales[1] - 100.0).abs() < 1e-3, "{:?}", quantised.scales);
    }

    #[test]
    fn a_bias_on_dead_weights_still_fits() {
        let weights = FloatWeights { values: vec![0.0, 1e-9], bias: vec![3.0] };
        let quantised = quantise_weights("conv", &weights, 0.1).unwrap();
        let real = f64::from(quantised.bias[0]) * f64::from(bias_scale(0.1, quantised.scales[0]));
        assert!((real - 3.0).abs() < 1e-5, "{real}");
    }

    #[test]
    fn diverged_weights_are_refused_by_name() {
        let weights = FloatWeights { values: vec![f32::NAN], bias: vec![0.0] };
        let error = quantise_weights("stem", &weights, 0.1).unwrap_err();
        assert!(error.to_string().contains("layer stem"), "{error}");
    }

    #[test]
    fn the_quantised_net_stays_close_to_the_float_net() {
        for seed in 0..8 {
            let float = if seed < 4 { residual_net(seed) } else { inverted_net(seed) };
            let images = images(seed, &float, 24);
            let quant = quantise(&float, &calibrate(&float, &images, 100.0).unwrap()).unwrap();
            let signal: Vec<f32> = images.iter().flat_map(|image| float.run(image)).collect();
            let noisy: Vec<f32> = images.iter().flat_map(|image| quant.run(image)).collect();
            let ratio = signal_to_noise_db(&signal, &noisy);
            assert!(ratio > 20.0, "net {seed}: {ratio:.1} dB");
        }
    }

    #[test]
    fn one_scale_for_all_channels_would_be_far_worse() {
        // The random net's channels differ in size by design; forcing the coarsest scale on all shows the scales are used.
        let float = residual_net(1);
        let images = images(1, &float, 24);
        let ranges = calibrate(&float, &images, 100.0).unwrap();
        let signal: Vec<f32> = images.iter().flat_map(|image| float.run(image)).collect();
        let per_channel = quantise(&float, &ranges).unwrap();
        let mut per_tensor = per_channel.clone();
        for (node, original) in per_tensor.nodes.iter_mut().zip(&float.nodes) {
            let (Op::Conv { weights, input, .. }, Op::Conv { weights: real, .. }) = (&mut node.op, &original.op) else {
                continue;
            };
            let coarsest = weights.scales.iter().copied().fold(0.0, f32::max);
            weights.scales.fill(coarsest);
            weights.values = real.values.iter().map(|value| (value / coarsest).round_ties_even() as i8).collect();
            weights.bias = real
                .bias
                .iter()
                .map(|bias| (bias / (coarsest * per_channel.activations[*input].scale)).round_ties_even() as i32)
                .collect();
        }
        let ratio = |graph: &QuantGraph| {
            signal_to_noise_db(&signal, &images.iter().flat_map(|image| graph.run(image)).collect::<Vec<_>>())
        };
        let (fine, coarse) = (ratio(&per_channel), ratio(&per_tensor));
        assert!(fine > coarse + 3.0, "per channel {fine:.1} dB, per tensor {coarse:.1} dB");
    }
}
