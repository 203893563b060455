//! Where everything lies in memory while a program runs, worked out when it is opened: nothing of this is believed from a file.

use remedis_kernels::{ALIGNMENT, Constants, Layout, Shape};

use crate::engine::MOST_LINKS;
use crate::program::{Gives, Operation, Program};

/// Bytes of rings that a chain may keep near the processor: what stays in a second-level cache beside weights.
const NEAR: usize = 160 << 10;
/// Bytes of all pictures at most: more than any network for a device, less than a small machine has.
const MOST_MEMORY: usize = 1 << 29;
/// Rows, columns, channels at most.
const MOST_SIZE: usize = 1 << 16;
/// Rows and columns of margin at most.
const MOST_MARGIN: usize = 64;

/// Why a program cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// A layer that does not fit what it reads, or whose weights are not there.
    #[error("layer {name} does not fit what it reads: sources {sources:?}")]
    Layer {
        /// Its name.
        name: String,
        /// Shapes of its sources.
        sources: Vec<Shape>,
    },
    /// A layer that reads what is not there yet, or what a chain keeps to itself.
    #[error("layer {name} reads link {link}, which is not there for it")]
    Source {
        /// Its name.
        name: String,
        /// What it names.
        link: usize,
    },
    /// An input or output that does not exist, or has another shape.
    #[error("layer {name} has no input or output of that number and shape")]
    Port {
        /// Its name.
        name: String,
    },
    /// An input or output of a size that no device has.
    #[error("{name}, an input or output, has the size {shape:?}")]
    Size {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Shape,
    },
    /// An output that no layer gives, or more than one.
    #[error("output {name} is given by {found} layers, expected one")]
    Output {
        /// Its name.
        name: String,
        /// Layers that give it.
        found: usize,
    },
    /// More memory than any device has.
    #[error("the network needs {needed} bytes for its values, expected at most {MOST_MEMORY}")]
    Memory {
        /// How much.
        needed: usize,
    },
    /// A chain of no layers.
    #[error("chain {chain} holds no layer")]
    Empty {
        /// Its position.
        chain: usize,
    },
    /// A chain of layers that cannot run by rows.
    #[error("layer {name} cannot stand in the middle of a chain")]
    Chain {
        /// Its name.
        name: String,
    },
}

/// Memory of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrangement {
    /// One for each link, in order.
    pub(crate) places: Vec<Place>,
    /// For each chain, rows of its last result at a time.
    pub(crate) tiles: Vec<usize>,
    /// Bytes of whole pictures.
    pub(crate) memory: usize,
    /// Bytes of rings and scratch, for each worker.
    pub(crate) scratch: usize,
    /// Where layers' own scratch begins behind the rings.
    pub(crate) behind_rings: usize,
}

/// Where the result of a link lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Whole, from this byte of the memory on.
    Memory(usize, Layout),
    /// In a ring, from this byte of a worker's memory on.
    Ring(usize, Layout),
    /// In an output.
    Output,
}

impl Place {
    pub(crate) fn layout(self) -> Option<Layout> {
        match self {
            Self::Memory(_, layout) | Self::Ring(_, layout) => Some(layout),
            Self::Output => None,
        }
    }
}

impl Arrangement {
    pub(crate) fn of(program: &Program, constants: &Constants) -> Result<Self, ProgramError> {
        let shapes = shapes(program, constants)?;
        let links: Vec<_> = program.chains.iter().flatten().collect();
        let mut layouts: Vec<Option<Layout>> =
            shapes.iter().map(|shape| shape.map(|shape| Layout::whole(shape, 0, program.family))).collect();
        for link in &links {
            for source in link.operation.from() {
                let layout = layouts[source].as_mut().expect("shapes were checked");
                layout.margin = layout.margin.max(link.operation.margin(layout.shape));
                let bytes = [layout.shape.height, layout.shape.width]
                    .map(|size| (size + 2 * layout.margin.min(MOST_MARGIN)) as u64);
                let bytes = bytes[0] * bytes[1] * (layout.step * layout.value_bytes) as u64;
                if layout.margin > MOST_MARGIN || bytes > MOST_MEMORY as u64 {
                    return Err(ProgramError::Layer { name: link.name.clone(), sources: vec![layout.shape] });
                }
            }
        }
        for (number, layout) in layouts.iter_mut().enumerate() {
            // Few channels are stored thinly where only dense convolutions read them; those were packed for it.
            let Some(layout) = layout else { continue };
            let step = |operation: &Operation| match operation {
                Operation::Conv { layer, .. } => Some(layer.step()).filter(|step| *step <= 4),
                _ => None,
            };
            let mut readers = links.iter().filter(|link| link.operation.from().any(|source| source == number));
            let is_input = matches!(links[number].operation, Operation::Quantise { .. });
            let thin = readers.next().and_then(|first| step(&first.operation)).filter(|first| {
                is_input && layout.shape.channels <= *first && readers.all(|link| step(&link.operation) == Some(*first))
            });
            *layout = match thin {
                Some(step) => Layout::thin(layout.shape, layout.margin, step, program.family),
                None => Layout::whole(layout.shape, layout.margin, program.family),
            };
        }
        let mut arrangement = Self { places: vec![], tiles: vec![], memory: 0, scratch: 0, behind_rings: 0 };
        let mut own_scratch = 0;
        let mut first = 0;
        for chain in &program.chains {
            let numbers = first..first + chain.len();
            let tile = tile(chain.iter().map(|link| &link.operation), &layouts[numbers.clone()]);
            let rings = rings(chain.iter().map(|link| &link.operation), &layouts[numbers.clone()], tile);
            let mut used = 0;
            for ring in rings {
                arrangement.places.push(Place::Ring(used, ring));
                used += ring.length().next_multiple_of(ALIGNMENT);
            }
            // Whole pictures get their place below.
            arrangement.places.push(layouts[numbers.end - 1].map_or(Place::Output, |layout| Place::Memory(0, layout)));
            for (link, number) in chain.iter().zip(numbers.clone()) {
                let source = link.operation.from().next().and_then(|source| shapes[source]);
                own_scratch =
                    own_scratch.max(link.operation.scratch(source.or(shapes[number]).expect("an input has a shape")));
            }
            arrangement.behind_rings = arrangement.behind_rings.max(used);
            arrangement.tiles.push(tile);
            first = numbers.end;
        }
        for (number, link) in links.iter().enumerate() {
            if let (Operation::Conv { layer, .. }, Some(source)) = (&link.operation, link.operation.from().next()) {
                let step = arrangement.places[source].layout().map(|layout| layout.step);
                if step != Some(layer.step()) {
                    let sources = vec![shapes[source].expect("shapes were checked")];
                    return Err(ProgramError::Layer { name: links[number].name.clone(), sources });
                }
            }
        }
        arrangement.scratch = arrangement.behind_rings + own_scratch;
        arrangement.place_pictures(program);
        match arrangement.memory.max(arrangement.scratch) {
            needed if needed > MOST_MEMORY => Err(ProgramError::Memory { needed }),
            _ => Ok(arrangement),
        }
    }

    /// Gives whole pictures places that they share with others that live at another time: each goes to the lowest place that is free
    /// from the chain that writes it to the last one that reads it.
    fn place_pictures(&mut self, program: &Program) {
        let mut chain_of = vec![];
        let mut last_use = vec![];
        for (chain, links) in program.chains.iter().enumerate() {
            for link in links {
                chain_of.push(chain);
                last_use.push(chain);
                link.operation.from().for_each(|source| last_use[source] = chain);
            }
        }
        let mut placed: Vec<(usize, usize, usize, usize)> = vec![];
        for number in 0..self.places.len() {
            let Place::Memory(place, layout) = &mut self.places[number] else { continue };
            let length = layout.length().next_multiple_of(ALIGNMENT);
            let (from, to) = (chain_of[number], last_use[number]);
            let mut taken: Vec<(usize, usize)> = placed
                .iter()
                .filter(|other| other.2 <= to && from <= other.3)
                .map(|other| (other.0, other.1))
                .collect();
            taken.sort_unstable();
            *place = 0;
            for (start, end) in taken {
                if *place + length <= start {
                    break;
                }
                *place = (*place).max(end);
            }
            placed.push((*place, *place + length, from, to));
            self.memory = self.memory.max(*place + length);
        }
    }
}

/// The shape of every link's result; `None` for outputs.
fn shapes(program: &Program, constants: &Constants) -> Result<Vec<Option<Shape>>, ProgramError> {
    let inputs = program.inputs.iter().map(|input| (&input.name, input.shape));
    for (name, shape) in inputs.chain(program.outputs.iter().map(|output| (&output.name, output.shape))) {
        if !is_possible(shape) {
            return Err(ProgramError::Size { name: name.clone(), shape });
        }
    }
    let mut given = vec![0; program.outputs.len()];
    let mut shapes: Vec<Option<Shape>> = vec![];
    for (number, chain) in program.chains.iter().enumerate() {
        if chain.is_empty() {
            return Err(ProgramError::Empty { chain: number });
        }
        let first = shapes.len();
        for (position, link) in chain.iter().enumerate() {
            let name = || link.name.clone();
            let mut sources = vec![];
            if let Operation::Quantise { input, .. } = link.operation {
                let input = program.inputs.get(input as usize).ok_or_else(|| ProgramError::Port { name: name() })?;
                sources.push(input.shape);
            }
            for source in link.operation.from() {
                // Results within a chain are for the next link alone.
                let is_there =
                    source < first && is_last(program, source) || position > 0 && source == first + position - 1;
                let shape = shapes.get(source).copied().flatten().filter(|_| is_there);
                sources.push(shape.ok_or_else(|| ProgramError::Source { name: name(), link: source })?);
            }
            let reads_previous = position == 0 || link.operation.from().any(|source| source == first + position - 1);
            if !reads_previous || chain.len() > MOST_LINKS || chain.len() > 1 && !link.operation.works_by_rows() {
                return Err(ProgramError::Chain { name: name() });
            }
            let gives = link.operation.result(&sources, program.family, constants);
            match gives.ok_or_else(|| ProgramError::Layer { name: name(), sources: sources.clone() })? {
                Gives::Picture(shape) => {
                    if !is_possible(shape) {
                        return Err(ProgramError::Layer { name: name(), sources });
                    }
                    shapes.push(Some(shape));
                }
                Gives::Output(output, shape) => {
                    let promised = program.outputs.get(output as usize).map(|output| output.shape);
                    if promised != Some(shape) {
                        return Err(ProgramError::Port { name: name() });
                    }
                    given[output as usize] += 1;
                    shapes.push(None);
                }
            }
        }
    }
    match program.outputs.iter().zip(given).find(|(_, found)| *found != 1) {
        Some((output, found)) => Err(ProgramError::Output { name: output.name.clone(), found }),
        None => Ok(shapes),
    }
}

/// Whether a picture of this shape may exist.
fn is_possible(shape: Shape) -> bool {
    let sizes = [shape.height, shape.width, shape.channels];
    sizes.iter().all(|size| (1..=MOST_SIZE).contains(size))
        && shape.checked_volume().is_some_and(|volume| volume <= MOST_MEMORY)
}

/// Whether a link ends its chain, so that others may read its result.
fn is_last(program: &Program, number: usize) -> bool {
    let mut end = 0;
    program.chains.iter().any(|chain| {
        end += chain.len();
        end == number + 1
    })
}

/// Rows of a chain's last result at a time: as many as keep the rings near, all of them for a single layer.
fn tile<'a>(operations: impl Iterator<Item = &'a Operation> + Clone, layouts: &[Option<Layout>]) -> usize {
    let Some(last) = layouts.last().copied().flatten() else { return 1 };
    let together = operations.clone().map(Operation::rows_together).max().unwrap_or(1);
    let height = last.shape.height.next_multiple_of(together);
    if layouts.len() == 1 {
        return height;
    }
    let bytes = |tile: usize| rings(operations.clone(), layouts, tile).iter().map(Layout::length).sum::<usize>();
    let mut tile = together;
    while tile + together <= height && bytes(tile + together) <= NEAR {
        tile += together;
    }
    // Tiles of the same height.
    height.div_ceil(height.div_ceil(tile)).next_multiple_of(together)
}

/// The rings of a chain's inner results for tiles of `tile` rows.
fn rings<'a>(operations: impl Iterator<Item = &'a Operation>, layouts: &[Option<Layout>], tile: usize) -> Vec<Layout> {
    let operations: Vec<_> = operations.collect();
    let mut rows = tile;
    let mut rings: Vec<Layout> = (1..operations.len())
        .rev()
        .map(|at| {
            let reads = operations[at].reads(&(0..rows));
            let layout = layouts[at - 1].expect("inner links have pictures");
            let all = layout.shape.height + 2 * layout.margin;
            rows = reads.len().next_multiple_of(operations[at - 1].rows_together());
            // A producer of several rows at a time may be ahead of its reader.
            let ahead = operations[at - 1].rows_together() - 1;
            Layout { rows: (rows + 2 * ahead).min(all + 2 * ahead), ..layout }
        })
        .collect();
    rings.reverse();
    rings
}
