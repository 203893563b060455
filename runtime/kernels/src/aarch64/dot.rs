//! Products by the 8-bit dot product: four values times four weights for four outputs, sixteen products in one instruction.
//!
//! The standard library's names for it are not stable yet, so these loops are written out.

use std::arch::asm;

use super::{Products, Sums, Work};

/// The instructions of an ARM with the dot product.
pub(crate) struct Dot;

/// Four outputs of a pixel each.
macro_rules! products {
    ($weights:literal, $four:literal, $($sum:literal $values:literal),+) => {
        concat!($("sdot {", $sum, ":v}.4s, {", $weights, ":v}.16b, {", $values, ":v}.4b[", $four, "]\n"),+)
    };
}

macro_rules! six_by_one {
    ($four:literal) => {
        concat!(
            "ldp {w0:q}, {w1:q}, [{weights}], #32\n",
            products!("w0", $four, "a0" "v0", "b0" "v1", "c0" "v2", "d0" "v3", "e0" "v4", "f0" "v5"),
            products!("w1", $four, "a1" "v0", "b1" "v1", "c1" "v2", "d1" "v3", "e1" "v4", "f1" "v5"),
            "ldp {w0:q}, {w1:q}, [{weights}], #32\n",
            products!("w0", $four, "a2" "v0", "b2" "v1", "c2" "v2", "d2" "v3", "e2" "v4", "f2" "v5"),
            products!("w1", $four, "a3" "v0", "b3" "v1", "c3" "v2", "d3" "v3", "e3" "v4", "f3" "v5"),
        )
    };
}

macro_rules! three_by_one {
    ($four:literal) => {
        concat!(
            "ldp {w0:q}, {w1:q}, [{weights}], #32\n",
            products!("w0", $four, "a0" "v0", "b0" "v1", "c0" "v2"),
            products!("w1", $four, "a1" "v0", "b1" "v1", "c1" "v2"),
            "ldp {w0:q}, {w1:q}, [{weights}], #32\n",
            products!("w0", $four, "a2" "v0", "b2" "v1", "c2" "v2"),
            products!("w1", $four, "a3" "v0", "b3" "v1", "c3" "v2"),
        )
    };
}

macro_rules! one_by_one {
    ($four:literal) => {
        concat!(
            "ldp {w0:q}, {w1:q}, [{weights}], #32\n",
            products!("w0", $four, "a0" "v0"),
            products!("w1", $four, "a1" "v0"),
            "ldp {w0:q}, {w1:q}, [{weights}], #32\n",
            products!("w0", $four, "a2" "v0"),
            products!("w1", $four, "a3" "v0"),
        )
    };
}

/// Six pixels by one block: twenty-four vectors of sums, six of values and two of weights fill the registers.
impl Products<6, 1> for Dot {
    #[inline(always)]
    unsafe fn tile(sums: &mut [[Sums; 1]; 6], values: [*const i8; 6], run: usize, [weights]: [*const i8; 1]) {
        let [[[a0, a1, a2, a3]], [[b0, b1, b2, b3]], [[c0, c1, c2, c3]], [[d0, d1, d2, d3]], rest @ ..] = sums;
        let [[[e0, e1, e2, e3]], [[f0, f1, f2, f3]]] = rest;
        // SAFETY: promised; nothing is written to memory.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                over_fours!(
                    "ldr {v0:q}, [{values0}], #16\nldr {v1:q}, [{values1}], #16\nldr {v2:q}, [{values2}], #16\n\
                     ldr {v3:q}, [{values3}], #16\nldr {v4:q}, [{values4}], #16\nldr {v5:q}, [{values5}], #16\n",
                    six_by_one!("0"), six_by_one!("1"), six_by_one!("2"), six_by_one!("3")
                ),
                run = inout(reg) run => _,
                values0 = inout(reg) values[0] => _, values1 = inout(reg) values[1] => _,
                values2 = inout(reg) values[2] => _, values3 = inout(reg) values[3] => _,
                values4 = inout(reg) values[4] => _, values5 = inout(reg) values[5] => _,
                weights = inout(reg) weights => _,
                a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                b0 = inout(vreg) *b0, b1 = inout(vreg) *b1, b2 = inout(vreg) *b2, b3 = inout(vreg) *b3,
                c0 = inout(vreg) *c0, c1 = inout(vreg) *c1, c2 = inout(vreg) *c2, c3 = inout(vreg) *c3,
                d0 = inout(vreg) *d0, d1 = inout(vreg) *d1, d2 = inout(vreg) *d2, d3 = inout(vreg) *d3,
                e0 = inout(vreg) *e0, e1 = inout(vreg) *e1, e2 = inout(vreg) *e2, e3 = inout(vreg) *e3,
                f0 = inout(vreg) *f0, f1 = inout(vreg) *f1, f2 = inout(vreg) *f2, f3 = inout(vreg) *f3,
                v0 = out(vreg) _, v1 = out(vreg) _, v2 = out(vreg) _, v3 = out(vreg) _, v4 = out(vreg) _,
                v5 = out(vreg) _, w0 = out(vreg) _, w1 = out(vreg) _,
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
                ".arch_extension dotprod",
                over_fours!(
                    "ldr {v0:q}, [{values}], #16\n",
                    one_by_one!("0"), one_by_one!("1"), one_by_one!("2"), one_by_one!("3")
                ),
                run = inout(reg) run => _,
                values = inout(reg) values => _,
                weights = inout(reg) weights => _,
                a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                v0 = out(vreg) _, w0 = out(vreg) _, w1 = out(vreg) _,
                options(pure, readonly, nostack),
            );
        }
    }

    #[inline(always)]
    unsafe fn few(work: &impl Work, pixel: usize, left: usize, block: usize) -> usize {
        // SAFETY: promised.
        unsafe {
            if left < 3 {
                work.one::<Self, 6, 1>(pixel, block);
                return 1;
            }
            work.tile::<Self, 3, 1>(pixel, block);
        }
        3
    }
}

/// Half as many pixels, for what is left of a picture.
impl Products<3, 1> for Dot {
    #[inline(always)]
    unsafe fn tile(sums: &mut [[Sums; 1]; 3], values: [*const i8; 3], run: usize, [weights]: [*const i8; 1]) {
        let [[[a0, a1, a2, a3]], [[b0, b1, b2, b3]], [[c0, c1, c2, c3]]] = sums;
        // SAFETY: promised; nothing is written to memory.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                over_fours!(
                    "ldr {v0:q}, [{values0}], #16\nldr {v1:q}, [{values1}], #16\nldr {v2:q}, [{values2}], #16\n",
                    three_by_one!("0"), three_by_one!("1"), three_by_one!("2"), three_by_one!("3")
                ),
                run = inout(reg) run => _,
                values0 = inout(reg) values[0] => _, values1 = inout(reg) values[1] => _,
                values2 = inout(reg) values[2] => _, weights = inout(reg) weights => _,
                a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                b0 = inout(vreg) *b0, b1 = inout(vreg) *b1, b2 = inout(vreg) *b2, b3 = inout(vreg) *b3,
                c0 = inout(vreg) *c0, c1 = inout(vreg) *c1, c2 = inout(vreg) *c2, c3 = inout(vreg) *c3,
                v0 = out(vreg) _, v1 = out(vreg) _, v2 = out(vreg) _, w0 = out(vreg) _, w1 = out(vreg) _,
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
