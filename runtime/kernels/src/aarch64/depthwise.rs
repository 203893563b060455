//! Depthwise windows of 3 and 5 by as many, sixteen channels and up to four pixels at a time.
//!
//! Taps are multiplied in pairs, one above the other, whose products fit 16 bits because no weight is -128. What is left is the
//! last row of the window, which is paired along itself. A loaded column serves every pixel of the four whose window it lies in.

use std::arch::aarch64::*;

use super::{Ends, Sums, four_float_vectors, four_vectors};
use crate::depthwise::Row;
use crate::picture::BLOCK;
use crate::portable;

/// As [`crate::portable::depthwise`].
pub(crate) fn depthwise(row: Row<'_>) {
    let (side, step) = (row.columns, row.step);
    let places = row.output.len() / step;
    if row.inputs.len() != side {
        return portable::depthwise(row);
    }
    assert!(row.output.len() == places * step && step.is_multiple_of(BLOCK));
    assert!(row.weights.len() == side * side * step && row.bias.len() == step && row.multipliers.len() == step);
    let needed = (places.max(1) - 1) * row.stride * step + side * step;
    assert!(row.inputs.iter().all(|values| needed <= values.len()), "a row of values is too short");
    // SAFETY: the lengths were checked.
    unsafe {
        match (side, row.stride) {
            (3, 1) => all::<3, 1>(row, places),
            (3, 2) => all::<3, 2>(row, places),
            (5, 1) => all::<5, 1>(row, places),
            (5, 2) => all::<5, 2>(row, places),
            _ => portable::depthwise(row),
        }
    }
}

/// # Safety
/// The lengths of `row` fit each other, `SIDE` and `STRIDE`.
unsafe fn all<const SIDE: usize, const STRIDE: usize>(row: Row<'_>, places: usize) {
    for first in (0..row.step).step_by(BLOCK) {
        // SAFETY: promised.
        unsafe {
            let mut block = Block::<SIDE> {
                inputs: std::array::from_fn(|at| row.inputs[at].as_ptr().add(first)),
                step: row.step,
                weights: std::array::from_fn(|line| {
                    std::array::from_fn(|column| {
                        vld1q_s8(row.weights.as_ptr().add((line * SIDE + column) * row.step + first))
                    })
                }),
                bias: row.bias.as_ptr().add(first),
                multipliers: row.multipliers.as_ptr().add(first),
                ends: Ends::of(row.limits),
                output: row.output.as_mut_ptr().add(first),
            };
            for _ in 0..places / 4 {
                block.run::<STRIDE, 4>();
            }
            if places & 2 != 0 {
                block.run::<STRIDE, 2>();
            }
            if places & 1 != 0 {
                block.run::<STRIDE, 1>();
            }
        }
    }
}

/// Sixteen channels of a layer over a row.
struct Block<const SIDE: usize> {
    /// Under the next window.
    inputs: [*const i8; SIDE],
    step: usize,
    weights: [[int8x16_t; SIDE]; SIDE],
    bias: *const i32,
    multipliers: *const f32,
    ends: Ends,
    /// Where the next result belongs.
    output: *mut i8,
}

impl<const SIDE: usize> Block<SIDE> {
    /// The next `N` windows.
    ///
    /// # Safety
    /// The values under the windows and the room for the results are there.
    #[inline(always)]
    unsafe fn run<const STRIDE: usize, const N: usize>(&mut self) {
        // SAFETY: promised.
        unsafe {
            let mut sums = [four_vectors(self.bias); N];
            let mut before = vdupq_n_s8(0);
            for at in 0..(N - 1) * STRIDE + SIDE {
                let values = self.inputs.map(|row| vld1q_s8(row.add(at * self.step)));
                for (window, sums) in sums.iter_mut().enumerate() {
                    if at >= window * STRIDE && at - window * STRIDE < SIDE {
                        let column = at - window * STRIDE;
                        for line in (0..SIDE - 1).step_by(2) {
                            let weights = [self.weights[line][column], self.weights[line + 1][column]];
                            add_pair(sums, [values[line], values[line + 1]], weights);
                        }
                        let last = self.weights[SIDE - 1];
                        if column % 2 == 1 {
                            add_pair(sums, [before, values[SIDE - 1]], [last[column - 1], last[column]]);
                        } else if column == SIDE - 1 {
                            add_one(sums, values[SIDE - 1], last[column]);
                        }
                    }
                }
                before = values[SIDE - 1];
            }
            let multipliers = four_float_vectors(self.multipliers);
            for (pixel, sums) in sums.into_iter().enumerate() {
                vst1q_s8(self.output.add(pixel * self.step), self.ends.stored(sums, multipliers));
            }
            self.inputs = self.inputs.map(|row| row.add(N * STRIDE * self.step));
            self.output = self.output.add(N * self.step);
        }
    }
}

/// Adds two taps of sixteen channels.
#[inline(always)]
fn add_pair(sums: &mut Sums, values: [int8x16_t; 2], weights: [int8x16_t; 2]) {
    // SAFETY: every 64-bit ARM has these instructions.
    unsafe {
        let low = vmull_s8(vget_low_s8(values[0]), vget_low_s8(weights[0]));
        let low = vmlal_s8(low, vget_low_s8(values[1]), vget_low_s8(weights[1]));
        let high = vmlal_high_s8(vmull_high_s8(values[0], weights[0]), values[1], weights[1]);
        add(sums, low, high);
    }
}

/// Adds one tap of sixteen channels.
#[inline(always)]
fn add_one(sums: &mut Sums, values: int8x16_t, weights: int8x16_t) {
    // SAFETY: every 64-bit ARM has these instructions.
    unsafe { add(sums, vmull_s8(vget_low_s8(values), vget_low_s8(weights)), vmull_high_s8(values, weights)) }
}

#[inline(always)]
fn add(sums: &mut Sums, low: int16x8_t, high: int16x8_t) {
    // SAFETY: every 64-bit ARM has these instructions.
    unsafe {
        sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
        sums[1] = vaddw_high_s16(sums[1], low);
        sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
        sums[3] = vaddw_high_s16(sums[3], high);
    }
}
