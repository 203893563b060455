//! Products without a dot product: two pairs of 8-bit products fit 16 bits, because no weight is -128.
//!
//! `SMULL` multiplies a pair of values with a pair of weights for four outputs, `SMLAL` adds the products of the next pair (at most
//! 2 * 127 * 128 in magnitude), and `SADALP` adds neighbours to the 32-bit sums: sixteen products in three instructions.
//! These loops are written out because compilers load all weights early and then spill sums.

use std::arch::asm;

use super::{Products, Sums};

/// The instructions that every 64-bit ARM has.
pub(crate) struct Pairs;

/// Four depths of a pixel, its pairs in `{x}` and `{y}`, for a block of outputs.
macro_rules! block {
    ($s0:literal, $s1:literal, $s2:literal, $s3:literal, $w0:literal, $w1:literal, $w2:literal, $w3:literal) => {
        concat!(
            "smull {t0:v}.8h, {",
            $w0,
            ":v}.8b, {x:v}.8b\n",
            "smull2 {t1:v}.8h, {",
            $w0,
            ":v}.16b, {x:v}.16b\n",
            "smull {t2:v}.8h, {",
            $w1,
            ":v}.8b, {x:v}.8b\n",
            "smull2 {t3:v}.8h, {",
            $w1,
            ":v}.16b, {x:v}.16b\n",
            "smlal {t0:v}.8h, {",
            $w2,
            ":v}.8b, {y:v}.8b\n",
            "smlal2 {t1:v}.8h, {",
            $w2,
            ":v}.16b, {y:v}.16b\n",
            "smlal {t2:v}.8h, {",
            $w3,
            ":v}.8b, {y:v}.8b\n",
            "smlal2 {t3:v}.8h, {",
            $w3,
            ":v}.16b, {y:v}.16b\n",
            "sadalp {",
            $s0,
            ":v}.4s, {t0:v}.8h\n",
            "sadalp {",
            $s1,
            ":v}.4s, {t1:v}.8h\n",
            "sadalp {",
            $s2,
            ":v}.4s, {t2:v}.8h\n",
            "sadalp {",
            $s3,
            ":v}.4s, {t3:v}.8h\n",
        )
    };
}

/// Spreads two pairs of values over `{x}` and `{y}`.
macro_rules! spread {
    ($values:literal, $first:literal, $second:literal) => {
        concat!(
            "dup {x:v}.8h, {",
            $values,
            ":v}.h[",
            $first,
            "]\n",
            "dup {y:v}.8h, {",
            $values,
            ":v}.h[",
            $second,
            "]\n",
        )
    };
}

/// Four depths of weights of a block.
macro_rules! weights {
    ($from:literal, $w0:literal, $w1:literal, $w2:literal, $w3:literal) => {
        concat!(
            "ldp {",
            $w0,
            ":q}, {",
            $w1,
            ":q}, [{",
            $from,
            "}], #32\n",
            "ldp {",
            $w2,
            ":q}, {",
            $w3,
            ":q}, [{",
            $from,
            "}], #32\n",
        )
    };
}

macro_rules! two_by_two {
    ($first:literal, $second:literal) => {
        concat!(
            weights!("weights0", "w0", "w1", "w2", "w3"),
            spread!("v0", $first, $second),
            block!("a0", "a1", "a2", "a3", "w0", "w1", "w2", "w3"),
            weights!("weights1", "u0", "u1", "u2", "u3"),
            block!("b0", "b1", "b2", "b3", "u0", "u1", "u2", "u3"),
            spread!("v1", $first, $second),
            block!("c0", "c1", "c2", "c3", "w0", "w1", "w2", "w3"),
            block!("d0", "d1", "d2", "d3", "u0", "u1", "u2", "u3"),
        )
    };
}

macro_rules! one_by_one {
    ($first:literal, $second:literal) => {
        concat!(
            weights!("weights", "w0", "w1", "w2", "w3"),
            spread!("v0", $first, $second),
            block!("a0", "a1", "a2", "a3", "w0", "w1", "w2", "w3"),
        )
    };
}

/// Two pixels by two blocks: sixteen vectors of sums and eight of weights. A pair of values that was spread serves eight products.
impl Products<2, 2> for Pairs {
    #[inline(always)]
    unsafe fn tile(sums: &mut [[Sums; 2]; 2], values: [*const i8; 2], run: usize, weights: [*const i8; 2]) {
        let [[a, b], [c, d]] = sums;
        let [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]] = [a, b, c, d];
        // SAFETY: promised; nothing is written to memory.
        unsafe {
            asm!(
                over_fours!(
                    "ldr {v0:q}, [{values0}], #16\nldr {v1:q}, [{values1}], #16\n",
                    two_by_two!("0", "1"), two_by_two!("2", "3"), two_by_two!("4", "5"), two_by_two!("6", "7")
                ),
                run = inout(reg) run => _,
                values0 = inout(reg) values[0] => _, values1 = inout(reg) values[1] => _,
                weights0 = inout(reg) weights[0] => _, weights1 = inout(reg) weights[1] => _,
                a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                b0 = inout(vreg) *b0, b1 = inout(vreg) *b1, b2 = inout(vreg) *b2, b3 = inout(vreg) *b3,
                c0 = inout(vreg) *c0, c1 = inout(vreg) *c1, c2 = inout(vreg) *c2, c3 = inout(vreg) *c3,
                d0 = inout(vreg) *d0, d1 = inout(vreg) *d1, d2 = inout(vreg) *d2, d3 = inout(vreg) *d3,
                w0 = out(vreg) _, w1 = out(vreg) _, w2 = out(vreg) _, w3 = out(vreg) _,
                u0 = out(vreg) _, u1 = out(vreg) _, u2 = out(vreg) _, u3 = out(vreg) _,
                t0 = out(vreg) _, t1 = out(vreg) _, t2 = out(vreg) _, t3 = out(vreg) _,
                v0 = out(vreg) _, v1 = out(vreg) _, x = out(vreg) _, y = out(vreg) _,
                options(pure, readonly, nostack),
            );
        }
    }

    #[inline(always)]
    unsafe fn one(sums: &mut Sums, values: *const i8, run: usize, weights: *const i8) {
        let [a0, a1, a2, a3] = sums;
        // SAFETY: promised; nothing is written to memory.
        unsafe {
            asm!(
                over_fours!(
                    "ldr {v0:q}, [{values}], #16\n",
                    one_by_one!("0", "1"), one_by_one!("2", "3"), one_by_one!("4", "5"), one_by_one!("6", "7")
                ),
                run = inout(reg) run => _,
                values = inout(reg) values => _,
                weights = inout(reg) weights => _,
                a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                w0 = out(vreg) _, w1 = out(vreg) _, w2 = out(vreg) _, w3 = out(vreg) _,
                t0 = out(vreg) _, t1 = out(vreg) _, t2 = out(vreg) _, t3 = out(vreg) _,
                v0 = out(vreg) _, x = out(vreg) _, y = out(vreg) _,
                options(pure, readonly, nostack),
            );
        }
    }
}
