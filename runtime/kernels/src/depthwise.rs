//! Depthwise convolutions: each channel with its own window.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::conv::{MOST_ROWS, slot};
use crate::kernels::Loops;
use crate::picture::{BLOCK, Value};
use crate::requantise::Limits;
use crate::{Backend, Constants, Family, Layer, LayerError, Shape, Span, Store, View, ViewMut, Window};

/// A convolution of each channel with its own weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Depthwise {
    window: Window,
    channels: usize,
    /// `[tap, channel]`, channels rounded up to 16.
    weights: Span,
    /// Taps that the family multiplies together, see [`taps_in_pairs`] and [`taps_in_fours`]; empty for other families, and for
    /// windows without a kernel of their own.
    groups: Span,
    bias: Span,
    multipliers: Span,
    limits: Limits,
}

/// A row of results, as inner loops compute it.
pub(crate) struct Row<'a, T = i8> {
    /// Rows of the window, from the first value under the first window on.
    pub(crate) inputs: &'a [&'a [T]],
    /// Columns of the window.
    pub(crate) columns: usize,
    /// Pixels from one window to the next.
    pub(crate) stride: usize,
    /// Values from one pixel to the next, a multiple of 16.
    pub(crate) step: usize,
    /// `[tap, channel]`.
    pub(crate) weights: &'a [i8],
    /// Taps that the family multiplies together, or nothing.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "for kernels of a processor")
    )]
    pub(crate) groups: &'a [T],
    /// What is added to values before they are multiplied.
    pub(crate) offset: i32,
    /// `step` of them, as of multipliers.
    pub(crate) bias: &'a [i32],
    pub(crate) multipliers: &'a [f32],
    pub(crate) limits: Limits,
    /// Whole pixels.
    pub(crate) output: &'a mut [T],
}

/// Does `$work` for every `$column` below `$width`, at most 22 of them; written out, because sums stay in registers only where the
/// compiler knows which of them each column adds to.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! columns {
    ($column:ident in $width:expr => $work:block) => {
        columns!($column in $width => $work; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21)
    };
    ($column:ident in $width:expr => $work:block; $($number:literal)*) => {
        $(if $number < $width {
            let $column: usize = $number;
            $work
        })*
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use columns;

impl Depthwise {
    /// Packs a layer of as many outputs as inputs; the weights are `[channel, tap row, tap column]`.
    ///
    /// # Errors
    /// If a list has the wrong length, the window does not fit, or the sums could leave 32 bits.
    pub fn new(layer: &Layer<'_>, family: Family, store: &mut Store) -> Result<Self, LayerError> {
        let Layer { input, window, requantise, .. } = *layer;
        let (taps, channels, step) =
            (window.kernel[0] * window.kernel[1], input.channels, input.channels.next_multiple_of(BLOCK));
        if layer.bias.len() != channels {
            return Err(LayerError::Length { what: "biases", expected: channels, found: layer.bias.len() });
        }
        if window.kernel[0] > MOST_ROWS {
            return Err(LayerError::Window { window, input });
        }
        layer.check(1)?;
        let mut by_tap = vec![0; taps * step];
        for (at, &weight) in layer.weights.iter().enumerate() {
            by_tap[at % taps * step + at / taps] = weight;
        }
        let groups = match (grouped(window.kernel, family), window.kernel[0]) {
            (Grouped::Not, _) => store.add::<i8>(&[]),
            (Grouped::Pairs, side) => store.add(&taps_in_pairs(side, &by_tap, step)),
            (Grouped::Fours(lanes), side) => store.add(&taps_in_fours(side, &by_tap, step, lanes)),
        };
        let mut bias = layer.folded_bias(offset(window.kernel, family));
        let mut multipliers = requantise.multipliers.clone();
        bias.resize(step, 0);
        multipliers.resize(step, 0.0);
        Ok(Self {
            window,
            channels,
            weights: store.add(&by_tap),
            groups,
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
        (input.channels == self.channels).then_some(Shape { height, width, channels: self.channels })
    }

    /// Multiplications for one pixel of the result.
    #[must_use]
    pub fn n_multiplications(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * self.channels
    }

    /// Whether the constants that it names are there, with the lengths that `family` needs: for layers from a file.
    #[must_use]
    pub fn fits(&self, family: Family, constants: &Constants) -> bool {
        let [rows, columns] = self.window.kernel;
        let step = self.channels.checked_next_multiple_of(BLOCK);
        let taps = rows.checked_mul(columns).and_then(|taps| taps.checked_mul(step?));
        let (Some(step), Some(length)) = (step, taps) else { return false };
        let has_groups = match grouped(self.window.kernel, family) {
            Grouped::Not => constants.holds::<i8>(self.groups, 0),
            Grouped::Pairs => constants.holds::<i16>(self.groups, 2 * length.div_ceil(2 * step) * step),
            Grouped::Fours(lanes) => constants.holds::<i8>(self.groups, fours(rows) * 4 * step.next_multiple_of(lanes)),
        };
        rows <= MOST_ROWS
            && self.limits.is_range()
            && length > 0
            && constants.holds::<i8>(self.weights, length)
            && has_groups
            && constants.holds::<i32>(self.bias, step)
            && constants.holds::<f32>(self.multipliers, step)
    }

    /// Computes the given rows of the result.
    ///
    /// # Panics
    /// If a picture has another shape than the layer or too small a margin.
    pub fn run(
        &self,
        backend: Backend,
        constants: &Constants,
        input: View<'_>,
        rows: Range<usize>,
        output: &mut ViewMut<'_>,
    ) {
        let family = backend.family();
        match backend.loops() {
            Loops::Bytes(kernels) => self.rows(family, constants, input, rows, output, kernels.depthwise),
            Loops::Words(kernels) => self.rows(family, constants, input, rows, output, kernels.depthwise),
        }
    }

    /// Calls `work` for one row after the other.
    fn rows<T: Value>(
        &self,
        family: Family,
        constants: &Constants,
        input: View<'_>,
        rows: Range<usize>,
        output: &mut ViewMut<'_>,
        work: fn(Row<'_, T>),
    ) {
        let shape = input.layout.shape;
        assert_eq!(self.output(shape), Some(output.layout.shape), "the shape of the result");
        let step = self.channels.next_multiple_of(BLOCK);
        assert_eq!([input.layout.step, output.layout.step], [step; 2], "values a pixel");
        assert!(
            input.layout.margin >= self.window.margin(shape),
            "margins of {:?} for {:?}",
            input.layout,
            self.window
        );
        let kernel_rows = self.window.kernel[0];
        let offset = offset(self.window.kernel, family);
        let mut inputs: [&[T]; MOST_ROWS] = [&[]; MOST_ROWS];
        for place in rows {
            let first = (place * self.window.stride[0]) as isize - self.window.before[0] as isize;
            for (values, row) in inputs[..kernel_rows].iter_mut().zip(first..) {
                *values = &input.values()[input.layout.offset(row, -(self.window.before[1] as isize))..];
            }
            let row = Row {
                inputs: &inputs[..kernel_rows],
                columns: self.window.kernel[1],
                stride: self.window.stride[1],
                step: input.layout.step,
                weights: constants.get(self.weights),
                groups: constants.get(self.groups),
                offset,
                bias: constants.get(self.bias),
                multipliers: constants.get(self.multipliers),
                limits: self.limits,
                output: output.row(place),
            };
            work(row);
        }
    }
}

/// How the taps of a window are multiplied.
enum Grouped {
    Not,
    Pairs,
    /// For as many channels together.
    Fours(usize),
}

fn grouped(kernel: [usize; 2], family: Family) -> Grouped {
    match (kernel, family) {
        ([3, 3] | [5, 5], Family::Avx2) => Grouped::Pairs,
        ([3, 3] | [5, 5], Family::Dot | Family::I8mm) => Grouped::Fours(8),
        ([3, 3] | [5, 5], Family::Avx512) => Grouped::Fours(64),
        _ => Grouped::Not,
    }
}

/// What is added to values before they are multiplied: loops without groups multiply them as they are.
fn offset(kernel: [usize; 2], family: Family) -> i32 {
    match grouped(kernel, family) {
        Grouped::Not => 0,
        Grouped::Pairs | Grouped::Fours(_) => family.offset(),
    }
}

/// Groups of four taps of a window of 3 or 5.
pub(crate) fn fours(side: usize) -> usize {
    if side == 3 { 3 } else { 7 }
}

/// `[lanes][group][channel][4]` from `[tap, channel]`: four rows column by column, three rows and a zero for windows of 3;
/// then, for windows of 5, the last row's first four columns, and the fifth with zeros. Sixty-four channels come as AVX-512
/// interleaves them: four of each sixteen together; and there the zeros come first.
fn taps_in_fours(side: usize, by_tap: &[i8], step: usize, lanes: usize) -> Vec<i8> {
    let tap = |row: usize, column: usize| if row < side && column < side { row * side + column } else { usize::MAX };
    let columns = (0..side).map(|column| [0, 1, 2, 3].map(|row| tap(row, column)));
    let fifth = if lanes == 64 { [5, 5, 5, 4] } else { [4, 5, 5, 5] };
    let last = [[0, 1, 2, 3], fifth].map(|columns| columns.map(|column| tap(4, column)));
    let groups: Vec<[usize; 4]> = columns.chain(last).take(fours(side)).collect();
    let channel = |lane: usize| if lanes == 64 { lane / 4 % 4 * 16 + lane / 16 * 4 + lane % 4 } else { lane };
    let weight = |tap: usize, channel: usize| {
        let place = tap.checked_mul(step).filter(|_| channel < step).and_then(|first| first.checked_add(channel));
        place.and_then(|place| by_tap.get(place)).copied().unwrap_or_default()
    };
    let of_lanes = |first: usize| {
        let channels = move || (0..lanes).map(move |lane| first + channel(lane));
        groups.iter().flat_map(move |group| channels().flat_map(move |channel| group.map(|tap| (tap, channel))))
    };
    (0..step).step_by(lanes).flat_map(of_lanes).map(|(tap, channel)| weight(tap, channel)).collect()
}

/// `[block][pair][slot][2]` from `[tap, channel]`: pairs of rows, column by column (rows 0 and 1, then 2 and 3, ...); then the
/// last row, two columns at a time, and its last column with a zero.
fn taps_in_pairs(side: usize, by_tap: &[i8], step: usize) -> Vec<i16> {
    let row_pairs = (0..side - 1)
        .step_by(2)
        .flat_map(|row| (0..side).map(move |column| [row * side + column, (row + 1) * side + column]));
    let last = (0..side).step_by(2).map(|column| {
        let first = (side - 1) * side + column;
        [first, if column + 1 < side { first + 1 } else { usize::MAX }]
    });
    let pairs: Vec<[usize; 2]> = row_pairs.chain(last).collect();
    let weight = |tap: usize, channel: usize| {
        by_tap.get(tap.saturating_mul(step).saturating_add(channel)).map_or(0, |weight| i16::from(*weight))
    };
    let of_block = |block: usize| {
        pairs
            .iter()
            .flat_map(move |pair| (0..BLOCK).flat_map(move |at| pair.map(|tap| (tap, block + slot(Family::Avx2, at)))))
    };
    (0..step).step_by(BLOCK).flat_map(of_block).map(|(tap, channel)| weight(tap, channel)).collect()
}
