//! From rows of a result to what inner loops compute.

use std::array::from_fn;
use std::ops::Range;

use super::{Conv, Form, Job, MOST_ROWS, MOST_TILES, Matrix, Target, Tiles};
use crate::constants::Scratch;
use crate::kernels::{Kernels, Loops};
use crate::picture::{BLOCK, Value};
use crate::winograd::{Size, together};
use crate::{Backend, Constants, Family, View, ViewMut};

/// What a layer is run with.
pub(super) struct Run<'a, 'b> {
    pub(super) family: Family,
    pub(super) constants: &'a Constants,
    pub(super) input: View<'a>,
    pub(super) rows: Range<usize>,
    pub(super) output: &'a mut ViewMut<'b>,
    pub(super) scratch: &'a mut [u8],
}

impl Conv {
    /// Computes the given rows of the result. What `scratch` holds does not matter.
    ///
    /// # Panics
    /// If a picture has another shape than the layer or too small a margin, or `scratch` is shorter than [`Conv::scratch`].
    pub fn run(
        &self,
        backend: Backend,
        constants: &Constants,
        input: View<'_>,
        rows: Range<usize>,
        output: &mut ViewMut<'_>,
        scratch: &mut [u8],
    ) {
        let run = Run { family: backend.family(), constants, input, rows, output, scratch };
        match backend.loops() {
            Loops::Bytes(kernels) => self.run_with(&kernels, run),
            Loops::Words(kernels) => self.run_with(&kernels, run),
        }
    }

    fn run_with<T: Value>(&self, kernels: &Kernels<T>, run: Run<'_, '_>) {
        const CHECKED: &str = "a form that the family has, which was checked when the layer was made or read";
        match self.form {
            Form::Direct => self.jobs(run, kernels.conv),
            Form::Taps => self.visits(run, kernels.visits.expect(CHECKED)),
            Form::Winograd(Size::Two) => self.tiles(run, kernels.two.expect(CHECKED)),
            Form::Winograd(Size::Four) => self.tiles(run, kernels.four.expect(CHECKED)),
        }
    }

    /// Calls `work` for some pixels after the other.
    fn jobs<T: Value>(&self, run: Run<'_, '_>, work: fn(Job<'_, T>)) {
        let Run { family, constants, input, rows, output, scratch } = run;
        let shape = input.layout.shape;
        assert_eq!(self.output(shape), Some(output.layout.shape), "the shape of the result");
        assert_eq!((input.layout.step, output.layout.step % BLOCK), (self.step, 0), "values a pixel");
        assert!(
            input.layout.margin >= self.window.margin(shape),
            "margins of {:?} for {:?}",
            input.layout,
            self.window
        );
        let mut scratch = Scratch::new(scratch);
        let (batch, kernel_rows, width) = (self.batch(), self.window.kernel[0], output.layout.shape.width);
        let starts = scratch.take::<u32>(batch * kernel_rows);
        let targets = scratch.take::<u32>(batch);
        let (weights, bias) = (constants.get::<i8>(self.weights), constants.get(self.bias));
        let run = weights.len() / (kernel_rows * self.outputs.next_multiple_of(BLOCK));
        let matrix = Matrix { family, run, kernel_rows, weights, bias };
        let multipliers = constants.get(self.multipliers);
        // Where kernel rows and results begin for the present row of the result, without its columns.
        let mut below = [0; MOST_ROWS];
        let mut target = 0;
        let [mut row, mut column] = [rows.start, 0];
        while row < rows.end {
            let mut count = 0;
            while count < batch && row < rows.end {
                if column == 0 || count == 0 {
                    let first = (row * self.window.stride[0]) as isize - self.window.before[0] as isize;
                    for (below, row) in below[..kernel_rows].iter_mut().zip(first..) {
                        *below = input.layout.offset(row, -(self.window.before[1] as isize));
                    }
                    target = output.offset(row, 0);
                }
                let more = (width - column).min(batch - count);
                let across = self.window.stride[1] * self.step;
                if kernel_rows == 1 {
                    fill(&mut starts[count..][..more], below[0] + column * across, across);
                } else {
                    let pixels = starts[count * kernel_rows..].chunks_exact_mut(kernel_rows);
                    for (starts, column) in pixels.zip(column..column + more) {
                        for (start, below) in starts.iter_mut().zip(&below) {
                            *start = (below + column * across) as u32;
                        }
                    }
                }
                let to = output.layout.step;
                fill(&mut targets[count..][..more], target + column * to, to);
                count += more;
                column += more;
                if column == width {
                    [row, column] = [row + 1, 0];
                }
            }
            let (starts, targets) = (&starts[..count * kernel_rows], &targets[..count]);
            let (input, output) = (input.values(), output.values());
            work(Job { input, starts, matrix, multipliers, limits: self.limits, targets, output });
        }
    }

    /// Calls `work` for some tiles after the other, with room for their transforms.
    fn tiles<const IN: usize, const OUT: usize, V: Value>(
        &self,
        run: Run<'_, '_>,
        work: fn(Tiles<'_, IN, OUT, V>, &mut [i16], &mut [i32]),
    ) {
        let Run { family, constants, input, rows, output, scratch } = run;
        let shape = input.layout.shape;
        assert_eq!(self.output(shape), Some(output.layout.shape), "the shape of the result");
        assert_eq!((input.layout.step, output.layout.step % BLOCK), (self.step, 0), "values a pixel");
        assert!(input.layout.margin >= self.margin(shape), "margins of {:?} for {:?}", input.layout, self.window);
        assert!(rows.start.is_multiple_of(OUT), "tiles begin at multiples of their size");
        let mut scratch = Scratch::new(scratch);
        let all = self.batch();
        let most = (all / together(family)).max(1);
        let transformed = scratch.take::<i16>(IN * IN * all * self.channels);
        let products = scratch.take::<i32>(IN * IN * all * BLOCK);
        let (bias, multipliers) = (constants.get(self.bias), constants.get(self.multipliers));
        let (width, before) = (output.layout.shape.width, self.window.before.map(|before| before as isize));
        let across = width.div_ceil(OUT);
        // Batches of the same size, whole sixes of tiles where possible.
        let count = rows.len().div_ceil(OUT) * across;
        let n_batches = count.div_ceil(most).max(1);
        let batch = count.div_ceil(n_batches).next_multiple_of(6).clamp(1, most);
        let mut starts = [[0; IN]; MOST_TILES];
        let mut targets = [Target { starts: [0; OUT], rows: 0, columns: 0 }; MOST_TILES];
        let output_step = output.layout.step;
        for first in (0..count).step_by(batch) {
            let n_tiles = batch.min(count - first);
            for (at, tile) in (first..first + n_tiles).enumerate() {
                let place = [rows.start + tile / across * OUT, tile % across * OUT];
                let [row, column] = [0, 1].map(|axis| place[axis] as isize - before[axis]);
                starts[at] = from_fn(|down| input.layout.offset(row + down as isize, column) as u32);
                let target = &mut targets[at];
                target.rows = OUT.min(rows.end - place[0]);
                target.columns = OUT.min(width - place[1]);
                for (start, row) in target.starts[..target.rows].iter_mut().zip(place[0]..) {
                    *start = output.offset(row, place[1]) as u32;
                }
            }
            let tiles = Tiles {
                input: input.values(),
                starts: &starts[..n_tiles],
                step: self.step,
                channels: self.channels,
                family,
                weights: constants.get(self.weights),
                bias,
                multipliers,
                limits: self.limits,
                targets: &targets[..n_tiles],
                output_step,
                output: output.values(),
            };
            work(tiles, transformed, products);
        }
    }
}

/// Places one `step` after the other.
fn fill(places: &mut [u32], first: usize, step: usize) {
    // In 32 bits all along, which is what compilers make vectors of.
    let (first, step) = (first as u32, step as u32);
    for (at, place) in (0..).zip(places) {
        *place = first + at * step;
    }
}
