//! Matrix products: six pixels by sixteen outputs, two depths at a time, values read where they lie.

use std::arch::x86_64::*;

use super::{Add, Ends, Sums, in_order, mixed_float_vectors, mixed_vectors, stored, with_avx2};
use crate::conv::{Job, Matrix};
use crate::picture::BLOCK;

/// Bytes of weights fetched before they are used: of ResNet-18 at 96 pixels it saves 15 % on an EPYC with AVX2, and 4 % more than 1.5 KiB
/// on one of five years later; no less between 5 and 16 KiB.
const AHEAD: usize = 8192;
/// Pixels computed at once: six times two vectors of sums, two of weights and one broadcast fill the sixteen registers.
const PIXELS: usize = 6;

/// As [`crate::portable::conv`].
pub(crate) fn conv<M: Add>(job: Job<'_, i16>) {
    let depth = job.matrix.run * job.matrix.kernel_rows;
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths are checked.
    unsafe {
        with_avx2(|| job.check(4, 1));
        blocks::<M>(job, depth);
    }
}

/// # Safety
/// AVX2 and `M`; the lengths of `job` fit each other, and `depth`, its weights an output.
#[target_feature(enable = "avx2")]
unsafe fn blocks<M: Add>(job: Job<'_, i16>, depth: usize) {
    let Matrix { run, kernel_rows, weights, bias, .. } = job.matrix;
    let ends = Ends::of(job.limits);
    for block in 0..bias.len() / BLOCK {
        // SAFETY: promised.
        unsafe {
            let tile = Tile {
                input: job.input.as_ptr(),
                run,
                kernel_rows,
                weights: weights.as_ptr().add(block * BLOCK * depth),
                bias: mixed_vectors(bias.as_ptr().add(block * BLOCK)),
                multipliers: mixed_float_vectors(job.multipliers.as_ptr().add(block * BLOCK)),
                ends,
                output: job.output.as_mut_ptr().add(block * BLOCK),
            };
            let (whole, rest) = job.targets.as_chunks::<PIXELS>();
            let mut starts = job.starts;
            for targets in whole {
                tile.run::<M, PIXELS>(starts, targets);
                starts = &starts[PIXELS * kernel_rows..];
            }
            match rest.len() {
                0 => {}
                1 => tile.run::<M, 1>(starts, rest),
                2 => tile.run::<M, 2>(starts, rest),
                3 => tile.run::<M, 3>(starts, rest),
                4 => tile.run::<M, 4>(starts, rest),
                _ => tile.run::<M, 5>(starts, rest),
            }
        }
    }
}

/// As [`crate::portable::sums`].
pub(crate) fn sums<M: Add>(values: &[i16], matrix: Matrix<'_>, sums: &mut [i32]) {
    let Matrix { run, weights, bias, .. } = matrix;
    matrix.check(4);
    assert!(sums.len() == bias.len() && matrix.kernel_rows == 1 && run <= values.len());
    // SAFETY: as in `conv`.
    unsafe {
        for block in 0..bias.len() / BLOCK {
            let mut found = [mixed_vectors(bias.as_ptr().add(block * BLOCK))];
            add_products::<M, _, _>([values.as_ptr()], run, weights.as_ptr().add(block * BLOCK * run), &mut found);
            for (at, eight) in in_order(found[0]).into_iter().enumerate() {
                _mm256_storeu_si256(sums.as_mut_ptr().add(block * BLOCK + at * 8).cast(), eight);
            }
        }
    }
}

/// What sixteen outputs need.
struct Tile {
    input: *const i16,
    run: usize,
    kernel_rows: usize,
    weights: *const i8,
    bias: Sums,
    multipliers: [__m256; 2],
    ends: Ends,
    output: *mut i16,
}

impl Tile {
    /// # Safety
    /// AVX2 and `M`; a run of values at each of `N` times `kernel_rows` starts; `16 * depth` weights; room for sixteen values at each of
    /// `N` targets.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn run<M: Add, const N: usize>(&self, starts: &[u32], targets: &[u32]) {
        let mut sums = [self.bias; N];
        for row in 0..self.kernel_rows {
            // SAFETY: promised.
            unsafe {
                let values: [_; N] =
                    std::array::from_fn(|pixel| self.input.add(starts[pixel * self.kernel_rows + row] as usize));
                add_products::<M, _, _>(values, self.run, self.weights.add(row * self.run * BLOCK), &mut sums);
            }
        }
        for (sums, target) in sums.into_iter().zip(targets) {
            // SAFETY: promised; the store needs no alignment.
            unsafe {
                let found = stored(sums, self.multipliers, self.ends);
                _mm256_storeu_si256(self.output.add(*target as usize).cast(), found);
            }
        }
    }
}

/// Weights in memory, two depths of sixteen outputs as two vectors of `i16`.
pub(super) trait Weight: Copy {
    /// # Safety
    /// AVX2; 32 weights from `from` on.
    unsafe fn two_depths(from: *const Self) -> [__m256i; 2];
}

impl Weight for i8 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn two_depths(from: *const Self) -> [__m256i; 2] {
        // SAFETY: promised; loads need no alignment.
        [0, 16].map(|at| _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.add(at).cast()) }))
    }
}

impl Weight for i16 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn two_depths(from: *const Self) -> [__m256i; 2] {
        // SAFETY: promised; loads need no alignment.
        [0, 16].map(|at| unsafe { _mm256_loadu_si256(from.add(at).cast()) })
    }
}

/// Adds `N` runs times sixteen columns.
///
/// # Safety
/// AVX2 and `M`; `run` (a multiple of 4, not 0) values at each of `N` places; `16 * run` weights.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn add_products<M: Add, const N: usize, W: Weight>(
    values: [*const i16; N],
    run: usize,
    weights: *const W,
    sums: &mut [Sums; N],
) {
    let mut at = 0;
    while at < run {
        // Weights are read once in a row, from beyond the cache that their next lines are fetched into here: what the processor
        // fetches by itself ends with every page. Nothing is read where no memory is.
        for line in 0..size_of::<W>() {
            let ahead = weights.wrapping_add(16 * at).cast::<i8>().wrapping_add(64 * line + AHEAD);
            _mm_prefetch::<_MM_HINT_T0>(ahead);
        }
        for pair in [at, at + 2] {
            // SAFETY: 32 weights from `16 * pair` and two values from `pair` of each run are there.
            unsafe {
                let [low, high] = W::two_depths(weights.add(16 * pair));
                for (values, sums) in values.iter().zip(&mut *sums) {
                    let two = values.add(pair).cast::<i32>();
                    let values = _mm256_set1_epi32(two.read_unaligned());
                    sums[0] = M::add(sums[0], low, values);
                    sums[1] = M::add(sums[1], high, values);
                }
            }
        }
        at += 4;
    }
}
