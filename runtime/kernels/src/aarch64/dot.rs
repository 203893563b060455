//! Products by the 8-bit dot product: four values times four weights for four outputs, sixteen products in one instruction.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Products, Sums};
use crate::picture::BLOCK;

/// The instructions of an ARM with the dot product.
pub(crate) struct Dot;

impl Products for Dot {
    const PIXELS_OF_TWO_BLOCKS: usize = 0;
    const PIXELS_OF_ONE_BLOCK: usize = 6;

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
            let sixteen = |at: usize| values.map(|values| vld1q_s8(values.add(at)));
            let weights = |at: usize| weights.add(at * BLOCK);
            for at in (0..whole).step_by(BLOCK) {
                let values = sixteen(at);
                four_depths::<N, B, 0>(sums, values, weights(at), stride);
                four_depths::<N, B, 1>(sums, values, weights(at + 4), stride);
                four_depths::<N, B, 2>(sums, values, weights(at + 8), stride);
                four_depths::<N, B, 3>(sums, values, weights(at + 12), stride);
            }
            let rest = run - whole;
            if rest > 0 {
                let values = sixteen(whole);
                four_depths::<N, B, 0>(sums, values, weights(whole), stride);
                if rest > 4 {
                    four_depths::<N, B, 1>(sums, values, weights(whole + 4), stride);
                }
                if rest > 8 {
                    four_depths::<N, B, 2>(sums, values, weights(whole + 8), stride);
                }
            }
        }
    }
}

/// Values `4 * FOUR` to `4 * FOUR + 3` of each pixel.
///
/// # Safety
/// The dot product; 64 weights for each of `B` blocks.
#[inline(always)]
unsafe fn four_depths<const N: usize, const B: usize, const FOUR: usize>(
    sums: &mut [[Sums; B]; N],
    values: [int8x16_t; N],
    weights: *const i8,
    stride: usize,
) {
    for block in 0..B {
        for four in 0..4 {
            // SAFETY: promised.
            unsafe {
                let weights = vld1q_s8(weights.add(block * stride + four * 16));
                for (sums, values) in sums.iter_mut().zip(values) {
                    let sum = &mut sums[block][four];
                    *sum = dot::<FOUR>(*sum, weights, values);
                }
            }
        }
    }
}

/// `SDOT` by element; the standard library's name for it, `vdotq_laneq_s32`, is not stable yet.
///
/// # Safety
/// The dot product.
#[inline(always)]
unsafe fn dot<const FOUR: usize>(mut sum: int32x4_t, weights: int8x16_t, values: int8x16_t) -> int32x4_t {
    // SAFETY: promised; nothing but the sum changes.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {weights:v}.16b, {values:v}.4b[{four}]",
            sum = inout(vreg) sum,
            weights = in(vreg) weights,
            values = in(vreg) values,
            four = const FOUR,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
