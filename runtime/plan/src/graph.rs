//! A quantised network as integer operations: what a file says, before any processor is thought of.
//!
//! Values are 8-bit integers behind one scale and zero point each (`docs` of the rules:
//! [INT8.md](../../../trainer/export/INT8.md)). A graph reads real numbers through [`Op::Quantise`] and gives them back at its
//! [`Output`]s; between those everything is integer. Unsigned files are read as signed ones, 128 lower.

use remedis_kernels::Window;

/// The real value of a stored `q` is `scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// One step, above 0.
    pub scale: f32,
    /// The stored value of a real zero.
    pub zero_point: i8,
}

/// A network, or the part of one that runs in integers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Names of the real values that it reads, `[1, channel, height, width]` or `[1, channel]`, in the file's order.
    pub inputs: Vec<String>,
    /// Every node reads only nodes before it.
    pub nodes: Vec<Node>,
    /// What it gives back.
    pub outputs: Vec<Output>,
}

/// One operation and its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The file's name for it; the first output's name where the file has none.
    pub name: String,
    /// What is computed.
    pub op: Op,
    /// What the result means.
    pub result: Stored,
}

/// What the result of a node means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stored {
    /// 8 bits; stored values outside `low..=high` are moved to its ends, which is how ReLU and ReLU6 are computed.
    Bytes {
        /// What they stand for.
        affine: Affine,
        /// Least stored value.
        low: i8,
        /// Largest stored value.
        high: i8,
    },
    /// Real numbers, the sum times input scale times weight scale: only for [`Op::Linear`], and only as an output.
    Real,
}

/// An operation. Numbers are positions in [`Graph::nodes`].
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Real to stored, `clamp(round_half_even(x / scale) + zero_point)`.
    Quantise {
        /// Position in [`Graph::inputs`].
        input: usize,
    },
    /// Convolution; `groups` is 1 or the number of channels.
    Convolution {
        /// What it reads.
        input: usize,
        /// 1, or the number of input channels (depthwise, as many outputs as inputs).
        groups: usize,
        /// What it slides.
        window: Window,
        /// `[out, in / groups, row, column]`.
        weights: Weights,
    },
    /// Fully connected, on the flattened `[channel, height, width]` of what it reads.
    Linear {
        /// What it reads.
        input: usize,
        /// `[out, in]`.
        weights: Weights,
    },
    /// Sum of two values of one shape.
    Add {
        /// One of them.
        a: usize,
        /// The other.
        b: usize,
    },
    /// Largest value under the window; padding never wins. The result means what the input means.
    MaxPool {
        /// What it reads.
        input: usize,
        /// What it slides.
        window: Window,
    },
    /// Mean over all pixels, `[channel, 1, 1]`.
    GlobalAveragePool {
        /// What it reads.
        input: usize,
    },
}

/// Integer weights of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// From -127 to 127, output channel first.
    pub values: Vec<i8>,
    /// One scale an output channel.
    pub scales: Vec<f32>,
    /// One an output channel, in steps of input scale times weight scale.
    pub bias: Vec<i32>,
}

/// A real value that the graph gives back.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The file's name for it.
    pub name: String,
    /// Which node's result, dequantised if it is stored in 8 bits.
    pub node: usize,
}

impl Op {
    /// The nodes that it reads.
    pub fn inputs(&self) -> impl Iterator<Item = usize> + use<> {
        let [first, second] = match *self {
            Self::Quantise { .. } => [None, None],
            Self::Convolution { input, .. }
            | Self::Linear { input, .. }
            | Self::MaxPool { input, .. }
            | Self::GlobalAveragePool { input } => [Some(input), None],
            Self::Add { a, b } => [Some(a), Some(b)],
        };
        first.into_iter().chain(second)
    }
}
