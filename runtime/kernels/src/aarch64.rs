//! NEON, which every 64-bit ARM has, and the 8-bit dot product of ARMv8.2.
//!
//! Values are read where they lie: a tile is a few pixels by one or two blocks of sixteen outputs, whose sums stay in registers
//! while its runs pass by. [`pairs`] and [`dot`] differ in how a run is multiplied, and in the tile that fits their registers.

mod depthwise;
mod dot;
mod pairs;

use std::arch::aarch64::*;

pub(crate) use depthwise::depthwise;
pub(crate) use dot::Dot;
pub(crate) use pairs::Pairs;

use crate::conv::{Job, Matrix};
use crate::picture::BLOCK;
use crate::requantise::Limits;

const _: () = assert!(cfg!(target_endian = "little"), "vectors of bytes are read as vectors of pairs");

/// Sixteen sums in order.
type Sums = [int32x4_t; 4];

/// How a run is multiplied.
pub(crate) trait Products {
    /// Pixels by which two blocks of outputs are computed together; 0 where only single blocks are.
    const PIXELS_OF_TWO_BLOCKS: usize;
    /// Pixels by which one block of outputs is computed.
    const PIXELS_OF_ONE_BLOCK: usize;

    /// Adds the products of `run` values of each of `N` pixels, with `run` weights of each output of `B` blocks. The weights of
    /// a block begin `stride` bytes after those of the one before.
    ///
    /// # Safety
    /// The processor has the instructions; `run`, a multiple of 4, rounded up to 16 values lie at each of `values`; `16 * run`
    /// weights are there for each block.
    unsafe fn add<const N: usize, const B: usize>(
        sums: &mut [[Sums; B]; N],
        values: [*const i8; N],
        run: usize,
        weights: *const i8,
        stride: usize,
    );
}

/// As [`crate::portable::conv`]; only for [`Instructions`](crate::backend::Instructions) that have those of `K`.
pub(crate) fn conv<K: Products>(job: Job<'_>) {
    let Matrix { run, kernel_rows, weights, bias } = job.matrix;
    let (depth, pixels) = (run * kernel_rows, job.targets.len());
    check(job.matrix);
    assert!(job.starts.len() == pixels * kernel_rows && job.multipliers.len() == bias.len());
    let last = |offsets: &[u32]| offsets.iter().max().map_or(0, |last| *last as usize);
    assert!(last(job.starts) + run.next_multiple_of(BLOCK) <= job.input.len());
    assert!(last(job.targets) + bias.len() <= job.output.len());
    let blocks = bias.len() / BLOCK;
    let mut block = 0;
    while block < blocks {
        // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
        unsafe {
            let tile = Tile {
                input: job.input.as_ptr(),
                kernel_rows,
                run,
                weights: weights.as_ptr().add(block * BLOCK * depth),
                bias: bias.as_ptr().add(block * BLOCK),
                multipliers: job.multipliers.as_ptr().add(block * BLOCK),
                ends: Ends::of(job.limits),
                output: job.output.as_mut_ptr().add(block * BLOCK),
            };
            if K::PIXELS_OF_TWO_BLOCKS > 0 && block + 2 <= blocks {
                match K::PIXELS_OF_TWO_BLOCKS {
                    2 => tile.all::<K, 2, 2>(job.starts, job.targets),
                    _ => unreachable!("a tile of two blocks is two pixels high"),
                }
                block += 2;
            } else {
                match K::PIXELS_OF_ONE_BLOCK {
                    4 => tile.all::<K, 4, 1>(job.starts, job.targets),
                    6 => tile.all::<K, 6, 1>(job.starts, job.targets),
                    _ => unreachable!("a tile of one block is four or six pixels high"),
                }
                block += 1;
            }
        }
    }
}

/// As [`crate::portable::sums`].
pub(crate) fn sums<K: Products>(values: &[i8], matrix: Matrix<'_>, sums: &mut [i32]) {
    let Matrix { run, weights, bias, .. } = matrix;
    check(matrix);
    assert!(sums.len() == bias.len() && matrix.kernel_rows == 1 && run.next_multiple_of(BLOCK) <= values.len());
    for block in 0..bias.len() / BLOCK {
        // SAFETY: as in `conv`.
        unsafe {
            let mut found = [[four_vectors(bias.as_ptr().add(block * BLOCK))]];
            K::add(&mut found, [values.as_ptr()], run, weights.as_ptr().add(block * BLOCK * run), 0);
            let [[found]] = found;
            for (at, four) in found.into_iter().enumerate() {
                vst1q_s32(sums.as_mut_ptr().add(block * BLOCK + at * 4), four);
            }
        }
    }
}

fn check(matrix: Matrix<'_>) {
    let Matrix { run, kernel_rows, weights, bias } = matrix;
    assert!(run.is_multiple_of(4) && bias.len().is_multiple_of(BLOCK));
    assert!(weights.len() == bias.len() * run * kernel_rows);
}

/// What one or two blocks of outputs need.
struct Tile {
    input: *const i8,
    kernel_rows: usize,
    run: usize,
    weights: *const i8,
    bias: *const i32,
    multipliers: *const f32,
    ends: Ends,
    output: *mut i8,
}

impl Tile {
    /// `B` blocks of all pixels, `N` pixels at a time.
    ///
    /// # Safety
    /// As [`Tile::run`], for each target.
    #[inline(always)]
    unsafe fn all<K: Products, const N: usize, const B: usize>(&self, starts: &[u32], targets: &[u32]) {
        let (whole, rest) = targets.as_chunks::<N>();
        let mut starts = starts.as_ptr();
        // SAFETY: promised.
        unsafe {
            for targets in whole {
                self.run::<K, N, B>(starts, targets);
                starts = starts.add(N * self.kernel_rows);
            }
            match rest.len() {
                1 if N > 1 => self.run::<K, 1, B>(starts, rest),
                2 if N > 2 => self.run::<K, 2, B>(starts, rest),
                3 if N > 3 => self.run::<K, 3, B>(starts, rest),
                4 if N > 4 => self.run::<K, 4, B>(starts, rest),
                5 if N > 5 => self.run::<K, 5, B>(starts, rest),
                _ => {}
            }
        }
    }

    /// # Safety
    /// The processor has the instructions of `K`; `kernel_rows` starts for each of `N` targets, from each of which there are
    /// `run` values rounded up to 16; weights, biases and multipliers of `B` blocks, and room for them at each target.
    #[inline(always)]
    unsafe fn run<K: Products, const N: usize, const B: usize>(&self, starts: *const u32, targets: &[u32]) {
        let stride = BLOCK * self.run * self.kernel_rows;
        // SAFETY: promised.
        unsafe {
            let bias: [Sums; B] = std::array::from_fn(|block| four_vectors(self.bias.add(block * BLOCK)));
            let mut sums = [bias; N];
            for row in 0..self.kernel_rows {
                let values =
                    std::array::from_fn(|pixel| self.input.add(*starts.add(pixel * self.kernel_rows + row) as usize));
                K::add(&mut sums, values, self.run, self.weights.add(row * BLOCK * self.run), stride);
            }
            for block in 0..B {
                let multipliers = four_float_vectors(self.multipliers.add(block * BLOCK));
                for (pixel, target) in targets.iter().enumerate().take(N) {
                    let found = self.ends.stored(sums[pixel][block], multipliers);
                    vst1q_s8(self.output.add(*target as usize + block * BLOCK), found);
                }
            }
        }
    }
}

/// [`Limits`] in every lane.
#[derive(Clone, Copy)]
struct Ends {
    zero_point: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
    /// Whether they are less than what 8 bits hold.
    narrow: bool,
}

impl Ends {
    #[inline(always)]
    fn of(limits: Limits) -> Self {
        // SAFETY: every 64-bit ARM has these instructions.
        unsafe {
            Self {
                zero_point: vdupq_n_s16(limits.zero_point.into()),
                low: vdupq_n_s8(limits.low),
                high: vdupq_n_s8(limits.high),
                narrow: (limits.low, limits.high) != (i8::MIN, i8::MAX),
            }
        }
    }

    /// Sixteen sums times their multipliers, rounded to nearest, ties to even, as stored values. Constructors have made sure that
    /// no step leaves 32 bits; what leaves 16 bits saturates, far outside the range that follows.
    #[inline(always)]
    fn stored(self, sums: Sums, multipliers: [float32x4_t; 4]) -> int8x16_t {
        // SAFETY: every 64-bit ARM has these instructions.
        unsafe {
            let steps = |at: usize| vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums[at]), multipliers[at]));
            let eight = |at: usize| vqaddq_s16(vqmovn_high_s32(vqmovn_s32(steps(at)), steps(at + 1)), self.zero_point);
            let found = vqmovn_high_s16(vqmovn_s16(eight(0)), eight(2));
            if self.narrow { vminq_s8(vmaxq_s8(found, self.low), self.high) } else { found }
        }
    }
}

/// # Safety
/// Sixteen numbers from `from` on.
#[inline(always)]
unsafe fn four_vectors(from: *const i32) -> Sums {
    // SAFETY: they are there, and the load needs no alignment.
    std::array::from_fn(|at| unsafe { vld1q_s32(from.add(4 * at)) })
}

/// # Safety
/// Sixteen numbers from `from` on.
#[inline(always)]
unsafe fn four_float_vectors(from: *const f32) -> [float32x4_t; 4] {
    // SAFETY: they are there, and the load needs no alignment.
    std::array::from_fn(|at| unsafe { vld1q_f32(from.add(4 * at)) })
}
