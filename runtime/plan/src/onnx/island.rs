//! From parts to islands: which of them run together, and what goes in and out.
//!
//! Every node and part has a level, even for real numbers and odd for integers: the least that is above the levels of the
//! other kind that it reads, and not below those of its own. Integer parts of one level are an island. A way from an island
//! through real numbers and back climbs two levels, so islands have no such way and no two wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{self, File, Origin};
use super::fuse::{Fusion, Held};
use super::operator::Reshape;
use super::quantised::{is_dequantise, is_quantise};
use super::{Axes, Island, NodeReport, Outcome, Reading, Value};
use crate::graph::{Graph, Node, Op, Output, Stored};

impl Fusion<'_> {
    /// Islands, and what became of every node.
    pub(super) fn finish(mut self) -> Reading {
        self.drop_idle();
        let covers = self.covers();
        let levels = self.levels(&covers);
        let used: BTreeSet<usize> = levels.iter().flatten().copied().collect();
        let used: Vec<usize> = used.into_iter().collect();
        let island_of: Vec<Option<usize>> =
            levels.iter().map(|level| level.and_then(|level| used.binary_search(&level).ok())).collect();
        let leaving = self.leaving(&covers, &island_of);
        let mut islands: Vec<Growing> = used.iter().map(|_| Growing::default()).collect();
        let mut place = vec![0; self.parts.len()];
        for number in 0..self.parts.len() {
            if let Some(island) = island_of[number] {
                place[number] = islands[island].grow(&mut self, number, &island_of, &place);
            }
        }
        let file = self.file;
        for (value, part) in leaving {
            if let Some(island) = island_of[part] {
                let output = Output { name: file.values[value].name.clone(), node: place[part] };
                islands[island].graph.outputs.push(output);
                islands[island].axes.push(self.axes(value));
            }
        }
        let at = |part: usize| island_of[part].map(|island| (part, island, place[part]));
        let went: Vec<Option<(usize, usize, usize)>> = covers.iter().map(|part| part.and_then(at)).collect();
        for (number, went) in went.iter().enumerate() {
            went.iter().for_each(|(_, island, _)| islands[*island].covers.push(number));
        }
        let described = |value: &usize| {
            let file::Value { name, dims, .. } = &file.values[*value];
            Value { name: name.clone(), dims: dims.clone() }
        };
        Reading {
            nodes: self.reports(&went),
            inputs: file.inputs.iter().map(described).collect(),
            outputs: file.outputs.iter().map(described).collect(),
            islands: islands.into_iter().map(|island| island.finish(file)).collect(),
        }
    }

    /// `went`: by node, the part, island and node of its graph that it went into.
    fn reports(&self, went: &[Option<(usize, usize, usize)>]) -> Vec<NodeReport> {
        let outcome = |number: usize| match went[number] {
            Some((part, island, node)) if self.parts[part].at == number => Outcome::Integer { island, node },
            Some((_, island, node)) => Outcome::Folded { island, node },
            None => Outcome::Float { reason: self.reasons[number].clone().unwrap_or_else(|| FOR_FLOATS.into()) },
        };
        let report = |(number, node): (usize, &file::Node)| NodeReport {
            name: node.name().to_owned(),
            op: node.proto.op_type.clone(),
            outcome: outcome(number),
        };
        self.file.nodes.iter().enumerate().map(report).collect()
    }

    /// The axes of a value that leaves an island.
    fn axes(&self, value: usize) -> Axes {
        let dims = self.file.values[value].dims.as_ref().map(Vec::len);
        let is_reshaped = self.file.maker(value).is_some_and(|maker| self.file.nodes[maker].op() == "Reshape");
        match (dims, self.held[value].map(|held| held.is_flat)) {
            (Some(2), _) => Axes::Flat,
            (Some(4), _) => Axes::Picture,
            (Some(_), _) => Axes::Unknown,
            // To a single axis, maybe.
            (None, _) if is_reshaped => Axes::Unknown,
            (None, Some(Some(is_flat))) => [Axes::Picture, Axes::Flat][usize::from(is_flat)],
            // Only storing and adding leave it open, and they change nothing.
            (None, Some(None)) => Axes::AsRead,
            // Real results are those of Gemm and MatMul.
            (None, None) => Axes::Flat,
        }
    }

    /// Takes out values that are stored for real operations only.
    fn drop_idle(&mut self) {
        let mut is_read = vec![false; self.parts.len()];
        self.parts.iter().flat_map(|part| part.op.inputs()).for_each(|part| is_read[part] = true);
        let is_idle: Vec<bool> =
            self.parts.iter().zip(is_read).map(|(part, is_read)| part.reads.is_some() && !is_read).collect();
        for number in 0..self.file.nodes.len() {
            if self.part_of[number].is_some_and(|part| is_idle[part]) {
                self.part_of[number] = None;
                self.reasons[number] = Some(FOR_FLOATS.into());
            }
        }
        self.held.iter_mut().for_each(|held| *held = held.filter(|held| !is_idle[held.part]));
    }

    /// By node: the part that it goes into. Nodes that only lead to parts are taken if nothing else reads their results.
    fn covers(&self) -> Vec<Option<usize>> {
        let file = self.file;
        let mut covers = self.part_of.clone();
        for (number, node) in file.nodes.iter().enumerate().rev() {
            let Some(value) = node.output().filter(|_| covers[number].is_none()) else { continue };
            let leads = is_quantise(node) || is_dequantise(node) || node.op() == "Constant";
            if let Some(Held { part, .. }) = self.held[value].filter(|_| is_dequantise(node)) {
                covers[number] = Some(part);
            } else if (leads || Reshape::of(file, node).is_some()) && !self.is_read_as_real(value, &covers) {
                covers[number] = file.values[value].readers.first().and_then(|reader| covers[*reader]);
            }
        }
        covers
    }

    /// Whether anything but parts reads a value, or a part stores it. What nothing reads is made all the same.
    fn is_read_as_real(&self, value: usize, covers: &[Option<usize>]) -> bool {
        let reads = |reader: &usize| match covers[*reader] {
            Some(part) => self.parts[part].reads == Some(value),
            None => true,
        };
        let file::Value { readers, is_output, .. } = &self.file.values[value];
        *is_output || readers.is_empty() || readers.iter().any(reads)
    }

    /// The level of each part, `None` for those taken out.
    fn levels(&self, covers: &[Option<usize>]) -> Vec<Option<usize>> {
        let mut levels: Vec<Option<usize>> = vec![None; self.parts.len()];
        let mut real = vec![0; self.file.nodes.len()];
        let mut parts = self.parts.iter().enumerate().peekable();
        for (number, node) in self.file.nodes.iter().enumerate() {
            let level_of = |value: usize, levels: &[Option<usize>], real: &[usize]| match self.file.values[value].origin
            {
                Origin::Input | Origin::Constant(_) => 0,
                Origin::Node(maker, _) => {
                    covers[maker].map_or(real[maker], |part| levels[part].map_or(0, |level| level + 1))
                }
            };
            while let Some((part_number, part)) = parts.next_if(|(_, part)| part.at == number) {
                let is_taken = covers[number] == Some(part_number);
                let stores = part.reads.map(|value| level_of(value, &levels, &real) + 1);
                let level = part.op.inputs().filter_map(|source| levels[source]).chain(stores).max();
                levels[part_number] = level.filter(|_| is_taken);
            }
            if covers[number].is_none() {
                real[number] = node.reads().map(|value| level_of(value, &levels, &real)).max().unwrap_or(0);
            }
        }
        levels
    }

    /// Real values that leave islands, with the parts that make them: first those that leave the model, in its order.
    fn leaving(&self, covers: &[Option<usize>], island_of: &[Option<usize>]) -> Vec<(usize, usize)> {
        let file = self.file;
        let mut leaves = vec![false; file.values.len()];
        for (number, part) in self.parts.iter().enumerate().filter(|(number, _)| island_of[*number].is_some()) {
            if let (Stored::Real, Some(value)) = (part.result, part.makes) {
                leaves[value] = true;
            }
            let crossed = part.op.inputs().filter(|source| island_of[*source] != island_of[number]);
            crossed.filter_map(|source| self.parts[source].makes).for_each(|value| leaves[value] = true);
        }
        let made = |value: usize| file.maker(value).and_then(|maker| covers[maker]);
        for (value, leaves) in leaves.iter_mut().enumerate().filter(|(value, _)| made(*value).is_some()) {
            *leaves |= self.is_read_as_real(value, covers);
        }
        let from_model = file.outputs.iter().copied().filter(|value| leaves[*value]);
        let between = (0..leaves.len()).filter(|value| leaves[*value] && !file.values[*value].is_output);
        from_model.chain(between).filter_map(|value| Some((value, made(value)?))).collect()
    }
}

const FOR_FLOATS: &str = "only operations in float read its result";

/// An island to be.
#[derive(Default)]
struct Growing {
    graph: Graph,
    covers: Vec<usize>,
    axes: Vec<Axes>,
    /// Real values that it reads.
    inputs: Vec<usize>,
    /// Nodes that store parts of other islands here.
    guests: BTreeMap<usize, usize>,
}

impl Growing {
    /// Adds a part and returns its number here.
    fn grow(&mut self, fusion: &mut Fusion<'_>, number: usize, island_of: &[Option<usize>], place: &[usize]) -> usize {
        let sources: Vec<usize> = fusion.parts[number].op.inputs().collect();
        let sources: Vec<usize> = sources
            .into_iter()
            .map(
                |source| {
                    if island_of[source] == island_of[number] { place[source] } else { self.guest(fusion, source) }
                },
            )
            .collect();
        let part = &mut fusion.parts[number];
        let mut op = std::mem::replace(&mut part.op, Op::Quantise { input: 0 });
        match &mut op {
            Op::Quantise { input } => *input = self.input(part.reads.unwrap_or_default()),
            Op::Convolution { input, .. }
            | Op::Linear { input, .. }
            | Op::MaxPool { input, .. }
            | Op::GlobalAveragePool { input } => *input = sources[0],
            Op::Add { a, b } => (*a, *b) = (sources[0], sources[1]),
        }
        self.graph.nodes.push(Node { name: part.name.clone(), op, result: part.result });
        self.graph.nodes.len() - 1
    }

    /// Stores the real value of another island's part as it was stored there, which gives the same bytes.
    fn guest(&mut self, fusion: &Fusion<'_>, source: usize) -> usize {
        if let Some(node) = self.guests.get(&source) {
            return *node;
        }
        let part = &fusion.parts[source];
        let value = part.makes.expect("a part that another reads has a dequantised value");
        let op = Op::Quantise { input: self.input(value) };
        let result = match part.result {
            Stored::Bytes { affine, .. } => Stored::Bytes { affine, low: i8::MIN, high: i8::MAX },
            Stored::Real => Stored::Real,
        };
        self.graph.nodes.push(Node { name: fusion.file.values[value].name.clone(), op, result });
        self.guests.insert(source, self.graph.nodes.len() - 1);
        self.graph.nodes.len() - 1
    }

    fn input(&mut self, value: usize) -> usize {
        let known = self.inputs.iter().position(|input| *input == value);
        known.unwrap_or_else(|| {
            self.inputs.push(value);
            self.inputs.len() - 1
        })
    }

    /// The island, with its inputs in the file's order.
    fn finish(mut self, file: &File) -> Island {
        let mut order = self.inputs.clone();
        order.sort_unstable();
        for node in &mut self.graph.nodes {
            if let Op::Quantise { input } = &mut node.op {
                *input = order.binary_search(&self.inputs[*input]).unwrap_or_default();
            }
        }
        self.graph.inputs = order.iter().map(|value| file.values[*value].name.clone()).collect();
        Island { graph: self.graph, covers: self.covers, axes: self.axes }
    }
}
