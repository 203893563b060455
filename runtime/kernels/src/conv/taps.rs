//! Convolutions of small pictures, tap by tap: what lies in the padding is not multiplied.
//!
//! A 3x3 window on a picture of 3x3 pixels sees 49 of them, not 81. Which tap sees which pixels is worked out for each batch; each
//! tap is a matrix product of its own, added to sums that wait in memory. A tap in the padding would see the zero point: so each
//! tap has a bias of its own, its share of what the zero point costs, which counts where the tap is in the picture.

use std::ops::Range;

use super::run::Run;
use super::{Conv, Form, group, largest, padded};
use crate::constants::{Scratch, scratch_bytes};
use crate::picture::{BLOCK, Value};
use crate::requantise::Limits;
use crate::{Family, Layer};

/// Places computed together at most.
const MOST_PLACES: usize = 64;
/// Taps of a window at most.
pub(crate) const MOST_TAPS: usize = 25;
/// Blocks computed together at most.
const MOST_BLOCKS: usize = 4;

/// A pixel under a tap.
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Visit {
    /// Where it begins in the input.
    pub(crate) start: u32,
    /// The place of the window.
    pub(crate) place: u32,
}

/// Places that an inner loop computes with all outputs.
pub(crate) struct Visits<'a, T> {
    /// Values of the whole input.
    pub(crate) input: &'a [T],
    /// For each tap, what it sees.
    pub(crate) taps: &'a [&'a [Visit]],
    pub(crate) channels: usize,
    /// Of the weights.
    pub(crate) family: Family,
    /// `[block][tap][channel / n][output][n]`, as those of [`Matrix`](super::Matrix).
    pub(crate) weights: &'a [i8],
    /// Whole blocks: the layer's own, then for each tap what is added where it sees a pixel.
    pub(crate) bias: &'a [i32],
    pub(crate) multipliers: &'a [f32],
    pub(crate) limits: Limits,
    /// For each place, where its outputs begin.
    pub(crate) targets: &'a [u32],
    pub(crate) output: &'a mut [T],
}

impl<T> Visits<'_, T> {
    /// Whether all lengths fit each other, `together` blocks being computed together, for loops that look no further.
    ///
    /// # Panics
    /// If they do not.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "for kernels of a processor")
    )]
    pub(crate) fn check(&self, sums: &[i32], together: usize) {
        let (outputs, places, n_taps) = (self.multipliers.len(), self.targets.len(), self.taps.len());
        assert!(self.channels > 0 && self.channels.is_multiple_of(BLOCK) && outputs.is_multiple_of(BLOCK));
        assert!(self.weights.len() == outputs * n_taps * self.channels && self.bias.len() == outputs * (1 + n_taps));
        assert!(sums.len() >= places * together * BLOCK);
        for seen in self.taps {
            for visit in *seen {
                assert!(visit.start as usize + self.channels <= self.input.len() && (visit.place as usize) < places);
            }
        }
        assert!(places == 0 || largest(self.targets) + outputs <= self.output.len());
    }
}

/// Whether a family has loops for it; those of 32-bit ARM have few registers and no room for the sums.
pub(super) fn has(family: Family) -> bool {
    family != Family::Pairs
}

/// Whether enough of the window lies in padding.
pub(super) fn pays(layer: &Layer<'_>, step: usize, family: Family) -> bool {
    let Layer { input, window, .. } = layer;
    let Some([height, width]) = window.places(*input) else { return false };
    // How often the taps of an axis see a row or column of the picture, and how often they are asked to.
    let seen = |axis: usize, places: usize, size: usize| {
        let before = window.before[axis];
        let all =
            (0..places).flat_map(|place| (0..window.kernel[axis]).map(move |tap| place * window.stride[axis] + tap));
        all.filter(|at| (before..before + size).contains(at)).count()
    };
    let n_taps = window.kernel[0] * window.kernel[1];
    has(family)
        && input.channels == step
        && step.is_multiple_of(BLOCK)
        && n_taps <= MOST_TAPS
        && height * width <= MOST_PLACES
        && seen(0, height, input.height) * seen(1, width, input.width) * 8 <= height * width * n_taps * 7
}

/// The bias of a layer and of every tap.
pub(super) fn biases(layer: &Layer<'_>, family: Family) -> Vec<i32> {
    let (channels, zero) = (layer.input.channels, i32::from(layer.input_zero) + family.offset());
    let mut all = padded(layer.bias, 0);
    for tap in 0..layer.window.kernel[0] * layer.window.kernel[1] {
        let filters = layer.weights.chunks_exact(layer.weights.len() / layer.bias.len());
        let of_tap =
            |filter: &[i8]| filter[tap * channels..][..channels].iter().map(|weight| i32::from(*weight)).sum::<i32>();
        all.extend(padded(&filters.map(|filter| -zero * of_tap(filter)).collect::<Vec<_>>(), 0));
    }
    all
}

impl Conv {
    pub(super) fn n_taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    /// As [`Conv::scratch`].
    pub(super) fn taps_scratch(&self) -> usize {
        debug_assert_eq!(self.form, Form::Taps);
        scratch_bytes::<Visit>(self.n_taps() * MOST_PLACES)
            + scratch_bytes::<u32>(MOST_PLACES)
            + scratch_bytes::<i32>(MOST_PLACES * MOST_BLOCKS * BLOCK)
    }

    /// Calls `work` for some places after the other, with room for the sums of [`MOST_BLOCKS`].
    pub(super) fn visits<T: Value>(&self, run: Run<'_, '_>, work: fn(Visits<'_, T>, &mut [i32])) {
        let Run { family, constants, input, rows, output, scratch } = run;
        let shape = input.layout.shape;
        assert_eq!(self.output(shape), Some(output.layout.shape), "the shape of the result");
        assert_eq!((input.layout.step, output.layout.step % BLOCK), (self.step, 0), "values a pixel");
        let mut scratch = Scratch::new(scratch);
        let n_taps = self.n_taps();
        let visits = scratch.take::<Visit>(n_taps * MOST_PLACES);
        let targets = scratch.take::<u32>(MOST_PLACES);
        let sums = scratch.take::<i32>(MOST_PLACES * MOST_BLOCKS * BLOCK);
        let width = output.layout.shape.width;
        let places = rows.start * width..rows.end * width;
        for first in places.clone().step_by(MOST_PLACES) {
            let count = MOST_PLACES.min(places.end - first);
            let mut taps: [&[Visit]; MOST_TAPS] = [&[]; MOST_TAPS];
            let mut rest = &mut *visits;
            for (tap, visited) in self.window.taps().zip(&mut taps) {
                let (own, others) = rest.split_at_mut(MOST_PLACES);
                rest = others;
                let mut found = 0;
                for (row, columns, place) in rows_of(first, count, width) {
                    let Some(under) = self.window.under(0, row, tap[0], shape.height) else { continue };
                    let start = input.layout.offset(under as isize, 0);
                    for (column, place) in columns.zip(place..) {
                        if let Some(under) = self.window.under(1, column, tap[1], shape.width) {
                            own[found] = Visit { start: (start + under * self.step) as u32, place: place as u32 };
                            found += 1;
                        }
                    }
                }
                *visited = &own[..found];
            }
            for (row, columns, place) in rows_of(first, count, width) {
                let (start, step) = (output.offset(row, 0), output.layout.step);
                for (column, target) in columns.zip(&mut targets[place..]) {
                    *target = (start + column * step) as u32;
                }
            }
            let visits = Visits {
                input: input.values(),
                taps: &taps[..n_taps],
                channels: self.channels,
                family,
                weights: constants.get(self.weights),
                bias: constants.get(self.bias),
                multipliers: constants.get(self.multipliers),
                limits: self.limits,
                targets: &targets[..count],
                output: output.values(),
            };
            work(visits, sums);
        }
    }
}

/// The rows that `count` places from `first` on lie in: each with the columns of those, and the first of them.
fn rows_of(first: usize, count: usize, width: usize) -> impl Iterator<Item = (usize, Range<usize>, usize)> {
    (first / width..(first + count).div_ceil(width)).map(move |row| {
        let start = (row * width).max(first);
        let end = ((row + 1) * width).min(first + count);
        (row, start - row * width..end - row * width, start - first)
    })
}

/// The inner loop in plain Rust; it is the specification of those of processors.
pub(crate) fn portable<T: Value>(visits: Visits<'_, T>) {
    let (outputs, group) = (visits.multipliers.len(), group(visits.family));
    let tap_weights = visits.channels * BLOCK;
    for (place, &target) in visits.targets.iter().enumerate() {
        for block in 0..outputs / BLOCK {
            let biases = |of: usize| &visits.bias[of * outputs + block * BLOCK..][..BLOCK];
            let mut sums: [i32; BLOCK] = std::array::from_fn(|output| biases(0)[output]);
            for (tap, seen) in visits.taps.iter().enumerate() {
                let Some(visit) = seen.iter().find(|visit| visit.place as usize == place) else { continue };
                sums.iter_mut().zip(biases(tap + 1)).for_each(|(sum, bias)| *sum = sum.wrapping_add(*bias));
                let weights = &visits.weights[(block * visits.taps.len() + tap) * tap_weights..][..tap_weights];
                let values = &visits.input[visit.start as usize..][..visits.channels];
                crate::portable::add_products(values, weights, visits.family, &mut sums);
            }
            debug_assert_eq!(visits.channels % group, 0);
            for (output, sum) in sums.into_iter().enumerate() {
                let steps = sum as f32 * visits.multipliers[block * BLOCK + output];
                visits.output[target as usize + block * BLOCK + output] = T::of(visits.limits.store(steps).into());
            }
        }
    }
}
