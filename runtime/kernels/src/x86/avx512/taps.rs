//! Convolutions of small pictures, tap by tap.

use std::arch::x86_64::*;

use super::{BLOCKS, Ends, Work, add_products, all, float_vectors, store, vectors};
use crate::conv::even;
use crate::conv::taps::{Visit, Visits};
use crate::picture::BLOCK;

/// As [`crate::conv::taps::portable`].
pub(crate) fn visits(visits: Visits<'_, i8>, sums: &mut [i32]) {
    visits.check(sums, BLOCKS);
    let Visits { input, taps, channels, weights, bias, multipliers, limits, targets, output, .. } = visits;
    let (outputs, places) = (multipliers.len(), targets.len());
    let (blocks, sums) = (outputs / BLOCK, sums.as_mut_ptr());
    let each = even(blocks, BLOCKS).max(1);
    for first in (0..blocks).step_by(each) {
        let count = each.min(blocks - first);
        // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
        unsafe {
            start(bias.as_ptr().add(first * BLOCK), places, count, sums);
            for (tap, seen) in taps.iter().enumerate() {
                let work = Tap {
                    input: input.as_ptr(),
                    seen,
                    channels,
                    weights: weights.as_ptr().add((first * taps.len() + tap) * channels * BLOCK),
                    to_next_block: taps.len() * channels * BLOCK,
                    bias: bias.as_ptr().add((tap + 1) * outputs + first * BLOCK),
                    sums,
                };
                all(&work, seen.len(), count);
            }
            let end = End { sums, multipliers: multipliers.as_ptr(), ends: Ends::of(limits), targets, first };
            let output = output.as_mut_ptr();
            match count {
                1 => end.store::<1>(output),
                2 => end.store::<2>(output),
                3 => end.store::<3>(output),
                _ => end.store::<BLOCKS>(output),
            }
        }
    }
}

/// Has the sums of all places begin with the biases of `count` blocks.
///
/// # Safety
/// AVX-512 with VNNI; so many biases, and room for so many sums.
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn start(bias: *const i32, places: usize, count: usize, sums: *mut i32) {
    for block in 0..count {
        // SAFETY: promised; stores need no alignment.
        unsafe {
            let [own] = vectors(bias.add(block * BLOCK));
            (0..places).for_each(|place| _mm512_storeu_si512(kept(sums, place, block).cast(), own));
        }
    }
}

/// Where the sums of a place are kept: `[place][block of those computed at once][16]`.
///
/// # Safety
/// There is such a place and such a block.
#[inline(always)]
unsafe fn kept(sums: *mut i32, place: usize, block: usize) -> *mut i32 {
    // SAFETY: promised.
    unsafe { sums.add((place * BLOCKS + block) * BLOCK) }
}

/// What one tap adds to some blocks of outputs.
struct Tap<'a> {
    input: *const i8,
    seen: &'a [Visit],
    channels: usize,
    weights: *const i8,
    to_next_block: usize,
    bias: *const i32,
    sums: *mut i32,
}

impl Work for Tap<'_> {
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    unsafe fn tile<const N: usize, const B: usize>(&self, pixel: usize, block: usize) {
        // SAFETY: promised; stores need no alignment.
        unsafe {
            let visit = |at: usize| *self.seen.get_unchecked(pixel + at);
            let place = |at: usize| kept(self.sums, visit(at).place as usize, block);
            let bias: [_; B] = vectors(self.bias.add(block * BLOCK));
            let mut sums: [[_; B]; N] = std::array::from_fn(|at| {
                let own: [_; B] = vectors(place(at));
                std::array::from_fn(|other| _mm512_add_epi32(own[other], bias[other]))
            });
            let values = std::array::from_fn(|at| self.input.add(visit(at).start as usize));
            let weights = self.weights.add(block * self.to_next_block);
            add_products(values, self.channels, weights, self.to_next_block, &mut sums);
            for (at, sums) in sums.into_iter().enumerate() {
                for (other, sums) in sums.into_iter().enumerate() {
                    _mm512_storeu_si512(place(at).add(other * BLOCK).cast(), sums);
                }
            }
        }
    }
}

/// What makes stored values of sums.
struct End<'a> {
    sums: *mut i32,
    multipliers: *const f32,
    ends: Ends,
    targets: &'a [u32],
    /// The first block.
    first: usize,
}

impl End<'_> {
    /// # Safety
    /// AVX-512 with VNNI; `B` blocks of sums for every target, and room for their results.
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    unsafe fn store<const B: usize>(&self, output: *mut i8) {
        // SAFETY: promised.
        unsafe {
            let multipliers = float_vectors(self.multipliers.add(self.first * BLOCK));
            for (place, target) in self.targets.iter().enumerate() {
                let sums = vectors(kept(self.sums, place, 0));
                store::<B>(sums, multipliers, self.ends, output.add(*target as usize + self.first * BLOCK));
            }
        }
    }
}
