//! From a QuantizeLinear back to the operation whose result it stores, through what storing itself does on the way.

use super::file::{File, Node};
use super::operator::{Reshape, bounds, clamp};
use crate::graph::Affine;

/// A QuantizeLinear and what lies before it.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// How the result is stored.
    pub(super) affine: Affine,
    /// Least and largest stored value.
    pub(super) range: [i8; 2],
    /// Reshapes on the way.
    pub(super) reshapes: Vec<Reshape>,
    /// A bias that an Add after a MatMul adds.
    pub(super) bias: Option<usize>,
    /// All nodes on the way, the QuantizeLinear first.
    pub(super) nodes: Vec<usize>,
    /// Where the way ends: the value that was not followed further.
    pub(super) from: usize,
    /// The node that makes that value for this chain alone.
    pub(super) maker: Option<usize>,
}

impl Chain {
    /// The chain of a QuantizeLinear that stores values as `affine`.
    pub(super) fn new(file: &File, quantise: usize, affine: Affine) -> Option<Self> {
        let mut from = file.nodes[quantise].input(0)?;
        let mut chain = Self {
            affine,
            range: [i8::MIN, i8::MAX],
            reshapes: vec![],
            bias: None,
            nodes: vec![quantise],
            from,
            maker: None,
        };
        let mut clamps = vec![];
        while let Some(maker) = file.sole_maker(from) {
            let node = &file.nodes[maker];
            let Some(input) = node.input(0) else { break };
            if let Some(Ok(real)) = bounds(file, node) {
                clamps.push(real);
                from = input;
            } else if let Some(Ok(reshape)) = Reshape::of(file, node) {
                chain.reshapes.push(reshape);
                from = input;
            } else if let Some((product, bias)) = product_and_bias(file, node).filter(|_| chain.bias.is_none()) {
                chain.bias = Some(bias);
                from = product;
            } else {
                chain.maker = Some(maker);
                break;
            }
            chain.nodes.push(maker);
        }
        chain.from = from;
        for real in clamps.into_iter().rev() {
            chain.range = clamp(chain.range, affine, real);
        }
        Some(chain)
    }

    /// Whether nothing is computed on the way.
    pub(super) fn is_plain(&self) -> bool {
        self.range == [i8::MIN, i8::MAX]
    }
}

/// The product of a MatMul and the constant that this Add alone adds to it.
pub(super) fn product_and_bias(file: &File, node: &Node) -> Option<(usize, usize)> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    let is_product = |value: usize| file.sole_maker(value).is_some_and(|maker| file.nodes[maker].op() == "MatMul");
    let is_constant = |value: usize| {
        let behind = |value: usize| file.maker(value).and_then(|maker| file.nodes[maker].input(0));
        file.constant(value).is_some() || behind(value).is_some_and(|value| file.constant(value).is_some())
    };
    let orders = [(a, b), (b, a)].into_iter();
    orders.filter(|_| node.op() == "Add").find(|(product, bias)| is_product(*product) && is_constant(*bias))
}
