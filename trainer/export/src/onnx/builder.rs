//! Collects nodes and constants into a model.

use std::collections::BTreeMap;

use half::f16;
use remedis_onnx::{
    ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, DimensionProto, FLOAT, FLOAT16, GraphProto, INT8, INT32, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};

use super::{INPUT, OUTPUT};
use crate::graph::Shape;

/// Opset 13 brought per-channel scales to DequantizeLinear.
const OPSET: i64 = 13;
/// The format version of ONNX 1.8, which came with opset 13.
const IR_VERSION: i64 = 7;

/// A graph under construction. Its methods return the name of what they added, for the next node to read.
#[derive(Default)]
pub(super) struct Builder {
    graph: GraphProto,
}

impl Builder {
    pub(super) fn interface(&mut self, [channels, height, width]: Shape, n_logits: usize) {
        self.graph.input.push(float_value(INPUT, &[1, channels, height, width]));
        self.graph.output.push(float_value(OUTPUT, &[1, n_logits]));
    }

    pub(super) fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        output: String,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let input = inputs.iter().map(|&input| input.to_owned()).collect();
        self.graph.node.push(NodeProto {
            input,
            output: vec![output.clone()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute,
            ..NodeProto::default()
        });
        output
    }

    pub(super) fn floats(&mut self, name: String, shape: &[usize], values: &[f32]) -> String {
        self.constant(name, shape, FLOAT, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Floats that 16 bits hold, widened by the first node that reads them.
    pub(super) fn halves(&mut self, name: String, shape: &[usize], values: &[f32]) -> String {
        let raw = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        let stored = self.constant(format!("{name}.stored"), shape, FLOAT16, values.len(), raw);
        self.node("Cast", &format!("{name}.cast"), &[&stored], name, vec![scalar("to", FLOAT.into())])
    }

    pub(super) fn integers(&mut self, name: String, shape: &[usize], values: &[i32]) -> String {
        self.constant(name, shape, INT32, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    pub(super) fn bytes(&mut self, name: String, shape: &[usize], values: &[i8]) -> String {
        self.constant(name, shape, INT8, values.len(), values.iter().map(|value| value.to_le_bytes()[0]).collect())
    }

    pub(super) fn finish(self, metadata: &BTreeMap<String, String>) -> ModelProto {
        let entry =
            |(key, value): (&String, &String)| StringStringEntryProto { key: key.clone(), value: value.clone() };
        ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: "remedis-export".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(GraphProto { name: "student".to_owned(), ..self.graph }),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
            metadata_props: metadata.iter().map(entry).collect(),
        }
    }

    fn constant(&mut self, name: String, shape: &[usize], data_type: i32, n_values: usize, raw: Vec<u8>) -> String {
        assert_eq!(n_values, shape.iter().product::<usize>(), "values of {name} against its shape {shape:?}");
        let dims = shape.iter().map(|&size| size as i64).collect();
        self.graph.initializer.push(TensorProto {
            dims,
            data_type: Some(data_type),
            name: name.clone(),
            raw_data: Some(raw.into()),
            ..TensorProto::default()
        });
        name
    }
}

/// A list attribute.
pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { name: name.to_owned(), ints, r#type: Some(ATTRIBUTE_INTS), ..AttributeProto::default() }
}

/// An integer attribute.
pub(super) fn scalar(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i: Some(value), r#type: Some(ATTRIBUTE_INT), ..AttributeProto::default() }
}

fn float_value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = shape.iter().map(|&size| DimensionProto { dim_value: Some(size as i64), dim_param: None }).collect();
    let tensor_type = TensorTypeProto { elem_type: Some(FLOAT), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
