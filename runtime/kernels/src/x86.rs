//! AVX2: `pmaddwd` multiplies sixteen pairs of `i16` and adds each pair into an `i32`, without saturation.

mod conv;
mod depthwise;

use std::arch::x86_64::*;

pub(crate) use conv::{conv, sums};
pub(crate) use depthwise::depthwise;

use crate::requantise::Limits;

/// Two vectors of eight sums, in order.
type Sums = [__m256i; 2];

/// Compiles what `work` inlines with AVX2.
///
/// # Safety
/// AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Sixteen sums times their multipliers, rounded to nearest, ties to even: the mode that Rust guarantees. As `i16` in the order
/// 0-3, 8-11, 4-7, 12-15, with the zero point added. Constructors have made sure that no step leaves 32 bits; what leaves 16 bits
/// saturates, far outside the range that follows.
#[inline]
#[target_feature(enable = "avx2")]
fn steps(sums: Sums, multipliers: [__m256; 2], zero_point: __m256i) -> __m256i {
    let one = |at: usize| _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[at]), multipliers[at]));
    _mm256_adds_epi16(_mm256_packs_epi32(one(0), one(1)), zero_point)
}

/// Two results of [`steps`] as stored values in order, the first in the lower half.
#[inline]
#[target_feature(enable = "avx2")]
fn stored(first: __m256i, second: __m256i, ends: Ends) -> [__m128i; 2] {
    let mixed = _mm256_packs_epi16(first, second);
    let bytes = _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    let bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, ends.low), ends.high);
    [_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes)]
}

/// [`Limits`] in every lane.
#[derive(Clone, Copy)]
struct Ends {
    zero_point: __m256i,
    low: __m256i,
    high: __m256i,
}

impl Ends {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(limits: Limits) -> Self {
        Self {
            zero_point: _mm256_set1_epi16(limits.zero_point.into()),
            low: _mm256_set1_epi8(limits.low),
            high: _mm256_set1_epi8(limits.high),
        }
    }
}

/// # Safety
/// AVX2; sixteen numbers from `from` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn two_vectors(from: *const i32) -> Sums {
    // SAFETY: they are there, and the load needs no alignment.
    unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())] }
}

/// # Safety
/// AVX2; sixteen numbers from `from` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn two_float_vectors(from: *const f32) -> [__m256; 2] {
    // SAFETY: they are there, and the load needs no alignment.
    unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
}

/// # Safety
/// AVX2; sixteen values from `from` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn sixteen_values(from: *const i8) -> __m128i {
    // SAFETY: they are there, and the load needs no alignment.
    unsafe { _mm_loadu_si128(from.cast()) }
}
