//! AVX2: `pmaddwd` multiplies sixteen pairs of `i16` and adds each pair into an `i32`, without saturation.

use std::arch::x86_64::*;

use crate::depthwise::{PackedDepthwise, firsts, pairs};
use crate::pack::{BLOCK, Block, ROWS, Range};

/// As [`crate::portable::tile`].
pub(crate) fn tile(rows: &[i16], stride: usize, n_rows: usize, block: &Block<'_>, range: Range) -> [[i8; BLOCK]; ROWS] {
    let pairs = block.weights.len() / (2 * BLOCK);
    assert!((1..=ROWS).contains(&n_rows) && 2 * pairs <= stride && (n_rows - 1) * stride + 2 * pairs <= rows.len());
    let mut out = [[0; BLOCK]; ROWS];
    // SAFETY: `Backend::Avx2` exists only where the processor was seen to have AVX2; the lengths were checked above.
    unsafe {
        match n_rows {
            1 => rows_times_block::<1>(rows, stride, pairs, block, range, &mut out),
            2 => rows_times_block::<2>(rows, stride, pairs, block, range, &mut out),
            3 => rows_times_block::<3>(rows, stride, pairs, block, range, &mut out),
            4 => rows_times_block::<4>(rows, stride, pairs, block, range, &mut out),
            5 => rows_times_block::<5>(rows, stride, pairs, block, range, &mut out),
            _ => rows_times_block::<ROWS>(rows, stride, pairs, block, range, &mut out),
        }
    }
    out
}

/// # Safety
/// AVX2; `rows` holds `N` rows of `2 * pairs` values, `stride` apart; `block.weights` holds `pairs * 32` values.
#[target_feature(enable = "avx2")]
unsafe fn rows_times_block<const N: usize>(
    rows: &[i16],
    stride: usize,
    pairs: usize,
    block: &Block<'_>,
    range: Range,
    out: &mut [[i8; BLOCK]; ROWS],
) {
    let bias = [load(&block.bias[..8]), load(&block.bias[8..])];
    let mut sums = [bias; N];
    let (rows, weights) = (rows.as_ptr(), block.weights.as_ptr());
    for pair in 0..pairs {
        // SAFETY: `pair` is below `pairs`, so 32 weights from `32 * pair` and two values from `2 * pair` of each row are there.
        unsafe {
            let weights = weights.add(32 * pair);
            let low = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.cast()));
            let high = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(16).cast()));
            for (row, sums) in sums.iter_mut().enumerate() {
                let values = _mm256_set1_epi32(rows.add(row * stride + 2 * pair).cast::<i32>().read_unaligned());
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, values));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, values));
            }
        }
    }
    for (sums, out) in sums.into_iter().zip(out) {
        *out = requantised(sums, block.multipliers, range);
    }
}

/// Neighbouring output pixels of at least [`BLOCK`] channels, without padding: tap `t` of pixel `p` begins at
/// `input[p * step + offsets[t]]`.
pub(crate) fn depthwise(input: &[i8], offsets: &[usize], step: usize, layer: PackedDepthwise<'_>, output: &mut [i8]) {
    let channels = layer.check(offsets.len());
    let places = output.len() / channels;
    let furthest = offsets.iter().max().expect("a window has taps");
    assert!(output.len() == places * channels && places > 0);
    assert!((places - 1) * step + furthest + channels <= input.len());
    let tap = |number: usize| input[offsets[number.min(offsets.len() - 1)]..].as_ptr();
    // SAFETY: `Backend::Avx2` exists only where the processor was seen to have AVX2; the lengths were checked above.
    unsafe { by_pairs(pairs(offsets.len()), tap, step, places, layer, output) }
}

/// One output pixel, each tap where it is.
pub(crate) fn depthwise_place(taps: &[&[i8]], layer: PackedDepthwise<'_>, output: &mut [i8]) {
    let channels = layer.check(taps.len());
    assert!(output.len() == channels && taps.iter().all(|tap| tap.len() == channels));
    let tap = |number: usize| taps[number.min(taps.len() - 1)].as_ptr();
    // SAFETY: as above.
    unsafe { by_pairs(pairs(taps.len()), tap, 0, 1, layer, output) }
}

impl PackedDepthwise<'_> {
    /// Panics unless the lists fit each other; returns the number of channels.
    fn check(&self, taps: usize) -> usize {
        let channels = self.bias.len();
        assert!(channels >= BLOCK && taps > 0 && self.multipliers.len() == channels);
        assert!(self.weights.len() == channels.div_ceil(BLOCK) * pairs(taps) * 2 * BLOCK);
        channels
    }
}

/// Hands the taps on as pairs whose number the compiler knows. `tap` answers any number: beyond the last tap, whatever can be
/// read, for its weight is zero.
///
/// # Safety
/// As [`all_blocks`].
unsafe fn by_pairs(
    pairs: usize,
    tap: impl Fn(usize) -> *const i8,
    step: usize,
    places: usize,
    layer: PackedDepthwise<'_>,
    output: &mut [i8],
) {
    // SAFETY: passed on to the caller.
    unsafe {
        match pairs {
            5 => all_blocks::<5>(in_pairs(tap), step, places, layer, output),
            13 => all_blocks::<13>(in_pairs(tap), step, places, layer, output),
            _ => all_blocks::<25>(in_pairs(tap), step, places, layer, output),
        }
    }
}

fn in_pairs<const PAIRS: usize>(tap: impl Fn(usize) -> *const i8) -> [[*const i8; 2]; PAIRS] {
    std::array::from_fn(|pair| [tap(2 * pair), tap(2 * pair + 1)])
}

/// # Safety
/// AVX2; each tap holds one value a channel, at least 16, for each of `places` pixels, `step` apart; `output` holds as many;
/// the layer is packed for as many channels and `PAIRS` pairs of taps.
#[target_feature(enable = "avx2")]
unsafe fn all_blocks<const PAIRS: usize>(
    taps: [[*const i8; 2]; PAIRS],
    step: usize,
    places: usize,
    layer: PackedDepthwise<'_>,
    output: &mut [i8],
) {
    let channels = layer.bias.len();
    for (number, first) in firsts(channels).enumerate() {
        let bias = [load(&layer.bias[first..]), load(&layer.bias[first + 8..])];
        let multipliers = layer.multipliers[first..].first_chunk().expect("a block of multipliers");
        let weights = layer.weights[number * PAIRS * 2 * BLOCK..][..PAIRS * 2 * BLOCK].as_ptr();
        // SAFETY: the slice above holds two vectors of sixteen weights a pair. Nine taps stay in registers from here on.
        let weights: [[__m256i; 2]; PAIRS] = std::array::from_fn(|pair| unsafe {
            [0, 16].map(|half| _mm256_loadu_si256(weights.add(32 * pair + half).cast()))
        });
        for place in 0..places {
            let mut sums = bias;
            for (weights, taps) in weights.iter().zip(&taps) {
                // SAFETY: each tap holds sixteen values from `first` on for each place.
                let [even, odd] = taps.map(|tap| unsafe { _mm_loadu_si128(tap.add(place * step + first).cast()) });
                let low = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(even, odd));
                let high = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(even, odd));
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, weights[0]));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, weights[1]));
            }
            let stored = requantised(sums, multipliers, layer.range);
            output[place * channels + first..][..BLOCK].copy_from_slice(&stored);
        }
    }
}

/// The rule of [`crate::Requantise`], sixteen sums at a time. Constructors have made sure that no step leaves 32 bits; what
/// leaves 16 bits saturates, far outside the range that follows.
#[inline]
#[target_feature(enable = "avx2")]
fn requantised(sums: [__m256i; 2], multipliers: &[f32; BLOCK], range: Range) -> [i8; BLOCK] {
    let steps = |sums: __m256i, multipliers: &[f32]| {
        let multipliers: &[f32; 8] = multipliers.first_chunk().expect("eight multipliers");
        // SAFETY: eight floats are there, and the load needs no alignment.
        let multipliers = unsafe { _mm256_loadu_ps(multipliers.as_ptr()) };
        // Rounds to nearest, ties to even: the mode that Rust guarantees.
        _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), multipliers))
    };
    let packed = _mm256_packs_epi32(steps(sums[0], &multipliers[..8]), steps(sums[1], &multipliers[8..]));
    // Packing works within 128-bit halves: put the quarters back in order.
    let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
    let moved = _mm256_adds_epi16(ordered, _mm256_set1_epi16(range.zero_point.into()));
    let bytes = _mm_packs_epi16(_mm256_castsi256_si128(moved), _mm256_extracti128_si256::<1>(moved));
    let clamped = _mm_min_epi8(_mm_max_epi8(bytes, _mm_set1_epi8(range.low)), _mm_set1_epi8(range.high));
    let mut out = [0; BLOCK];
    // SAFETY: sixteen bytes are there, and the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), clamped) };
    out
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(sums: &[i32]) -> __m256i {
    let sums: &[i32; 8] = sums.first_chunk().expect("eight sums");
    // SAFETY: eight sums are there, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(sums.as_ptr().cast()) }
}
