//! NEON, which every 64-bit ARM has, the 8-bit dot product of ARMv8.2 and the 8-bit matrix product of ARMv8.6.
//!
//! Values are read where they lie: a tile is a few pixels by one or two blocks of sixteen outputs, whose sums stay in registers
//! while its runs pass by. [`pairs`], [`dot`] and [`i8mm`] differ in how a run is multiplied, and in the tile that fits their registers.

/// Goes over a run: whole vectors of sixteen values, then what is left of one. `$load` loads sixteen values of each pixel, `$sixteen`
/// multiplies them, and `$rest` as many of them as `{run}` then says.
macro_rules! over_run {
    ($load:expr, $sixteen:expr, $rest:expr) => {
        concat!(
            "subs {run}, {run}, #16\n",
            "b.lo 3f\n",
            "2:\n",
            $load,
            $sixteen,
            "subs {run}, {run}, #16\n",
            "b.hs 2b\n",
            "3:\n",
            "adds {run}, {run}, #16\n",
            "b.eq 4f\n",
            $load,
            $rest,
            "4:\n",
        )
    };
}

/// The same for those that multiply four values at a time.
macro_rules! over_fours {
    ($load:literal, $first:expr, $second:expr, $third:expr, $fourth:expr) => {
        over_run!(
            $load,
            concat!($first, $second, $third, $fourth),
            concat!($first, "subs {run}, {run}, #8\n", "b.lo 4f\n", $second, "b.eq 4f\n", $third)
        )
    };
}

mod depthwise;
mod dot;
mod elementwise;
mod fours;
mod i8mm;
mod pairs;
mod taps;
mod winograd;

use std::arch::aarch64::*;

use crate::conv::{Job, Matrix};
use crate::depthwise::Row;
use crate::kernels::Kernels;
use crate::picture::BLOCK;
use crate::requantise::Limits;
use crate::winograd::{Four, Two};

/// Those of every 64-bit ARM, for weights in the order of 32-bit ones.
pub(crate) fn pairs() -> Kernels<i8> {
    let pairs = by::<pairs::Pairs, 2, 2>(depthwise::depthwise);
    Kernels { visits: None, ..pairs }
}

/// Those of every 64-bit ARM.
pub(crate) fn neon() -> Kernels<i8> {
    let (two, four) = (winograd::winograd::<Two, 4, 2>, winograd::winograd::<Four, 6, 4>);
    Kernels { two: Some(two), four: Some(four), ..by::<pairs::Pairs, 2, 2>(depthwise::depthwise) }
}

/// Those with the dot product; only for processors that have it.
pub(crate) fn dot() -> Kernels<i8> {
    by::<dot::Dot, 6, 1>(in_fours)
}

/// Those with the matrix product and the dot product; only for processors that have them.
pub(crate) fn i8mm() -> Kernels<i8> {
    by::<i8mm::I8mm, 6, 1>(in_fours)
}

fn in_fours(row: Row<'_>) {
    match row.groups {
        [] => depthwise::depthwise(row),
        _ => fours::depthwise(row),
    }
}

fn by<K: Products<N, B>, const N: usize, const B: usize>(depthwise: fn(Row<'_>)) -> Kernels<i8> {
    let visits = taps::visits::<K, N, B>;
    Kernels {
        conv: conv::<K, N, B>,
        sums: sums::<K, N, B>,
        depthwise,
        add: elementwise::add,
        quantise: elementwise::quantise,
        interleave: elementwise::interleave,
        visits: Some(visits),
        two: None,
        four: None,
    }
}

const _: () = assert!(cfg!(target_endian = "little"), "vectors of bytes are read as vectors of pairs");

/// Sixteen sums, in order except where [`Products::turn`] says so.
type Sums = [int32x4_t; 4];

/// How a run is multiplied: `N` pixels by `B` blocks of outputs together, or one by one.
///
/// # Safety
/// Of all functions: the processor has the instructions; `run`, a multiple of [`Products::TOGETHER`], rounded up to 16 values lie at each of
/// `values`; `16 * run` weights lie at each of `weights`; work has the pixels and the block.
pub(crate) trait Products<const N: usize, const B: usize> {
    /// Depths that an instruction multiplies, or the loop.
    const TOGETHER: usize = 4;

    /// The biases of `B` blocks, `bias` and on, as sums that [`Products::tile`] adds to.
    #[inline(always)]
    unsafe fn start(bias: *const i32) -> [[Sums; B]; N] {
        // SAFETY: promised.
        std::array::from_fn(|_| std::array::from_fn(|at| unsafe { four_vectors_anew(bias.add(at * BLOCK)) }))
    }

    /// From sums in order to the order in which [`Products::tile`] adds to them, and back.
    #[inline(always)]
    unsafe fn turn(_sums: &mut [[Sums; B]; N]) {}

    /// Adds the products of runs of values and weights to the sums of each pixel and block.
    unsafe fn tile(sums: &mut [[Sums; B]; N], values: [*const i8; N], run: usize, weights: [*const i8; B]);

    /// The same for one pixel and one block.
    unsafe fn one(sums: &mut Sums, values: *const i8, run: usize, weights: *const i8);

    /// Computes some of `left` pixels, less than `N`, of a block of outputs; gives how many.
    #[inline(always)]
    unsafe fn few(work: &impl Work, pixel: usize, _left: usize, block: usize) -> usize
    where
        Self: Sized,
    {
        // SAFETY: promised.
        unsafe { work.one::<Self, N, B>(pixel, block) };
        1
    }
}

/// What is computed in tiles of `N` pixels by `B` blocks, or one by one.
///
/// # Safety
/// Of all functions: the processor has the instructions of `K`; there are such pixels and blocks.
pub(crate) trait Work {
    unsafe fn tile<K: Products<N, B>, const N: usize, const B: usize>(&self, pixel: usize, block: usize);
    unsafe fn one<K: Products<N, B>, const N: usize, const B: usize>(&self, pixel: usize, block: usize);
}

/// # Safety
/// As [`Work`].
#[inline(always)]
unsafe fn all<K: Products<N, B>, const N: usize, const B: usize>(work: &impl Work, pixels: usize, blocks: usize) {
    let (whole_blocks, whole_pixels) = (blocks / B * B, pixels / N * N);
    // SAFETY: promised.
    unsafe {
        for block in (0..whole_blocks).step_by(B) {
            for pixel in (0..whole_pixels).step_by(N) {
                work.tile::<K, N, B>(pixel, block);
            }
            for block in block..block + B {
                let mut pixel = whole_pixels;
                while pixel < pixels {
                    pixel += K::few(work, pixel, pixels - pixel, block);
                }
            }
        }
        for block in whole_blocks..blocks {
            (0..pixels).for_each(|pixel| work.one::<K, N, B>(pixel, block));
        }
    }
}

/// As [`crate::portable::conv`]; only for [`Instructions`](crate::backend::Instructions) that have those of `K`.
fn conv<K: Products<N, B>, const N: usize, const B: usize>(job: Job<'_>) {
    let Matrix { run, kernel_rows, weights, bias, .. } = job.matrix;
    let pixels = job.targets.len();
    job.check(K::TOGETHER, BLOCK);
    let task = Task {
        input: job.input.as_ptr(),
        starts: job.starts.as_ptr(),
        kernel_rows,
        run,
        weights: weights.as_ptr(),
        bias: bias.as_ptr(),
        multipliers: job.multipliers.as_ptr(),
        ends: Ends::of(job.limits),
        targets: job.targets.as_ptr(),
        output: job.output.as_mut_ptr(),
    };
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe { all::<K, N, B>(&task, pixels, bias.len() / BLOCK) }
}

/// As [`crate::portable::sums`].
fn sums<K: Products<N, B>, const N: usize, const B: usize>(values: &[i8], matrix: Matrix<'_>, sums: &mut [i32]) {
    let Matrix { run, weights, bias, .. } = matrix;
    matrix.check(K::TOGETHER);
    assert!(sums.len() == bias.len() && matrix.kernel_rows == 1 && run.next_multiple_of(BLOCK) <= values.len());
    for block in 0..bias.len() / BLOCK {
        // SAFETY: as in `conv`.
        unsafe {
            let mut found = four_vectors(bias.as_ptr().add(block * BLOCK));
            K::one(&mut found, values.as_ptr(), run, weights.as_ptr().add(block * BLOCK * run));
            keep(sums.as_mut_ptr().add(block * BLOCK), found);
        }
    }
}

/// A [`Job`] whose lengths were checked.
struct Task {
    input: *const i8,
    starts: *const u32,
    kernel_rows: usize,
    run: usize,
    weights: *const i8,
    bias: *const i32,
    multipliers: *const f32,
    ends: Ends,
    targets: *const u32,
    output: *mut i8,
}

impl Work for Task {
    #[inline(always)]
    unsafe fn tile<K: Products<N, B>, const N: usize, const B: usize>(&self, pixel: usize, block: usize) {
        // SAFETY: promised.
        unsafe {
            let mut sums = K::start(self.bias.add(block * BLOCK));
            let mut add_row = |row| {
                let values = std::array::from_fn(|at| self.values(pixel + at, row));
                let weights = std::array::from_fn(|at| self.weights(block + at, row));
                K::tile(&mut sums, values, self.run, weights);
            };
            // Most layers have one row, and the addresses of its pixels need no multiplication.
            match self.kernel_rows {
                1 => add_row(0),
                rows => (0..rows).for_each(add_row),
            }
            K::turn(&mut sums);
            for at in 0..B {
                let multipliers = four_float_vectors(self.multipliers.add((block + at) * BLOCK));
                let found = sums.iter().enumerate().map(|(number, sums)| (sums[at], pixel + number));
                if self.ends.narrow {
                    found.for_each(|(sums, pixel)| self.store::<true>(sums, multipliers, pixel, block + at));
                } else {
                    found.for_each(|(sums, pixel)| self.store::<false>(sums, multipliers, pixel, block + at));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn one<K: Products<N, B>, const N: usize, const B: usize>(&self, pixel: usize, block: usize) {
        // SAFETY: promised.
        unsafe {
            let mut sums = four_vectors(self.bias.add(block * BLOCK));
            for row in 0..self.kernel_rows {
                K::one(&mut sums, self.values(pixel, row), self.run, self.weights(block, row));
            }
            let multipliers = four_float_vectors(self.multipliers.add(block * BLOCK));
            self.store::<true>(sums, multipliers, pixel, block);
        }
    }
}

impl Task {
    /// Where the run of a pixel under a row of the window begins.
    ///
    /// # Safety
    /// There is such a pixel and such a row.
    #[inline(always)]
    unsafe fn values(&self, pixel: usize, row: usize) -> *const i8 {
        // SAFETY: promised.
        unsafe { self.input.add(*self.starts.add(pixel * self.kernel_rows + row) as usize) }
    }

    /// Where the weights of a block for a row of the window begin.
    ///
    /// # Safety
    /// There is such a block and such a row.
    #[inline(always)]
    unsafe fn weights(&self, block: usize, row: usize) -> *const i8 {
        // SAFETY: promised.
        unsafe { self.weights.add((block * self.kernel_rows + row) * self.run * BLOCK) }
    }

    /// # Safety
    /// There is such a pixel and such a block.
    #[inline(always)]
    unsafe fn store<const NARROW: bool>(&self, sums: Sums, multipliers: [float32x4_t; 4], pixel: usize, block: usize) {
        // SAFETY: promised.
        unsafe {
            let target = *self.targets.add(pixel) as usize + block * BLOCK;
            vst1q_s8(self.output.add(target), self.ends.stored::<NARROW>(sums, multipliers));
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
    fn stored<const NARROW: bool>(self, sums: Sums, multipliers: [float32x4_t; 4]) -> int8x16_t {
        // SAFETY: every 64-bit ARM has these instructions.
        unsafe {
            let steps = std::array::from_fn(|at| vmulq_f32(vcvtq_f32_s32(sums[at]), multipliers[at]));
            self.rounded::<NARROW>(steps)
        }
    }

    /// Sixteen numbers of steps as stored values. What is no number becomes the zero point.
    #[inline(always)]
    fn rounded<const NARROW: bool>(self, steps: [float32x4_t; 4]) -> int8x16_t {
        // SAFETY: every 64-bit ARM has these instructions.
        unsafe {
            let [a, b, c, d] = steps;
            let found = vqmovn_high_s16(vqmovn_s16(self.eight_rounded([a, b])), self.eight_rounded([c, d]));
            if NARROW { vminq_s8(vmaxq_s8(found, self.low), self.high) } else { found }
        }
    }

    /// Eight numbers of steps away from the zero point, not yet in the range.
    #[inline(always)]
    fn eight_rounded(self, steps: [float32x4_t; 2]) -> int16x8_t {
        // SAFETY: every 64-bit ARM has these instructions.
        unsafe {
            let [a, b] = steps.map(|steps| vcvtnq_s32_f32(steps));
            vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero_point)
        }
    }
}

/// # Safety
/// Room for sixteen sums.
#[inline(always)]
unsafe fn keep(to: *mut i32, sums: Sums) {
    for (at, four) in sums.into_iter().enumerate() {
        // SAFETY: promised; the store needs no alignment.
        unsafe { vst1q_s32(to.add(4 * at), four) };
    }
}

/// # Safety
/// Sixteen numbers from `from` on.
#[inline(always)]
unsafe fn four_vectors(from: *const i32) -> Sums {
    // SAFETY: they are there, and the load needs no alignment.
    std::array::from_fn(|at| unsafe { vld1q_s32(from.add(4 * at)) })
}

/// As [`four_vectors`], by [`two_vectors_anew`].
///
/// # Safety
/// Sixteen numbers from `from` on.
#[inline(always)]
unsafe fn four_vectors_anew(from: *const i32) -> Sums {
    // SAFETY: promised.
    let ([a, b], [c, d]) = unsafe { (two_vectors_anew(from), two_vectors_anew(from.add(8))) };
    [a, b, c, d]
}

/// Eight numbers, loaded each time: compilers would load once and copy, with instructions that multiply units do.
///
/// # Safety
/// Eight numbers from `from` on.
#[inline(always)]
unsafe fn two_vectors_anew(from: *const i32) -> [int32x4_t; 2] {
    let (a, b);
    // SAFETY: promised. Not `pure`, so that it is not done once for all.
    unsafe {
        std::arch::asm!(
            "ldp {a:q}, {b:q}, [{from}]",
            from = in(reg) from, a = out(vreg) a, b = out(vreg) b,
            options(readonly, nostack, preserves_flags),
        );
    }
    [a, b]
}

/// # Safety
/// Sixteen numbers from `from` on.
#[inline(always)]
unsafe fn four_float_vectors(from: *const f32) -> [float32x4_t; 4] {
    // SAFETY: they are there, and the load needs no alignment.
    std::array::from_fn(|at| unsafe { vld1q_f32(from.add(4 * at)) })
}
