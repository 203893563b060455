//! Products without a dot product: two pairs of 8-bit products fit 16 bits, because no weight is -128.
//!
//! `SMULL` multiplies a pair of values with a pair of weights for four outputs, `SMLAL` adds the products of the next pair (at most
//! 2 * 127 * 128 in magnitude), and `SADALP` adds neighbours to the 32-bit sums: sixteen products in three instructions.

use std::arch::aarch64::*;

use super::{Products, Sums};
use crate::picture::BLOCK;

/// The instructions that every 64-bit ARM has.
pub(crate) struct Pairs;

impl Products for Pairs {
    /// Sixteen vectors of sums, and eight of weights for two pairs; a pair of values is spread over a vector for eight products.
    const PIXELS_OF_TWO_BLOCKS: usize = 2;
    const PIXELS_OF_ONE_BLOCK: usize = 4;

    #[inline(always)]
    unsafe fn add<const N: usize, const B: usize>(
        sums: &mut [[Sums; B]; N],
        values: [*const i8; N],
        run: usize,
        weights: *const i8,
        stride: usize,
    ) {
        let whole = run / BLOCK * BLOCK;
        // SAFETY: promised; sixteen values may be read at the end of a run, too.
        unsafe {
            let sixteen = |at: usize| values.map(|values| vld1q_s16(values.add(at).cast()));
            let weights = |at: usize| weights.add(at * BLOCK);
            for at in (0..whole).step_by(BLOCK) {
                let values = sixteen(at);
                four_depths::<N, B, 0, 1>(sums, values, weights(at), stride);
                four_depths::<N, B, 2, 3>(sums, values, weights(at + 4), stride);
                four_depths::<N, B, 4, 5>(sums, values, weights(at + 8), stride);
                four_depths::<N, B, 6, 7>(sums, values, weights(at + 12), stride);
            }
            let rest = run - whole;
            if rest > 0 {
                let values = sixteen(whole);
                four_depths::<N, B, 0, 1>(sums, values, weights(whole), stride);
                if rest > 4 {
                    four_depths::<N, B, 2, 3>(sums, values, weights(whole + 4), stride);
                }
                if rest > 8 {
                    four_depths::<N, B, 4, 5>(sums, values, weights(whole + 8), stride);
                }
            }
        }
    }
}

/// Pairs `FIRST` and `SECOND` of the values of each pixel.
///
/// # Safety
/// 64 weights for each of `B` blocks.
#[inline(always)]
unsafe fn four_depths<const N: usize, const B: usize, const FIRST: i32, const SECOND: i32>(
    sums: &mut [[Sums; B]; N],
    values: [int16x8_t; N],
    weights: *const i8,
    stride: usize,
) {
    for (sums, values) in sums.iter_mut().zip(values) {
        // SAFETY: promised; every 64-bit ARM has these instructions.
        unsafe {
            let first = vreinterpretq_s8_s16(vdupq_laneq_s16::<FIRST>(values));
            let second = vreinterpretq_s8_s16(vdupq_laneq_s16::<SECOND>(values));
            for (block, sums) in sums.iter_mut().enumerate() {
                let weights = weights.add(block * stride);
                for half in 0..2 {
                    let [one, other] = [vld1q_s8(weights.add(16 * half)), vld1q_s8(weights.add(32 + 16 * half))];
                    let low = vmull_s8(vget_low_s8(one), vget_low_s8(first));
                    let low = vmlal_s8(low, vget_low_s8(other), vget_low_s8(second));
                    sums[2 * half] = vpadalq_s16(sums[2 * half], low);
                    let high = vmlal_high_s8(vmull_high_s8(one, first), other, second);
                    sums[2 * half + 1] = vpadalq_s16(sums[2 * half + 1], high);
                }
            }
        }
    }
}
