//! Which nodes become which integer layer: one walk over the file, from what is read to what is made.

use remedis_kernels::Shape;

use super::chain::Chain;
use super::file::{File, Node};
use super::layer::{Layer, Matching};
use super::operator::{Reshape, bounds};
use super::quantised::{is_dequantise, is_quantise, stored_as};
use crate::graph::{Op, Stored};

/// One integer operation to be, with the numbers of parts for those of nodes.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) op: Op,
    pub(super) result: Stored,
    /// The node that it is named after, at whose place everything that it reads is known.
    pub(super) at: usize,
    /// The real value that it stores, if it does that.
    pub(super) reads: Option<usize>,
    /// The first real value of its result.
    pub(super) makes: Option<usize>,
}

/// A stored value behind a real one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) part: usize,
    pub(super) shape: Option<Shape>,
    /// Whether it is `[1, n]` rather than a picture, where that is known.
    pub(super) is_flat: Option<bool>,
}

/// What the walk found.
#[derive(Debug)]
pub(super) struct Fusion<'a> {
    pub(super) file: &'a File,
    pub(super) parts: Vec<Part>,
    /// By node: the part that it surely belongs to.
    pub(super) part_of: Vec<Option<usize>>,
    /// By value: what is stored behind it, for 8-bit and dequantised values.
    pub(super) held: Vec<Option<Held>>,
    /// By node: why it stays in float.
    pub(super) reasons: Vec<Option<String>>,
    /// By QuantizeLinear.
    chains: Vec<Option<Chain>>,
    /// By node: the QuantizeLinear whose chain it starts.
    stored_by: Vec<Option<usize>>,
}

impl<'a> Fusion<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        let n_nodes = file.nodes.len();
        let mut fusion = Self {
            file,
            parts: vec![],
            part_of: vec![None; n_nodes],
            held: vec![None; file.values.len()],
            reasons: vec![None; n_nodes],
            chains: vec![None; n_nodes],
            stored_by: vec![None; n_nodes],
        };
        let quantises = file.nodes.iter().enumerate().filter(|(_, node)| is_quantise(node) && !is_constant(file, node));
        for (number, node) in quantises {
            match stored_as(file, node) {
                Ok(affine) => fusion.follow(number, Chain::new(file, number, affine)),
                Err(reason) => fusion.reasons[number] = Some(reason),
            }
        }
        for number in 0..n_nodes {
            if fusion.part_of[number].is_none()
                && let Err(reason) = fusion.visit(number)
            {
                fusion.reasons[number] = Some(reason);
            }
        }
        fusion
    }

    fn follow(&mut self, quantise: usize, chain: Option<Chain>) {
        if let Some(maker) = chain.as_ref().and_then(|chain| chain.maker) {
            self.stored_by[maker] = Some(quantise);
        }
        self.chains[quantise] = chain;
    }

    fn visit(&mut self, number: usize) -> Result<(), String> {
        let file = self.file;
        let node = &file.nodes[number];
        if (is_quantise(node) || is_dequantise(node)) && is_constant(file, node) {
            return Ok(());
        }
        if is_quantise(node) {
            return self.quantise(number);
        }
        if is_dequantise(node) {
            let from = node.input(0).and_then(|value| self.held[value]);
            self.hold(node, from.ok_or("no QuantizeLinear of ours made what it reads")?);
            return Ok(());
        }
        if let Some(reshape) = Reshape::of(file, node) {
            let reshape = reshape?;
            let from = node.input(0).and_then(|value| self.held[value]).ok_or(READS_REAL)?;
            reshape.check(from.shape)?;
            self.hold(node, Held { is_flat: if reshape.is_flat { Some(true) } else { from.is_flat }, ..from });
            return Ok(());
        }
        if let Some(bounds) = bounds(file, node) {
            return bounds.and(Err("it is not between a layer and its QuantizeLinear".into()));
        }
        let chain = self.stored_by[number].and_then(|quantise| self.chains[quantise].clone());
        let matching = Matching { file, parts: &self.parts, held: &self.held, node, chain: chain.as_ref() };
        let layer = matching.layer().ok_or_else(|| unknown(node))??;
        self.add(number, layer, chain);
        Ok(())
    }

    /// A QuantizeLinear that stores no layer's result: it stores a real value, or what is stored already.
    fn quantise(&mut self, number: usize) -> Result<(), String> {
        let file = self.file;
        let node = &file.nodes[number];
        let Some(chain) = self.chains[number].clone() else {
            return Err(self.reasons[number].take().unwrap_or_default());
        };
        if self.held[chain.from].is_some() && self.store_again(&chain) {
            chain.nodes.iter().for_each(|node| self.part_of[*node] = self.held[chain.from].map(|held| held.part));
            return Ok(());
        }
        let value = node.input(0).ok_or("it reads nothing")?;
        let (shape, is_flat) = match self.held[value] {
            Some(held) => (held.shape, held.is_flat),
            None => file.values[value].shape()?,
        };
        let result = Stored::Bytes { affine: chain.affine, low: i8::MIN, high: i8::MAX };
        let part = self.push(number, Op::Quantise { input: 0 }, result);
        self.parts[part].reads = Some(value);
        self.part_of[number] = Some(part);
        self.hold(node, Held { part, shape, is_flat });
        Ok(())
    }

    /// Stores what is stored already in the same way; whether that is possible. A Relu on the way goes into the layer before,
    /// if nothing else reads that.
    fn store_again(&mut self, chain: &Chain) -> bool {
        let file = self.file;
        let Some(mut held) = self.held[chain.from] else { return false };
        let reads_alone = || {
            // Only the stored value and what this chain dequantises lead to the part.
            let dequantise = file.sole_maker(chain.from)?;
            let stored = file.nodes[dequantise].input(0)?;
            let ways = self.held.iter().flatten().filter(|other| other.part == held.part).count();
            (file.values[stored].readers.len() == 1 && ways == 2).then_some(())
        };
        let is_alone = reads_alone().is_some();
        let [least, most] = chain.range;
        let part = &mut self.parts[held.part];
        let Stored::Bytes { affine, low, high } = &mut part.result else { return false };
        let can_clamp = || is_alone && !matches!(part.op, Op::MaxPool { .. });
        if *affine != chain.affine || !(chain.is_plain() || can_clamp()) {
            return false;
        }
        for reshape in chain.reshapes.iter().rev() {
            if reshape.check(held.shape).is_err() {
                return false;
            }
            held.is_flat = if reshape.is_flat { Some(true) } else { held.is_flat };
        }
        (*low, *high) = ((*low).clamp(least, most), (*high).clamp(least, most));
        self.hold(&file.nodes[chain.nodes[0]], held);
        true
    }

    fn add(&mut self, number: usize, layer: Layer, chain: Option<Chain>) {
        let Layer { op, result, shape, is_flat, makes } = layer;
        let part = self.push(number, op, result);
        self.part_of[number] = Some(part);
        if let Some((value, adds)) = makes {
            self.parts[part].makes = Some(value);
            adds.into_iter().for_each(|adds| self.part_of[adds] = Some(part));
        }
        if let Some(chain) = chain {
            chain.nodes.iter().for_each(|node| self.part_of[*node] = Some(part));
            self.hold(&self.file.nodes[chain.nodes[0]], Held { part, shape, is_flat });
        }
    }

    fn push(&mut self, at: usize, op: Op, result: Stored) -> usize {
        let name = self.file.nodes[at].name().to_owned();
        self.parts.push(Part { name, op, result, at, reads: None, makes: None });
        self.parts.len() - 1
    }

    fn hold(&mut self, node: &Node, held: Held) {
        let Some(value) = node.output() else { return };
        self.held[value] = Some(held);
        if is_dequantise(node) {
            self.parts[held.part].makes.get_or_insert(value);
        }
    }
}

const READS_REAL: &str = "what it reads is not stored in 8 bits";

/// Whether a node reads nothing but what the file has.
fn is_constant(file: &File, node: &Node) -> bool {
    let Some(value) = node.input(0) else { return true };
    let behind = file.maker(value).map(|maker| &file.nodes[maker]).filter(|maker| is_quantise(maker));
    let source = behind.and_then(|maker| maker.input(0)).unwrap_or(value);
    file.constant(source).is_some()
}

fn unknown(node: &Node) -> String {
    let op = &node.proto.op_type;
    match node.proto.domain.as_str() {
        _ if op.starts_with("QLinear") || op == "QGemm" => {
            format!("{op} is not read: quantise with QuantizeLinear and DequantizeLinear (the QDQ format)")
        }
        "" | "ai.onnx" => format!("{op} is not computed in integers"),
        domain => format!("{op} of {domain} is not computed in integers"),
    }
}
