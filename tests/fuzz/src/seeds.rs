//! Honest files, for the fuzzer to change.

use remedis_plan::{Family, Plan};

use crate::builder::{Builder, int, ints};
use crate::random;

/// Plans of all families, in the form that [`plan_file`](crate::plan_file) reads.
pub fn plans() -> impl Iterator<Item = Vec<u8>> {
    (0..24).filter_map(|seed| {
        let (graph, shape) = random::random_graph(seed);
        let plan = Plan::compile(&graph, &[shape], Family::ALL[seed as usize % 3]).unwrap();
        let bytes = plan.to_bytes();
        let length = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
        let cut = u16::try_from(length).ok()?;
        let constants = (64 + length).next_multiple_of(64);
        Some([&cut.to_le_bytes(), &bytes[64..64 + length], &bytes[constants..]].concat())
    })
}

/// Small files with a little of everything.
pub fn onnx() -> impl Iterator<Item = Vec<u8>> {
    [Builder::new(), Builder::unsigned()].into_iter().map(|mut builder| {
        let x = builder.store("x", 0.5, 3);
        let c = builder.conv("c", &x);
        let d = builder.conv("d", &c);
        builder.node("Add", &[&d, &c], "a", vec![]);
        builder.node("Relu", &["a"], "r", vec![]);
        let r = builder.store("r", 1.0, -128);
        builder.node("MaxPool", &[&r], "p", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
        let p = builder.store("p", 1.0, -128);
        let weights = builder.weights("k", &[2, 1, 1, 1], &[9, -9], &[0.5, 0.25], 0);
        builder.node("Conv", &[&p, &weights], "e", vec![int("group", 2)]);
        builder.floats("none", &[], &[0.0]);
        builder.floats("six", &[], &[6.0]);
        builder.node("Clip", &["e", "none", "six"], "l", vec![]);
        let l = builder.store("l", 0.1, -128);
        builder.node("GlobalAveragePool", &[&l], "g", vec![]);
        let g = builder.store("g", 0.5, -128);
        builder.longs("shape", &[1, -1]);
        builder.node("Reshape", &[&g, "shape"], "f", vec![]);
        let f = builder.store("f", 0.5, -128);
        let weights = builder.weights("w", &[3, 2], &[1, 2, 3, 4, 5, 6], &[0.1, 0.2, 0.3], 0);
        let bias = builder.bias("b", &[7, 8, 9], &[0.05, 0.1, 0.15]);
        builder.node("Gemm", &[&f, &weights, &bias], "y", vec![int("transB", 1)]);
        builder.output("y");
        builder.file()
    })
}
