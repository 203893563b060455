//! Dense convolutions, pointwise ones among them: runs of values under the window times packed weights.
//!
//! Under one row of the window lies one run of neighbouring values, whatever the window's width: pixels are stored one after the
//! other and margins stand for padding. A layer is therefore a matrix product whose rows are `kernel rows` runs long, read in place.

use std::ops::Range;

use bytemuck::Pod;
use serde::{Deserialize, Serialize};

use crate::backend::Instructions;
use crate::constants::{Scratch, scratch_bytes};
use crate::picture::BLOCK;
use crate::requantise::Limits;
use crate::{Backend, Constants, Family, Layer, LayerError, Shape, Span, Store, View, ViewMut, Window, portable};

/// Bytes of gathered rows that stay near while all weights pass by.
const CACHED: usize = 24 << 10;
/// Pixels computed at once at most.
const MOST_PIXELS: usize = 192;

/// A convolution of all input channels with all output channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv {
    window: Window,
    channels: usize,
    /// Of the input, as in [`Layout`](crate::Layout).
    step: usize,
    outputs: usize,
    weights: Span,
    bias: Span,
    multipliers: Span,
    limits: Limits,
}

/// Pixels that an inner loop computes with all outputs.
pub(crate) struct Job<'a> {
    /// Values of the whole input.
    pub(crate) input: &'a [i8],
    /// `[pixel][kernel row]`: where the run begins in `input`. From each, `run` rounded up to 16 values are there.
    pub(crate) starts: &'a [u32],
    pub(crate) matrix: Matrix<'a>,
    pub(crate) multipliers: &'a [f32],
    pub(crate) limits: Limits,
    /// For each pixel, where its outputs begin.
    pub(crate) targets: &'a [u32],
    /// A whole number of blocks fits from every target.
    pub(crate) output: &'a mut [i8],
}

/// Packed weights and what belongs to them.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    /// Values in a run, a multiple of 4.
    pub(crate) run: usize,
    pub(crate) kernel_rows: usize,
    /// `[block][depth / n][output][n]`, `n` by [`group`], depth being `kernel_rows * run`.
    pub(crate) weights: &'a [i8],
    /// Whole blocks of 16, less the zero point times the weights.
    pub(crate) bias: &'a [i32],
}

impl Conv {
    /// Packs a layer for `family` into `store`; the weights are `[out, tap row, tap column, in]`. `step` is the input's, as in
    /// [`Layout`](crate::Layout).
    ///
    /// # Errors
    /// If a list has the wrong length, the window does not fit, or the sums could leave 32 bits.
    pub fn new(layer: &Layer<'_>, step: usize, family: Family, store: &mut Store) -> Result<Self, LayerError> {
        layer.check(layer.input.channels)?;
        let Layer { input, window, requantise, .. } = *layer;
        let (weights, bias) = pack(layer, step, family);
        let multipliers = padded(&requantise.multipliers, 0.0);
        Ok(Self {
            window,
            channels: input.channels,
            step,
            outputs: layer.bias.len(),
            weights: store.add(&weights),
            bias: store.add(&bias),
            multipliers: store.add(&multipliers),
            limits: Limits::of(requantise),
        })
    }

    /// What it slides.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Shape of the result; `None` where the window or the channels do not fit.
    #[must_use]
    pub fn output(&self, input: Shape) -> Option<Shape> {
        let [height, width] = self.window.places(input)?;
        (input.channels == self.channels).then_some(Shape { height, width, channels: self.outputs })
    }

    /// Multiplications for one pixel of the result.
    #[must_use]
    pub fn n_multiplications(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * self.channels * self.outputs
    }

    /// Whether the constants that it names are there, with the lengths that it needs: for layers from a file.
    #[must_use]
    pub fn fits(&self, constants: &Constants) -> bool {
        let outputs = self.outputs.next_multiple_of(BLOCK);
        let depth = run(&self.window, self.channels, self.step).and_then(|run| run.checked_mul(self.window.kernel[0]));
        let length = depth.and_then(|depth| depth.checked_mul(outputs));
        self.outputs > 0
            && length.is_some_and(|length| length > 0 && constants.holds::<i8>(self.weights, length))
            && constants.holds::<i32>(self.bias, outputs)
            && constants.holds::<f32>(self.multipliers, outputs)
    }

    fn batch(&self) -> usize {
        (CACHED / (2 * self.depth()) / 6).clamp(1, MOST_PIXELS / 6) * 6
    }

    fn depth(&self) -> usize {
        self.window.kernel[0] * run(&self.window, self.channels, self.step).expect("checked when it was made or read")
    }

    /// Bytes of scratch that [`Conv::run`] needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        let batch = self.batch();
        scratch_bytes::<u32>(batch * self.window.kernel[0])
            + scratch_bytes::<u32>(batch)
            + scratch_bytes::<i16>(batch * self.depth() + BLOCK)
    }

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
        let shape = input.layout.shape;
        assert_eq!(self.output(shape), Some(output.layout.shape), "the shape of the result");
        assert_eq!((input.layout.step, output.layout.step % BLOCK), (self.step, 0), "bytes a pixel");
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
        let gathered = scratch.take::<i16>(batch * self.depth() + BLOCK);
        let run = run(&self.window, self.channels, self.step).expect("checked when it was made or read");
        let (weights, bias) = (constants.get(self.weights), constants.get(self.bias));
        let matrix = Matrix { run, kernel_rows, weights, bias };
        let multipliers = constants.get(self.multipliers);
        let end = rows.end * width;
        let mut pixel = rows.start * width;
        while pixel < end {
            let count = batch.min(end - pixel);
            let places = (pixel..pixel + count).map(|pixel| [pixel / width, pixel % width]);
            for ((place, starts), target) in places.zip(starts.chunks_exact_mut(kernel_rows)).zip(&mut *targets) {
                self.starts(input, place, starts);
                *target = output.offset(place[0], place[1]) as u32;
            }
            let (starts, targets) = (&starts[..count * kernel_rows], &targets[..count]);
            let (input, output) = (input.values, &mut *output.values);
            let job = Job { input, starts, matrix, multipliers, limits: self.limits, targets, output };
            match backend.instructions() {
                Instructions::Portable(family) => portable::conv(job, family),
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx2 => crate::x86::conv(job, gathered),
                #[cfg(target_arch = "aarch64")]
                Instructions::Neon => crate::aarch64::conv::<crate::aarch64::Pairs, _, _>(job),
                #[cfg(target_arch = "aarch64")]
                Instructions::Dot => crate::aarch64::conv::<crate::aarch64::Dot, _, _>(job),
            }
            pixel += count;
        }
        let _unused_by_some = gathered;
    }

    /// Where the runs under the window at `place` begin.
    fn starts(&self, input: View<'_>, place: [usize; 2], starts: &mut [u32]) {
        let [row, column] =
            [0, 1].map(|axis| (place[axis] * self.window.stride[axis]) as isize - self.window.before[axis] as isize);
        for (start, row) in starts.iter_mut().zip(row..) {
            *start = input.layout.offset(row, column) as u32;
        }
    }
}

/// Values from the first to the last under one row of the window; `None` where that is no size.
pub(crate) fn run(window: &Window, channels: usize, step: usize) -> Option<usize> {
    let last = channels.checked_next_multiple_of(4).filter(|last| *last <= step && step.is_multiple_of(4))?;
    window.kernel[1].checked_sub(1)?.checked_mul(step)?.checked_add(last)
}

/// Neighbouring depths that lie together for each output.
pub(crate) const fn group(family: Family) -> usize {
    match family {
        Family::Pairs | Family::Avx2 => 2,
        Family::Dot => 4,
    }
}

/// Weights in the order of [`Matrix::weights`], and the bias less what the zero point contributes.
pub(crate) fn pack(layer: &Layer<'_>, step: usize, family: Family) -> (Vec<i8>, Vec<i32>) {
    let Layer { input, window, weights, .. } = *layer;
    let [rows, columns] = window.kernel;
    let (channels, group) = (input.channels, group(family));
    let run = run(&window, channels, step).expect("the layer was checked");
    let (depth, outputs) = (rows * run, layer.bias.len());
    let mut packed = vec![0; outputs.next_multiple_of(BLOCK) * depth];
    for (out, filter) in weights.chunks_exact(rows * columns * channels).enumerate() {
        for (tap, values) in filter.chunks_exact(channels).enumerate() {
            for (channel, &weight) in values.iter().enumerate() {
                let at = tap / columns * run + tap % columns * step + channel;
                let place = (out / BLOCK * (depth / group) + at / group) * BLOCK + out % BLOCK;
                packed[place * group + at % group] = weight;
            }
        }
    }
    (packed, padded(&layer.folded_bias(), 0))
}

/// Lengthened to whole blocks.
pub(crate) fn padded<T: Pod>(list: &[T], with: T) -> Vec<T> {
    let mut list = list.to_vec();
    list.resize(list.len().next_multiple_of(BLOCK), with);
    list
}
