//! Files made by hand, one for each thing that a file can mean or pretend.

mod builder;
mod islands;
mod layers;
mod lies;

use std::collections::BTreeSet;

use builder::{Builder, float, int, ints};
use remedis_onnx::GraphProto;

use super::{Outcome, ReadError, Reading};
use crate::graph::{Affine, Graph, Op, Stored};

/// What became of the node of this operator, of which there is one.
fn outcome<'a>(reading: &'a Reading, op: &str) -> &'a Outcome {
    let mut found = reading.nodes.iter().filter(|node| node.op == op);
    let node = found.next().unwrap();
    assert!(found.next().is_none(), "two nodes {op}");
    &node.outcome
}

/// Why the node of this operator stays in float.
fn reason<'a>(reading: &'a Reading, op: &str) -> &'a str {
    match outcome(reading, op) {
        Outcome::Float { reason } => reason,
        other => panic!("{op} is {other:?}"),
    }
}

/// The promises of a reading, whatever was read.
fn check(reading: &Reading) {
    let mut covered = vec![None; reading.nodes.len()];
    for (number, island) in reading.islands.iter().enumerate() {
        let Graph { inputs, nodes, outputs } = &island.graph;
        assert!(!nodes.is_empty() && !outputs.is_empty(), "island {number} does nothing");
        for (position, node) in nodes.iter().enumerate() {
            assert!(node.op.inputs().all(|source| source < position), "{} reads what is not there", node.name);
            assert!(node.op.inputs().all(|source| nodes[source].result != Stored::Real), "{} reads reals", node.name);
            match &node.op {
                Op::Quantise { input } => assert!(*input < inputs.len()),
                Op::Convolution { weights, .. } | Op::Linear { weights, .. } => {
                    let outputs = weights.bias.len();
                    assert_eq!((weights.scales.len(), weights.values.len() % outputs), (outputs, 0), "{}", node.name);
                }
                _ => {}
            }
            if let Stored::Bytes { low, high, .. } = node.result {
                assert!(low <= high);
            }
        }
        assert!(outputs.iter().all(|output| output.node < nodes.len()));
        for node in &island.covers {
            assert!(covered[*node].replace(number).is_none(), "node {node} is in two islands");
        }
    }
    for (report, covered) in reading.nodes.iter().zip(covered) {
        match report.outcome {
            Outcome::Integer { island, node } | Outcome::Folded { island, node } => {
                assert!(covered == Some(island) && node < reading.islands[island].graph.nodes.len());
            }
            Outcome::Float { .. } => assert_eq!(covered, None),
        }
    }
}

/// Runs operations in float and islands, each as a whole, as soon as what they read is there: all of it has to come.
fn check_order(graph: &GraphProto, reading: &Reading) {
    let constants = graph.initializer.iter().map(|tensor| tensor.name.as_str());
    let mut known: BTreeSet<&str> = graph.input.iter().map(|info| info.name.as_str()).chain(constants).collect();
    let is_float = |number: &usize| matches!(reading.nodes[*number].outcome, Outcome::Float { .. });
    let mut nodes: Vec<usize> = (0..graph.node.len()).filter(is_float).collect();
    let mut islands: Vec<&Graph> = reading.islands.iter().map(|island| &island.graph).collect();
    while !(nodes.is_empty() && islands.is_empty()) {
        let waiting = (nodes.len(), islands.len());
        nodes.retain(|number| {
            let node = &graph.node[*number];
            let is_ready = node.input.iter().all(|name| name.is_empty() || known.contains(name.as_str()));
            known.extend(node.output.iter().map(String::as_str).filter(|_| is_ready));
            !is_ready
        });
        islands.retain(|island| {
            let is_ready = island.inputs.iter().all(|name| known.contains(name.as_str()));
            known.extend(island.outputs.iter().map(|output| output.name.as_str()).filter(|_| is_ready));
            !is_ready
        });
        assert!(waiting != (nodes.len(), islands.len()), "{nodes:?} and {} islands wait for ever", islands.len());
    }
    assert!(graph.output.iter().all(|info| known.contains(info.name.as_str())), "an output is missing");
}

fn read(builder: Builder) -> Reading {
    let graph = builder.graph.clone();
    let reading = builder.read().unwrap();
    check(&reading);
    check_order(&graph, &reading);
    reading
}

/// The whole model's graph.
fn whole(builder: Builder) -> Graph {
    let reading = read(builder);
    let floats: Vec<_> = reading.nodes.iter().filter(|node| matches!(node.outcome, Outcome::Float { .. })).collect();
    reading.whole().unwrap_or_else(|| panic!("left in float: {floats:#?}, {} islands", reading.islands.len())).clone()
}

fn bytes(scale: f32, zero_point: i8, low: i8, high: i8) -> Stored {
    Stored::Bytes { affine: Affine { scale, zero_point }, low, high }
}

fn error(builder: Builder) -> ReadError {
    builder.read().unwrap_err()
}
