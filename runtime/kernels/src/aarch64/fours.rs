//! Depthwise windows of 3 and 5 by as many with the dot product, eight channels at a time.
//!
//! Four rows of a column are interleaved, so that one `SDOT` multiplies four taps for four channels: for windows of 3, three rows and a
//! weight of zero. The fifth row of windows of 5 is interleaved along itself, four columns at a time; its last tap is the first of
//! later four columns. Neighbouring windows share what was interleaved.

use std::arch::aarch64::*;
use std::arch::asm;
use std::array::from_fn;

use super::{Ends, two_vectors_anew};
use crate::conv::even;
use crate::depthwise::{Row, columns, fours};

/// Channels computed together.
const EIGHT: usize = 8;
/// Windows computed together at most: two vectors of sums each, ten of weights and four of values fill the registers.
const MOST: usize = 8;

/// Sums of eight channels.
type Sums = [int32x4_t; 2];
/// Four values or weights for each of eight channels.
type Fours = [int8x16_t; 2];

/// As [`crate::portable::depthwise`], for rows with groups of taps; only for processors with the dot product.
pub(crate) fn depthwise(row: Row<'_>) {
    let (side, step) = (row.columns, row.step);
    let places = row.output.len() / step;
    assert!(row.inputs.len() == side && row.output.len() == places * step && step.is_multiple_of(EIGHT));
    assert!(row.groups.len() == fours(side) * 4 * step);
    assert!(row.bias.len() == step && row.multipliers.len() == step);
    let needed = (places.max(1) - 1) * row.stride * step + side * step;
    assert!(row.inputs.iter().all(|values| needed <= values.len()), "a row of values is too short");
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe {
        match (side, row.stride) {
            (3, 1) => all::<3, 1>(row, places),
            (3, 2) => all::<3, 2>(row, places),
            (3, _) => all::<3, 0>(row, places),
            (5, 1) => all::<5, 1>(row, places),
            (5, 2) => all::<5, 2>(row, places),
            (5, _) => all::<5, 0>(row, places),
            _ => unreachable!("groups are packed for windows of side 3 and 5"),
        }
    }
}

/// `STRIDE` is 0 where it is neither 1 nor 2.
///
/// # Safety
/// The lengths of `row` fit each other, `SIDE` and `STRIDE`; the processor has the dot product.
unsafe fn all<const SIDE: usize, const STRIDE: usize>(row: Row<'_>, places: usize) {
    let group = if STRIDE == 0 { 1 } else { even(places, MOST) };
    for first in (0..row.step).step_by(EIGHT) {
        // SAFETY: promised.
        unsafe {
            let groups = row.groups.as_ptr().add(first * 4 * fours(SIDE));
            let group_of_taps = |at: usize| from_fn(|half| vld1q_s8(groups.add((2 * at + half) * 16)));
            let mut block = Block::<SIDE> {
                inputs: from_fn(|at| row.inputs[at].as_ptr().add(first)),
                step: row.step,
                columns: from_fn(group_of_taps),
                last: if SIDE == 5 { [5, 6].map(group_of_taps) } else { [0, 0].map(group_of_taps) },
                bias: row.bias.as_ptr().add(first),
                multipliers: from_fn(|at| vld1q_f32(row.multipliers.as_ptr().add(first + 4 * at))),
                ends: Ends::of(row.limits),
                output: row.output.as_mut_ptr().add(first),
            };
            let mut left = places;
            while left > 0 {
                let now = group.min(left);
                match now {
                    1 => block.run::<1, STRIDE>(),
                    2 => block.run::<2, STRIDE>(),
                    3 => block.run::<3, STRIDE>(),
                    4 => block.run::<4, STRIDE>(),
                    5 => block.run::<5, STRIDE>(),
                    6 => block.run::<6, STRIDE>(),
                    7 => block.run::<7, STRIDE>(),
                    _ => block.run::<MOST, STRIDE>(),
                }
                block.go(now, row.stride);
                left -= now;
            }
        }
    }
}

/// Eight channels of a layer over a row.
struct Block<const SIDE: usize> {
    /// Under the next window.
    inputs: [*const i8; SIDE],
    step: usize,
    columns: [Fours; SIDE],
    /// For windows of 5: the first four columns of the last row, and the fifth.
    last: [Fours; 2],
    bias: *const i32,
    multipliers: [float32x4_t; 2],
    ends: Ends,
    /// Where the next result belongs.
    output: *mut i8,
}

/// # Safety
/// Of every function: the values under the next windows, and the room for their results, are there; the processor has the dot
/// product.
impl<const SIDE: usize> Block<SIDE> {
    /// The next `N` windows, `STRIDE` apart.
    #[inline(always)]
    unsafe fn run<const N: usize, const STRIDE: usize>(&self) {
        // SAFETY: promised.
        let mut sums: [Sums; N] = from_fn(|_| unsafe { two_vectors_anew(self.bias) });
        let width = (N - 1) * STRIDE + SIDE;
        // SAFETY: promised.
        unsafe {
            let (mut rows, zero) = (self.inputs, vdupq_n_s8(0));
            columns!(column in width => {
                let mut values = [zero; 4];
                for (values, row) in values.iter_mut().zip(&mut rows) {
                    *values = one_row(row, self.step);
                }
                let values = interleaved(values);
                for (window, sums) in sums.iter_mut().enumerate() {
                    let tap = column.wrapping_sub(window * STRIDE);
                    if tap < SIDE {
                        add(sums, values, self.columns[tap]);
                    }
                }
            });
            if SIDE == 5 {
                // Columns behind the last one are zeros, and multiplied by zero.
                let (mut row, mut seen) = (self.inputs[4], [zero; 3]);
                columns!(column in width + 3 => {
                    let here = if column < width { one_row(&mut row, self.step) } else { zero };
                    let values = four_columns(&mut seen, here);
                    for (window, sums) in sums.iter_mut().enumerate() {
                        let first = (column + 1).wrapping_sub(4 + window * STRIDE);
                        if first == 0 {
                            add(sums, values, self.last[0]);
                        }
                        if first == 4 {
                            add(sums, values, self.last[1]);
                        }
                    }
                });
            }
            if self.ends.narrow {
                for (window, sums) in sums.into_iter().enumerate() {
                    vst1_s8(self.output.add(window * self.step), stored::<true>(sums, self.multipliers, self.ends));
                }
            } else {
                for (window, sums) in sums.into_iter().enumerate() {
                    vst1_s8(self.output.add(window * self.step), stored::<false>(sums, self.multipliers, self.ends));
                }
            }
        }
    }

    /// Goes on to a later window.
    #[inline(always)]
    unsafe fn go(&mut self, places: usize, stride: usize) {
        // SAFETY: promised.
        unsafe {
            self.inputs = self.inputs.map(|row| row.add(places * stride * self.step));
            self.output = self.output.add(places * self.step);
        }
    }
}

/// As [`Ends::stored`], for eight sums.
#[inline(always)]
fn stored<const NARROW: bool>(sums: Sums, multipliers: [float32x4_t; 2], ends: Ends) -> int8x8_t {
    // SAFETY: every 64-bit ARM has these instructions.
    unsafe {
        let steps = from_fn(|at| vmulq_f32(vcvtq_f32_s32(sums[at]), multipliers[at]));
        let found = vqmovn_s16(ends.eight_rounded(steps));
        if NARROW { vmin_s8(vmax_s8(found, vget_low_s8(ends.low)), vget_low_s8(ends.high)) } else { found }
    }
}

/// Adds four products a channel.
///
/// # Safety
/// The processor has the dot product.
#[inline(always)]
unsafe fn add(sums: &mut Sums, values: Fours, weights: Fours) {
    for half in 0..2 {
        // SAFETY: promised; registers only. Not `pure`, so that the compiler leaves the order in which they fit the registers.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {sum:v}.4s, {values:v}.16b, {weights:v}.16b",
                sum = inout(vreg) sums[half], values = in(vreg) values[half], weights = in(vreg) weights[half],
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

/// Four values for each of eight channels, one of each row.
#[inline(always)]
fn interleaved([a, b, c, d]: [int8x16_t; 4]) -> Fours {
    // SAFETY: every 64-bit ARM has these instructions.
    unsafe {
        let (even, odd) = (vzip1q_s8(a, c), vzip1q_s8(b, d));
        [vzip1q_s8(even, odd), vzip2q_s8(even, odd)]
    }
}

/// Four neighbouring columns of a row, the last of which is `here`. What was seen: the column before, that before it, and the pair of the
/// first and the third.
#[inline(always)]
fn four_columns(seen: &mut [int8x16_t; 3], here: int8x16_t) -> Fours {
    let [before, second, pair] = *seen;
    // SAFETY: every 64-bit ARM has these instructions.
    unsafe {
        let next = vzip1q_s8(second, here);
        *seen = [here, before, next];
        [vzip1q_s8(pair, next), vzip2q_s8(pair, next)]
    }
}

/// Eight values of a row, which goes on to the next pixel.
///
/// # Safety
/// Eight values at the place.
#[inline(always)]
unsafe fn one_row(row: &mut *const i8, step: usize) -> int8x16_t {
    let values;
    // SAFETY: promised.
    unsafe {
        asm!(
            "ld1 {{ {values:v}.8b }}, [{row}], {step}",
            row = inout(reg) *row, step = in(reg) step, values = out(vreg) values,
            options(readonly, nostack, preserves_flags),
        );
    }
    values
}
