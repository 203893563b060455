//! Products by the 8-bit matrix product: two pixels times two outputs, eight depths of each, thirty-two products in one instruction.
//!
//! The standard library's names for it are not stable yet, so these loops are written out.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Products, Sums, Work, four_vectors};

/// The instructions of an ARM with the matrix product.
pub(crate) struct I8mm;

/// Two vectors of weights, each for two outputs, times pairs of pixels.
macro_rules! products {
    ($($low:literal $high:literal $values:literal),+) => {
        concat!(
            "ldp {w0:q}, {w1:q}, [{weights}], #32\n",
            $("smmla {", $low, ":v}.4s, {", $values, ":v}.16b, {w0:v}.16b\n",)+
            $("smmla {", $high, ":v}.4s, {", $values, ":v}.16b, {w1:v}.16b\n",)+
        )
    };
}

/// Eight depths of six pixels, sixteen outputs.
macro_rules! three_pairs {
    ($first:literal, $second:literal, $third:literal) => {
        concat!(
            products!("a0" "a1" $first, "b0" "b1" $second, "c0" "c1" $third),
            products!("a2" "a3" $first, "b2" "b3" $second, "c2" "c3" $third),
            products!("a4" "a5" $first, "b4" "b5" $second, "c4" "c5" $third),
            products!("a6" "a7" $first, "b6" "b7" $second, "c6" "c7" $third),
        )
    };
}

/// Eight depths of two pixels, sixteen outputs.
macro_rules! one_pair {
    ($values:literal) => {
        concat!(
            products!("a0" "a1" $values),
            products!("a2" "a3" $values),
            products!("a4" "a5" $values),
            products!("a6" "a7" $values),
        )
    };
}

/// Six pixels by one block: twenty-four vectors of sums, six of values and two of weights fill the registers.
impl Products<6, 1> for I8mm {
    const TOGETHER: usize = 8;

    #[inline(always)]
    unsafe fn start(bias: *const i32) -> [[Sums; 1]; 6] {
        // SAFETY: promised.
        let mut sums = [[unsafe { four_vectors(bias) }]; 6];
        turn(&mut sums);
        sums
    }

    #[inline(always)]
    unsafe fn turn(sums: &mut [[Sums; 1]; 6]) {
        turn(sums);
    }

    #[inline(always)]
    unsafe fn tile(sums: &mut [[Sums; 1]; 6], values: [*const i8; 6], run: usize, [weights]: [*const i8; 1]) {
        let [[[a0, a2, a4, a6]], [[a1, a3, a5, a7]], [[b0, b2, b4, b6]], [[b1, b3, b5, b7]], rest @ ..] = sums;
        let [[[c0, c2, c4, c6]], [[c1, c3, c5, c7]]] = rest;
        // SAFETY: promised; nothing is written to memory.
        unsafe {
            asm!(
                ".arch_extension i8mm",
                over_run!(
                    "ldr {v0:q}, [{values0}], #16\nldr {v1:q}, [{values1}], #16\nldr {v2:q}, [{values2}], #16\n\
                     ldr {v3:q}, [{values3}], #16\nldr {w0:q}, [{values4}], #16\nldr {v5:q}, [{values5}], #16\n\
                     trn1 {v6:v}.2d, {v0:v}.2d, {v1:v}.2d\ntrn2 {v1:v}.2d, {v0:v}.2d, {v1:v}.2d\n\
                     trn1 {v0:v}.2d, {v2:v}.2d, {v3:v}.2d\ntrn2 {v3:v}.2d, {v2:v}.2d, {v3:v}.2d\n\
                     trn1 {v2:v}.2d, {w0:v}.2d, {v5:v}.2d\ntrn2 {v5:v}.2d, {w0:v}.2d, {v5:v}.2d\n",
                    concat!(three_pairs!("v6", "v0", "v2"), three_pairs!("v1", "v3", "v5")),
                    three_pairs!("v6", "v0", "v2")
                ),
                run = inout(reg) run => _,
                values0 = inout(reg) values[0] => _, values1 = inout(reg) values[1] => _,
                values2 = inout(reg) values[2] => _, values3 = inout(reg) values[3] => _,
                values4 = inout(reg) values[4] => _, values5 = inout(reg) values[5] => _,
                weights = inout(reg) weights => _,
                a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                a4 = inout(vreg) *a4, a5 = inout(vreg) *a5, a6 = inout(vreg) *a6, a7 = inout(vreg) *a7,
                b0 = inout(vreg) *b0, b1 = inout(vreg) *b1, b2 = inout(vreg) *b2, b3 = inout(vreg) *b3,
                b4 = inout(vreg) *b4, b5 = inout(vreg) *b5, b6 = inout(vreg) *b6, b7 = inout(vreg) *b7,
                c0 = inout(vreg) *c0, c1 = inout(vreg) *c1, c2 = inout(vreg) *c2, c3 = inout(vreg) *c3,
                c4 = inout(vreg) *c4, c5 = inout(vreg) *c5, c6 = inout(vreg) *c6, c7 = inout(vreg) *c7,
                v0 = out(vreg) _, v1 = out(vreg) _, v2 = out(vreg) _, v3 = out(vreg) _, v5 = out(vreg) _,
                v6 = out(vreg) _, w0 = out(vreg) _, w1 = out(vreg) _,
                options(pure, readonly, nostack),
            );
        }
    }

    #[inline(always)]
    unsafe fn one(sums: &mut Sums, values: *const i8, run: usize, weights: *const i8) {
        // A pair of the same pixel: its products come twice.
        let mut both = [[*sums]; 2];
        turn(&mut both);
        // SAFETY: promised.
        unsafe { <Self as Products<2, 1>>::tile(&mut both, [values; 2], run, [weights]) };
        turn(&mut both);
        *sums = both[0][0];
    }

    #[inline(always)]
    unsafe fn few(work: &impl Work, pixel: usize, left: usize, block: usize) -> usize {
        // SAFETY: promised.
        unsafe {
            if left < 2 {
                work.one::<Self, 6, 1>(pixel, block);
                return 1;
            }
            work.tile::<Self, 2, 1>(pixel, block);
        }
        2
    }
}

/// One pair, for what is left of a picture.
impl Products<2, 1> for I8mm {
    const TOGETHER: usize = 8;

    #[inline(always)]
    unsafe fn start(bias: *const i32) -> [[Sums; 1]; 2] {
        // SAFETY: promised.
        let mut sums = [[unsafe { four_vectors(bias) }]; 2];
        turn(&mut sums);
        sums
    }

    #[inline(always)]
    unsafe fn turn(sums: &mut [[Sums; 1]; 2]) {
        turn(sums);
    }

    #[inline(always)]
    unsafe fn tile(sums: &mut [[Sums; 1]; 2], values: [*const i8; 2], run: usize, [weights]: [*const i8; 1]) {
        let [[[a0, a2, a4, a6]], [[a1, a3, a5, a7]]] = sums;
        // SAFETY: promised; nothing is written to memory.
        unsafe {
            asm!(
                ".arch_extension i8mm",
                over_run!(
                    "ldr {v0:q}, [{values0}], #16\nldr {v1:q}, [{values1}], #16\n\
                     trn1 {w0:v}.2d, {v0:v}.2d, {v1:v}.2d\ntrn2 {v1:v}.2d, {v0:v}.2d, {v1:v}.2d\n\
                     mov {v0:v}.16b, {w0:v}.16b\n",
                    concat!(one_pair!("v0"), one_pair!("v1")),
                    one_pair!("v0")
                ),
                run = inout(reg) run => _,
                values0 = inout(reg) values[0] => _, values1 = inout(reg) values[1] => _,
                weights = inout(reg) weights => _,
                a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                a4 = inout(vreg) *a4, a5 = inout(vreg) *a5, a6 = inout(vreg) *a6, a7 = inout(vreg) *a7,
                v0 = out(vreg) _, v1 = out(vreg) _, w0 = out(vreg) _, w1 = out(vreg) _,
                options(pure, readonly, nostack),
            );
        }
    }

    #[inline(always)]
    unsafe fn one(sums: &mut Sums, values: *const i8, run: usize, weights: *const i8) {
        // SAFETY: promised.
        unsafe { <Self as Products<6, 1>>::one(sums, values, run, weights) }
    }
}

/// Sums of two neighbouring pixels as vectors of two outputs of both, outputs `4 * at` and the next in the first pixel's list; and
/// back, which is the same exchange.
#[inline(always)]
fn turn<const N: usize>(sums: &mut [[Sums; 1]; N]) {
    let (pairs, []) = sums.as_chunks_mut::<2>() else { unreachable!("pairs of pixels") };
    for [first, second] in pairs {
        for (first, second) in first[0].iter_mut().zip(&mut second[0]) {
            // SAFETY: every 64-bit ARM has these instructions.
            unsafe {
                let [a, b] = [*first, *second].map(|sums| vreinterpretq_s64_s32(sums));
                *first = vreinterpretq_s32_s64(vzip1q_s64(a, b));
                *second = vreinterpretq_s32_s64(vzip2q_s64(a, b));
            }
        }
    }
}
