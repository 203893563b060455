//! Matrix products: six pixels by sixteen outputs, two depths at a time.

use std::arch::x86_64::*;

use super::{Ends, Sums, steps, stored, two_float_vectors, two_vectors};
use crate::conv::{Job, Matrix};
use crate::picture::BLOCK;

/// Pixels computed at once: six times two vectors of sums, two of weights and one broadcast fill the sixteen registers.
const PIXELS: usize = 6;

/// As [`crate::portable::conv`]; only for [`Instructions::Avx2`](crate::backend::Instructions). `gathered` holds
/// [`BLOCK`] values more than the depth times the pixels.
pub(crate) fn conv(job: Job<'_>, gathered: &mut [i16]) {
    let Matrix { run, kernel_rows, weights, bias } = job.matrix;
    let (depth, pixels) = (run * kernel_rows, job.targets.len());
    check(job.matrix);
    assert!(job.starts.len() == pixels * kernel_rows && job.multipliers.len() == bias.len());
    assert!(gathered.len() >= pixels * depth + BLOCK);
    let last = |offsets: &[u32]| offsets.iter().max().map_or(0, |last| *last as usize);
    assert!(last(job.starts) + run.next_multiple_of(BLOCK) <= job.input.len());
    assert!(last(job.targets) + bias.len() <= job.output.len());
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe {
        gather(job.input.as_ptr(), job.starts, run, gathered.as_mut_ptr());
        let ends = Ends::of(job.limits);
        for block in 0..bias.len() / BLOCK {
            let weights = weights.as_ptr().add(block * BLOCK * depth);
            let bias = two_vectors(bias.as_ptr().add(block * BLOCK));
            let multipliers = two_float_vectors(job.multipliers.as_ptr().add(block * BLOCK));
            let output = job.output.as_mut_ptr().add(block * BLOCK);
            let tile = Tile { depth, weights, bias, multipliers, ends, output };
            let (whole, rest) = job.targets.as_chunks::<PIXELS>();
            for (group, targets) in whole.iter().enumerate() {
                tile.run::<PIXELS>(gathered.as_ptr().add(group * PIXELS * depth), targets);
            }
            let values = gathered.as_ptr().add(whole.len() * PIXELS * depth);
            match rest.len() {
                0 => {}
                1 => tile.run::<1>(values, rest),
                2 => tile.run::<2>(values, rest),
                3 => tile.run::<3>(values, rest),
                4 => tile.run::<4>(values, rest),
                _ => tile.run::<5>(values, rest),
            }
        }
    }
}

/// As [`crate::portable::sums`]. `gathered` holds [`BLOCK`] values more than a run.
pub(crate) fn sums(values: &[i8], matrix: Matrix<'_>, gathered: &mut [i16], sums: &mut [i32]) {
    let Matrix { run, weights, bias, .. } = matrix;
    check(matrix);
    assert!(sums.len() == bias.len() && matrix.kernel_rows == 1);
    assert!(run.next_multiple_of(BLOCK) <= values.len() && gathered.len() >= run + BLOCK);
    // SAFETY: as in `conv`.
    unsafe {
        gather(values.as_ptr(), &[0], run, gathered.as_mut_ptr());
        for block in 0..bias.len() / BLOCK {
            let bias = two_vectors(bias.as_ptr().add(block * BLOCK));
            let [found] = products::<1>(gathered.as_ptr(), run, weights.as_ptr().add(block * BLOCK * run), bias);
            for (at, eight) in found.into_iter().enumerate() {
                _mm256_storeu_si256(sums.as_mut_ptr().add(block * BLOCK + at * 8).cast(), eight);
            }
        }
    }
}

fn check(matrix: Matrix<'_>) {
    let Matrix { run, kernel_rows, weights, bias } = matrix;
    assert!(run.is_multiple_of(4) && bias.len().is_multiple_of(BLOCK));
    assert!(weights.len() == bias.len() * run * kernel_rows);
}

/// Runs of values as `i16`, one after the other.
///
/// # Safety
/// AVX2; from each start, `run` rounded up to 16 values are in the input; `to` has room for all runs and 16 values more.
#[target_feature(enable = "avx2")]
unsafe fn gather(input: *const i8, starts: &[u32], run: usize, to: *mut i16) {
    for (number, start) in starts.iter().enumerate() {
        for at in (0..run).step_by(BLOCK) {
            // SAFETY: promised; what is written beyond a run is overwritten by the next one or lies in the room behind the last.
            unsafe {
                let values = _mm_loadu_si128(input.add(*start as usize + at).cast());
                _mm256_storeu_si256(to.add(number * run + at).cast(), _mm256_cvtepi8_epi16(values));
            }
        }
    }
}

/// What sixteen outputs need.
struct Tile {
    depth: usize,
    weights: *const i8,
    bias: Sums,
    multipliers: [__m256; 2],
    ends: Ends,
    output: *mut i8,
}

impl Tile {
    /// # Safety
    /// AVX2; `N` rows of `depth` values; `16 * depth` weights; room for sixteen values at each of `N` targets.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn run<const N: usize>(&self, values: *const i16, targets: &[u32]) {
        // SAFETY: promised.
        let sums = unsafe { products::<N>(values, self.depth, self.weights, self.bias) };
        let steps = |row: usize| steps(sums[row], self.multipliers, self.ends.zero_point);
        for pair in 0..N.div_ceil(2) {
            let [first, second] = [2 * pair, (2 * pair + 1).min(N - 1)];
            let found = stored(steps(first), steps(second), self.ends);
            // SAFETY: promised; the store needs no alignment.
            unsafe {
                _mm_storeu_si128(self.output.add(targets[first] as usize).cast(), found[0]);
                if second > first {
                    _mm_storeu_si128(self.output.add(targets[second] as usize).cast(), found[1]);
                }
            }
        }
    }
}

/// `N` rows times sixteen columns, on top of `bias`.
///
/// # Safety
/// AVX2; `N` rows of `depth` (even) values one after the other; `16 * depth` weights.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn products<const N: usize>(values: *const i16, depth: usize, weights: *const i8, bias: Sums) -> [Sums; N] {
    let mut sums = [bias; N];
    for pair in 0..depth / 2 {
        // SAFETY: 32 weights from `32 * pair` and two values from `2 * pair` of each row are there.
        unsafe {
            let weights = weights.add(32 * pair);
            let low = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.cast()));
            let high = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(16).cast()));
            for (row, sums) in sums.iter_mut().enumerate() {
                let two = values.add(row * depth + 2 * pair).cast::<i32>();
                let values = _mm256_set1_epi32(two.read_unaligned());
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, values));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, values));
            }
        }
    }
    sums
}
