//! A file's nodes and values, numbered and in order: every name is known before it is read.

use std::collections::HashMap;

use remedis_kernels::Shape;
use remedis_onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::ReadError;
use super::tensor::Tensor;

/// Pictures have fewer values than this, so that sums of a few sizes fit 32 bits.
pub(super) const LARGEST_VOLUME: usize = 1 << 30;

/// A graph whose nodes read only what is there before them.
#[derive(Debug)]
pub(super) struct File {
    pub(super) nodes: Vec<Node>,
    pub(super) values: Vec<Value>,
    /// Values that it is given.
    pub(super) inputs: Vec<usize>,
    /// Values that it gives back.
    pub(super) outputs: Vec<usize>,
}

/// An operation.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) proto: NodeProto,
    /// By position; `None` where an optional one is left out.
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<Option<usize>>,
    /// Values that graphs in its attributes may read.
    pub(super) captures: Vec<usize>,
}

/// A named value.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) origin: Origin,
    /// Nodes that read it, as often as they do.
    pub(super) readers: Vec<usize>,
    /// Whether the model gives it back.
    pub(super) is_output: bool,
    /// Sizes as far as the file says.
    pub(super) dims: Option<Vec<Option<usize>>>,
}

/// Where a value comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// The model is given it.
    Input,
    /// The file has it.
    Constant(Tensor),
    /// A node makes it, maybe one that only hands over a constant of its own.
    Node(usize, Option<Tensor>),
}

impl File {
    pub(super) fn new(graph: GraphProto) -> Result<Self, ReadError> {
        let mut known = Names::default();
        let GraphProto { node, initializer, input, output, value_info, .. } = graph;
        let mut constants: HashMap<String, Tensor> = HashMap::new();
        let mut order = vec![];
        for tensor in initializer {
            let name = tensor.name.clone();
            order.push(name.clone());
            if constants.insert(name.clone(), checked(tensor, &name)?).is_some() {
                return Err(ReadError::Twice { value: name });
            }
        }
        // Old files list constants among the inputs too.
        let mut inputs = vec![];
        for info in input.iter().filter(|info| !constants.contains_key(&info.name)) {
            inputs.push(known.add(&info.name, Origin::Input)?);
        }
        for name in order {
            if let Some(tensor) = constants.remove(&name) {
                known.add(&name, Origin::Constant(tensor))?;
            }
        }
        let nodes = node.into_iter().enumerate();
        let nodes = nodes.map(|(number, node)| known.node(number, node)).collect::<Result<_, _>>()?;
        let mut outputs = vec![];
        for info in &output {
            let value = known.find(&info.name).ok_or_else(|| ReadError::Output { value: info.name.clone() })?;
            known.values[value].is_output = true;
            outputs.push(value);
        }
        for info in input.iter().chain(&output).chain(&value_info) {
            if let Some(value) = known.find(&info.name)
                && known.values[value].dims.is_none()
            {
                known.values[value].dims = dims(info);
            }
        }
        Ok(Self { nodes, values: known.values, inputs, outputs })
    }

    /// The node that makes a value, and no other node or the outside reads: it can go into what reads it.
    pub(super) fn sole_maker(&self, value: usize) -> Option<usize> {
        let Value { readers, is_output, .. } = &self.values[value];
        self.maker(value).filter(|_| readers.len() == 1 && !is_output)
    }

    /// The node that makes a value.
    pub(super) fn maker(&self, value: usize) -> Option<usize> {
        match self.values[value].origin {
            Origin::Node(node, _) => Some(node),
            _ => None,
        }
    }

    /// The constant that a value is.
    pub(super) fn constant(&self, value: usize) -> Option<&Tensor> {
        match &self.values[value].origin {
            Origin::Constant(tensor) | Origin::Node(_, Some(tensor)) => Some(tensor),
            _ => None,
        }
    }

    /// A node's input that is a constant; `None` where it is left out or something else.
    pub(super) fn constant_input(&self, node: &Node, position: usize) -> Option<&Tensor> {
        node.input(position).and_then(|value| self.constant(value))
    }
}

impl Value {
    /// One image's shape and whether the value is flat, as far as the file says; why it cannot be an image otherwise.
    pub(super) fn shape(&self) -> Result<(Option<Shape>, Option<bool>), String> {
        let Some(dims) = &self.dims else { return Ok((None, None)) };
        let (batch, sizes, is_flat) = match dims[..] {
            [batch, channels] => (batch, [channels, Some(1), Some(1)], true),
            [batch, channels, height, width] => (batch, [channels, height, width], false),
            _ => return Err(format!("{} has {} axes, expected 2 or 4", self.name, dims.len())),
        };
        if batch.is_some_and(|batch| batch != 1) {
            return Err(format!("{} is a batch of {}, expected 1", self.name, batch.unwrap_or(0)));
        }
        let [Some(channels), Some(height), Some(width)] = sizes else { return Ok((None, Some(is_flat))) };
        let shape = Shape { height, width, channels };
        match shape.checked_volume() {
            Some(1..LARGEST_VOLUME) => Ok((Some(shape), Some(is_flat))),
            _ => Err(format!("{} has {dims:?} values", self.name)),
        }
    }
}

impl Node {
    /// The operator, if the standard knows it.
    pub(super) fn op(&self) -> &str {
        if matches!(self.proto.domain.as_str(), "" | "ai.onnx") { &self.proto.op_type } else { "" }
    }

    /// Its name, or that of what it makes.
    pub(super) fn name(&self) -> &str {
        let first = self.proto.output.first().map_or("", String::as_str);
        if self.proto.name.is_empty() { first } else { &self.proto.name }
    }

    pub(super) fn input(&self, position: usize) -> Option<usize> {
        self.inputs.get(position).copied().flatten()
    }

    /// Its only result.
    pub(super) fn output(&self) -> Option<usize> {
        let mut made = self.outputs.iter().flatten();
        made.next().copied().filter(|_| made.next().is_none())
    }

    /// Everything it reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().flatten().chain(&self.captures).copied()
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }
}

#[derive(Default)]
struct Names {
    values: Vec<Value>,
    numbers: HashMap<String, usize>,
}

impl Names {
    fn find(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied().filter(|_| !name.is_empty())
    }

    fn add(&mut self, name: &str, origin: Origin) -> Result<usize, ReadError> {
        let number = self.values.len();
        if self.numbers.insert(name.to_owned(), number).is_some() {
            return Err(ReadError::Twice { value: name.to_owned() });
        }
        self.values.push(Value { name: name.to_owned(), origin, readers: vec![], is_output: false, dims: None });
        Ok(number)
    }

    fn node(&mut self, number: usize, mut proto: NodeProto) -> Result<Node, ReadError> {
        let mut inputs = vec![];
        for name in &proto.input {
            let value = self.find(name);
            if value.is_none() && !name.is_empty() {
                let node = if proto.name.is_empty() { &proto.op_type } else { &proto.name };
                return Err(ReadError::Order { node: node.clone(), value: name.clone() });
            }
            inputs.push(value);
        }
        let mut captures = vec![];
        for attribute in &proto.attribute {
            attribute.g.iter().chain(&attribute.graphs).for_each(|graph| self.captured(graph, &mut captures));
        }
        for value in inputs.iter().flatten().chain(&captures) {
            self.values[*value].readers.push(number);
        }
        let mut constant = None;
        if proto.op_type == "Constant" && proto.domain.is_empty() && proto.output.len() == 1 {
            let value = proto.attribute.iter_mut().find(|attribute| attribute.name == "value");
            if let Some(tensor) = value.and_then(|attribute| attribute.t.take()) {
                constant = Some(checked(tensor, &proto.output[0])?);
            }
        }
        let mut outputs = vec![];
        for name in &proto.output {
            let origin = Origin::Node(number, constant.take());
            outputs.push(if name.is_empty() { None } else { Some(self.add(name, origin)?) });
        }
        Ok(Node { proto, inputs, outputs, captures })
    }

    /// Known values that an inner graph names.
    fn captured(&self, graph: &GraphProto, captures: &mut Vec<usize>) {
        captures.extend(graph.output.iter().filter_map(|info| self.find(&info.name)));
        for node in &graph.node {
            captures.extend(node.input.iter().filter_map(|name| self.find(name)));
            for attribute in &node.attribute {
                attribute.g.iter().chain(&attribute.graphs).for_each(|graph| self.captured(graph, captures));
            }
        }
    }
}

fn checked(tensor: TensorProto, name: &str) -> Result<Tensor, ReadError> {
    Tensor::new(tensor).map_err(|source| ReadError::Tensor { name: name.to_owned(), source })
}

fn dims(info: &ValueInfoProto) -> Option<Vec<Option<usize>>> {
    let shape = info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    let size = |size: Option<i64>| size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    Some(shape.dim.iter().map(|dim| size(dim.dim_value)).collect())
}
