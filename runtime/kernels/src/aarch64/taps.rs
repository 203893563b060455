//! Convolutions of small pictures, tap by tap.

use std::arch::aarch64::*;

use super::{Ends, Products, Sums, Work, all, four_float_vectors, four_vectors, keep};
use crate::conv::taps::{Visit, Visits};
use crate::picture::BLOCK;

/// As [`crate::conv::taps::portable`]; only for [`Instructions`](crate::backend::Instructions) that have those of `K`.
pub(crate) fn visits<K: Products<N, B>, const N: usize, const B: usize>(visits: Visits<'_, i8>, sums: &mut [i32]) {
    visits.check(sums, B);
    let Visits { input, taps, channels, weights, bias, multipliers, limits, targets, output, .. } = visits;
    let (outputs, places) = (multipliers.len(), targets.len());
    let (blocks, ends, sums) = (outputs / BLOCK, Ends::of(limits), sums.as_mut_ptr());
    for first in (0..blocks).step_by(B) {
        let count = B.min(blocks - first);
        // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
        unsafe {
            for block in 0..count {
                let own = four_vectors(bias.as_ptr().add((first + block) * BLOCK));
                (0..places).for_each(|place| keep(sums.add((block * places + place) * BLOCK), own));
            }
            for (tap, seen) in taps.iter().enumerate() {
                let work = Tap {
                    input: input.as_ptr(),
                    seen,
                    places,
                    channels,
                    weights: weights.as_ptr().add((first * taps.len() + tap) * channels * BLOCK),
                    to_next_block: taps.len() * channels * BLOCK,
                    bias: bias.as_ptr().add((tap + 1) * outputs + first * BLOCK),
                    sums,
                };
                all::<K, N, B>(&work, seen.len(), count);
            }
            for block in 0..count {
                let multipliers = four_float_vectors(multipliers.as_ptr().add((first + block) * BLOCK));
                for (place, target) in targets.iter().enumerate() {
                    let sums = four_vectors(sums.add((block * places + place) * BLOCK));
                    let to = output.as_mut_ptr().add(*target as usize + (first + block) * BLOCK);
                    vst1q_s8(to, ends.stored::<true>(sums, multipliers));
                }
            }
        }
    }
}

/// What one tap adds to some blocks of outputs.
struct Tap<'a> {
    input: *const i8,
    seen: &'a [Visit],
    places: usize,
    channels: usize,
    weights: *const i8,
    to_next_block: usize,
    bias: *const i32,
    /// `[block][place][16]`.
    sums: *mut i32,
}

impl Tap<'_> {
    /// Where the sums of a place that is seen are kept.
    ///
    /// # Safety
    /// There is such a visit and such a block.
    #[inline(always)]
    unsafe fn kept(&self, pixel: usize, block: usize) -> *mut i32 {
        // SAFETY: promised.
        unsafe { self.sums.add((block * self.places + self.seen.get_unchecked(pixel).place as usize) * BLOCK) }
    }

    /// Those sums and the tap's bias.
    ///
    /// # Safety
    /// As [`Tap::kept`].
    #[inline(always)]
    unsafe fn sums(&self, pixel: usize, block: usize) -> Sums {
        // SAFETY: promised.
        unsafe {
            let (sums, bias) = (four_vectors(self.kept(pixel, block)), four_vectors(self.bias.add(block * BLOCK)));
            std::array::from_fn(|at| vaddq_s32(sums[at], bias[at]))
        }
    }

    /// # Safety
    /// There is such a visit.
    #[inline(always)]
    unsafe fn values(&self, pixel: usize) -> *const i8 {
        // SAFETY: promised.
        unsafe { self.input.add(self.seen.get_unchecked(pixel).start as usize) }
    }
}

impl Work for Tap<'_> {
    #[inline(always)]
    unsafe fn tile<K: Products<N, B>, const N: usize, const B: usize>(&self, pixel: usize, block: usize) {
        // SAFETY: promised.
        unsafe {
            let mut sums: [[Sums; B]; N] =
                std::array::from_fn(|at| std::array::from_fn(|other| self.sums(pixel + at, block + other)));
            let values = std::array::from_fn(|at| self.values(pixel + at));
            let weights = std::array::from_fn(|at| self.weights.add((block + at) * self.to_next_block));
            K::turn(&mut sums);
            K::tile(&mut sums, values, self.channels, weights);
            K::turn(&mut sums);
            for (at, sums) in sums.into_iter().enumerate() {
                sums.into_iter().enumerate().for_each(|(other, sums)| keep(self.kept(pixel + at, block + other), sums));
            }
        }
    }

    #[inline(always)]
    unsafe fn one<K: Products<N, B>, const N: usize, const B: usize>(&self, pixel: usize, block: usize) {
        // SAFETY: promised.
        unsafe {
            let mut sums = self.sums(pixel, block);
            K::one(&mut sums, self.values(pixel), self.channels, self.weights.add(block * self.to_next_block));
            keep(self.kept(pixel, block), sums);
        }
    }
}
