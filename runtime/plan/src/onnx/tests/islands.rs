//! What runs together when not everything does.

use remedis_onnx::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};

use super::*;

fn names(reading: &Reading) -> Vec<(Vec<&str>, Vec<&str>)> {
    reading
        .islands
        .iter()
        .map(|island| {
            let inputs = island.graph.inputs.iter().map(String::as_str).collect();
            (inputs, island.graph.outputs.iter().map(|output| output.name.as_str()).collect())
        })
        .collect()
}

/// `x` to the convolution `c`, through a Sigmoid to the convolution `d`.
fn two_convolutions() -> (Builder, String, String) {
    let mut builder = Builder::new();
    let x = builder.store("x", 0.5, 3);
    let c = builder.conv("c", &x);
    builder.node("Sigmoid", &[&c], "s", vec![]);
    let s = builder.store("s", 0.01, -128);
    let d = builder.conv("d", &s);
    (builder, c, d)
}

#[test]
fn a_float_operation_parts_two_islands() {
    let (mut builder, _, d) = two_convolutions();
    builder.output(&d);
    let reading = read(builder);
    assert_eq!(names(&reading), [(vec!["x"], vec!["c.dq"]), (vec!["s"], vec!["d.dq"])]);
    assert_eq!(reason(&reading, "Sigmoid"), "Sigmoid is not computed in integers");
    assert_eq!(reading.whole(), None);
    assert_eq!(reading.islands.iter().map(|island| island.covers.len()).sum::<usize>(), reading.nodes.len() - 1);
}

#[test]
fn a_branch_around_a_float_operation_crosses_as_a_real_value() {
    let (mut builder, c, d) = two_convolutions();
    builder.node("Add", &[&c, &d], "a", vec![]);
    let a = builder.store("a", 2.0, 0);
    builder.output(&a);
    let reading = read(builder);
    assert_eq!(names(&reading), [(vec!["x"], vec!["c.dq"]), (vec!["c.dq", "s"], vec!["a.dq"])]);
    let nodes = &reading.islands[1].graph.nodes;
    // The guest is stored as it was in the first island: exactly the same bytes.
    assert_eq!((&nodes[2].op, nodes[2].result), (&Op::Quantise { input: 0 }, bytes(1.0, 0, -128, 127)));
    assert_eq!(nodes[3].op, Op::Add { a: 2, b: 1 });
}

#[test]
fn independent_branches_are_one_island() {
    let mut builder = Builder::new();
    builder.input("z", &[1, 2, 4, 4]);
    let z = builder.store("z", 0.5, 3);
    let x = builder.store("x", 0.5, 3);
    let (d, c) = (builder.conv("d", &z), builder.conv("c", &x));
    builder.output(&c);
    builder.output(&d);
    let reading = read(builder);
    assert_eq!(names(&reading), [(vec!["x", "z"], vec!["c.dq", "d.dq"])]);
    assert!(reading.whole().is_some());
}

#[test]
fn a_change_of_scale_is_a_border() {
    let mut builder = Builder::new();
    let x = builder.store("x", 0.5, 3);
    let c = builder.conv("c", &x);
    builder.node("Identity", &[&c], "i", vec![]);
    let i = builder.store("i", 0.7, 0);
    let d = builder.conv("d", &i);
    builder.output(&d);
    let reading = read(builder);
    assert_eq!(names(&reading), [(vec!["x"], vec!["c.dq"]), (vec!["i"], vec!["d.dq"])]);
    assert_eq!(reason(&reading, "Identity"), "only operations in float read its result");
}

#[test]
fn what_only_floats_read_stays_in_float() {
    let mut builder = Builder::new();
    let x = builder.store("x", 0.5, 3);
    builder.node("Sigmoid", &[&x], "y", vec![]);
    builder.output("y");
    let reading = read(builder);
    assert_eq!(reading.islands, []);
    assert_eq!(reason(&reading, "QuantizeLinear"), "only operations in float read its result");
}

#[test]
fn weights_that_floats_read_too_stay_beside() {
    let (mut builder, _, d) = two_convolutions();
    builder.node("Conv", &["s", "d.w"], "e", vec![]);
    builder.output(&d);
    builder.output("e");
    let reading = read(builder);
    let weights = reading.nodes.iter().find(|node| node.name == "d.w").unwrap();
    assert_eq!(weights.outcome, Outcome::Float { reason: "only operations in float read its result".into() });
    assert_eq!(reading.islands.len(), 2);
}

#[test]
fn an_inner_graph_may_read_what_is_around_it() {
    let mut builder = Builder::new();
    let x = builder.store("x", 0.5, 3);
    let c = builder.conv("c", &x);
    let inner = NodeProto {
        input: vec!["c".into()],
        output: vec!["inner".into()],
        op_type: "Sigmoid".into(),
        ..NodeProto::default()
    };
    let output = vec![ValueInfoProto { name: "inner".into(), r#type: None }];
    let graph = GraphProto { node: vec![inner], output, ..GraphProto::default() };
    let branch = AttributeProto { name: "then_branch".into(), g: Some(graph), ..AttributeProto::default() };
    builder.node("If", &["x"], "y", vec![branch]);
    builder.output("y");
    builder.output(&c);
    let reading = read(builder);
    assert_eq!(reason(&reading, "Conv"), "its result is not stored in 8 bits, or also read in float");
}

#[test]
fn a_batch_is_not_one_image() {
    let mut builder = Builder::new();
    builder.graph.input.clear();
    builder.input("x", &[8, 2, 4, 4]);
    let x = builder.store("x", 0.5, 3);
    let c = builder.conv("c", &x);
    builder.output(&c);
    let reading = read(builder);
    let first = &reading.nodes[0];
    assert_eq!(first.outcome, Outcome::Float { reason: "x is a batch of 8, expected 1".into() });
    assert_eq!(reading.islands, []);
}
