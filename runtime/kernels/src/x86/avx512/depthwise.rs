//! Depthwise windows of 3 and 5 by as many, at strides 1 and 2: sixty-four channels at a time.
//!
//! Four rows of a column are interleaved, so that one instruction multiplies four taps for sixteen channels: for windows of 3, three
//! rows and a weight of zero. The fifth row of windows of 5 is interleaved along itself, each column with the three before it; the
//! last tap is the last of a later four. What lies under several windows is interleaved once: sums of all windows that a column is
//! under wait in registers. Interleaving works within quarters of a vector: vector `j` of sums has channels `4j` to `4j + 3` of
//! each sixteen, and packing puts them back in order.

use std::arch::x86_64::*;
use std::array::from_fn;

use super::Ends;
use crate::depthwise::{Row, columns, fours};
use crate::picture::BLOCK;

/// Channels computed together.
const LANES: usize = 64;

/// Sums, values or weights of sixty-four channels.
type Four = [__m512i; 4];

/// As [`crate::portable::depthwise`], for rows with groups of taps.
pub(crate) fn depthwise(row: Row<'_>) {
    let (side, step) = (row.columns, row.step);
    let places = row.output.len() / step;
    assert!(row.inputs.len() == side && row.output.len() == places * step && step.is_multiple_of(BLOCK));
    assert!(row.groups.len() == fours(side) * 4 * step.next_multiple_of(LANES));
    assert!(row.bias.len() == step && row.multipliers.len() == step);
    let needed = ((places.max(1) - 1) * row.stride + side) * step;
    assert!(row.inputs.iter().all(|values| needed <= values.len()), "a row of values is too short");
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe {
        match (side, row.stride) {
            (3, 1) => all::<3, 1, 3>(row, places),
            (3, 2) => all::<3, 2, 2>(row, places),
            (5, 1) => all::<5, 1, 5>(row, places),
            (5, 2) => all::<5, 2, 3>(row, places),
            _ => unreachable!("groups are packed for windows of side 3 and 5, others are not computed here"),
        }
    }
}

/// `LIVE` windows lie over a column at most.
///
/// # Safety
/// AVX-512 with VNNI; the lengths of `row` fit each other, `SIDE` and `STRIDE`.
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn all<const SIDE: usize, const STRIDE: usize, const LIVE: usize>(row: Row<'_>, places: usize) {
    for first in (0..row.step).step_by(LANES) {
        // SAFETY: promised.
        unsafe {
            let there = u64::MAX >> (LANES - LANES.min(row.step - first));
            let block = Block::<SIDE> {
                inputs: from_fn(|at| row.inputs[at].as_ptr().add(first)),
                step: row.step,
                there,
                weights: row.groups.as_ptr().add(first * 4 * fours(SIDE)),
                bias: quarters(first, row.bias),
                multipliers: quarters(first, bytemuck::cast_slice(row.multipliers))
                    .map(|bits| _mm512_castsi512_ps(bits)),
                ends: Ends::of(row.limits),
                output: row.output.as_mut_ptr().add(first),
            };
            if there == u64::MAX {
                block.run::<STRIDE, LIVE, true>(places);
            } else {
                block.run::<STRIDE, LIVE, false>(places);
            }
        }
    }
}

/// Numbers of sixty-four channels, as sums have them; zeros where there are no more.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn quarters(first: usize, numbers: &[i32]) -> Four {
    let mut lanes = [0; LANES];
    let numbers = &numbers[first..];
    let count = numbers.len().min(LANES);
    lanes[..count].copy_from_slice(&numbers[..count]);
    // SAFETY: sixty-four numbers; loads need no alignment.
    let [a, b, c, d] = from_fn(|at| unsafe { _mm512_loadu_si512(lanes.as_ptr().add(16 * at).cast()) });
    let (low, high) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
    let (lower, higher) = (_mm512_shuffle_i32x4::<0xEE>(a, b), _mm512_shuffle_i32x4::<0xEE>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(low, high),
        _mm512_shuffle_i32x4::<0xDD>(low, high),
        _mm512_shuffle_i32x4::<0x88>(lower, higher),
        _mm512_shuffle_i32x4::<0xDD>(lower, higher),
    ]
}

/// Sixty-four channels of a layer over a row.
struct Block<const SIDE: usize> {
    /// Under the first window.
    inputs: [*const i8; SIDE],
    step: usize,
    /// Which of the channels there are.
    there: __mmask64,
    /// `[group][vector][channel][4]`.
    weights: *const i8,
    bias: Four,
    multipliers: [__m512; 4],
    ends: Ends,
    output: *mut i8,
}

/// What was seen of the fifth row: the last column, and the pairs of columns that end one and two before the next.
struct Seen {
    last: __m512i,
    pairs: [[__m512i; 2]; 2],
}

/// # Safety
/// Of every function: AVX-512 with VNNI; the values under the windows, and the room for their results, are there.
impl<const SIDE: usize> Block<SIDE> {
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    unsafe fn run<const STRIDE: usize, const LIVE: usize, const WHOLE: bool>(&self, places: usize) {
        // The first is of the window that ends first.
        let mut sums = [self.bias; LIVE];
        let zero = _mm512_setzero_si512();
        let mut seen = Seen { last: zero, pairs: [[zero; 2]; 2] };
        // SAFETY: promised.
        unsafe {
            let mut at = 0;
            columns!(tap in SIDE - STRIDE => {
                self.column::<STRIDE, LIVE, WHOLE>(tap, at, &mut seen, &mut sums);
                at += self.step;
            });
            for place in 0..places {
                columns!(more in STRIDE => {
                    self.column::<STRIDE, LIVE, WHOLE>(SIDE - STRIDE + more, at, &mut seen, &mut sums);
                    at += self.step;
                });
                let found = self.ends.stored(sums[0], self.multipliers);
                let to = self.output.add(place * self.step);
                if WHOLE {
                    _mm512_storeu_si512(to.cast(), found);
                } else {
                    _mm512_mask_storeu_epi8(to, self.there, found);
                }
                columns!(at in LIVE - 1 => { sums[at] = sums[at + 1]; });
                sums[LIVE - 1] = self.bias;
            }
        }
    }

    /// Adds a column to every window over it; it is column `tap` of the first.
    #[inline(always)]
    unsafe fn column<const STRIDE: usize, const LIVE: usize, const WHOLE: bool>(
        &self,
        tap: usize,
        at: usize,
        seen: &mut Seen,
        sums: &mut [Four; LIVE],
    ) {
        // SAFETY: promised.
        unsafe {
            let row = |row: usize| self.values::<WHOLE>(self.inputs[row].add(at));
            let fourth = if SIDE == 5 { row(3) } else { _mm512_setzero_si512() };
            let values = interleaved(pairs(row(0), row(1)), pairs(row(2), fourth));
            columns!(window in LIVE => {
                let tap = tap.wrapping_sub(window * STRIDE);
                if tap < SIDE {
                    self.add(&mut sums[window], values, tap);
                }
            });
            if SIDE == 5 {
                let here = row(4);
                let pair = pairs(seen.last, here);
                let values = interleaved(seen.pairs[0], pair);
                *seen = Seen { last: here, pairs: [seen.pairs[1], pair] };
                columns!(window in LIVE => {
                    match tap.wrapping_sub(window * STRIDE) {
                        3 => self.add(&mut sums[window], values, 5),
                        4 => self.add(&mut sums[window], values, 6),
                        _ => {}
                    }
                });
            }
        }
    }

    /// Values, 128 added to each.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    unsafe fn values<const WHOLE: bool>(&self, from: *const i8) -> __m512i {
        // SAFETY: promised; loads need no alignment, and read nothing where no channels are.
        let values =
            unsafe { if WHOLE { _mm512_loadu_si512(from.cast()) } else { _mm512_maskz_loadu_epi8(self.there, from) } };
        _mm512_xor_si512(values, _mm512_set1_epi8(i8::MIN))
    }

    /// Adds a group of taps.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    unsafe fn add(&self, sums: &mut Four, values: Four, group: usize) {
        for (at, (sum, values)) in sums.iter_mut().zip(values).enumerate() {
            // SAFETY: promised; loads need no alignment.
            let weights = unsafe { _mm512_loadu_si512(self.weights.add((4 * group + at) * 64).cast()) };
            *sum = _mm512_dpbusd_epi32(*sum, values, weights);
        }
    }
}

/// Pairs of bytes: of the lower and the upper half of each quarter.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn pairs(first: __m512i, second: __m512i) -> [__m512i; 2] {
    [_mm512_unpacklo_epi8(first, second), _mm512_unpackhi_epi8(first, second)]
}

/// Fours of bytes, from pairs.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn interleaved(first: [__m512i; 2], second: [__m512i; 2]) -> Four {
    [
        _mm512_unpacklo_epi16(first[0], second[0]),
        _mm512_unpackhi_epi16(first[0], second[0]),
        _mm512_unpacklo_epi16(first[1], second[1]),
        _mm512_unpackhi_epi16(first[1], second[1]),
    ]
}
