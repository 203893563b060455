//! AVX-512 with VNNI: `vpdpbusd` multiplies sixty-four bytes without a sign by as many with one and adds four products to each of
//! sixteen sums, without saturation.
//!
//! Values lie in memory with their sign. 128 is added to them on the way, by turning their highest bit, and constructors have
//! taken 128 times the weights off the biases ([`Family::offset`](crate::Family)).

mod conv;
mod depthwise;
mod taps;
mod winograd;

use std::arch::x86_64::*;

use crate::conv::even;
use crate::kernels::Kernels;
use crate::picture::BLOCK;
use crate::requantise::Limits;
use crate::{add, border, portable};

/// Only for processors that have it.
pub(crate) fn kernels() -> Kernels<i8> {
    Kernels {
        conv: conv::conv,
        sums: conv::sums,
        depthwise: |row| match (row.groups, row.stride) {
            ([], _) | (_, 3..) => portable::depthwise(row),
            _ => depthwise::depthwise(row),
        },
        // SAFETY: `Backend` carries these instructions only where the processor was seen to have them.
        add: |layer, a, b, output| unsafe { with_avx512(|| add::add(layer, a, b, output)) },
        // SAFETY: as above.
        quantise: |layer, values, stored| unsafe { with_avx512(|| border::quantise(layer, values, stored)) },
        // SAFETY: as above.
        interleave: |planes, step, output| unsafe { with_avx512(|| border::interleave(planes, step, output)) },
        visits: Some(taps::visits),
        two: None,
        four: Some(winograd::winograd),
    }
}

/// Compiles what `work` inlines with AVX-512.
///
/// # Safety
/// AVX-512.
#[target_feature(enable = "avx512bw,avx512vl")]
pub(crate) unsafe fn with_avx512<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Blocks computed at once at most: twenty-four sums, their weights and one broadcast fill the registers.
const BLOCKS: usize = 4;

/// What is computed in tiles of `N` pixels by `B` blocks.
trait Work {
    /// # Safety
    /// AVX-512 with VNNI; there are such pixels and blocks.
    unsafe fn tile<const N: usize, const B: usize>(&self, pixel: usize, block: usize);
}

/// All tiles of as many pixels and blocks.
///
/// # Safety
/// AVX-512 with VNNI; there are as many pixels and blocks.
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn all(work: &impl Work, pixels: usize, blocks: usize) {
    let each = even(blocks, BLOCKS);
    for block in (0..blocks).step_by(each.max(1)) {
        // SAFETY: promised.
        unsafe {
            match each.min(blocks - block) {
                1 => over_pixels::<1, 8>(work, pixels, block),
                2 => over_pixels::<2, 8>(work, pixels, block),
                3 => over_pixels::<3, 8>(work, pixels, block),
                _ => over_pixels::<BLOCKS, 6>(work, pixels, block),
            }
        }
    }
}

/// # Safety
/// As [`all`].
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn over_pixels<const B: usize, const MOST: usize>(work: &impl Work, pixels: usize, block: usize) {
    let each = even(pixels, MOST);
    for pixel in (0..pixels).step_by(each.max(1)) {
        // SAFETY: promised.
        unsafe {
            match each.min(pixels - pixel) {
                1 => work.tile::<1, B>(pixel, block),
                2 => work.tile::<2, B>(pixel, block),
                3 => work.tile::<3, B>(pixel, block),
                4 => work.tile::<4, B>(pixel, block),
                5 => work.tile::<5, B>(pixel, block),
                6 => work.tile::<6, B>(pixel, block),
                7 if MOST > 6 => work.tile::<7, B>(pixel, block),
                _ if MOST > 6 => work.tile::<8, B>(pixel, block),
                _ => unreachable!("at most {MOST} pixels"),
            }
        }
    }
}

/// Adds `N` runs times the weights of `B` blocks, which lie `to_next` weights apart.
///
/// # Safety
/// AVX-512 with VNNI; `run` (a multiple of 4) values at each of `N` places; `16 * run` weights a block.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn add_products<const N: usize, const B: usize>(
    values: [*const i8; N],
    run: usize,
    weights: *const i8,
    to_next: usize,
    sums: &mut [[__m512i; B]; N],
) {
    let flip = _mm512_set1_epi8(i8::MIN);
    let mut at = 0;
    while at < run {
        // SAFETY: promised; nothing is read ahead where no memory is.
        unsafe {
            let weights: [_; B] = std::array::from_fn(|block| {
                let from = weights.add(block * to_next + BLOCK * at);
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD));
                _mm512_loadu_si512(from.cast())
            });
            for (values, sums) in values.iter().zip(&mut *sums) {
                let four = broadcast(*values, at, flip);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbusd_epi32(*sum, four, weights);
                }
            }
        }
        at += 4;
    }
}

/// Four values in every lane, `flip` turned in them: in one instruction, of which compilers make three.
///
/// # Safety
/// AVX-512; four values `at` values behind `from`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn broadcast(from: *const i8, at: usize, flip: __m512i) -> __m512i {
    let found;
    // SAFETY: promised; nothing is written.
    unsafe {
        std::arch::asm!(
            "vpxord {found}, {flip}, dword ptr [{from} + {at}]{{1to16}}",
            found = lateout(zmm_reg) found, flip = in(zmm_reg) flip, from = in(reg) from, at = in(reg) at,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    found
}

/// Bytes of weights fetched before they are used: what the processor fetches by itself ends with every page. Measured: no
/// difference between 1.5 and 8 KiB.
const AHEAD: usize = 5120;

/// [`Limits`] in every lane.
#[derive(Clone, Copy)]
struct Ends {
    zero_point: __m512i,
    low: __m512i,
    high: __m512i,
}

impl Ends {
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    fn of(limits: Limits) -> Self {
        Self {
            zero_point: _mm512_set1_epi16(limits.zero_point.into()),
            low: _mm512_set1_epi8(limits.low),
            high: _mm512_set1_epi8(limits.high),
        }
    }

    /// Sums times their multipliers, rounded to nearest, ties to even: the mode that Rust guarantees. Constructors have made sure
    /// that no step leaves 32 bits; what leaves 16 bits saturates, far outside the range that follows. In each quarter of the
    /// result lie four values of each vector.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    fn stored(self, sums: [__m512i; 4], multipliers: [__m512; 4]) -> __m512i {
        let one = |at: usize| _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[at]), multipliers[at]));
        let two = |at: usize| _mm512_adds_epi16(_mm512_packs_epi32(one(at), one(at + 1)), self.zero_point);
        _mm512_min_epi8(_mm512_max_epi8(_mm512_packs_epi16(two(0), two(2)), self.low), self.high)
    }
}

/// Stores the results of a pixel, blocks after each other.
///
/// # Safety
/// AVX-512 with VNNI; room for `B` blocks.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn store<const B: usize>(sums: [__m512i; B], multipliers: [__m512; B], ends: Ends, to: *mut i8) {
    // Of fewer than four, the last once more: it costs nothing and goes nowhere.
    let found = ends
        .stored(std::array::from_fn(|at| sums[at.min(B - 1)]), std::array::from_fn(|at| multipliers[at.min(B - 1)]));
    let quarters = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let found = _mm512_permutexvar_epi32(quarters, found);
    // SAFETY: promised; stores need no alignment.
    unsafe {
        match B {
            1 => _mm_storeu_si128(to.cast(), _mm512_castsi512_si128(found)),
            2 => _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(found)),
            3 => {
                _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(found));
                _mm_storeu_si128(to.add(2 * BLOCK).cast(), _mm512_extracti32x4_epi32::<2>(found));
            }
            _ => _mm512_storeu_si512(to.cast(), found),
        }
    }
}

/// Sixteen numbers a block, in order.
///
/// # Safety
/// AVX-512 with VNNI; `B` blocks of numbers from `from` on.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn vectors<const B: usize>(from: *const i32) -> [__m512i; B] {
    // SAFETY: promised; loads need no alignment.
    std::array::from_fn(|at| unsafe { _mm512_loadu_si512(from.add(at * BLOCK).cast()) })
}

/// As [`vectors`].
///
/// # Safety
/// AVX-512 with VNNI; `B` blocks of numbers from `from` on.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn float_vectors<const B: usize>(from: *const f32) -> [__m512; B] {
    // SAFETY: promised; loads need no alignment.
    std::array::from_fn(|at| unsafe { _mm512_loadu_ps(from.add(at * BLOCK)) })
}
