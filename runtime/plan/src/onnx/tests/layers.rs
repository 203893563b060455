//! Layers that are understood, and layers that are not.

use remedis_kernels::Window;
use remedis_onnx::{AttributeProto, TensorProto};

use super::*;
use crate::graph::{Node, Output, Weights};

/// `x`, stored with scale 0.5 and zero point 3, then whatever `build` adds to it; its last value leaves the model.
fn model(mut builder: Builder, build: impl FnOnce(&mut Builder, &str)) -> Builder {
    let x = builder.store("x", 0.5, 3);
    build(&mut builder, &x);
    let last = builder.graph.node.last().unwrap().output[0].clone();
    builder.output(&last);
    builder
}

/// The one convolution of a graph.
fn convolution(graph: &Graph) -> (Window, usize, Weights, Stored) {
    let mut found = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Convolution { window, groups, weights, .. } => Some((*window, *groups, weights.clone(), node.result)),
        _ => None,
    });
    found.next().unwrap()
}

fn linear(graph: &Graph) -> (Weights, Stored) {
    let mut found = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Linear { weights, .. } => Some((weights.clone(), node.result)),
        _ => None,
    });
    found.next().unwrap()
}

fn conv_relu6(builder: &mut Builder, x: &str) {
    let weights = builder.weights("w", &[1, 2, 1, 1], &[5, -7], &[0.25], 0);
    let bias = builder.bias("b", &[11], &[0.125]);
    builder.floats("six", &[], &[6.0]);
    builder.floats("none", &[], &[0.0]);
    builder.node("Conv", &[x, &weights, &bias], "c", vec![int("group", 1)]);
    builder.node("Clip", &["c", "none", "six"], "r", vec![]);
    builder.store("r", 0.1, -100);
}

#[test]
fn a_convolution_takes_its_clip_and_bias_along() {
    let graph = whole(model(Builder::new(), conv_relu6));
    let weights = Weights { values: vec![5, -7], scales: vec![0.25], bias: vec![11] };
    let op = Op::Convolution { input: 0, groups: 1, window: Window::POINT, weights };
    let expected = Graph {
        inputs: vec!["x".into()],
        nodes: vec![
            Node { name: "x.q".into(), op: Op::Quantise { input: 0 }, result: bytes(0.5, 3, -128, 127) },
            Node { name: "c".into(), op, result: bytes(0.1, -100, -100, -40) },
        ],
        outputs: vec![Output { name: "r.dq".into(), node: 1 }],
    };
    assert_eq!(graph, expected);
}

#[test]
fn an_unsigned_file_is_the_signed_one_128_lower() {
    assert_eq!(whole(model(Builder::unsigned(), conv_relu6)), whole(model(Builder::new(), conv_relu6)));
}

#[test]
fn values_may_be_listed_instead_of_raw() {
    let mut listed = model(Builder::new(), conv_relu6);
    for tensor in &mut listed.graph.initializer {
        let raw = tensor.raw_data.take().unwrap_or_default();
        match tensor.data_type {
            Some(remedis_onnx::INT8) => tensor.int32_data = raw.iter().map(|byte| byte.cast_signed().into()).collect(),
            Some(remedis_onnx::INT32) => tensor.int32_data = vec![11],
            _ => {
                let raw: Vec<u8> = tensor.float_data.drain(..).flat_map(f32::to_le_bytes).collect();
                tensor.raw_data = Some(raw.into());
            }
        }
    }
    assert_eq!(whole(listed), whole(model(Builder::new(), conv_relu6)));
}

#[test]
fn a_window_has_its_strides_and_four_pads() {
    let graph = whole(model(Builder::new(), |builder, x| {
        let weights = builder.weights("w", &[1, 2, 2, 3], &[1; 12], &[0.5], 0);
        let attributes = vec![ints("strides", &[2, 1]), ints("pads", &[0, 1, 1, 2]), ints("dilations", &[1, 1])];
        builder.node("Conv", &[x, &weights], "c", attributes);
        builder.store("c", 1.0, 0);
    }));
    let (window, groups, weights, _) = convolution(&graph);
    assert_eq!(window, Window { kernel: [2, 3], stride: [2, 1], before: [0, 1], after: [1, 2] });
    assert_eq!((groups, weights.bias), (1, vec![0]));
}

#[test]
fn a_depthwise_convolution_has_a_group_for_each_channel() {
    let graph = whole(model(Builder::new(), |builder, x| {
        let weights = builder.weights("w", &[2, 1, 1, 1], &[1, 2], &[0.5, 0.25], 0);
        builder.node("Conv", &[x, &weights], "c", vec![int("group", 2)]);
        builder.store("c", 1.0, 0);
    }));
    let (_, groups, weights, _) = convolution(&graph);
    assert_eq!((groups, weights.scales), (2, vec![0.5, 0.25]));
}

/// Why a convolution of `dims` with these attributes stays in float.
fn refused(dims: [i64; 4], values: &[i8], attributes: Vec<AttributeProto>) -> String {
    let reading = read(model(Builder::new(), |builder, x| {
        let weights = builder.weights("w", &dims, values, &[0.5], 0);
        builder.node("Conv", &[x, &weights], "c", attributes);
        builder.store("c", 1.0, 0);
    }));
    assert_eq!(reading.islands, []);
    reason(&reading, "Conv").to_owned()
}

#[test]
fn what_the_kernels_do_not_compute_stays_in_float() {
    let padding = AttributeProto { s: Some("SAME_UPPER".into()), name: "auto_pad".into(), ..AttributeProto::default() };
    let reasons = [
        refused([4, 1, 1, 1], &[1; 4], vec![int("group", 2)]),
        refused([1, 2, 1, 1], &[1; 2], vec![ints("dilations", &[2, 2])]),
        refused([1, 2, 1, 1], &[1; 2], vec![padding]),
        refused([1, 2, 1, 1], &[1; 2], vec![ints("pads", &[0, 0, -1, 0])]),
        refused([1, 2, 1, 1], &[1; 2], vec![ints("strides", &[0, 1])]),
        refused([1, 2, 1, 1], &[1; 2], vec![ints("kernel_shape", &[3, 3])]),
        refused([1, 2, 1, 1], &[1, -128], vec![]),
        refused([1, 3, 1, 1], &[1; 3], vec![]),
        refused([1, 2, 5, 1], &[1; 10], vec![]),
    ];
    let expected = [
        "it has 2 groups, expected 1 or one for each channel, in and out",
        "its window is dilated",
        "auto_pad is SAME_UPPER, expected pads",
        "pads is [0, 0, -1, 0], expected 4 sizes from 0 to 4096",
        "strides is [0, 1], expected 2 sizes from 1 to 4096",
        "kernel_shape is [3, 3], the weights have [1, 1]",
        "a weight is -128, expected -127 to 127",
        "its weights are for another number of channels",
        "its window is larger than what it reads",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn float_weights_behind_a_quantise_are_stored_here() {
    let graph = whole(model(Builder::new(), |builder, x| {
        builder.floats("w", &[2, 2, 1, 1], &[0.5, -0.75, 9.0, 1.0]);
        builder.floats("w.scale", &[2], &[0.5, 0.25]);
        builder.bytes("w.zero", &[2], &[0, 0]);
        let axis = || vec![int("axis", 0)];
        builder.node("QuantizeLinear", &["w", "w.scale", "w.zero"], "w.q", axis());
        builder.node("DequantizeLinear", &["w.q", "w.scale", "w.zero"], "w.dq", axis());
        builder.node("Conv", &[x, "w.dq"], "c", vec![]);
        builder.store("c", 1.0, 0);
    }));
    assert_eq!(convolution(&graph).2.values, [1, -2, 36, 4]);
}

/// The bias that a convolution of input scale 0.5 and weight scales 0.5 and 0.25 gets.
fn bias(add: impl FnOnce(&mut Builder) -> String) -> Vec<i32> {
    let graph = whole(model(Builder::new(), |builder, x| {
        let weights = builder.weights("w", &[2, 2, 1, 1], &[1; 4], &[0.5, 0.25], 0);
        let bias = add(builder);
        builder.node("Conv", &[x, &weights, &bias], "c", vec![]);
        builder.store("c", 1.0, 0);
    }));
    convolution(&graph).2.bias
}

#[test]
fn a_bias_is_in_steps_of_input_times_weight() {
    assert_eq!(bias(|builder| builder.bias("b", &[3, 4], &[0.25, 0.125])), [3, 4]);
    assert_eq!(bias(|builder| builder.bias("b", &[3, 4], &[0.250_001, 0.125])), [3, 4]);
    // In other steps it is rounded: 3 * 0.25 / 0.125 = 6; 5 * 0.25 / 0.25 stays.
    assert_eq!(bias(|builder| builder.bias("b", &[5, 3], &[0.25])), [5, 6]);
    let floats = |builder: &mut Builder| {
        builder.floats("b", &[2], &[0.625, -0.3]);
        "b".to_owned()
    };
    assert_eq!(bias(floats), [2, -2]);
}

/// A fully connected layer on the flattened `x`, as `add` makes it from `f` and the name of its result `y`.
fn fully_connected(add: impl FnOnce(&mut Builder, &str)) -> Builder {
    model(Builder::new(), |builder, x| {
        builder.node("GlobalAveragePool", &[x], "g", vec![]);
        let g = builder.store("g", 0.25, 0);
        builder.node("Flatten", &[&g], "f", vec![]);
        add(builder, "f");
    })
}

#[test]
fn a_gemm_is_linear_and_real_at_the_end() {
    let graph = whole(fully_connected(|builder, f| {
        let weights = builder.weights("w", &[3, 2], &[1, 2, 3, 4, 5, 6], &[0.1, 0.2, 0.3], 0);
        builder.floats("b", &[3], &[0.0, 0.05, 0.0]);
        builder.node("Gemm", &[f, &weights, "b"], "y", vec![int("transB", 1), float("alpha", 1.0)]);
    }));
    let (weights, result) = linear(&graph);
    assert_eq!(weights.values, [1, 2, 3, 4, 5, 6]);
    assert_eq!((weights.bias, result), (vec![0, 1, 0], Stored::Real));
    assert_eq!(graph.outputs, [Output { name: "y".into(), node: 3 - 1 }]);
}

#[test]
fn weights_in_rows_of_inputs_are_turned() {
    for op in ["Gemm", "MatMul"] {
        let graph = whole(fully_connected(|builder, f| {
            let weights = builder.weights("w", &[2, 3], &[1, 3, 5, 2, 4, 6], &[0.1, 0.2, 0.3], 1);
            builder.node(op, &[f, &weights], "y", vec![]);
        }));
        let (weights, _) = linear(&graph);
        assert_eq!((weights.values, weights.scales), (vec![1, 2, 3, 4, 5, 6], vec![0.1, 0.2, 0.3]));
    }
}

#[test]
fn an_add_after_a_matmul_is_its_bias() {
    let product = |builder: &mut Builder, f: &str| {
        let weights = builder.weights("w", &[2, 1], &[1, 2], &[0.5], 1);
        builder.floats("b", &[1], &[0.5]);
        builder.node("MatMul", &[f, &weights], "p", vec![]);
        builder.node("Add", &["b", "p"], "y", vec![]);
    };
    let (real, _) = linear(&whole(fully_connected(product)));
    let stored = whole(fully_connected(|builder, f| {
        product(builder, f);
        builder.node("Relu", &["y"], "r", vec![]);
        builder.store("r", 1.0, -5);
    }));
    assert_eq!((real.bias, linear(&stored)), (vec![4], (Weights { bias: vec![4], ..real }, bytes(1.0, -5, -5, 127))));
}

#[test]
fn flattening_moves_nothing_with_or_without_a_store() {
    let shape = |builder: &mut Builder| builder.longs("shape", &[1, -1]);
    type Flatten = fn(&mut Builder, &str);
    let ways: [Flatten; 5] = [
        |builder, x| builder.node("Flatten", &[x], "f", vec![int("axis", 1)]),
        |builder, x| builder.node("Reshape", &[x, "shape"], "f", vec![]),
        |builder, x| {
            builder.longs("one", &[-1, 32]);
            builder.node("Reshape", &[x, "one"], "f", vec![]);
        },
        |builder, x| {
            builder.node("Identity", &[x], "i", vec![]);
            builder.node("Flatten", &["i"], "f", vec![]);
        },
        |builder, x| {
            builder.node("Flatten", &[x], "n", vec![]);
            builder.node("Identity", &["n"], "f", vec![]);
        },
    ];
    for flatten in ways {
        for is_stored in [false, true] {
            let graph = whole(model(Builder::new(), |builder, x| {
                shape(builder);
                flatten(builder, x);
                let f = if is_stored { builder.store("f", 0.5, 3) } else { "f".into() };
                let weights = builder.weights("w", &[1, 32], &[1; 32], &[0.1], 0);
                builder.node("Gemm", &[&f, &weights], "y", vec![int("transB", 1)]);
            }));
            assert_eq!(graph.nodes.len(), 2);
        }
    }
}

#[test]
fn a_squeeze_after_a_pool_and_a_mean_over_pixels_are_flat() {
    let squeezed = |builder: &mut Builder, x: &str| {
        builder.node("GlobalAveragePool", &[x], "g", vec![]);
        builder.longs("axes", &[-1, -2]);
        builder.node("Squeeze", &["g", "axes"], "m", vec![]);
    };
    let mean = |builder: &mut Builder, x: &str| {
        builder.node("ReduceMean", &[x], "m", vec![ints("axes", &[2, 3]), int("keepdims", 0)]);
    };
    let graph = |pool: &dyn Fn(&mut Builder, &str)| {
        whole(model(Builder::new(), |builder, x| {
            pool(builder, x);
            let m = builder.store("m", 0.25, 1);
            let weights = builder.weights("w", &[1, 2], &[1, 2], &[0.1], 0);
            builder.node("Gemm", &[&m, &weights], "y", vec![int("transB", 1)]);
        }))
    };
    for graph in [graph(&squeezed), graph(&mean)] {
        assert_eq!(graph.nodes[1].op, Op::GlobalAveragePool { input: 0 });
        assert_eq!(graph.nodes[1].result, bytes(0.25, 1, -128, 127));
    }
}

#[test]
fn a_reshape_to_other_pictures_stays_in_float() {
    let reading = read(model(Builder::new(), |builder, x| {
        builder.longs("shape", &[1, 4, 2, 4]);
        builder.node("Reshape", &[x, "shape"], "r", vec![]);
        builder.store("r", 0.5, 3);
    }));
    assert_eq!(reason(&reading, "Reshape"), "its shape is [1, 4, 2, 4], expected [1, -1]");
}

#[test]
fn a_branch_may_read_one_dequantise_or_another() {
    let graph = whole(model(Builder::new(), |builder, x| {
        let c = builder.conv("c", x);
        let again = builder.read_stored("c", "again");
        let d = builder.conv("d", &c);
        builder.node("Add", &[&d, &again], "s", vec![]);
        let s = builder.store("s", 1.0, 0);
        builder.node("Add", &[&s, &s], "t", vec![]);
        builder.node("Relu", &["t"], "r", vec![]);
        builder.store("r", 2.0, -128);
    }));
    let ops: Vec<Op> = graph.nodes.into_iter().skip(3).map(|node| node.op).collect();
    assert_eq!(ops, [Op::Add { a: 2, b: 1 }, Op::Add { a: 3, b: 3 }]);
}

#[test]
fn only_values_of_one_shape_are_added() {
    let reading = read(model(Builder::new(), |builder, x| {
        builder.node("GlobalAveragePool", &[x], "g", vec![]);
        let g = builder.store("g", 1.0, 0);
        builder.node("Add", &[x, &g], "s", vec![]);
        builder.store("s", 1.0, 0);
    }));
    assert_eq!(reason(&reading, "Add"), "it adds values of two shapes");
}

/// A pool of `x` whose result is stored with scale 0.5 and this zero point.
fn pooled(zero_point: i8, attributes: Vec<AttributeProto>) -> Reading {
    read(model(Builder::new(), |builder, x| {
        builder.node("MaxPool", &[x], "p", attributes);
        builder.store("p", 0.5, zero_point);
    }))
}

#[test]
fn a_pool_means_what_its_input_means() {
    let kernel = || ints("kernel_shape", &[3, 3]);
    let reading = pooled(3, vec![kernel(), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])]);
    let graph = reading.whole().unwrap();
    assert_eq!(graph.nodes[1].op, Op::MaxPool { input: 0, window: Window::square(3, 2, 1) });
    let other_zero = pooled(4, vec![kernel()]);
    let reason = |reading: &Reading| reason(reading, "MaxPool").to_owned();
    assert_eq!(reason(&other_zero), "its result is stored with another scale or zero point than what it reads");
    assert_eq!(reason(&pooled(3, vec![kernel(), int("ceil_mode", 1)])), "ceil_mode is 1, expected 0");
    let padded = pooled(3, vec![kernel(), ints("pads", &[3, 0, 0, 0])]);
    assert_eq!(reason(&padded), "its window fits into the padding");
}

#[test]
fn a_relu_between_two_stores_goes_into_the_layer_before() {
    let build = |builder: &mut Builder, x: &str| {
        let c = builder.conv("c", x);
        builder.node("Relu", &[&c], "r", vec![]);
        builder.store("r", 1.0, 0)
    };
    let graph = whole(model(Builder::new(), |builder, x| drop(build(builder, x))));
    assert_eq!(convolution(&graph).3, bytes(1.0, 0, 0, 127));
    // Not if something reads the value before it.
    let reading = read(model(Builder::new(), |builder, x| {
        let r = build(builder, x);
        builder.node("Add", &[&r, "c.dq"], "s", vec![]);
        builder.store("s", 1.0, 0);
    }));
    assert_eq!(reason(&reading, "Relu"), "it is not between a layer and its QuantizeLinear");
    // Nor if that was stored twice and something reads it there.
    let reading = read(model(Builder::new(), |builder, x| {
        let c = builder.conv("c", x);
        builder.node("Identity", &[&c], "i", vec![]);
        let i = builder.store("i", 1.0, 0);
        builder.node("Relu", &[&i], "r", vec![]);
        let r = builder.store("r", 1.0, 0);
        builder.node("Add", &[&r, &c], "s", vec![]);
        builder.store("s", 1.0, 0);
    }));
    assert_eq!(reason(&reading, "Relu"), "it is not between a layer and its QuantizeLinear");
}

#[test]
fn bounds_move_the_stored_range_one_after_the_other() {
    let clipped = |low: f32, high: f32, scale: f32| {
        let graph = whole(model(Builder::new(), |builder, x| {
            let weights = builder.weights("w", &[1, 2, 1, 1], &[1, 2], &[0.5], 0);
            builder.node("Conv", &[x, &weights], "c", vec![]);
            builder.node("Clip", &["c"], "k", vec![float("min", low), float("max", high)]);
            builder.node("Relu", &["k"], "r", vec![]);
            builder.store("r", scale, -10);
        }));
        let Stored::Bytes { low, high, .. } = convolution(&graph).3 else { panic!("a real convolution") };
        [low, high]
    };
    assert_eq!(clipped(-1.0, 6.0, 1.0), [-10, -4]);
    assert_eq!(clipped(2.5, 3.5, 1.0), [-8, -6]);
    assert_eq!(clipped(-9.0, -1.0, 1.0), [-10, -10]);
    assert_eq!(clipped(f32::NEG_INFINITY, f32::INFINITY, 1.0), [-10, 127]);
    assert_eq!(clipped(0.0, 6.0, 1e-3), [-10, 127]);
}

#[test]
fn a_result_that_is_also_read_in_float_is_not_fused() {
    let reading = read(model(Builder::new(), |builder, x| {
        builder.conv("c", x);
        builder.output("c.dq");
        builder.node("Sigmoid", &["c"], "y", vec![]);
    }));
    assert_eq!(reason(&reading, "Conv"), "its result is not stored in 8 bits, or also read in float");
    // A fully connected layer has a real result for both.
    let reading = read(fully_connected(|builder, f| {
        let weights = builder.weights("w", &[2, 1], &[1, 2], &[0.5], 1);
        builder.node("Gemm", &[f, &weights], "y", vec![]);
        builder.store("y", 1.0, 0);
        builder.node("Sigmoid", &["y"], "s", vec![]);
    }));
    assert!(matches!(outcome(&reading, "Gemm"), Outcome::Integer { .. }));
}

#[test]
fn operator_oriented_files_are_told_what_to_do() {
    let reading = read(model(Builder::new(), |builder, _| {
        builder.node("QLinearConv", &["x.q"], "y", vec![]);
    }));
    let expected = "QLinearConv is not read: quantise with QuantizeLinear and DequantizeLinear (the QDQ format)";
    assert_eq!(reason(&reading, "QLinearConv"), expected);
    assert_eq!(reason(&reading, "QuantizeLinear"), "QLinearConv y reads its 8-bit result");
}

#[test]
fn constants_may_be_nodes() {
    let graph = whole(model(Builder::new(), |builder, x| {
        conv_relu6(builder, x);
        let constants: Vec<TensorProto> = builder.graph.initializer.drain(..).collect();
        let nodes = std::mem::take(&mut builder.graph.node);
        for tensor in constants {
            let name = tensor.name.clone();
            let value = AttributeProto { name: "value".into(), t: Some(tensor), ..AttributeProto::default() };
            builder.node("Constant", &[], &name, vec![value]);
        }
        builder.graph.node.extend(nodes);
    }));
    assert_eq!(graph, whole(model(Builder::new(), conv_relu6)));
}
