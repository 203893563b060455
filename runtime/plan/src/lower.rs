//! From a graph to a program: shapes, packed weights, and which layers run together.

use std::ops::Range;

use remedis_kernels::{
    Add, AveragePool, Backend, Constants, Conv, Depthwise, Dequantise, Family, Layer, LayerError, Limits, Linear,
    MaxPool, Quantise, Requantise, Shape, Store, Window,
};

use crate::arrange::ProgramError;
use crate::engine::{MOST_LINKS, Plan};
use crate::graph::{Affine, Graph, Node, Op, Stored, Weights};
use crate::program::{Input, Link, Operation, Output, Program};

/// A picture of more bytes than this does not stay in a second-level cache beside weights: it is worth handing over by rows.
const LARGE: usize = 96 << 10;

/// Why a graph has no program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// A layer whose arithmetic is refused.
    #[error("layer {name} cannot run in integers")]
    Layer {
        /// Its name.
        name: String,
        /// Why.
        source: LayerError,
    },
    /// Shapes that do not fit each other.
    #[error("layer {name} does not fit what it reads: {shapes:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Of what it reads.
        shapes: Vec<Shape>,
    },
    /// A wrong number of input shapes.
    #[error("the network has {expected} inputs, {found} shapes were given")]
    Inputs {
        /// Inputs there are.
        expected: usize,
        /// Shapes given.
        found: usize,
    },
    /// The program is refused; only a mistake of ours leads here.
    #[error("the layers do not make a program")]
    Program(#[from] ProgramError),
}

impl Plan {
    /// Packs a graph for `family` and inputs of the given shapes.
    ///
    /// # Errors
    /// If layers do not fit each other, or the arithmetic of one could leave 32 bits.
    pub fn compile(graph: &Graph, shapes: &[Shape], family: Family) -> Result<Self, LowerError> {
        if shapes.len() != graph.inputs.len() {
            return Err(LowerError::Inputs { expected: graph.inputs.len(), found: shapes.len() });
        }
        let mut lowering = Lowering { graph, family, store: Store::default(), shapes: vec![], links: vec![] };
        for (number, node) in graph.nodes.iter().enumerate() {
            lowering.lower(number, node, shapes)?;
        }
        lowering.finish(shapes)
    }

    /// The same for this processor.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_here(graph: &Graph, shapes: &[Shape]) -> Result<Self, LowerError> {
        Self::compile(graph, shapes, Backend::detect().family())
    }
}

struct Lowering<'a> {
    graph: &'a Graph,
    family: Family,
    store: Store,
    /// Of each node's result.
    shapes: Vec<Shape>,
    /// Of each node, before sources are renumbered.
    links: Vec<Link>,
}

impl Lowering<'_> {
    fn lower(&mut self, number: usize, node: &Node, inputs: &[Shape]) -> Result<(), LowerError> {
        let sources: Vec<Shape> = match node.op {
            Op::Quantise { input } => vec![inputs[input]],
            _ => node.op.inputs().map(|source| self.shapes[source]).collect(),
        };
        let wrong_shape = || LowerError::Shape { name: node.name.clone(), shapes: sources.clone() };
        let refused = |source| LowerError::Layer { name: node.name.clone(), source };
        let is_small = |shape: &Shape| shape.checked_volume().is_some_and(|volume| volume > 0 && volume < 1 << 30);
        if !sources.iter().all(is_small) {
            return Err(wrong_shape());
        }
        let (affine, limits) = match node.result {
            Stored::Bytes { affine, low, high } => (affine, Limits { zero_point: affine.zero_point, low, high }),
            Stored::Real => {
                (Affine { scale: 1.0, zero_point: 0 }, Limits { zero_point: 0, low: i8::MIN, high: i8::MAX })
            }
        };
        let (operation, shape) = match &node.op {
            Op::Quantise { input } => {
                let layer = Quantise { scale: affine.scale, limits };
                (Operation::Quantise { input: *input as u32, layer }, sources[0])
            }
            Op::Convolution { input, groups, window, weights } => {
                let reads = self.affine(*input);
                let requantise = requantise(reads, weights, affine, limits);
                let is_dense = *groups == 1;
                let inner = if is_dense { sources[0].channels } else { 1 };
                let weights = channels_last(weights, inner, window).ok_or_else(wrong_shape)?;
                let layer = Layer {
                    input: sources[0],
                    input_zero: reads.zero_point,
                    window: *window,
                    weights: &weights.values,
                    bias: &weights.bias,
                    requantise: &requantise,
                };
                if is_dense {
                    let step = self.step(*input, sources[0]);
                    let layer = Conv::new(&layer, step, self.family, &mut self.store).map_err(refused)?;
                    let shape = layer.output(sources[0]).ok_or_else(wrong_shape)?;
                    (Operation::Conv { from: *input as u32, layer }, shape)
                } else {
                    let layer = Depthwise::new(&layer, self.family, &mut self.store).map_err(refused)?;
                    let shape = layer.output(sources[0]).ok_or_else(wrong_shape)?;
                    (Operation::Depthwise { from: *input as u32, layer }, shape)
                }
            }
            Op::Linear { input, weights } => {
                // On a picture it is a convolution whose window is the picture.
                let (reads, shape) = (self.affine(*input), sources[0]);
                let window = Window { kernel: [shape.height, shape.width], ..Window::POINT };
                let requantise = requantise(reads, weights, affine, limits);
                let weights = channels_last(weights, shape.channels, &window).ok_or_else(wrong_shape)?;
                let layer = Layer {
                    input: shape,
                    input_zero: reads.zero_point,
                    window,
                    weights: &weights.values,
                    bias: &weights.bias,
                    requantise: &requantise,
                };
                let output = Shape { height: 1, width: 1, channels: weights.bias.len() };
                match node.result {
                    Stored::Real => {
                        let layer = Linear::new(&layer, self.family, &mut self.store).map_err(refused)?;
                        let output_number = self.graph.outputs.iter().position(|output| output.node == number);
                        let output_number = output_number.ok_or_else(wrong_shape)?;
                        (Operation::Linear { from: *input as u32, layer, output: output_number as u32 }, output)
                    }
                    Stored::Bytes { .. } => {
                        let step = self.step(*input, shape);
                        let layer = Conv::new(&layer, step, self.family, &mut self.store).map_err(refused)?;
                        (Operation::Conv { from: *input as u32, layer }, output)
                    }
                }
            }
            Op::Add { a, b } => {
                let reads = [self.affine(*a), self.affine(*b)];
                let multipliers = reads.map(|reads| (f64::from(reads.scale) / f64::from(affine.scale)) as f32);
                let layer = Add { zeros: reads.map(|reads| reads.zero_point), multipliers, limits };
                layer.check().map_err(refused)?;
                (Operation::Add { from: [*a as u32, *b as u32], layer }, sources[0])
            }
            Op::MaxPool { input, window } => {
                let layer = MaxPool { window: *window };
                let shape = layer.output(sources[0]).ok_or_else(wrong_shape)?;
                (Operation::MaxPool { from: *input as u32, layer }, shape)
            }
            Op::GlobalAveragePool { input } => {
                let (reads, Shape { height, width, channels }) = (self.affine(*input), sources[0]);
                let multiplier = f64::from(reads.scale) / ((height * width) as f64 * f64::from(affine.scale));
                let layer = AveragePool { zero: reads.zero_point, multiplier: multiplier as f32, limits };
                layer.check(sources[0]).map_err(refused)?;
                (Operation::AveragePool { from: *input as u32, layer }, Shape { height: 1, width: 1, channels })
            }
        };
        self.shapes.push(shape);
        self.links.push(Link { name: node.name.clone(), operation, zero: affine.zero_point });
        Ok(())
    }

    /// What a stored value means.
    fn affine(&self, node: usize) -> Affine {
        match self.graph.nodes[node].result {
            Stored::Bytes { affine, .. } => affine,
            Stored::Real => Affine { scale: 1.0, zero_point: 0 },
        }
    }

    /// Values a pixel of a node's result: few channels of an input that only dense convolutions read lie close together.
    fn step(&self, node: usize, shape: Shape) -> usize {
        let is_input = matches!(self.graph.nodes[node].op, Op::Quantise { .. });
        let is_output = self.graph.outputs.iter().any(|output| output.node == node);
        let readers = self.graph.nodes.iter().filter(|reader| reader.op.inputs().any(|source| source == node));
        let mut steps = readers.map(|reader| match (&reader.op, reader.result) {
            (Op::Convolution { groups: 1, window, .. }, _) => Conv::thin_step(window, shape.channels),
            (Op::Linear { .. }, Stored::Bytes { .. }) => {
                let window = Window { kernel: [shape.height, shape.width], ..Window::POINT };
                Conv::thin_step(&window, shape.channels)
            }
            _ => None,
        });
        let first =
            steps.next().flatten().filter(|first| is_input && !is_output && steps.all(|step| step == Some(*first)));
        first.unwrap_or(shape.channels.next_multiple_of(16))
    }

    fn finish(mut self, inputs: &[Shape]) -> Result<Plan, LowerError> {
        for (number, output) in self.graph.outputs.iter().enumerate() {
            if let Stored::Bytes { affine, .. } = self.graph.nodes[output.node].result {
                let layer = Dequantise { scale: affine.scale, zero_point: affine.zero_point };
                let operation = Operation::Dequantise { from: output.node as u32, layer, output: number as u32 };
                self.links.push(Link { name: output.name.clone(), operation, zero: 0 });
                self.shapes.push(self.shapes[output.node]);
            }
        }
        let named = |(name, shape): (&String, &Shape)| Input { name: name.clone(), shape: *shape };
        let outputs = self.graph.outputs.iter();
        let program = Program {
            family: self.family,
            inputs: self.graph.inputs.iter().zip(inputs).map(named).collect(),
            outputs: outputs
                .map(|output| Output { name: output.name.clone(), shape: self.shapes[output.node] })
                .collect(),
            chains: chains(self.links, &self.shapes),
        };
        let constants: Constants = self.store.finish();
        Ok(Plan::new(program, constants)?)
    }
}

/// Weights from `[out, in, row, column]` to `[out, row, column, in]`; `None` if they are not as many as the window needs.
fn channels_last(weights: &Weights, inner: usize, window: &Window) -> Option<Weights> {
    let taps = window.kernel[0].checked_mul(window.kernel[1])?;
    let filter = inner.checked_mul(taps).filter(|filter| *filter > 0)?;
    if weights.values.len() != filter.checked_mul(weights.bias.len())? {
        return None;
    }
    let of_filter = |filter: &[i8]| -> Vec<i8> {
        (0..taps).flat_map(|tap| (0..inner).map(move |channel| channel * taps + tap)).map(|at| filter[at]).collect()
    };
    let values = weights.values.chunks_exact(filter).flat_map(of_filter).collect();
    Some(Weights { values, ..weights.clone() })
}

/// Input scale times weight scale over output scale, in double precision, rounded once. The result of a real layer has scale 1.
fn requantise(reads: Affine, weights: &Weights, affine: Affine, limits: Limits) -> Requantise {
    let of = |scale: &f32| (f64::from(reads.scale) * f64::from(*scale) / f64::from(affine.scale)) as f32;
    let Limits { zero_point, low, high } = limits;
    Requantise { multipliers: weights.scales.iter().map(of).collect(), zero_point, low, high }
}

/// Orders links into chains and renumbers what they read.
fn chains(links: Vec<Link>, shapes: &[Shape]) -> Vec<Vec<Link>> {
    let mut readers: Vec<Vec<usize>> = vec![vec![]; links.len()];
    for (number, link) in links.iter().enumerate() {
        link.operation.from().for_each(|source| readers[source].push(number));
    }
    let mut order: Vec<Range<usize>> = vec![];
    let mut sequence: Vec<usize> = vec![];
    let mut place: Vec<Option<usize>> = vec![None; links.len()];
    for start in 0..links.len() {
        if place[start].is_some() {
            continue;
        }
        let first = sequence.len();
        let mut last = start;
        place[start] = Some(first);
        sequence.push(start);
        while let [next] = readers[last][..] {
            let operation = &links[next].operation;
            let is_there = |source: usize| source == last || place[source].is_some_and(|place| place < first);
            let runs_by_rows = links[last].operation.works_by_rows() && operation.works_by_rows();
            let is_worth_it = is_worth_joining(&links[last].operation, operation, shapes[last]);
            if !runs_by_rows || !is_worth_it || !operation.from().all(is_there) || sequence.len() - first >= MOST_LINKS
            {
                break;
            }
            place[next] = Some(sequence.len());
            sequence.push(next);
            last = next;
        }
        order.push(first..sequence.len());
    }
    let renumber = |source: &mut u32| *source = place[*source as usize].expect("every link has a place") as u32;
    let mut links: Vec<Option<Link>> = links.into_iter().map(Some).collect();
    let mut take = |number: usize| {
        let mut link = links[number].take().expect("every link is taken once");
        link.operation.sources_mut().into_iter().flatten().for_each(renumber);
        link
    };
    order.into_iter().map(|numbers| sequence[numbers].iter().map(|number| take(*number)).collect()).collect()
}

/// Whether a result of `shape` is better handed over by rows than kept whole.
fn is_worth_joining(producer: &Operation, reader: &Operation, shape: Shape) -> bool {
    let is_cheap = matches!(reader, Operation::Add { .. }) || matches!(producer, Operation::Quantise { .. });
    is_cheap || shape.volume() > LARGE
}
