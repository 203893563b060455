//! AVX2: `pmaddwd` multiplies sixteen pairs of `i16` and adds each pair into an `i32`, without saturation.

use std::arch::x86_64::*;

use crate::depthwise::{PackedDepthwise, firsts};
use crate::pack::{BLOCK, Block, ROWS, Range, Rows, Target};

/// As [`crate::portable::tile`]; only for [`Instructions::Avx2`](crate::backend::Instructions).
pub(crate) fn tile(rows: Rows<'_>, block: &Block<'_>, target: Target<'_>) {
    assert!((1..=ROWS).contains(&rows.count));
    let (pairs, last) = (block.weights.len() / (2 * BLOCK), rows.count - 1);
    assert!(2 * pairs <= rows.stride && last * rows.stride + 2 * pairs <= rows.values.len());
    assert!(target.stride >= BLOCK && last * target.stride + BLOCK <= target.values.len());
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe {
        match rows.count {
            1 => rows_times_block::<1>(rows, pairs, block, target),
            2 => rows_times_block::<2>(rows, pairs, block, target),
            3 => rows_times_block::<3>(rows, pairs, block, target),
            4 => rows_times_block::<4>(rows, pairs, block, target),
            5 => rows_times_block::<5>(rows, pairs, block, target),
            _ => rows_times_block::<ROWS>(rows, pairs, block, target),
        }
    }
}

/// # Safety
/// AVX2; `rows` holds `N` rows of `2 * pairs` values; `block.weights` holds `pairs * 32` values; `target` holds `N` rows of 16.
#[target_feature(enable = "avx2")]
unsafe fn rows_times_block<const N: usize>(rows: Rows<'_>, pairs: usize, block: &Block<'_>, target: Target<'_>) {
    let bias = [load(&block.bias[..8]), load(&block.bias[8..])];
    let mut sums = [bias; N];
    let (values, weights) = (rows.values.as_ptr(), block.weights.as_ptr());
    for pair in 0..pairs {
        // SAFETY: `pair` is below `pairs`, so 32 weights from `32 * pair` and two values from `2 * pair` of each row are there.
        unsafe {
            let weights = weights.add(32 * pair);
            let low = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.cast()));
            let high = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(16).cast()));
            for (row, sums) in sums.iter_mut().enumerate() {
                let two = values.add(row * rows.stride + 2 * pair).cast::<i32>();
                let values = _mm256_set1_epi32(two.read_unaligned());
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, values));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, values));
            }
        }
    }
    let multipliers = [load_floats(&block.multipliers[..8]), load_floats(&block.multipliers[8..])];
    for (row, sums) in sums.into_iter().enumerate() {
        // Packing works within 128-bit halves: put the quarters back in order.
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(steps(sums, multipliers));
        // SAFETY: sixteen values from here are the target's, and the store needs no alignment.
        unsafe {
            _mm_storeu_si128(target.values.as_mut_ptr().add(row * target.stride).cast(), stored(packed, block.range))
        };
    }
}

/// Neighbouring output pixels of at least [`BLOCK`] channels under a square window of `side` 3 or 5, without padding. The
/// first window begins with `input`; its rows lie `row_step` values apart and windows `step`.
pub(crate) fn depthwise(
    input: &[i8],
    side: usize,
    [row_step, step]: [usize; 2],
    layer: PackedDepthwise<'_>,
    output: &mut [i8],
) {
    let channels = layer.bias.len();
    let places = output.len() / channels;
    assert!(channels >= BLOCK && layer.multipliers.len() == channels);
    assert!(layer.weights.len() == channels.div_ceil(BLOCK) * side * side * BLOCK);
    assert!(places > 0 && output.len() == places * channels);
    assert!((places - 1) * step + (side - 1) * row_step + side * channels <= input.len());
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe {
        match side {
            3 => all_blocks::<3>(input.as_ptr(), [row_step, step], places, layer, output),
            5 => all_blocks::<5>(input.as_ptr(), [row_step, step], places, layer, output),
            _ => unreachable!("depthwise layers are packed for windows of side 3 and 5"),
        }
    }
}

/// Two products fit an `i16`: a weight is at most 127 in size and a value at most 128, and `2 * 127 * 128 = 32,512`. Pairs are
/// added there; two pairs at a time then go to 32 bits, beside each other in one `pmaddwd` by ones. `SIDE` is odd, so one tap
/// is left over.
///
/// # Safety
/// AVX2; for each of `places` windows, `step` apart from `input` on, `SIDE` rows, `row_step` apart, hold `SIDE` values a channel,
/// which are at least 16; `output` holds `places` values a channel; the layer is packed for as many channels.
#[target_feature(enable = "avx2")]
unsafe fn all_blocks<const SIDE: usize>(
    input: *const i8,
    [row_step, step]: [usize; 2],
    places: usize,
    layer: PackedDepthwise<'_>,
    output: &mut [i8],
) {
    let channels = layer.bias.len();
    let (ones, taps) = (_mm256_set1_epi16(1), SIDE * SIDE);
    for (number, first) in firsts(channels).enumerate() {
        let bias = in_unpacked_order(load(&layer.bias[first..]), load(&layer.bias[first + 8..]));
        let multipliers = [0, 8].map(|at| _mm256_castps_si256(load_floats(&layer.multipliers[first + at..])));
        let multipliers = in_unpacked_order(multipliers[0], multipliers[1]).map(|bits| _mm256_castsi256_ps(bits));
        let weights = layer.weights[number * taps * BLOCK..][..taps * BLOCK].as_ptr();
        for place in 0..places {
            let product = |tap: usize| {
                // SAFETY: the window at `place` has sixteen values from `first` on under each tap, and the block as many weights.
                let (values, weights) = unsafe {
                    let window = input.add(place * step + first);
                    let values = window.add(tap / SIDE * row_step + tap % SIDE * channels);
                    (_mm_loadu_si128(values.cast()), _mm256_loadu_si256(weights.add(tap * BLOCK).cast()))
                };
                _mm256_mullo_epi16(_mm256_cvtepi8_epi16(values), weights)
            };
            let mut sums = bias;
            let mut add = |pairs: __m256i, more: __m256i| {
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(pairs, more), ones));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(pairs, more), ones));
            };
            let pair = |tap: usize| _mm256_add_epi16(product(tap), product(tap + 1));
            for tap in (0..taps / 4 * 4).step_by(4) {
                add(pair(tap), pair(tap + 2));
            }
            add(product(taps - 1), _mm256_setzero_si256());
            let stored = stored(steps(sums, multipliers), layer.range);
            // SAFETY: `output` holds `places` pixels of `channels` values, and `first + 16` is at most `channels`.
            unsafe { _mm_storeu_si128(output.as_mut_ptr().add(place * channels + first).cast(), stored) };
        }
    }
}

/// Two vectors of eight in the order in which unpacking sixteen of `i16` leaves them, and packing puts them back.
#[inline]
#[target_feature(enable = "avx2")]
fn in_unpacked_order(low: __m256i, high: __m256i) -> [__m256i; 2] {
    [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)]
}

/// Sixteen sums times their multipliers, rounded to nearest, ties to even: the mode that Rust guarantees. The result is
/// packed half by half, which is in order if the sums are in unpacked order. Constructors have made sure that no step leaves
/// 32 bits; what leaves 16 bits saturates, far outside the range that follows.
#[inline]
#[target_feature(enable = "avx2")]
fn steps(sums: [__m256i; 2], multipliers: [__m256; 2]) -> __m256i {
    let one = |at: usize| _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[at]), multipliers[at]));
    _mm256_packs_epi32(one(0), one(1))
}

/// The rest of the rule of [`crate::Requantise`]: zero point and range.
#[inline]
#[target_feature(enable = "avx2")]
fn stored(steps: __m256i, range: Range) -> __m128i {
    let moved = _mm256_adds_epi16(steps, _mm256_set1_epi16(range.zero_point.into()));
    let bytes = _mm_packs_epi16(_mm256_castsi256_si128(moved), _mm256_extracti128_si256::<1>(moved));
    _mm_min_epi8(_mm_max_epi8(bytes, _mm_set1_epi8(range.low)), _mm_set1_epi8(range.high))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(sums: &[i32]) -> __m256i {
    let sums: &[i32; 8] = sums.first_chunk().expect("eight sums");
    // SAFETY: eight sums are there, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(sums.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_floats(values: &[f32]) -> __m256 {
    let values: &[f32; 8] = values.first_chunk().expect("eight floats");
    // SAFETY: eight floats are there, and the load needs no alignment.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}
