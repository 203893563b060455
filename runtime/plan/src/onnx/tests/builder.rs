//! Small files.

use prost::Message;
use remedis_onnx::{
    AttributeProto, DimensionProto, FLOAT, GraphProto, INT8, INT32, INT64, ModelProto, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, UINT8, ValueInfoProto,
};

use crate::onnx::{ReadError, Reading};

/// A file under construction. `x` is a picture of two channels, four rows and four columns.
#[derive(Clone)]
pub(super) struct Builder {
    pub(super) graph: GraphProto,
    is_signed: bool,
}

impl Builder {
    pub(super) fn new() -> Self {
        let mut builder = Self { graph: GraphProto::default(), is_signed: true };
        builder.input("x", &[1, 2, 4, 4]);
        builder
    }

    /// The same with unsigned values and weights.
    pub(super) fn unsigned() -> Self {
        Self { is_signed: false, ..Self::new() }
    }

    pub(super) fn input(&mut self, name: &str, dims: &[i64]) {
        self.graph.input.push(value_info(name, dims));
    }

    pub(super) fn output(&mut self, name: &str) {
        self.graph.output.push(ValueInfoProto { name: name.into(), r#type: None });
    }

    pub(super) fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        let float_data = values.to_vec();
        self.constant(name, dims, TensorProto { data_type: Some(FLOAT), float_data, ..TensorProto::default() });
    }

    /// 8-bit values, given as signed ones.
    pub(super) fn bytes(&mut self, name: &str, dims: &[i64], values: &[i8]) {
        let (kind, lower) = if self.is_signed { (INT8, 0) } else { (UINT8, 0x80) };
        let raw: Vec<u8> = values.iter().map(|value| value.cast_unsigned() ^ lower).collect();
        let raw_data = Some(raw.into());
        self.constant(name, dims, TensorProto { data_type: Some(kind), raw_data, ..TensorProto::default() });
    }

    pub(super) fn words(&mut self, name: &str, dims: &[i64], values: &[i32]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let raw_data = Some(raw.into());
        self.constant(name, dims, TensorProto { data_type: Some(INT32), raw_data, ..TensorProto::default() });
    }

    pub(super) fn longs(&mut self, name: &str, values: &[i64]) {
        let tensor = TensorProto { data_type: Some(INT64), int64_data: values.to_vec(), ..TensorProto::default() };
        self.constant(name, &[values.len() as i64], tensor);
    }

    pub(super) fn constant(&mut self, name: &str, dims: &[i64], tensor: TensorProto) {
        self.graph.initializer.push(TensorProto { name: name.into(), dims: dims.to_vec(), ..tensor });
    }

    /// A node named after what it makes.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|input| (*input).into()).collect(),
            output: vec![output.into()],
            op_type: op.into(),
            attribute,
            ..NodeProto::default()
        });
    }

    /// Stores `value` and reads it again as `value.dq`.
    pub(super) fn store(&mut self, value: &str, scale: f32, zero_point: i8) -> String {
        let [scale_name, zero_name, stored] = ["scale", "zero", "q"].map(|part| format!("{value}.{part}"));
        self.floats(&scale_name, &[], &[scale]);
        self.bytes(&zero_name, &[], &[zero_point]);
        self.node("QuantizeLinear", &[value, &scale_name, &zero_name], &stored, vec![]);
        self.read_stored(value, &format!("{value}.dq"))
    }

    /// Reads the stored `value` as `name`.
    pub(super) fn read_stored(&mut self, value: &str, name: &str) -> String {
        let inputs = ["q", "scale", "zero"].map(|part| format!("{value}.{part}"));
        self.node("DequantizeLinear", &inputs.each_ref().map(String::as_str), name, vec![]);
        name.into()
    }

    /// Weights behind a DequantizeLinear, with one scale or one for each place on `axis`.
    pub(super) fn weights(&mut self, name: &str, dims: &[i64], values: &[i8], scales: &[f32], axis: i64) -> String {
        let [stored, scale, zero] = ["q", "scale", "zero"].map(|part| format!("{name}.{part}"));
        self.bytes(&stored, dims, values);
        let scale_dims = if scales.len() == 1 { vec![] } else { vec![scales.len() as i64] };
        self.floats(&scale, &scale_dims, scales);
        self.bytes(&zero, &scale_dims, &vec![0; scales.len()]);
        self.node("DequantizeLinear", &[&stored, &scale, &zero], name, vec![int("axis", axis)]);
        name.into()
    }

    /// A 32-bit bias behind a DequantizeLinear.
    pub(super) fn bias(&mut self, name: &str, values: &[i32], scales: &[f32]) -> String {
        let [stored, scale] = ["q", "scale"].map(|part| format!("{name}.{part}"));
        self.words(&stored, &[values.len() as i64], values);
        self.floats(&scale, &[scales.len() as i64], scales);
        self.node("DequantizeLinear", &[&stored, &scale], name, vec![int("axis", 0)]);
        name.into()
    }

    /// A 1 x 1 convolution from two channels to two, stored with scale 1: `name.dq`.
    pub(super) fn conv(&mut self, name: &str, from: &str) -> String {
        let weights = self.weights(&format!("{name}.w"), &[2, 2, 1, 1], &[1, 2, 3, 4], &[0.5], 0);
        self.node("Conv", &[from, &weights], name, vec![]);
        self.store(name, 1.0, 0)
    }

    /// The file itself.
    pub(super) fn file(self) -> Vec<u8> {
        self.model().encode_to_vec()
    }

    pub(super) fn model(self) -> ModelProto {
        ModelProto { graph: Some(self.graph), ..ModelProto::default() }
    }

    pub(super) fn read(self) -> Result<Reading, ReadError> {
        crate::onnx::read(self.file().as_slice())
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), ..AttributeProto::default() }
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: values.to_vec(), ..AttributeProto::default() }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: Some(value), ..AttributeProto::default() }
}

fn value_info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|size| DimensionProto { dim_value: Some(*size), dim_param: None }).collect();
    let tensor_type = TensorTypeProto { elem_type: Some(FLOAT), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
