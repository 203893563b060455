//! What a file can pretend.

use proptest::prelude::*;
use prost::Message;
use remedis_onnx::{INT8, ModelProto, TensorProto};

use super::*;
use crate::onnx::{TensorError, read_model};

/// A residual block with a pool and a fully connected layer: a little of everything.
fn residual() -> Builder {
    let mut builder = Builder::new();
    let x = builder.store("x", 0.5, 3);
    let c = builder.conv("c", &x);
    let d = builder.conv("d", &c);
    builder.node("Add", &[&d, &c], "a", vec![]);
    builder.node("Relu", &["a"], "r", vec![]);
    let r = builder.store("r", 1.0, -128);
    builder.node("MaxPool", &[&r], "p", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    let p = builder.store("p", 1.0, -128);
    builder.node("GlobalAveragePool", &[&p], "g", vec![]);
    let g = builder.store("g", 0.5, -128);
    builder.longs("shape", &[1, -1]);
    builder.node("Reshape", &[&g, "shape"], "f", vec![]);
    let f = builder.store("f", 0.5, -128);
    let weights = builder.weights("w", &[3, 2], &[1, 2, 3, 4, 5, 6], &[0.1, 0.2, 0.3], 0);
    let bias = builder.bias("b", &[7, 8, 9], &[0.05, 0.1, 0.15]);
    builder.node("Gemm", &[&f, &weights, &bias], "y", vec![int("transB", 1)]);
    builder.output("y");
    builder
}

/// The residual model with its constant `name` changed.
fn with_constant(name: &str, change: impl FnOnce(&mut TensorProto)) -> Builder {
    let mut builder = residual();
    change(builder.graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap());
    builder
}

fn tensor_error(builder: Builder) -> TensorError {
    match error(builder) {
        ReadError::Tensor { source, .. } => source,
        other => panic!("{other}"),
    }
}

#[test]
fn the_honest_file_is_whole() {
    assert_eq!(whole(residual()).nodes.len(), 7);
}

#[test]
fn dimensions_that_are_no_size() {
    for dims in [vec![i64::MAX, 2, 2, 1], vec![1 << 32, 1 << 32], vec![-2, 2, 1, 1], vec![i64::MAX, 3]] {
        let found = tensor_error(with_constant("c.w.q", |tensor| tensor.dims.clone_from(&dims)));
        assert_eq!(found, TensorError::Dimensions { dims });
    }
}

#[test]
fn dimensions_of_another_size_than_the_data() {
    let found = tensor_error(with_constant("c.w.q", |tensor| tensor.dims = vec![1 << 20, 2, 1, 1]));
    assert_eq!(found, TensorError::Length { unit: "bytes", expected: 2 << 20, found: 4 });
    let found = tensor_error(with_constant("b.q", |tensor| tensor.raw_data = Some(vec![0; 13].into())));
    assert_eq!(found, TensorError::Length { unit: "bytes", expected: 12, found: 13 });
    let found = tensor_error(with_constant("w.scale", |tensor| tensor.float_data.push(1.0)));
    assert_eq!(found, TensorError::Length { unit: "values", expected: 3, found: 4 });
}

#[test]
fn values_beyond_8_bits_or_in_another_file() {
    let found = tensor_error(with_constant("c.w.q", |tensor| {
        (tensor.raw_data, tensor.int32_data, tensor.data_type) = (None, vec![1, 2, 3, 128], Some(INT8));
    }));
    assert_eq!(found, TensorError::Range { found: 128 });
    assert_eq!(tensor_error(with_constant("c.w.q", |tensor| tensor.data_location = Some(1))), TensorError::External);
}

#[test]
fn names_that_nothing_or_too_much_stands_for() {
    let mut missing = residual();
    missing.graph.initializer.remove(0);
    assert!(matches!(error(missing), ReadError::Order { value, .. } if value == "x.scale"));
    let mut later = residual();
    later.graph.node.swap(0, 1);
    assert!(matches!(error(later), ReadError::Order { value, .. } if value == "x.q"));
    let mut circular = residual();
    circular.graph.node[0].input[0] = "y".into();
    assert!(matches!(error(circular), ReadError::Order { value, .. } if value == "y"));
    let mut twice = residual();
    twice.graph.node[1].output[0] = "x".into();
    assert!(matches!(error(twice), ReadError::Twice { value } if value == "x"));
    let mut output = residual();
    output.output("nowhere");
    assert!(matches!(error(output), ReadError::Output { value } if value == "nowhere"));
}

/// Why nodes stay in float when the constant `name` is changed.
fn reasons(name: &str, change: impl FnOnce(&mut TensorProto)) -> Vec<String> {
    let reading = read(with_constant(name, change));
    let reason = |outcome: super::Outcome| match outcome {
        Outcome::Float { reason } => Some(reason),
        _ => None,
    };
    reading.nodes.into_iter().filter_map(|node| reason(node.outcome)).collect()
}

#[test]
fn scales_that_are_no_step() {
    for scale in [f32::NAN, 0.0, -1.0, f32::INFINITY, 1e-40] {
        let expected = format!("its scale is {scale}, expected above 0");
        assert!(reasons("r.scale", |tensor| tensor.float_data[0] = scale).contains(&expected));
        let expected = format!("its weights: its scale is {scale}, expected above 0");
        assert!(reasons("w.scale", |tensor| tensor.float_data[1] = scale).contains(&expected));
        let expected = format!("its bias: its scale is {scale}, expected above 0");
        assert!(reasons("b.scale", |tensor| tensor.float_data[1] = scale).contains(&expected));
    }
}

#[test]
fn scales_of_another_number_than_channels() {
    let two = |tensor: &mut TensorProto| (tensor.dims, tensor.float_data) = (vec![2], vec![0.1, 0.2]);
    assert!(reasons("w.scale", two).contains(&"its weights have 2 scales for 3 output channels".into()));
    assert!(reasons("b.scale", two).contains(&"its bias has 2 scales for 3 values".into()));
    assert!(reasons("r.scale", two).contains(&"it has a scale for each channel".into()));
    let none = |tensor: &mut TensorProto| (tensor.dims, tensor.float_data) = (vec![0], vec![]);
    assert!(reasons("w.scale", none).contains(&"its weights have 0 scales for 3 output channels".into()));
    assert!(reasons("b.scale", none).contains(&"its bias has 0 scales for 3 values".into()));
    assert!(reasons("r.scale", none).contains(&"it has a scale for each channel".into()));
}

#[test]
fn many_channels_without_a_weight() {
    let nothing = |tensor: &mut TensorProto| (tensor.dims, tensor.raw_data) = (vec![1 << 30, 0], Some(vec![].into()));
    assert!(reasons("w.q", nothing).contains(&"it has no weights".into()));
}

#[test]
fn sums_and_biases_beyond_32_bits() {
    let large = |tensor: &mut TensorProto| tensor.raw_data = Some([i32::MAX; 3].map(i32::to_le_bytes).concat().into());
    assert!(reasons("b.q", large).contains(&"its sums do not fit 32 bits".into()));
    let coarse = |tensor: &mut TensorProto| tensor.float_data[0] = 1e30;
    assert!(reasons("b.scale", coarse).iter().any(|reason| reason.ends_with("steps is too large")));
}

#[test]
fn a_file_that_ends_early() {
    let file = residual().file();
    for end in (0..file.len()).step_by(7) {
        if let Ok(reading) = crate::onnx::read(&file[..end]) {
            check(&reading);
        }
    }
    assert!(matches!(crate::onnx::read(&file[..file.len() - 1]), Err(ReadError::Decode(_))));
    assert!(matches!(crate::onnx::read(&[][..]), Err(ReadError::NoGraph)));
}

/// A change of one place that the format allows.
#[derive(Clone, Debug)]
enum Change {
    Op(usize, &'static str),
    Input(usize, usize, usize),
    Integer(usize, &'static str, i64),
    Sizes(usize, &'static str, Vec<i64>),
    Dims(usize, Vec<i64>),
    Float(usize, f32),
    Byte(usize, usize, u8),
    Output(usize),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let op = prop::sample::select(vec![
            "Conv",
            "Gemm",
            "MatMul",
            "Add",
            "Relu",
            "Clip",
            "MaxPool",
            "GlobalAveragePool",
            "ReduceMean",
            "Flatten",
            "Squeeze",
            "Reshape",
            "Identity",
            "QuantizeLinear",
            "DequantizeLinear",
            "Sigmoid",
            "Constant",
        ]);
        let integer = prop::sample::select(vec!["axis", "group", "transB", "transA", "ceil_mode", "keepdims"]);
        let sizes = prop::sample::select(vec!["kernel_shape", "strides", "pads", "dilations", "axes"]);
        let size = || prop_oneof![-3i64..5, any::<i64>()];
        let number = any::<usize>;
        prop_oneof![
            (number(), op).prop_map(|(node, op)| Self::Op(node, op)),
            (number(), 0..4usize, number()).prop_map(|(node, input, value)| Self::Input(node, input, value)),
            (number(), integer, size()).prop_map(|(node, name, value)| Self::Integer(node, name, value)),
            (number(), sizes, prop::collection::vec(size(), 0..5))
                .prop_map(|(node, name, v)| Self::Sizes(node, name, v)),
            (number(), prop::collection::vec(size(), 0..5)).prop_map(|(tensor, dims)| Self::Dims(tensor, dims)),
            (number(), any::<f32>()).prop_map(|(tensor, value)| Self::Float(tensor, value)),
            (number(), number(), any::<u8>()).prop_map(|(tensor, at, value)| Self::Byte(tensor, at, value)),
            number().prop_map(Self::Output),
        ]
    }

    fn apply(self, model: &mut ModelProto) {
        let graph = model.graph.as_mut().unwrap();
        let mut names: Vec<String> = graph.node.iter().flat_map(|node| node.output.clone()).collect();
        names.extend(graph.initializer.iter().map(|tensor| tensor.name.clone()));
        let (n_nodes, n_tensors) = (graph.node.len(), graph.initializer.len());
        match self {
            Self::Op(node, op) => graph.node[node % n_nodes].op_type = op.into(),
            Self::Input(node, input, value) => {
                let inputs = &mut graph.node[node % n_nodes].input;
                inputs.resize(inputs.len().max(input + 1), String::new());
                // One more than there are stands for an input left out.
                inputs[input] = names.get(value % (names.len() + 1)).cloned().unwrap_or_default();
            }
            Self::Integer(node, name, value) => graph.node[node % n_nodes].attribute.push(int(name, value)),
            Self::Sizes(node, name, values) => graph.node[node % n_nodes].attribute.insert(0, ints(name, &values)),
            Self::Dims(tensor, dims) => graph.initializer[tensor % n_tensors].dims = dims,
            Self::Float(tensor, value) => {
                graph.initializer[tensor % n_tensors].float_data.iter_mut().for_each(|float| *float = value);
            }
            Self::Byte(tensor, at, value) => {
                let tensor = &mut graph.initializer[tensor % n_tensors];
                let mut raw = tensor.raw_data.take().unwrap_or_default().to_vec();
                if let Some(byte) = at.checked_rem(raw.len()).and_then(|at| raw.get_mut(at)) {
                    *byte = value;
                    tensor.raw_data = Some(raw.into());
                }
            }
            Self::Output(value) => {
                let name = names[value % names.len()].clone();
                graph.output.push(remedis_onnx::ValueInfoProto { name, r#type: None });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_it_panic(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let mut file = residual().file();
        for (at, byte) in changes {
            let at = at % file.len();
            file[at] = byte;
        }
        if let Ok(reading) = crate::onnx::read(file.as_slice()) {
            check(&reading);
        }
    }

    #[test]
    fn every_model_that_is_read_can_run(changes in prop::collection::vec(Change::any(), 1..5)) {
        let mut model = ModelProto::decode(residual().file().as_slice()).unwrap();
        changes.into_iter().for_each(|change| change.apply(&mut model));
        if let Ok(reading) = read_model(model.clone()) {
            check(&reading);
            check_order(&model.graph.unwrap(), &reading);
        }
    }
}
