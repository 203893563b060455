//! Depthwise windows of 3 and 5 by as many, sixteen channels at a time.
//!
//! Two rows of values are interleaved, so that one `pmaddwd` multiplies a column of two taps for eight channels and adds the two
//! products. What is left is the last row of the window, two columns at a time, the last of them with a weight of zero.
//! Neighbouring windows share the columns that were interleaved.

use std::arch::x86_64::*;

use super::{Add, Ends, Sums, kept, mixed_float_vectors, mixed_vectors, stored};
use crate::depthwise::{Row, columns};
use crate::picture::BLOCK;

/// As [`crate::portable::depthwise`], for rows with groups of taps.
pub(crate) fn depthwise<M: Add>(row: Row<'_, i16>) {
    let (side, step) = (row.columns, row.step);
    let places = row.output.len() / step;
    assert!(row.inputs.len() == side && row.output.len() == places * step && step.is_multiple_of(BLOCK));
    assert!(row.groups.len() == (side * side).div_ceil(2) * 2 * step);
    assert!(row.bias.len() == step && row.multipliers.len() == step);
    let needed = ((places.max(1) - 1) * row.stride + side) * step;
    assert!(row.inputs.iter().all(|values| needed <= values.len()), "a row of values is too short");
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe {
        match side {
            3 => all::<M, 3>(row, places),
            5 => all::<M, 5>(row, places),
            _ => unreachable!("pairs are packed for windows of side 3 and 5"),
        }
    }
}

/// # Safety
/// AVX2 and `M`; the lengths of `row` fit each other and `SIDE`.
#[target_feature(enable = "avx2")]
unsafe fn all<M: Add, const SIDE: usize>(mut row: Row<'_, i16>, places: usize) {
    for first in (0..row.step).step_by(BLOCK) {
        // SAFETY: promised.
        unsafe {
            let block = Block::<SIDE>::of(&mut row, first);
            match row.stride {
                1 => block.all::<M, 1>(places),
                2 => block.all::<M, 2>(places),
                _ => (0..places).for_each(|place| block.run::<M, 1, 1>(place)),
            }
        }
    }
}

/// Sixteen channels of a layer over a row.
struct Block<const SIDE: usize> {
    inputs: [*const i16; SIDE],
    stride: usize,
    step: usize,
    /// `[pair][channels 0-3 and 8-11, or 4-7 and 12-15][channel][2]`.
    pairs: *const i16,
    bias: Sums,
    multipliers: [__m256; 2],
    ends: Ends,
    output: *mut i16,
}

impl<const SIDE: usize> Block<SIDE> {
    /// # Safety
    /// AVX2; the lengths of `row` fit each other and `SIDE`; sixteen channels from `first` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn of(row: &mut Row<'_, i16>, first: usize) -> Self {
        let taps = (SIDE * SIDE).div_ceil(2);
        // SAFETY: promised.
        unsafe {
            Self {
                inputs: std::array::from_fn(|at| row.inputs[at].as_ptr().add(first)),
                stride: row.stride * row.step,
                step: row.step,
                pairs: row.groups.as_ptr().add(first * 2 * taps),
                bias: mixed_vectors(row.bias.as_ptr().add(first)),
                multipliers: mixed_float_vectors(row.multipliers.as_ptr().add(first)),
                ends: Ends::of(row.limits),
                output: row.output.as_mut_ptr().add(first),
            }
        }
    }

    /// # Safety
    /// AVX2 and `M`; the values under `places` windows `STRIDE` apart and the room for the results are there.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn all<M: Add, const STRIDE: usize>(&self, places: usize) {
        let mut place = 0;
        // SAFETY: promised.
        unsafe {
            while place + 4 <= places {
                self.run::<M, 4, STRIDE>(place);
                place += 4;
            }
            match places - place {
                0 => {}
                1 => self.run::<M, 1, STRIDE>(place),
                2 => self.run::<M, 2, STRIDE>(place),
                _ => self.run::<M, 3, STRIDE>(place),
            }
        }
    }

    /// The windows at `N` neighbouring places, `STRIDE` apart.
    ///
    /// # Safety
    /// AVX2 and `M`; the values under the windows and the room for the results are there.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn run<M: Add, const N: usize, const STRIDE: usize>(&self, place: usize) {
        let mut sums = [self.bias; N];
        let width = (N - 1) * STRIDE + SIDE;
        // SAFETY: promised; the column behind the last one is the last one again, with weights of zero.
        unsafe {
            let rows: [*const i16; SIDE] = std::array::from_fn(|row| kept(self.inputs[row].add(place * self.stride)));
            let values =
                |row: usize, column: usize| _mm256_loadu_si256(rows[row].add(column.min(width - 1) * self.step).cast());
            for upper in (0..SIDE - 1).step_by(2) {
                columns!(column in width => {
                    let (both, pairs) = (interleaved(values(upper, column), values(upper + 1, column)), kept(self.pairs));
                    for (window, sums) in sums.iter_mut().enumerate() {
                        let tap = column.wrapping_sub(window * STRIDE);
                        if tap < SIDE {
                            add::<M>(sums, both, weights(pairs, upper / 2 * SIDE + tap));
                        }
                    }
                    settle(&mut sums);
                });
            }
            columns!(column in width => {
                let pairs = kept(self.pairs);
                let both = interleaved(values(SIDE - 1, column), values(SIDE - 1, column + 1));
                for (window, sums) in sums.iter_mut().enumerate() {
                    let tap = column.wrapping_sub(window * STRIDE);
                    if tap < SIDE && tap.is_multiple_of(2) {
                        add::<M>(sums, both, weights(pairs, SIDE / 2 * SIDE + tap / 2));
                    }
                }
                settle(&mut sums);
            });
            for (window, sums) in sums.into_iter().enumerate() {
                let found = stored(sums, self.multipliers, self.ends);
                _mm256_storeu_si256(self.output.add((place + window) * self.step).cast(), found);
            }
        }
    }
}

/// # Safety
/// AVX2; the pair is one of the window's.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn weights(pairs: *const i16, pair: usize) -> [__m256i; 2] {
    // SAFETY: a pair has two vectors of sixteen weights.
    [0, 1].map(|half| unsafe { _mm256_loadu_si256(pairs.add((2 * pair + half) * BLOCK).cast()) })
}

/// Has every sum in a register here: left alone, the compiler adds in another order, with more numbers on the way than there are
/// registers.
#[inline]
#[target_feature(enable = "avx2")]
fn settle<const N: usize>(sums: &mut [Sums; N]) {
    for sum in sums.as_flattened_mut() {
        // SAFETY: no instruction at all.
        unsafe { std::arch::asm!("/* {0} */", inout(ymm_reg) * sum, options(pure, nomem, nostack, preserves_flags)) };
    }
}

/// Sixteen channels of two values each, in mixed order.
#[inline]
#[target_feature(enable = "avx2")]
fn interleaved(first: __m256i, second: __m256i) -> [__m256i; 2] {
    [_mm256_unpacklo_epi16(first, second), _mm256_unpackhi_epi16(first, second)]
}

/// Adds the products of two taps.
///
/// # Safety
/// AVX2 and `M`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add<M: Add>(sums: &mut Sums, values: [__m256i; 2], weights: [__m256i; 2]) {
    for half in 0..2 {
        // SAFETY: promised.
        sums[half] = unsafe { M::add(sums[half], values[half], weights[half]) };
    }
}
