//! Depthwise windows of 3 and 5 by as many, sixteen channels and up to four pixels at a time.
//!
//! Two rows of values are interleaved, so that one `pmaddwd` multiplies a column of two taps for eight channels and adds the two
//! products. What is left is the last row of the window, which is interleaved with itself one pixel on. An interleaved
//! column serves every pixel of the four whose window it lies in.

use std::arch::x86_64::*;

use super::{Ends, Sums, sixteen_values, steps, stored, two_float_vectors, two_vectors};
use crate::depthwise::Row;
use crate::picture::BLOCK;

/// As [`crate::portable::depthwise`], for rows with pairs; only for [`Instructions::Avx2`](crate::backend::Instructions).
pub(crate) fn depthwise(row: Row<'_>) {
    let (side, step) = (row.columns, row.step);
    let places = row.output.len() / step;
    assert!(row.inputs.len() == side && row.output.len() == places * step && step.is_multiple_of(BLOCK));
    assert!(row.pairs.len() == (side * side).div_ceil(2) * 2 * step);
    assert!(row.bias.len() == step && row.multipliers.len() == step);
    let needed = (places.max(1) - 1) * row.stride * step + (side + 1) * step;
    assert!(row.inputs.iter().all(|values| needed <= values.len() + step), "a row of values is too short");
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe {
        match (side, row.stride) {
            (3, 1) => all::<3, 1>(row, places),
            (3, 2) => all::<3, 2>(row, places),
            (5, 1) => all::<5, 1>(row, places),
            (5, 2) => all::<5, 2>(row, places),
            (3, _) => one_by_one::<3>(row, places),
            (5, _) => one_by_one::<5>(row, places),
            _ => unreachable!("pairs are packed for windows of side 3 and 5"),
        }
    }
}

/// # Safety
/// AVX2; the lengths of `row` fit each other, `SIDE` and `STRIDE`.
#[target_feature(enable = "avx2")]
unsafe fn all<const SIDE: usize, const STRIDE: usize>(mut row: Row<'_>, places: usize) {
    for first in (0..row.step).step_by(BLOCK) {
        // SAFETY: promised.
        unsafe {
            let block = Block::<SIDE>::of(&mut row, first);
            let mut place = 0;
            while place + 4 <= places {
                block.run::<STRIDE, 4>(place * STRIDE, place);
                place += 4;
            }
            match places - place {
                1 => block.run::<STRIDE, 1>(place * STRIDE, place),
                2 => block.run::<STRIDE, 2>(place * STRIDE, place),
                3 => block.run::<STRIDE, 3>(place * STRIDE, place),
                _ => {}
            }
        }
    }
}

/// # Safety
/// As [`all`].
#[target_feature(enable = "avx2")]
unsafe fn one_by_one<const SIDE: usize>(mut row: Row<'_>, places: usize) {
    for first in (0..row.step).step_by(BLOCK) {
        // SAFETY: promised.
        unsafe {
            let block = Block::<SIDE>::of(&mut row, first);
            for place in 0..places {
                block.run::<1, 1>(place * row.stride, place);
            }
        }
    }
}

/// Sixteen channels of a layer over a row.
struct Block<const SIDE: usize> {
    inputs: [*const i8; SIDE],
    step: usize,
    /// `[pair][low or high eight channels][channel][2]`.
    pairs: *const i16,
    bias: Sums,
    multipliers: [__m256; 2],
    ends: Ends,
    output: *mut i8,
}

impl<const SIDE: usize> Block<SIDE> {
    /// # Safety
    /// AVX2; the lengths of `row` fit each other and `SIDE`; sixteen channels from `first` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn of(row: &mut Row<'_>, first: usize) -> Self {
        let taps = (SIDE * SIDE).div_ceil(2);
        // SAFETY: promised.
        unsafe {
            Self {
                inputs: std::array::from_fn(|at| row.inputs[at].as_ptr().add(first)),
                step: row.step,
                pairs: row.pairs.as_ptr().add(first * 2 * taps),
                bias: two_vectors(row.bias.as_ptr().add(first)),
                multipliers: two_float_vectors(row.multipliers.as_ptr().add(first)),
                ends: Ends::of(row.limits),
                output: row.output.as_mut_ptr().add(first),
            }
        }
    }

    /// `N` neighbouring windows, the first of them at pixel `column`, stored from pixel `place` on.
    ///
    /// # Safety
    /// AVX2; the values under the windows and the room for the results are there.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn run<const STRIDE: usize, const N: usize>(&self, column: usize, place: usize) {
        let mut sums = [self.bias; N];
        // SAFETY: promised.
        unsafe {
            for at in 0..(N - 1) * STRIDE + SIDE {
                let offset = (column + at) * self.step;
                for rows in 0..SIDE / 2 {
                    let [above, below] =
                        [2 * rows, 2 * rows + 1].map(|row| sixteen_values(self.inputs[row].add(offset)));
                    let values = interleaved(above, below);
                    for (window, sums) in sums.iter_mut().enumerate() {
                        if at >= window * STRIDE && at - window * STRIDE < SIDE {
                            self.add(sums, values, rows * SIDE + at - window * STRIDE);
                        }
                    }
                }
                let here = sixteen_values(self.inputs[SIDE - 1].add(offset));
                let used = |window: usize| at >= window * STRIDE && at - window * STRIDE < SIDE;
                let is_even = |window: usize| (at - window * STRIDE).is_multiple_of(2);
                if (0..N).any(|window| used(window) && is_even(window)) {
                    // Behind the last column there may be nothing to read; its weight is zero.
                    let is_last = at == (N - 1) * STRIDE + SIDE - 1;
                    let next =
                        if is_last { here } else { sixteen_values(self.inputs[SIDE - 1].add(offset + self.step)) };
                    let values = interleaved(here, next);
                    for (window, sums) in sums.iter_mut().enumerate() {
                        if used(window) && is_even(window) {
                            self.add(sums, values, SIDE / 2 * SIDE + (at - window * STRIDE) / 2);
                        }
                    }
                }
            }
            let steps = |window: usize| steps(sums[window], self.multipliers, self.ends.zero_point);
            for pair in 0..N.div_ceil(2) {
                let [first, second] = [2 * pair, (2 * pair + 1).min(N - 1)];
                let found = stored(steps(first), steps(second), self.ends);
                _mm_storeu_si128(self.output.add((place + first) * self.step).cast(), found[0]);
                if second > first {
                    _mm_storeu_si128(self.output.add((place + second) * self.step).cast(), found[1]);
                }
            }
        }
    }

    /// # Safety
    /// AVX2; the pair is one of the window's.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(&self, sums: &mut Sums, values: [__m256i; 2], pair: usize) {
        // SAFETY: a pair has two vectors of sixteen weights.
        let weights = unsafe { two_vectors(self.pairs.add(pair * 2 * BLOCK).cast()) };
        for half in 0..2 {
            sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(values[half], weights[half]));
        }
    }
}

/// Sixteen channels of two pixels as `i16`, one beside the other: eight channels a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn interleaved(first: __m128i, second: __m128i) -> [__m256i; 2] {
    [_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second)), _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(first, second))]
}
