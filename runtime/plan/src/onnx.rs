//! Integer graphs from quantised ONNX files: the pass that fuses them.
//!
//! A quantised file in QDQ format computes in float between DequantizeLinear and QuantizeLinear, and means integers. This
//! module finds the layers that are meant, with everything that storing does on its own (Relu, Clip, Flatten, bias), and
//! gives them as [`Graph`]s. It reads files of onnxruntime's quantiser, of PyTorch and of our own exporter, and says of
//! every node what became of it: nothing is skipped in silence.
//!
//! A file is foreign until it is read. What is no graph of tensors (unknown names, sizes that do not fit the data) is a
//! [`ReadError`]; what is one, but nothing that integers compute, is [`Outcome::Float`] with the reason. Neither panics, and
//! nothing is allocated on the file's word. The module does not run anything, and does not move what is float into integers.
//!
//! Source of the operators: <https://onnx.ai/onnx/operators/>, QuantizeLinear and DequantizeLinear of opset 10 and later.

mod chain;
mod file;
mod fuse;
mod island;
mod layer;
mod operator;
mod quantised;
mod tensor;
#[cfg(test)]
mod tests;

use bytes::Buf;
use prost::Message;
use remedis_onnx::ModelProto;

use crate::graph::Graph;
pub use tensor::TensorError;

/// What a file computes, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Parts that run in integers. Each reads only what earlier ones, and operations in float, have made.
    pub islands: Vec<Island>,
    /// What became of each node, in the file's order.
    pub nodes: Vec<NodeReport>,
    /// What the model is given.
    pub inputs: Vec<Value>,
    /// What it gives back.
    pub outputs: Vec<Value>,
}

/// A part of the model that runs in integers from beginning to end.
#[derive(Clone, Debug, PartialEq)]
pub struct Island {
    /// What it computes; inputs and outputs have the file's names of those real values.
    pub graph: Graph,
    /// Positions of the nodes that it replaces, ascending.
    pub covers: Vec<usize>,
    /// By output.
    pub axes: Vec<Axes>,
}

/// How many axes a value has; inside an island that makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axes {
    /// `[1, n]`.
    Flat,
    /// `[1, channel, height, width]`.
    Picture,
    /// As those inputs of the island that have its size, of which there is at least one.
    AsRead,
    /// Something else.
    Unknown,
}

/// What became of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeReport {
    /// Its name, or that of what it makes.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// Where it went.
    pub outcome: Outcome,
}

/// Where a node of the file went.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is an integer operation.
    Integer {
        /// Position in [`Reading::islands`].
        island: usize,
        /// Position in the nodes of its graph.
        node: usize,
    },
    /// It is contained in one.
    Folded {
        /// Position in [`Reading::islands`].
        island: usize,
        /// Position in the nodes of its graph.
        node: usize,
    },
    /// It stays as it is.
    Float {
        /// Why.
        reason: String,
    },
}

/// A real value at the model's border.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Its sizes, `None` where the file leaves one, or all, open.
    pub dims: Option<Vec<Option<usize>>>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Bytes that are no ONNX model.
    #[error("not an ONNX file")]
    Decode(#[from] prost::DecodeError),
    /// A model without a graph.
    #[error("the file has no graph")]
    NoGraph,
    /// A node that reads something unknown, or something that comes later.
    #[error("node {node} reads {value}, which nothing before it makes")]
    Order {
        /// The node's name.
        node: String,
        /// What it reads.
        value: String,
    },
    /// Two values of one name.
    #[error("the value {value} is made twice")]
    Twice {
        /// The name.
        value: String,
    },
    /// An output that nothing makes.
    #[error("the output {value} is made by nothing")]
    Output {
        /// Its name.
        value: String,
    },
    /// A constant whose size, data and type contradict each other.
    #[error("the constant {name} cannot be read")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        source: TensorError,
    },
}

/// Reads a file. From [`bytes::Bytes`] its weights are not copied until they are fused.
///
/// # Errors
/// If it is no graph of tensors whose nodes read only what is there before them.
pub fn read(file: impl Buf) -> Result<Reading, ReadError> {
    read_model(ModelProto::decode(file)?)
}

/// Reads a decoded file.
///
/// # Errors
/// As [`read`].
pub fn read_model(model: ModelProto) -> Result<Reading, ReadError> {
    let graph = model.graph.ok_or(ReadError::NoGraph)?;
    let file = file::File::new(graph)?;
    Ok(fuse::Fusion::new(&file).finish())
}

impl Reading {
    /// The integer graph that is the whole model, if one island covers every node and makes every output.
    #[must_use]
    pub fn whole(&self) -> Option<&Graph> {
        let [Island { graph, covers, .. }] = &self.islands[..] else { return None };
        let outputs = graph.outputs.iter().map(|output| &output.name);
        let is_whole = covers.len() == self.nodes.len() && outputs.eq(self.outputs.iter().map(|value| &value.name));
        is_whole.then_some(graph)
    }
}
