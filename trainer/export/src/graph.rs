//! The two forms of a network this crate works on: float with BatchNorm folded, and 8-bit integer.
//!
//! A graph is a list of nodes in the order they run. Value 0 is the network's input, value `i + 1` is what node `i`
//! returns, and every node names its inputs by value. One image at a time: there is no batch dimension.
//! The last node is the classifier head, a [`Op::Linear`], and its value is the logits.

use std::collections::BTreeMap;

use half::f16;
use remedis_model::Activation;

use crate::quantise::Affine;

/// Size of one value: `[channel, height, width]`. Vectors are `[n, 1, 1]`.
pub type Shape = [usize; 3];

/// A network with plain `f32` weights and no BatchNorm. Made by [`crate::float_graph`].
#[derive(Clone, Debug, PartialEq)]
pub struct FloatGraph {
    /// Shape of the prepared image.
    pub input: Shape,
    /// What runs, in order.
    pub nodes: Vec<Node<FloatWeights>>,
    /// Written to the ONNX file as `metadata_props`; decides nothing.
    pub metadata: BTreeMap<String, String>,
}

/// A network in 8-bit integers. Made by [`crate::quantise()`]; what the integers mean is in `INT8.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantGraph {
    /// Shape of the prepared image.
    pub input: Shape,
    /// What runs, in order.
    pub nodes: Vec<Node<QuantWeights>>,
    /// How each value but the last is stored, by value. The logits are not stored in 8 bits.
    pub activations: Vec<Affine>,
    /// Written to the ONNX file as `metadata_props`; decides nothing.
    pub metadata: BTreeMap<String, String>,
}

/// One operation with its name and the shape of what it returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<W> {
    /// Unique in the graph; the name of the ONNX node.
    pub name: String,
    /// Shape of the value it returns.
    pub shape: Shape,
    /// What it does.
    pub op: Op<W>,
}

/// The operations a student is made of. `input`, `a` and `b` are values.
#[derive(Clone, Debug, PartialEq)]
pub enum Op<W> {
    /// Convolution with zero padding, then the activation. Weights are `[out, in / groups, height, width]`.
    Conv {
        /// Value it reads.
        input: usize,
        /// Kernel size, stride, padding and groups.
        geometry: Geometry,
        /// Weights and one bias per output channel.
        weights: W,
        /// What follows.
        activation: Activation,
    },
    /// Sum of two values of one shape, then the activation.
    Add {
        /// First value.
        a: usize,
        /// Second value.
        b: usize,
        /// What follows.
        activation: Activation,
    },
    /// Largest element under a square window; padding never wins.
    MaxPool {
        /// Value it reads.
        input: usize,
        /// Window size, stride and padding.
        window: Window,
    },
    /// Mean of each channel: `[channel, height, width]` to `[channel, 1, 1]`.
    GlobalAveragePool {
        /// Value it reads.
        input: usize,
    },
    /// Matrix product with weights `[out, in]`, plus bias. Always the last node.
    Linear {
        /// Value it reads, of shape `[in, 1, 1]`.
        input: usize,
        /// Weights and one bias per output.
        weights: W,
        /// Shape of the weights, `[out, in]`.
        shape: [usize; 2],
    },
}

/// Shape of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// `[out, in / groups, height, width]`.
    pub kernel: [usize; 4],
    /// Step in pixels, the same both ways.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Sides,
    /// Number of independent channel groups; `in` of them is a depthwise convolution.
    pub groups: usize,
}

/// Pixels around a picture, by axis: rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// Above and to the left.
    pub before: [usize; 2],
    /// Below and to the right.
    pub after: [usize; 2],
}

/// Shape of a pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Side in pixels.
    pub kernel: usize,
    /// Step in pixels.
    pub stride: usize,
    /// Pixels of nothing on every side.
    pub padding: usize,
}

/// Weights in output-channel-major order, with one bias per output channel.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatWeights {
    /// The weights.
    pub values: Vec<f32>,
    /// One for each output channel.
    pub bias: Vec<f32>,
}

/// Weights in 8 bits with a scale per output channel and zero point 0. No weight is -128.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantWeights {
    /// The weights, output-channel-major, from -127 to 127.
    pub values: Vec<i8>,
    /// Real value of one step, for each output channel.
    pub scales: Vec<f32>,
    /// For each output channel, in steps of input scale times weight scale.
    pub bias: Vec<i32>,
}

impl<W> Op<W> {
    /// What follows the operation's own arithmetic.
    pub fn activation(&self) -> Activation {
        match self {
            Op::Conv { activation, .. } | Op::Add { activation, .. } => *activation,
            Op::MaxPool { .. } | Op::GlobalAveragePool { .. } | Op::Linear { .. } => Activation::Identity,
        }
    }

    /// Its weights, if it has any.
    pub fn weights(&self) -> Option<&W> {
        match self {
            Op::Conv { weights, .. } | Op::Linear { weights, .. } => Some(weights),
            Op::Add { .. } | Op::MaxPool { .. } | Op::GlobalAveragePool { .. } => None,
        }
    }

    /// The values this operation reads.
    pub fn inputs(&self) -> Vec<usize> {
        match self {
            Op::Conv { input, .. }
            | Op::MaxPool { input, .. }
            | Op::GlobalAveragePool { input }
            | Op::Linear { input, .. } => vec![*input],
            Op::Add { a, b, .. } => vec![*a, *b],
        }
    }
}

impl Sides {
    /// The same number of pixels on every side.
    pub fn even(padding: usize) -> Self {
        Self { before: [padding; 2], after: [padding; 2] }
    }
}

impl Geometry {
    /// Multiplications per output element: the length of one dot product.
    pub fn dot_length(&self) -> usize {
        self.kernel[1] * self.kernel[2] * self.kernel[3]
    }

    /// Shape of the result for an input of shape `input`.
    ///
    /// # Panics
    /// If the channels do not fit the groups, or the kernel is larger than the padded input.
    pub fn output(&self, input: Shape) -> Shape {
        let [out, per_group, height, width] = self.kernel;
        assert_eq!(
            input[0],
            per_group * self.groups,
            "input channels against kernel {:?} in {} groups",
            self.kernel,
            self.groups
        );
        assert_eq!(out % self.groups, 0, "{out} output channels in {} groups", self.groups);
        let [height, width] = [(0, height), (1, width)].map(|(axis, kernel)| {
            let padded = input[axis + 1] + self.padding.before[axis] + self.padding.after[axis];
            steps(padded, kernel, self.stride)
        });
        [out, height, width]
    }
}

impl Window {
    /// Shape of the result for an input of shape `input`.
    ///
    /// # Panics
    /// If the window is larger than the padded input, or could lie wholly in the padding.
    pub fn output(&self, input: Shape) -> Shape {
        assert!(self.padding < self.kernel, "a window of {} lies wholly in a padding of {}", self.kernel, self.padding);
        let [height, width] = [input[1], input[2]].map(|size| steps(size + 2 * self.padding, self.kernel, self.stride));
        [input[0], height, width]
    }
}

impl FloatGraph {
    /// With weights rounded to half precision (IEEE 754 binary16, ties to even), which [`crate::write_onnx`] stores in half the bytes.
    /// Biases stay, as do weights of which one would round to infinity.
    #[must_use]
    pub fn rounded_to_half(mut self) -> Self {
        for node in &mut self.nodes {
            let (Op::Conv { weights, .. } | Op::Linear { weights, .. }) = &mut node.op else { continue };
            let rounded = weights.values.iter().map(|value| f16::from_f32(*value).to_f32()).collect::<Vec<f32>>();
            if rounded.iter().all(|value| value.is_finite()) {
                weights.values = rounded;
            }
        }
        self
    }

    /// Shape of value `value`.
    pub fn shape(&self, value: usize) -> Shape {
        shape(self.input, &self.nodes, value)
    }

    /// Number of classes.
    pub fn n_logits(&self) -> usize {
        self.shape(self.nodes.len())[0]
    }
}

impl QuantGraph {
    /// Shape of value `value`.
    pub fn shape(&self, value: usize) -> Shape {
        shape(self.input, &self.nodes, value)
    }

    /// Number of classes.
    pub fn n_logits(&self) -> usize {
        self.shape(self.nodes.len())[0]
    }
}

/// Number of elements in a value of shape `shape`.
pub fn volume(shape: Shape) -> usize {
    shape.iter().product()
}

fn shape<W>(input: Shape, nodes: &[Node<W>], value: usize) -> Shape {
    if value == 0 { input } else { nodes[value - 1].shape }
}

fn steps(padded: usize, kernel: usize, stride: usize) -> usize {
    assert!(
        stride > 0 && kernel > 0 && padded >= kernel,
        "kernel {kernel} with stride {stride} on {padded} padded pixels"
    );
    (padded - kernel) / stride + 1
}
