//! A student as the device will compute it: batch normalisation folded into the kernels, every value of eight bits.
//!
//! Fake quantisation: numbers stay real but lie where eight bits can put them, and the gradient passes the rounding as if it were
//! not there (straight-through; nothing passes where a value saturates).
//! Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 3.
//! The places are those of `trainer/export/INT8.md`; what differs is that sums are not of integers here, which moves a value that
//! lies next to a half.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use remedis_model::{BatchNormParts, Layer};
use remedis_ops::{self as ops, Outside, Window};
use serde::Serialize;

use crate::checkpoint::floats;

/// Most steps in a bias, as the exporter has it, so that single precision counts them.
const LARGEST_BIAS: f64 = 16_777_215.0;
/// Scale of a channel of zeros.
const SMALLEST_SCALE: f32 = 1e-12;

/// How a value is stored in eight bits: `real = scale * (stored - zero_point)`, `stored` from -128 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stored {
    /// Real value of one step; positive.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i8,
}

impl Stored {
    /// `x` where eight bits can put it.
    fn fake<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        let [low, high] = [-128.0, 127.0].map(|end: f32| self.scale * (end - f32::from(self.zero_point)));
        let inside = x.clamp(low, high);
        let steps = inside.clone().div_scalar(self.scale).round().mul_scalar(self.scale);
        straight_through(inside, steps)
    }
}

/// The trainable numbers of a folded student, in the order of its layers.
#[derive(Module, Debug)]
pub(super) struct Folded {
    /// `[out, in / groups, row, column]`.
    kernels: Vec<Param<Tensor<4>>>,
    biases: Vec<Param<Tensor<1>>>,
    /// `[class, embedding]`.
    head: Param<Tensor<2>>,
    head_bias: Param<Tensor<1>>,
}

impl Folded {
    /// Folds `layers`.
    ///
    /// # Panics
    /// If they do not end in their only linear layer.
    pub(super) fn new(layers: &[Layer], device: &Device) -> Self {
        let (mut kernels, mut biases) = (Vec::new(), Vec::new());
        for layer in layers {
            if let Layer::Conv { weight, shape, batch_norm, .. } = layer {
                let (weight, bias) = fold(weight, shape[0], batch_norm.as_ref());
                kernels.push(parameter(weight, *shape, device));
                biases.push(parameter(bias, [shape[0]], device));
            }
        }
        let Some(Layer::Linear { weight, bias, shape, .. }) = layers.last() else {
            panic!("a student ends in a linear layer");
        };
        let head = parameter(weight.clone(), *shape, device);
        Self { kernels, biases, head, head_bias: parameter(bias.clone(), [bias.len()], device) }
    }

    /// `layers` with these numbers; what was batch normalisation is now a bias alone.
    pub(super) fn into_layers(self, layers: &[Layer]) -> Vec<Layer> {
        let mut convolutions = self.kernels.into_iter().zip(self.biases);
        let mut layers = layers.to_vec();
        for layer in &mut layers {
            match layer {
                Layer::Conv { weight, batch_norm, .. } => {
                    let (kernel, bias) = convolutions.next().expect("a kernel was made for every convolution");
                    *weight = floats(kernel.val());
                    *batch_norm = Some(bias_alone(floats(bias.val())));
                }
                Layer::Linear { weight, bias, .. } => {
                    (*weight, *bias) = (floats(self.head.val()), floats(self.head_bias.val()));
                }
                Layer::Add { .. } | Layer::MaxPool { .. } | Layer::GlobalAveragePool { .. } => {}
            }
        }
        layers
    }

    /// Logits with weights and values of eight bits; `stored` tells how each value but the logits is stored, the input first.
    ///
    /// # Shapes
    /// - `x`: `[batch, channel, height, width]`
    /// - returns: `[batch, class]`
    ///
    /// # Panics
    /// If layers or `stored` are of another student.
    pub(super) fn forward(&self, layers: &[Layer], stored: &[Stored], x: Tensor<4>) -> Tensor<2> {
        assert_eq!(layers.len(), stored.len(), "one way of storing for each value but the logits");
        let mut convolutions = self.kernels.iter().zip(&self.biases);
        let mut values = vec![stored[0].fake(ops::to_pixels(x))];
        for (layer, to) in layers.iter().zip(&stored[1..]) {
            let value = match layer {
                Layer::Conv { input, shape, stride, padding, groups, activation, .. } => {
                    let (kernel, bias) = convolutions.next().expect("a kernel was made for every convolution");
                    let x = values[*input].clone();
                    let [_, height, width, _] = x.dims();
                    let (top, bottom) = padding.around(height, shape[2], *stride);
                    let (left, right) = padding.around(width, shape[3], *stride);
                    let (before, after) = ([top, left], [bottom, right]);
                    let window =
                        Window { kernel: [shape[2], shape[3]], stride: *stride, before, after, groups: *groups };
                    let (kernel, bias) = fake_weights(kernel.val(), bias.val(), stored[*input].scale);
                    let y = ops::conv2d(x, kernel, window);
                    let ones = Tensor::ones([shape[0]], &y.device());
                    to.fake(ops::affine(y, ones, bias, *activation))
                }
                Layer::Add { a, b, activation, .. } => {
                    to.fake(ops::add(values[*a].clone(), values[*b].clone(), *activation))
                }
                // Stored as its input is.
                Layer::MaxPool { input, kernel, stride, padding, .. } => {
                    let window = Window::square(*kernel, *stride, *padding);
                    ops::max_pool2d(values[*input].clone(), window, Outside::Nothing)
                }
                Layer::GlobalAveragePool { input, .. } => {
                    let means = ops::average(values[*input].clone());
                    let [batch, channels] = means.dims();
                    to.fake(means).reshape([batch, 1, 1, channels])
                }
                Layer::Linear { .. } => unreachable!("a student's only linear layer is its last"),
            };
            values.push(value);
        }
        let Some(Layer::Linear { input, .. }) = layers.last() else {
            panic!("a student ends in a linear layer");
        };
        let [batch, .., channels] = values[*input].dims();
        let embedding = values[*input].clone().reshape([batch, channels]);
        let (head, bias) = fake_weights(self.head.val(), self.head_bias.val(), stored[*input].scale);
        embedding.matmul(head.transpose()) + bias.unsqueeze()
    }
}

/// Weights where eight bits without a zero point can put them, by a scale for each output channel, and biases where multiples
/// of that scale times `input_scale` can.
fn fake_weights<const D: usize>(weight: Tensor<D>, bias: Tensor<1>, input_scale: f32) -> (Tensor<D>, Tensor<1>) {
    let shape = weight.dims();
    let largest = weight.clone().detach().reshape([shape[0] as i32, -1]).abs().max_dim(1).reshape([shape[0]]);
    let for_bias = bias.clone().detach().abs().div_scalar(f64::from(input_scale) * LARGEST_BIAS);
    let scale = largest.div_scalar(127.0).max_pair(for_bias).clamp_min(SMALLEST_SCALE);
    let mut each_channel = [1; D];
    each_channel[0] = shape[0];
    let scales: Tensor<D> = scale.clone().reshape(each_channel);
    let steps = (weight.clone() / scales.clone()).round().clamp(-127.0, 127.0) * scales;
    let bias_scale = scale.mul_scalar(input_scale);
    let bias_steps = (bias.clone() / bias_scale.clone()).round() * bias_scale;
    (straight_through(weight, steps), straight_through(bias, bias_steps))
}

/// The value of `rounded`, with the gradient of `exact`.
fn straight_through<const D: usize>(exact: Tensor<D>, rounded: Tensor<D>) -> Tensor<D> {
    exact.clone() + (rounded - exact).detach()
}

/// Weight and bias of a convolution that does what it and its batch normalisation did; in f64, rounded once.
fn fold(weight: &[f32], out: usize, batch_norm: Option<&BatchNormParts>) -> (Vec<f32>, Vec<f32>) {
    let Some(norm) = batch_norm else { return (weight.to_vec(), vec![0.0; out]) };
    let gain = |c: usize| f64::from(norm.gamma[c]) / (f64::from(norm.variance[c]) + f64::from(norm.epsilon)).sqrt();
    let filters = weight.chunks_exact(weight.len() / out).enumerate();
    let folded = filters.flat_map(|(c, filter)| filter.iter().map(move |&w| (f64::from(w) * gain(c)) as f32)).collect();
    let bias = (0..out).map(|c| (f64::from(norm.beta[c]) - f64::from(norm.mean[c]) * gain(c)) as f32).collect();
    (folded, bias)
}

/// A batch normalisation that adds `bias` and does nothing else.
fn bias_alone(bias: Vec<f32>) -> BatchNormParts {
    let n = bias.len();
    BatchNormParts { gamma: vec![1.0; n], beta: bias, mean: vec![0.0; n], variance: vec![1.0; n], epsilon: 0.0 }
}

fn parameter<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_export::{FloatGraph, QuantGraph, calibrate, float_graph, quantise};
    use remedis_model::{InvertedResidualConfig, StudentConfig};
    use remedis_views::Key;

    const SIZE: usize = 32;

    fn noise(n: usize, purpose: &str) -> Vec<f32> {
        let mut chance = Key::new(1, purpose).chance();
        (0..n).map(|_| chance.uniform(-1.0, 1.0)).collect()
    }

    /// Students whose normalisations and heads do something.
    fn students() -> [Vec<Layer>; 2] {
        let device = Device::flex();
        let students = [
            StudentConfig::small(3).init(&device, 1).layers(),
            InvertedResidualConfig::efficientnet_lite0(3).init(&device, 1).layers(),
        ];
        students.map(|mut layers| {
            for layer in &mut layers {
                match layer {
                    Layer::Conv { name, batch_norm: Some(norm), .. } => {
                        let n = norm.beta.len();
                        norm.beta = noise(n, name).iter().map(|v| 0.3 * v).collect();
                        norm.gamma = noise(n, &format!("{name} gamma")).iter().map(|v| 1.0 + 0.5 * v).collect();
                    }
                    Layer::Linear { weight, bias, .. } => {
                        (*weight, *bias) = (noise(weight.len(), "head"), noise(bias.len(), "bias"));
                    }
                    _ => {}
                }
            }
            layers
        })
    }

    fn quantised(layers: &[Layer], images: &[Vec<f32>]) -> (FloatGraph, QuantGraph, Vec<Stored>) {
        let float = float_graph(layers, [3, SIZE, SIZE]);
        let int8 = quantise(&float, &calibrate(&float, images, 100.0).unwrap()).unwrap();
        let stored = int8.activations.iter().map(|a| Stored { scale: a.scale, zero_point: a.zero_point }).collect();
        (float, int8, stored)
    }

    #[test]
    fn folding_is_the_exporters() {
        for layers in students() {
            let folded = Folded::new(&layers, &Device::flex()).into_layers(&layers);
            let shape = [3, SIZE, SIZE];
            assert!(float_graph(&folded, shape) == float_graph(&layers, shape));
        }
    }

    /// The first `n` layers of a student, under a head of noise.
    fn beginning(layers: &[Layer], n: usize) -> Vec<Layer> {
        let mut convolutions = layers[..n].iter().filter_map(|layer| match layer {
            Layer::Conv { shape, .. } => Some(shape[0]),
            _ => None,
        });
        let channels = convolutions.next_back().unwrap();
        let mut layers = layers[..n].to_vec();
        layers.push(Layer::GlobalAveragePool { name: "mean".into(), input: n });
        let (weight, bias, shape) = (noise(5 * channels, "head"), vec![0.1; 5], [5, channels]);
        layers.push(Layer::Linear { name: "end".into(), input: n + 1, weight, bias, shape });
        layers
    }

    /// One value next to a half falls the other way and moves all behind it: less than rounding itself does, and in few images.
    /// Deeper in a network of noise no image would be left without one.
    #[test]
    fn logits_are_those_of_the_integer_network_but_for_values_next_to_a_half() {
        let n_values = 3 * SIZE * SIZE;
        let images: Vec<Vec<f32>> = noise(16 * n_values, "images").chunks(n_values).map(<[f32]>::to_vec).collect();
        for (layers, n) in students().into_iter().zip([14, 8]) {
            let layers = beginning(&layers, n);
            let (float, int8, stored) = quantised(&layers, &images);
            let x = Tensor::from_data(TensorData::new(images.concat(), [16, 3, SIZE, SIZE]), &Device::flex());
            let fake = floats(Folded::new(&layers, &Device::flex()).forward(&layers, &stored, x));
            let fake: Vec<Vec<f32>> = fake.chunks(5).map(<[f32]>::to_vec).collect();
            let apart = |a: &[Vec<f32>], b: &[Vec<f32>]| -> Vec<f32> {
                let one = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
                a.iter().zip(b).map(|(a, b)| one(a, b)).collect()
            };
            let (float, int8) = (float.run_all(&images), int8.run_all(&images));
            let (ours, theirs) = (apart(&fake, &int8), apart(&float, &int8));
            assert!(ours.iter().filter(|off| **off < 1e-4).count() >= 10, "{ours:?}");
            let (ours, theirs) = (ours.iter().sum::<f32>(), theirs.iter().sum::<f32>());
            assert!(ours < 0.2 * theirs, "{ours} from the integers, which are {theirs} from the real numbers");
        }
    }

    // Steps of 0.5 around a zero point of -126: from -1 to 126.5.
    #[test]
    fn fake_values_lie_on_steps_and_pass_the_gradient_where_they_do_not_saturate() {
        let x = Tensor::<1>::from_data([-3.0, -0.9, 0.2, 0.3, 0.75, 126.4, 130.0], &Device::flex().autodiff());
        let x = x.require_grad();
        let stored = Stored { scale: 0.5, zero_point: -126 };
        let y = stored.fake(x.clone());
        assert_eq!(floats(y.clone()), [-1.0, -1.0, 0.0, 0.5, 1.0, 126.5, 126.5]);
        let gradients = (y * Tensor::from_data([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], &x.device())).sum().backward();
        assert_eq!(floats(x.grad(&gradients).unwrap()), [0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0]);
    }

    // 127 steps to the largest of each row: steps of 1 and of 0.01.
    #[test]
    fn fake_weights_have_a_scale_for_each_channel_and_keep_zeros() {
        let weight = Tensor::<2>::from_data([[127.0, 3.4, -0.6], [0.504, -1.27, 0.0], [0.0; 3]], &Device::flex());
        let bias = Tensor::from_data([0.6, 0.019, 0.0], &Device::flex());
        let (weight, bias) = fake_weights(weight, bias, 0.5);
        let (found, bias) = (floats(weight), floats(bias));
        let expected = [127.0, 3.0, -1.0, 0.5, -1.27, 0.0, 0.0, 0.0, 0.0];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
        // Steps of 0.5 and of 0.005.
        assert!(bias.iter().zip([0.5, 0.02, 0.0]).all(|(found, expected)| (found - expected).abs() < 1e-6), "{bias:?}");
    }
}
