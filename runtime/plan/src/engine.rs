//! Runs a program: one memory allocated once, none per answer.

use std::array::from_fn;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use remedis_kernels::{Backend, Constants, Lines, Team, View, ViewMut};

use crate::arrange::{Arrangement, Place, ProgramError};
use crate::program::{Link, Operation, Program};

/// A program with its constants, checked, and shared by engines.
#[derive(Clone, Debug)]
pub struct Plan(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    program: Program,
    constants: Constants,
    arrangement: Arrangement,
}

impl Plan {
    /// # Errors
    /// If a layer does not fit what it reads, or its constants are not there.
    pub fn new(program: Program, constants: Constants) -> Result<Self, ProgramError> {
        let arrangement = Arrangement::of(&program, &constants)?;
        Ok(Self(Arc::new(Parts { program, constants, arrangement })))
    }

    /// What it does.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.0.program
    }

    /// Its packed weights.
    #[must_use]
    pub fn constants(&self) -> &Constants {
        &self.0.constants
    }

    /// Chains of layers: each layer, its result's size in words, and its multiplications.
    ///
    /// # Panics
    /// Never: a plan was checked when it was made.
    pub fn chains(&self) -> impl Iterator<Item = Vec<(&Link, String, u64)>> {
        let mut first = 0;
        self.0.program.chains.iter().map(move |links| {
            let places = &self.0.arrangement.places[first..][..links.len()];
            first += links.len();
            let describe = |(link, place): (&'_ Link, &Place)| {
                let shape = match &link.operation {
                    Operation::Linear { output, .. } | Operation::Dequantise { output, .. } => {
                        self.0.program.outputs[*output as usize].shape
                    }
                    _ => place.layout().expect("every other result is a picture").shape,
                };
                let size = format!("{}x{}x{}", shape.height, shape.width, shape.channels);
                (link.operation.n_multiplications(shape), size)
            };
            links
                .iter()
                .zip(places)
                .map(|pair| {
                    let (n, size) = describe(pair);
                    (pair.0, size, n)
                })
                .collect()
        })
    }

    /// Bytes that an engine for `workers` workers allocates.
    #[must_use]
    pub fn memory(&self, workers: usize) -> usize {
        self.0.arrangement.memory + workers * self.0.arrangement.scratch
    }
}

/// A plan with the memory to run it. One answer at a time; workers share the rows of each layer.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    backend: Backend,
    memory: Lines,
    workers: Vec<Lines>,
    team: Team,
}

/// Links in a chain at most.
pub(crate) const MOST_LINKS: usize = 16;
/// Threads at most.
const MOST_THREADS: usize = 32;

/// What a worker is told about a chain.
#[derive(Clone, Copy)]
struct Chain<'a> {
    parts: &'a Parts,
    backend: Backend,
    links: &'a [Link],
    /// Number of the first link.
    first: usize,
    tile: usize,
    inputs: &'a [&'a [f32]],
    memory: Memory<'a>,
}

/// Everything in memory but the picture being written.
#[derive(Clone, Copy)]
struct Memory<'a> {
    before: &'a [u8],
    after: &'a [u8],
    /// Where `after` begins.
    first_after: usize,
}

impl<'a> Memory<'a> {
    fn view(&self, place: Place) -> View<'a> {
        let Place::Memory(first, layout) = place else { panic!("{place:?} is no whole picture") };
        let length = layout.length();
        let values = match first.checked_sub(self.first_after) {
            Some(first) => &self.after[first..][..length],
            None => &self.before[first..][..length],
        };
        View::new(values, layout)
    }
}

impl Engine {
    /// Allocates for `threads` threads, 1 to 32.
    ///
    /// # Panics
    /// If the operating system starts no threads.
    #[must_use]
    pub fn new(plan: Plan, threads: usize) -> Self {
        let backend = Backend::for_family(plan.0.program.family);
        Self::on(plan, backend, threads)
    }

    /// The same on certain instructions.
    ///
    /// # Panics
    /// If the plan is for another family than theirs, or the operating system starts no threads.
    #[must_use]
    pub fn on(plan: Plan, backend: Backend, threads: usize) -> Self {
        let Parts { program, arrangement, .. } = &*plan.0;
        assert_eq!(program.family, backend.family(), "the family that the plan is for");
        let threads = threads.clamp(1, MOST_THREADS);
        Self {
            backend,
            memory: Lines::new(arrangement.memory),
            workers: vec![Lines::new(arrangement.scratch); threads],
            team: Team::new(threads).expect("threads start"),
            plan,
        }
    }

    /// The plan that it runs.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Instructions that it runs on.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The outputs for the given inputs, `[channel, height, width]` each.
    ///
    /// # Panics
    /// If an input or output is missing or of another size than the program's.
    pub fn run(&mut self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        self.watch(inputs, outputs, |_, _| {});
    }

    /// As [`Engine::run`], telling `seen` after each chain of the program what it was, so that its time can be taken.
    ///
    /// # Panics
    /// If an input or output is missing or of another size than the program's.
    pub fn watch(&mut self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], mut seen: impl FnMut(usize, &[Link])) {
        let Self { plan, backend, memory, workers, team } = self;
        let parts = &*plan.0;
        let mut first = 0;
        for (number, links) in parts.program.chains.iter().enumerate() {
            run_chain(parts, *backend, [number, first], inputs, outputs, memory, (team, workers));
            seen(number, links);
            first += links.len();
        }
    }
}

fn run_chain(
    parts: &Parts,
    backend: Backend,
    [number, first]: [usize; 2],
    inputs: &[&[f32]],
    outputs: &mut [&mut [f32]],
    memory: &mut Lines,
    (team, workers): (&mut Team, &mut [Lines]),
) {
    let links = &parts.program.chains[number];
    let values = memory.bytes_mut();
    let place = parts.arrangement.places[first + links.len() - 1];
    let Place::Memory(start, layout) = place else {
        let memory = Memory { before: values, after: &[], first_after: usize::MAX };
        return run_output(parts, backend, &links[0], memory, outputs, &mut workers[0]);
    };
    let (before, rest) = values.split_at_mut(start);
    let (written, after) = rest.split_at_mut(layout.length());
    let memory = Memory { before, after, first_after: start + layout.length() };
    let tile = parts.arrangement.tiles[number];
    let chain = Chain { parts, backend, links, first, tile, inputs, memory };
    let together = links.iter().map(|link| link.operation.rows_together()).max().unwrap_or(1);
    chain.share(layout.shape.height, together, ViewMut::new(written, layout), team, workers);
}

/// A link that gives real numbers.
fn run_output(
    parts: &Parts,
    backend: Backend,
    link: &Link,
    memory: Memory<'_>,
    outputs: &mut [&mut [f32]],
    worker: &mut Lines,
) {
    let view = |from: u32| memory.view(parts.arrangement.places[from as usize]);
    match &link.operation {
        Operation::Linear { from, layer, output } => {
            let scratch = &mut worker.bytes_mut()[parts.arrangement.behind_rings..];
            layer.run(backend, &parts.constants, view(*from), outputs[*output as usize], scratch);
        }
        Operation::Dequantise { from, layer, output } => layer.run(view(*from), outputs[*output as usize]),
        other => unreachable!("{other:?} gives a picture"),
    }
}

impl Chain<'_> {
    /// Splits the rows of the last result, of which some are computed together, among workers.
    fn share(self, height: usize, together: usize, output: ViewMut<'_>, team: &mut Team, workers: &mut [Lines]) {
        let units = height.div_ceil(together);
        let n_parts = workers.len().min(units);
        if n_parts < 2 {
            return self.run(0..height, output, &mut workers[0]);
        }
        let mut parts: [_; MOST_THREADS] = from_fn(|_| Mutex::new(None));
        // The first parts are the larger ones: whoever does the first need not be woken.
        let end = |part: usize| ((part * units).div_ceil(n_parts) * together).min(height);
        let mut rest = output;
        let (last, others) = workers[..n_parts].split_last_mut().expect("two parts at least");
        for (at, worker) in others.iter_mut().enumerate() {
            let (upper, lower) = rest.split(end(at + 1));
            parts[at] = Mutex::new(Some((end(at)..end(at + 1), upper, worker)));
            rest = lower;
        }
        parts[n_parts - 1] = Mutex::new(Some((end(n_parts - 1)..height, rest, last)));
        team.run(&|part| {
            let part = parts[part].lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((rows, output, worker)) = part {
                self.run(rows, output, worker);
            }
        });
    }

    /// Computes rows of the last result, tile by tile.
    fn run(self, rows: Range<usize>, mut output: ViewMut<'_>, worker: &mut Lines) {
        let places = &self.parts.arrangement.places[self.first..][..self.links.len()];
        let (rings, scratch) = worker.bytes_mut().split_at_mut(self.parts.arrangement.behind_rings);
        for (link, place) in self.links.iter().zip(places) {
            if let Place::Ring(first, layout) = *place {
                ViewMut::new(&mut rings[first..][..layout.length()], layout).fill_sides(link.zero);
            }
        }
        let Place::Memory(_, layout) = places[places.len() - 1] else { unreachable!("outputs are no chains") };
        output.fill_sides(self.links[self.links.len() - 1].zero);
        let (height, margin) = (layout.shape.height, layout.margin);
        let zero = self.links[self.links.len() - 1].zero;
        for row in 1..=margin {
            if rows.start == 0 {
                output.fill_row(-(row as isize), zero);
            }
            if rows.end == height {
                output.fill_row((height + row - 1) as isize, zero);
            }
        }
        let mut done = [isize::MIN; MOST_LINKS];
        let mut needed: [Range<isize>; MOST_LINKS] = std::array::from_fn(|_| 0..0);
        let mut start = rows.start;
        while start < rows.end {
            let end = (start + self.tile).min(rows.end);
            needed[self.links.len() - 1] = start as isize..end as isize;
            for at in (1..self.links.len()).rev() {
                needed[at - 1] = self.links[at].operation.reads(&self.image_rows(places[at], &needed[at], at));
            }
            for at in 0..self.links.len() {
                let from = needed[at].start.max(done[at]);
                let new = from..needed[at].end.max(from);
                let image = self.image_rows(places[at], &new, at);
                done[at] = new.end.max(image.end as isize);
                let Place::Ring(first, layout) = places[at] else {
                    self.run_link(at, image, places, rings, &mut output, scratch);
                    continue;
                };
                let (before, ring) = rings.split_at_mut(first);
                let mut ring = ViewMut::new(&mut ring[..layout.length()], layout);
                for row in new.filter(|row| *row < 0 || *row >= layout.shape.height as isize) {
                    ring.fill_row(row, self.links[at].zero);
                }
                self.run_link(at, image, places, before, &mut ring, scratch);
            }
            start = end;
        }
    }

    /// The rows of the image among `rows`, widened to what is computed together.
    fn image_rows(self, place: Place, rows: &Range<isize>, at: usize) -> Range<usize> {
        let height = place.layout().map_or(0, |layout| layout.shape.height);
        let together = self.links[at].operation.rows_together();
        let start = rows.start.clamp(0, height as isize) as usize / together * together;
        let end = (rows.end.clamp(0, height as isize) as usize).next_multiple_of(together).min(height);
        start..end.max(start)
    }

    /// Computes rows of one link. `rings` are those before it.
    fn run_link(
        self,
        at: usize,
        rows: Range<usize>,
        places: &[Place],
        rings: &[u8],
        output: &mut ViewMut<'_>,
        scratch: &mut [u8],
    ) {
        if rows.is_empty() {
            return;
        }
        let view = |source: u32| match places.get((source as usize).wrapping_sub(self.first)) {
            Some(Place::Ring(first, layout)) => View::new(&rings[*first..][..layout.length()], *layout),
            _ => self.memory.view(self.parts.arrangement.places[source as usize]),
        };
        let (backend, constants) = (self.backend, &self.parts.constants);
        match &self.links[at].operation {
            Operation::Quantise { input, layer } => {
                layer.run(backend, self.inputs[*input as usize], rows, output, scratch);
            }
            Operation::Conv { from, layer } => layer.run(backend, constants, view(*from), rows, output, scratch),
            Operation::Depthwise { from, layer } => layer.run(backend, constants, view(*from), rows, output),
            Operation::Add { from, layer } => layer.run(backend, from.map(view), rows, output),
            Operation::MaxPool { from, layer } => layer.run(backend, view(*from), rows, output),
            Operation::AveragePool { from, layer } => layer.run(backend, view(*from), output, scratch),
            other => unreachable!("{other:?} gives no picture"),
        }
    }
}
