//! Writes a graph as an ONNX model of opset 13 that onnxruntime and tract open.
//!
//! One input, `input` of `[1, channel, height, width]`, a prepared image; one output, `logits` of `[1, class]`.
//! A float graph becomes Conv, Relu, Clip, Add, MaxPool, GlobalAveragePool, Flatten and Gemm. A quantised graph becomes the
//! same in QDQ form: every stored tensor is a QuantizeLinear and DequantizeLinear pair, weights and biases are integers
//! behind a DequantizeLinear with one scale per output channel, and ReLU or ReLU6 is the saturation of its QuantizeLinear.
//! Float weights that half precision holds exactly are stored in it, behind a Cast: see [`FloatGraph::rounded_to_half`].

mod builder;

use std::collections::BTreeMap;

use builder::{Builder, ints, scalar};
use half::f16;
use prost::Message;
use remedis_model::Activation;
use remedis_onnx::AttributeProto;

use crate::graph::{FloatGraph, Geometry, Node, Op, QuantGraph, QuantWeights};
use crate::quantise::{Affine, bias_scale};

/// Name of the model's input.
pub const INPUT: &str = "input";
/// Name of the model's output.
pub const OUTPUT: &str = "logits";
/// How the manifest names a quantised model's format.
pub const INT8_FORMAT: &str = "onnx-qdq-13";

/// A graph that has an ONNX form.
pub trait ToOnnx {
    /// Adds the graph to an empty `model`.
    #[doc(hidden)]
    fn write_to(&self, model: &mut OnnxModel);
    /// What goes into `metadata_props`.
    #[doc(hidden)]
    fn metadata(&self) -> &BTreeMap<String, String>;
}

/// A model being written.
#[doc(hidden)]
#[derive(Default)]
pub struct OnnxModel(Builder);

/// The bytes of an ONNX file with `graph` in it. The same graph gives the same bytes.
pub fn write_onnx(graph: &impl ToOnnx) -> Vec<u8> {
    let mut model = OnnxModel::default();
    graph.write_to(&mut model);
    model.0.finish(graph.metadata()).encode_to_vec()
}

impl ToOnnx for FloatGraph {
    fn write_to(&self, OnnxModel(builder): &mut OnnxModel) {
        builder.interface(self.input, self.n_logits());
        let mut values = vec![INPUT.to_owned()];
        for node in &self.nodes {
            let written = write_operation(builder, node, &values, |builder, weights, shape| {
                let name = format!("{}.weight", node.name);
                let weight = if weights.values.iter().copied().all(is_half) {
                    builder.halves(name, shape, &weights.values)
                } else {
                    builder.floats(name, shape, &weights.values)
                };
                let bias = builder.floats(format!("{}.bias", node.name), &[weights.bias.len()], &weights.bias);
                [weight, bias]
            });
            values.push(activate(builder, node, written));
        }
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}

impl ToOnnx for QuantGraph {
    fn write_to(&self, OnnxModel(builder): &mut OnnxModel) {
        builder.interface(self.input, self.n_logits());
        let mut values = vec![store(builder, INPUT, self.activations[0])];
        for (index, node) in self.nodes.iter().enumerate() {
            let from = node.op.inputs()[0];
            let written = write_operation(builder, node, &values, |builder, weights, shape| {
                dequantised_weights(builder, &node.name, weights, shape, self.activations[from].scale)
            });
            if let Some(&affine) = self.activations.get(index + 1) {
                values.push(store(builder, &written, affine));
            }
        }
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}

/// Whether half precision (IEEE 754 binary16) holds a number exactly.
fn is_half(value: f32) -> bool {
    f16::from_f32(value).to_f32().to_bits() == value.to_bits()
}

/// Writes the activation of a float node after its result `written`.
fn activate<W>(builder: &mut Builder, node: &Node<W>, written: String) -> String {
    match node.op.activation() {
        Activation::Identity => written,
        Activation::Relu => {
            let name = format!("{}.relu", node.name);
            builder.node("Relu", &name, &[&written], name.clone(), vec![])
        }
        activation @ Activation::Relu6 => {
            let name = format!("{}.relu6", node.name);
            let (low, high) = activation.range();
            let low = builder.floats(format!("{name}.low"), &[], &[low]);
            let high = builder.floats(format!("{name}.high"), &[], &[high]);
            builder.node("Clip", &name, &[&written, &low, &high], name.clone(), vec![])
        }
    }
}

/// Writes one node without its activation and returns the name of its result.
fn write_operation<W>(
    builder: &mut Builder,
    node: &Node<W>,
    values: &[String],
    write_weights: impl FnOnce(&mut Builder, &W, &[usize]) -> [String; 2],
) -> String {
    let name = &node.name;
    let result = format!("{name}.out");
    match &node.op {
        Op::Conv { input, geometry, weights, .. } => {
            let [weight, bias] = write_weights(builder, weights, &geometry.kernel);
            builder.node("Conv", name, &[&values[*input], &weight, &bias], result, convolution(geometry))
        }
        Op::Add { a, b, .. } => builder.node("Add", name, &[&values[*a], &values[*b]], result, vec![]),
        Op::MaxPool { input, window } => {
            let attributes = vec![
                ints("kernel_shape", &[window.kernel; 2]),
                ints("strides", &[window.stride; 2]),
                ints("pads", &[window.padding; 4]),
            ];
            builder.node("MaxPool", name, &[&values[*input]], result, attributes)
        }
        Op::GlobalAveragePool { input } => builder.node("GlobalAveragePool", name, &[&values[*input]], result, vec![]),
        Op::Linear { input, weights, shape } => {
            let flat = builder.node(
                "Flatten",
                &format!("{name}.flatten"),
                &[&values[*input]],
                format!("{name}.flat"),
                vec![scalar("axis", 1)],
            );
            let [weight, bias] = write_weights(builder, weights, shape);
            builder.node("Gemm", name, &[&flat, &weight, &bias], OUTPUT.to_owned(), vec![scalar("transB", 1)])
        }
    }
}

fn convolution(geometry: &Geometry) -> Vec<AttributeProto> {
    let [_, _, height, width] = geometry.kernel;
    vec![
        ints("kernel_shape", &[height, width]),
        ints("strides", &[geometry.stride; 2]),
        ints("pads", &[geometry.padding.before, geometry.padding.after].concat()),
        ints("dilations", &[1; 2]),
        scalar("group", geometry.groups as i64),
    ]
}

/// Writes `value` through its 8-bit form and returns the name of what comes back.
fn store(builder: &mut Builder, value: &str, affine: Affine) -> String {
    let scale = builder.floats(format!("{value}.scale"), &[], &[affine.scale]);
    let zero_point = builder.bytes(format!("{value}.zero_point"), &[], &[affine.zero_point]);
    let stored = builder.node(
        "QuantizeLinear",
        &format!("{value}.quantize"),
        &[value, &scale, &zero_point],
        format!("{value}.stored"),
        vec![],
    );
    builder.node(
        "DequantizeLinear",
        &format!("{value}.dequantize"),
        &[&stored, &scale, &zero_point],
        format!("{value}.real"),
        vec![],
    )
}

fn dequantised_weights(
    builder: &mut Builder,
    name: &str,
    weights: &QuantWeights,
    shape: &[usize],
    input_scale: f32,
) -> [String; 2] {
    let n_out = weights.scales.len();
    let bias_scales: Vec<f32> = weights.scales.iter().map(|&scale| bias_scale(input_scale, scale)).collect();
    let weight = builder.bytes(format!("{name}.weight.stored"), shape, &weights.values);
    let weight_scales = builder.floats(format!("{name}.weight.scale"), &[n_out], &weights.scales);
    let weight_zeros = builder.bytes(format!("{name}.weight.zero_point"), &[n_out], &vec![0; n_out]);
    let bias = builder.integers(format!("{name}.bias.stored"), &[n_out], &weights.bias);
    let bias_scales = builder.floats(format!("{name}.bias.scale"), &[n_out], &bias_scales);
    let bias_zeros = builder.integers(format!("{name}.bias.zero_point"), &[n_out], &vec![0; n_out]);
    let mut dequantise = |part: &str, inputs: [&str; 3]| {
        builder.node(
            "DequantizeLinear",
            &format!("{name}.{part}.dequantize"),
            &inputs,
            format!("{name}.{part}"),
            vec![scalar("axis", 0)],
        )
    };
    [
        dequantise("weight", [&weight, &weight_scales, &weight_zeros]),
        dequantise("bias", [&bias, &bias_scales, &bias_zeros]),
    ]
}

#[cfg(test)]
mod tests {
    use remedis_onnx::{FLOAT16, ModelProto};

    use super::*;
    use crate::calibrate::calibrate;
    use crate::quantise::quantise;
    use crate::random_net::{images, residual_net};

    fn quantised() -> QuantGraph {
        let float = residual_net(0);
        quantise(&float, &calibrate(&float, &images(0, &float, 2), 100.0).unwrap()).unwrap()
    }

    fn count(model: &ModelProto, op: &str) -> usize {
        model.graph.as_ref().unwrap().node.iter().filter(|node| node.op_type == op).count()
    }

    #[test]
    fn a_float_model_reads_back_with_its_metadata() {
        let mut graph = residual_net(0);
        graph.metadata.insert("classes".into(), "a,b".into());
        let bytes = write_onnx(&graph);
        let model = ModelProto::decode(bytes.as_slice()).unwrap();
        assert_eq!((count(&model, "Conv"), count(&model, "Relu"), count(&model, "Gemm")), (6, 5, 1));
        assert_eq!((model.opset_import[0].version, model.metadata_props[0].value.as_str()), (Some(13), "a,b"));
        assert_eq!(bytes, write_onnx(&graph));
    }

    #[test]
    fn weights_rounded_to_half_take_half_the_bytes_and_mean_the_same() {
        let single = residual_net(0);
        let half = single.clone().rounded_to_half();
        let model = ModelProto::decode(write_onnx(&half).as_slice()).unwrap().graph.unwrap();
        let bytes = |name: &str| {
            let tensor = model.initializer.iter().find(|tensor| tensor.name == name).unwrap();
            (tensor.data_type, tensor.raw_data.clone().unwrap())
        };
        let casts = model.node.iter().filter(|node| node.op_type == "Cast");
        assert_eq!(casts.count(), 7);
        for (node, rounded) in single.nodes.iter().zip(&half.nodes) {
            let (Some(before), Some(after)) = (node.op.weights(), rounded.op.weights()) else { continue };
            let (data_type, raw) = bytes(&format!("{}.weight.stored", node.name));
            assert_eq!((data_type, raw.len()), (Some(FLOAT16), 2 * before.values.len()));
            for ((before, after), raw) in before.values.iter().zip(&after.values).zip(raw.chunks_exact(2)) {
                assert_eq!(f16::from_le_bytes([raw[0], raw[1]]).to_f32(), *after);
                assert!((before - after).abs() <= before.abs() / 2048.0 + 3e-8, "{before} became {after}");
            }
            assert_eq!(before.bias, after.bias);
        }
    }

    #[test]
    fn a_quantised_model_stores_every_value_and_has_no_relu() {
        let graph = quantised();
        let model = ModelProto::decode(write_onnx(&graph).as_slice()).unwrap();
        assert_eq!(count(&model, "QuantizeLinear"), graph.activations.len());
        assert_eq!(count(&model, "DequantizeLinear"), graph.activations.len() + 2 * 7);
        assert_eq!(count(&model, "Relu"), 0);
    }

    #[test]
    fn every_node_reads_only_what_is_already_there() {
        let model = ModelProto::decode(write_onnx(&quantised()).as_slice()).unwrap().graph.unwrap();
        let mut known: Vec<&str> = model.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        known.push(INPUT);
        for node in &model.node {
            for input in &node.input {
                assert!(known.contains(&input.as_str()), "{} reads {input}", node.name);
            }
            known.extend(node.output.iter().map(String::as_str));
        }
        assert!(known.contains(&OUTPUT));
    }
}
