//! Dense convolutions, pointwise ones among them: runs of values under the window times packed weights.
//!
//! Under one row of the window lies one run of neighbouring values, whatever the window's width: pixels are stored one after the
//! other and margins stand for padding. A layer is therefore a matrix product whose rows are `kernel rows` runs long, read in place.

mod run;
pub(crate) mod taps;

use std::ops::Range;

use bytemuck::Pod;
use serde::{Deserialize, Serialize};

use crate::constants::scratch_bytes;
use crate::picture::BLOCK;
use crate::requantise::Limits;
use crate::winograd::{self, Size};
use crate::{Constants, Family, Layer, LayerError, Shape, Span, Store, Window};

/// Bytes of values that stay near while all weights pass by.
const CACHED: usize = 24 << 10;
/// Pixels computed at once at most.
const MOST_PIXELS: usize = 192;
/// Rows of a window at most.
pub(crate) const MOST_ROWS: usize = 16;
/// Tiles computed at once at most.
pub(crate) const MOST_TILES: usize = 48;

/// A convolution of all input channels with all output channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv {
    window: Window,
    channels: usize,
    /// Of the input, as in [`Layout`](crate::Layout).
    step: usize,
    outputs: usize,
    form: Form,
    weights: Span,
    bias: Span,
    multipliers: Span,
    limits: Limits,
}

/// How the sums are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    /// One product after the other.
    Direct,
    /// By [`winograd`].
    Winograd(Size),
    /// By [`taps`].
    Taps,
}

/// Tiles of `OUT` by `OUT` results, each from `IN` by `IN` pixels, that an inner loop computes with all outputs.
pub(crate) struct Tiles<'a, const IN: usize, const OUT: usize, V = i16> {
    /// Values of the whole input.
    pub(crate) input: &'a [V],
    /// Where the rows of pixels under each tile begin in `input`.
    pub(crate) starts: &'a [[u32; IN]],
    /// Values from one pixel to the next.
    pub(crate) step: usize,
    pub(crate) channels: usize,
    /// Of the weights.
    pub(crate) family: Family,
    /// By [`Size::transform`].
    pub(crate) weights: &'a [i16],
    pub(crate) bias: &'a [i32],
    pub(crate) multipliers: &'a [f32],
    pub(crate) limits: Limits,
    pub(crate) targets: &'a [Target<OUT>],
    /// Values from one pixel of the result to the next.
    pub(crate) output_step: usize,
    pub(crate) output: &'a mut [V],
}

impl<const IN: usize, const OUT: usize, V> Tiles<'_, IN, OUT, V> {
    /// Whether all lengths fit each other, for loops that look no further.
    ///
    /// # Panics
    /// If they do not.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "for kernels of a processor")
    )]
    pub(crate) fn check(&self, transformed: &[i16], products: &[i32]) {
        let Self { channels, step, .. } = *self;
        let (count, outputs) = (self.starts.len(), self.bias.len());
        assert!(channels.is_multiple_of(BLOCK) && channels > 0 && step >= channels && outputs.is_multiple_of(BLOCK));
        assert!(self.weights.len() == IN * IN * channels * outputs && self.multipliers.len() == outputs);
        let together = winograd::together(self.family) * BLOCK;
        assert!(transformed.len() >= IN * IN * count * channels && products.len() >= IN * IN * count * together);
        let last = largest(self.starts.as_flattened());
        assert!(last + (IN - 1) * step + channels <= self.input.len() && self.targets.len() == count);
        let last = self.targets.iter().map(|target| target.last(self.output_step)).max();
        assert!(last.is_none_or(|last| last + outputs <= self.output.len()));
    }
}

/// Where the outputs of a tile's pixels begin; not all of them are in the picture.
#[derive(Clone, Copy)]
pub(crate) struct Target<const OUT: usize> {
    /// Those of the first pixel in each row.
    pub(crate) starts: [u32; OUT],
    /// How many of the rows there are, at least one.
    pub(crate) rows: usize,
    /// How many of the columns there are, at least one.
    pub(crate) columns: usize,
}

impl<const OUT: usize> Target<OUT> {
    /// Those of a pixel; `None` where it is not in the picture.
    #[inline(always)]
    pub(crate) fn pixel(&self, row: usize, column: usize, step: usize) -> Option<usize> {
        (row < self.rows && column < self.columns).then(|| self.starts[row] as usize + column * step)
    }

    /// Those of the pixel that lies last in memory: rows of a ring need not be in order.
    fn last(&self, step: usize) -> usize {
        largest(&self.starts[..self.rows]) + (self.columns - 1) * step
    }
}

/// Pixels that an inner loop computes with all outputs.
pub(crate) struct Job<'a, T = i8> {
    /// Values of the whole input.
    pub(crate) input: &'a [T],
    /// `[pixel][kernel row]`: where the run begins in `input`. From each, `run` rounded up to 16 values are there.
    pub(crate) starts: &'a [u32],
    pub(crate) matrix: Matrix<'a>,
    pub(crate) multipliers: &'a [f32],
    pub(crate) limits: Limits,
    /// For each pixel, where its outputs begin.
    pub(crate) targets: &'a [u32],
    /// A whole number of blocks fits from every target.
    pub(crate) output: &'a mut [T],
}

impl<T> Job<'_, T> {
    /// Whether all lengths fit each other, for loops that look no further: that multiply `together` values and read runs rounded up
    /// to `whole` of them.
    ///
    /// # Panics
    /// If they do not.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")),
        expect(dead_code, reason = "for kernels of a processor")
    )]
    #[inline(always)]
    pub(crate) fn check(&self, together: usize, whole: usize) {
        let Matrix { run, kernel_rows, bias, .. } = self.matrix;
        self.matrix.check(together);
        assert!(self.starts.len() == self.targets.len() * kernel_rows && self.multipliers.len() == bias.len());
        assert!(largest(self.starts) + run.next_multiple_of(whole) <= self.input.len());
        assert!(largest(self.targets) + bias.len() <= self.output.len());
    }
}

impl Matrix<'_> {
    /// As [`Job::check`].
    ///
    /// # Panics
    /// If lengths do not fit each other.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")),
        expect(dead_code, reason = "for kernels of a processor")
    )]
    #[inline(always)]
    pub(crate) fn check(&self, together: usize) {
        let Self { run, kernel_rows, weights, bias, .. } = *self;
        assert!(run > 0 && run.is_multiple_of(together) && bias.len().is_multiple_of(BLOCK));
        assert!(kernel_rows > 0 && weights.len() == bias.len() * run * kernel_rows);
    }
}

/// Packed weights and what belongs to them.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    /// Of the weights.
    pub(crate) family: Family,
    /// Values in a run, a multiple of 4 and of what the family multiplies together.
    pub(crate) run: usize,
    pub(crate) kernel_rows: usize,
    /// `[block][depth / n][output][n]`, `n` by [`group`] and outputs in the order of [`slot`], depth being `kernel_rows * run`.
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
        if window.kernel[0] > MOST_ROWS {
            return Err(LayerError::Window { window, input });
        }
        let form = match Size::best(layer, step, family) {
            Some(size) => Form::Winograd(size),
            None if taps::pays(layer, step, family) => Form::Taps,
            None => Form::Direct,
        };
        let weights = match form {
            Form::Direct | Form::Taps => store.add(&pack(layer, step, family)),
            Form::Winograd(size) => store.add(&size.transform(layer, family)),
        };
        let bias = match form {
            Form::Direct => padded(&layer.folded_bias(family.offset()), 0),
            Form::Winograd(_) => padded(&layer.folded_bias(0), 0),
            Form::Taps => taps::biases(layer, family),
        };
        let multipliers = padded(&requantise.multipliers, 0.0);
        Ok(Self {
            window,
            channels: input.channels,
            step,
            outputs: layer.bias.len(),
            form,
            weights,
            bias: store.add(&bias),
            multipliers: store.add(&multipliers),
            limits: Limits::of(requantise),
        })
    }

    /// Values from one pixel to the next that suit a window on a picture of up to four channels best; `None` beyond four.
    #[must_use]
    pub fn thin_step(window: &Window, channels: usize) -> Option<usize> {
        // Pixels that touch make the shortest runs, but four values are written faster than three.
        let length = |step| run(window, channels, step, Family::Pairs);
        let shortest = length(channels)?;
        (1..=4).contains(&channels).then(|| if length(4) > Some(shortest) { channels } else { 4 })
    }

    /// What it slides.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Values from one pixel of the input to the next.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// The margin that it needs around an input of `shape`.
    #[must_use]
    pub fn margin(&self, shape: Shape) -> usize {
        match self.form {
            Form::Direct | Form::Taps => self.window.margin(shape),
            Form::Winograd(size) => size.margin(&self.window, shape),
        }
    }

    /// Input rows that output rows `rows` read, in the padding too.
    #[must_use]
    pub fn reads(&self, rows: &Range<usize>) -> Range<isize> {
        self.window.reads(&(rows.start..rows.end.next_multiple_of(self.rows_together())))
    }

    /// Rows of the result that are computed together.
    #[must_use]
    pub fn rows_together(&self) -> usize {
        match self.form {
            Form::Direct | Form::Taps => 1,
            Form::Winograd(size) => size.side(),
        }
    }

    /// What people call it.
    #[must_use]
    pub fn kernel(&self) -> String {
        let [rows, columns] = self.window.kernel;
        let stride = self.window.stride[0];
        match self.form {
            Form::Direct if ([rows, columns], self.window.stride) == ([1, 1], [1, 1]) => "pointwise".to_owned(),
            Form::Direct => format!("dense {rows}x{columns}/{stride}"),
            Form::Taps => format!("taps {rows}x{columns}/{stride}"),
            Form::Winograd(size) => format!("winograd {rows}x{columns} {0}x{0}", size.side()),
        }
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

    /// Whether `family` computes it so, and the constants that it names are there with the lengths that it needs: for layers from
    /// a file.
    #[must_use]
    pub fn fits(&self, family: Family, constants: &Constants) -> bool {
        let outputs = self.outputs.next_multiple_of(BLOCK);
        let depth =
            run(&self.window, self.channels, self.step, family).and_then(|run| run.checked_mul(self.window.kernel[0]));
        let length = depth.and_then(|depth| depth.checked_mul(outputs)).filter(|length| *length > 0);
        let is_whole = self.channels == self.step && self.channels.is_multiple_of(BLOCK);
        let mut biases = 1;
        let has_weights = match (self.form, length) {
            (_, None) => false,
            (Form::Direct, Some(length)) => constants.holds::<i8>(self.weights, length),
            (Form::Taps, Some(length)) => {
                biases += self.n_taps();
                taps::has(family)
                    && is_whole
                    && biases <= taps::MOST_TAPS + 1
                    && constants.holds::<i8>(self.weights, length)
            }
            (Form::Winograd(size), Some(_)) => {
                let length = (size.positions() * self.channels).checked_mul(outputs);
                let is_3x3 =
                    size.has(family, self.channels) && (self.window.kernel, self.window.stride) == ([3, 3], [1, 1]);
                is_whole && is_3x3 && length.is_some_and(|length| constants.holds::<i16>(self.weights, length))
            }
        };
        self.outputs > 0
            && self.window.kernel[0] <= MOST_ROWS
            && self.limits.is_range()
            && has_weights
            && outputs.checked_mul(biases).is_some_and(|length| constants.holds::<i32>(self.bias, length))
            && constants.holds::<f32>(self.multipliers, outputs)
    }

    fn batch(&self) -> usize {
        if let Form::Winograd(size) = self.form {
            return size.batch(self.channels);
        }
        let run = run(&self.window, self.channels, self.step, Family::Pairs).expect("checked when it was made or read");
        (CACHED / (2 * self.window.kernel[0] * run) / 6).clamp(1, MOST_PIXELS / 6) * 6
    }

    /// Bytes of scratch that [`Conv::run`] needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        let batch = self.batch();
        match self.form {
            Form::Direct => scratch_bytes::<u32>(batch * self.window.kernel[0]) + scratch_bytes::<u32>(batch),
            Form::Taps => self.taps_scratch(),
            Form::Winograd(size) => {
                let count = size.positions() * batch;
                scratch_bytes::<i16>(count * self.channels) + scratch_bytes::<i32>(count * BLOCK)
            }
        }
    }
}

/// The largest offset. Written out, because compilers make vectors of it and not of `max`.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")),
    expect(dead_code, reason = "for kernels of a processor")
)]
#[inline(always)]
pub(crate) fn largest(offsets: &[u32]) -> usize {
    offsets.iter().fold(0, |largest, offset| largest.max(*offset)) as usize
}

/// Of groups of at most `most`, as many as needed and nearly the same size: five and four, not six and three.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    expect(dead_code, reason = "for kernels of a processor")
)]
pub(crate) fn even(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most).max(1))
}

/// Values from the first to the last under one row of the window, rounded up to what `family` multiplies together, at least 4;
/// `None` where that is no size.
pub(crate) fn run(window: &Window, channels: usize, step: usize, family: Family) -> Option<usize> {
    let last = Some(channels).filter(|last| *last <= step)?;
    let length = window.kernel[1].checked_sub(1)?.checked_mul(step)?.checked_add(last)?;
    length.checked_next_multiple_of(group(family).max(4))
}

/// Neighbouring depths that lie together for each output.
pub(crate) const fn group(family: Family) -> usize {
    match family {
        Family::Pairs | Family::Avx2 | Family::Neon => 2,
        Family::Dot | Family::Avx512 => 4,
        Family::I8mm => 8,
    }
}

/// Where an output's weights stand in their block, and the other way round: AVX2 packs within halves of a vector, so its blocks
/// hold outputs 0-3, 8-11, 4-7, 12-15.
pub(crate) const fn slot(family: Family, output: usize) -> usize {
    match (family, output / 4) {
        (Family::Avx2, 1) => output + 4,
        (Family::Avx2, 2) => output - 4,
        _ => output,
    }
}

/// Weights in the order of [`Matrix::weights`].
pub(crate) fn pack(layer: &Layer<'_>, step: usize, family: Family) -> Vec<i8> {
    let Layer { input, window, weights, .. } = *layer;
    let [rows, columns] = window.kernel;
    let (channels, group) = (input.channels, group(family));
    let run = run(&window, channels, step, family).expect("the layer was checked");
    let (depth, outputs) = (rows * run, layer.bias.len());
    let mut packed = vec![0; outputs.next_multiple_of(BLOCK) * depth];
    for (out, filter) in weights.chunks_exact(rows * columns * channels).enumerate() {
        for (tap, values) in filter.chunks_exact(channels).enumerate() {
            for (channel, &weight) in values.iter().enumerate() {
                let at = tap / columns * run + tap % columns * step + channel;
                let place = (out / BLOCK * (depth / group) + at / group) * BLOCK + slot(family, out % BLOCK);
                packed[place * group + at % group] = weight;
            }
        }
    }
    packed
}

/// Lengthened to whole blocks.
pub(crate) fn padded<T: Pod>(list: &[T], with: T) -> Vec<T> {
    let mut list = list.to_vec();
    list.resize(list.len().next_multiple_of(BLOCK), with);
    list
}
