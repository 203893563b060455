//! Convolutions of small pictures, tap by tap.

use std::arch::x86_64::*;

use super::conv::add_products;
use super::{Add, Ends, Sums, kept, mixed_float_vectors, mixed_vectors, stored};
use crate::conv::even;
use crate::conv::taps::{Visit, Visits};
use crate::picture::BLOCK;

/// Pixels multiplied at once.
const PIXELS: usize = 6;

/// As [`crate::conv::taps::portable`].
pub(crate) fn visits<M: Add>(visits: Visits<'_, i16>, sums: &mut [i32]) {
    visits.check(sums, 1);
    let Visits { input, taps, channels, weights, bias, multipliers, limits, targets, output, .. } = visits;
    let outputs = multipliers.len();
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe {
        let ends = Ends::of(limits);
        for block in 0..outputs / BLOCK {
            let own = mixed_vectors(bias.as_ptr().add(block * BLOCK));
            for place in 0..targets.len() {
                keep(sums.as_mut_ptr().add(place * BLOCK), own);
            }
            for (tap, seen) in taps.iter().enumerate() {
                let tap = Tap {
                    input: input.as_ptr(),
                    channels,
                    weights: weights.as_ptr().add((block * taps.len() + tap) * channels * BLOCK),
                    bias: mixed_vectors(bias.as_ptr().add((tap + 1) * outputs + block * BLOCK)),
                    sums: sums.as_mut_ptr(),
                };
                tap.add::<M>(seen);
            }
            let multipliers = mixed_float_vectors(multipliers.as_ptr().add(block * BLOCK));
            for (place, target) in targets.iter().enumerate() {
                let found = stored(kept_sums(sums.as_ptr().add(place * BLOCK)), multipliers, ends);
                _mm256_storeu_si256(output.as_mut_ptr().add(*target as usize + block * BLOCK).cast(), found);
            }
        }
    }
}

/// # Safety
/// AVX2; sixteen sums in mixed order.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn kept_sums(from: *const i32) -> Sums {
    // SAFETY: promised; loads need no alignment.
    [0, 8].map(|at| unsafe { _mm256_loadu_si256(from.add(at).cast()) })
}

/// # Safety
/// AVX2; room for sixteen sums.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn keep(to: *mut i32, sums: Sums) {
    for (at, sums) in sums.into_iter().enumerate() {
        // SAFETY: promised; stores need no alignment.
        unsafe { _mm256_storeu_si256(to.add(8 * at).cast(), sums) };
    }
}

/// What one tap adds to sixteen outputs.
struct Tap {
    input: *const i16,
    channels: usize,
    weights: *const i8,
    bias: Sums,
    sums: *mut i32,
}

impl Tap {
    /// # Safety
    /// AVX2 and `M`; every visit's values and sums are there, and `16 * channels` weights.
    #[target_feature(enable = "avx2")]
    unsafe fn add<M: Add>(&self, mut seen: &[Visit]) {
        while !seen.is_empty() {
            let (now, later) = seen.split_at(even(seen.len(), PIXELS));
            seen = later;
            // SAFETY: promised.
            unsafe {
                match now.len() {
                    1 => self.add_to::<M, 1>(now),
                    2 => self.add_to::<M, 2>(now),
                    3 => self.add_to::<M, 3>(now),
                    4 => self.add_to::<M, 4>(now),
                    5 => self.add_to::<M, 5>(now),
                    _ => self.add_to::<M, PIXELS>(now),
                }
            }
        }
    }

    /// # Safety
    /// As [`Tap::add`]; `N` visits.
    #[inline(never)]
    #[target_feature(enable = "avx2")]
    unsafe fn add_to<M: Add, const N: usize>(&self, seen: &[Visit]) {
        // SAFETY: promised.
        unsafe {
            let place = |at: usize| self.sums.add(seen[at].place as usize * BLOCK);
            let mut sums: [Sums; N] = std::array::from_fn(|at| {
                let [low, high] = kept_sums(place(at));
                [_mm256_add_epi32(low, self.bias[0]), _mm256_add_epi32(high, self.bias[1])]
            });
            let values = std::array::from_fn(|at| kept(self.input.add(seen[at].start as usize)));
            add_products::<M, _, _>(values, self.channels, self.weights, &mut sums);
            for (at, sums) in sums.into_iter().enumerate() {
                keep(place(at), sums);
            }
        }
    }
}
