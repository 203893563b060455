//! AVX2: `pmaddwd` multiplies sixteen pairs of `i16` and adds each pair into an `i32`, without saturation. VNNI's `vpdpwssd` adds
//! that to a sum as well.
//!
//! Values are kept as `i16` in memory, which is what it reads. Sixteen sums are held as two vectors in *mixed order*, channels 0-3 and
//! 8-11, then 4-7 and 12-15: packing works within halves of a vector and leaves that in order.

pub(crate) mod avx512;
mod conv;
mod depthwise;
mod taps;
mod winograd;

use std::arch::x86_64::*;

use crate::backend::Madd;
use crate::kernels::Kernels;
use crate::requantise::Limits;
use crate::winograd::{Four, Two};
use crate::{add, border, portable};

/// Those that add products as `madd` says; only for processors that have it.
pub(crate) fn kernels(madd: Madd) -> Kernels<i16> {
    match madd {
        Madd::Avx2 => by::<Avx2>(),
        Madd::AvxVnni => by::<AvxVnni>(),
    }
}

fn by<M: Add>() -> Kernels<i16> {
    Kernels {
        conv: conv::conv::<M>,
        sums: conv::sums::<M>,
        depthwise: |row| match row.groups {
            [] => portable::depthwise(row),
            _ => depthwise::depthwise::<M>(row),
        },
        // SAFETY: AVX2 is part of what `M` needs.
        add: |layer, a, b, output| unsafe { with_avx2(|| add::add(layer, a, b, output)) },
        // SAFETY: as above.
        quantise: |layer, values, stored| unsafe { with_avx2(|| border::quantise(layer, values, stored)) },
        // SAFETY: as above.
        interleave: |planes, step, output| unsafe { with_avx2(|| border::interleave(planes, step, output)) },
        visits: Some(taps::visits::<M>),
        two: Some(winograd::winograd::<M, Two, 4, 2>),
        four: Some(winograd::winograd::<M, Four, 6, 4>),
    }
}

/// How the products of pairs are added to sums.
pub(crate) trait Add {
    /// `sums[i] + values[2i] * weights[2i] + values[2i + 1] * weights[2i + 1]`, which constructors have made sure fits.
    ///
    /// # Safety
    /// AVX2, and the instruction that it is.
    unsafe fn add(sums: __m256i, values: __m256i, weights: __m256i) -> __m256i;
}

pub(crate) struct Avx2;
pub(crate) struct AvxVnni;

impl Add for Avx2 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(sums: __m256i, values: __m256i, weights: __m256i) -> __m256i {
        _mm256_add_epi32(sums, _mm256_madd_epi16(values, weights))
    }
}

/// The standard library's name for it needs functions that are compiled for it.
impl Add for AvxVnni {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(mut sums: __m256i, values: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: promised; registers only.
        unsafe {
            std::arch::asm!(
                "{{vex}} vpdpwssd {sums}, {values}, {weights}",
                sums = inout(ymm_reg) sums,
                values = in(ymm_reg) values,
                weights = in(ymm_reg) weights,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }
}

/// Sixteen sums in mixed order.
type Sums = [__m256i; 2];

/// Compiles what `work` inlines with AVX2.
///
/// # Safety
/// AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Sums times their multipliers, rounded to nearest, ties to even: the mode that Rust guarantees. Constructors have made sure
/// that no step leaves 32 bits; what leaves 16 bits saturates, far outside the range that follows.
#[inline]
#[target_feature(enable = "avx2")]
fn stored(sums: Sums, multipliers: [__m256; 2], ends: Ends) -> __m256i {
    let one = |at: usize| _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[at]), multipliers[at]));
    let moved = _mm256_adds_epi16(_mm256_packs_epi32(one(0), one(1)), ends.zero_point);
    _mm256_min_epi16(_mm256_max_epi16(moved, ends.low), ends.high)
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
        let all = |value: i8| _mm256_set1_epi16(value.into());
        Self { zero_point: all(limits.zero_point), low: all(limits.low), high: all(limits.high) }
    }
}

/// From order to mixed order, and back.
#[inline]
#[target_feature(enable = "avx2")]
fn in_order([low, high]: Sums) -> Sums {
    [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)]
}

/// Sixteen numbers that lie in order, in mixed order.
///
/// # Safety
/// AVX2; sixteen numbers from `from` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn mixed_vectors(from: *const i32) -> Sums {
    // SAFETY: they are there, and the load needs no alignment.
    in_order(unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())] })
}

/// As [`mixed_vectors`].
///
/// # Safety
/// AVX2; sixteen numbers from `from` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn mixed_float_vectors(from: *const f32) -> [__m256; 2] {
    // SAFETY: promised.
    unsafe { mixed_vectors(from.cast()) }.map(|bits| _mm256_castsi256_ps(bits))
}

/// The same pointer, which the compiler may not see through: it would keep one pointer a tap, more than there are registers.
#[inline(always)]
fn kept(pointer: *const i16) -> *const i16 {
    let mut address = pointer.addr();
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) address, options(pure, nomem, nostack, preserves_flags));
    }
    pointer.with_addr(address)
}
