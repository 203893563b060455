//! Depthwise windows of 3 and 5 by as many, sixteen channels and four pixels at a time.
//!
//! Taps are multiplied in pairs, one above the other, whose products fit 16 bits because no weight is -128. What is left is the
//! last row of the window, which is paired along itself. A loaded column serves every pixel of the four whose window it lies in.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Ends, Sums, four_float_vectors, four_vectors};
use crate::depthwise::Row;
use crate::picture::BLOCK;
use crate::portable;

/// One tap of sixteen channels, or two, added to the sums of a pixel, or to the biases: `sum(values weights, values weights)`.
macro_rules! taps {
    ($from:ident $sum:ident ($x:ident $w:ident $(, $y:ident $u:ident)?)) => {
        concat!(
            "smull {t0:v}.8h, {", stringify!($x), ":v}.8b, {", stringify!($w), ":v}.8b\n",
            "smull2 {t1:v}.8h, {", stringify!($x), ":v}.16b, {", stringify!($w), ":v}.16b\n",
            $(
                "smlal {t0:v}.8h, {", stringify!($y), ":v}.8b, {", stringify!($u), ":v}.8b\n",
                "smlal2 {t1:v}.8h, {", stringify!($y), ":v}.16b, {", stringify!($u), ":v}.16b\n",
            )?
            "saddw {", stringify!($sum), "0:v}.4s, {", stringify!($from), "0:v}.4s, {t0:v}.4h\n",
            "saddw2 {", stringify!($sum), "1:v}.4s, {", stringify!($from), "1:v}.4s, {t0:v}.8h\n",
            "saddw {", stringify!($sum), "2:v}.4s, {", stringify!($from), "2:v}.4s, {t1:v}.4h\n",
            "saddw2 {", stringify!($sum), "3:v}.4s, {", stringify!($from), "3:v}.4s, {t1:v}.8h\n",
        )
    };
}

/// One row of taps on top of the biases. For each column of values: the register that it is loaded to, the pixels whose first two
/// taps are then there, and those that have later ones.
macro_rules! one_row {
    (
        [$row:expr, $step:expr, $bias:expr] [$($weights:ident)+] [$($sum:ident)+]
        $($register:ident $(= $first:ident $two:tt)? $($next:ident $some:tt)*;)+
    ) => {
        $(let mut $sum;)+
        asm!(
            $(
                concat!("ld1 {{ {", stringify!($register), ":v}.16b }}, [{row}], {step}\n"),
                $(taps!(bias $first $two),)?
                $(taps!($next $next $some),)*
            )+
            row = inout(reg) $row => _, step = in(reg) $step,
            $($weights = in(vreg) $weights,)+
            bias0 = in(vreg) $bias[0], bias1 = in(vreg) $bias[1], bias2 = in(vreg) $bias[2], bias3 = in(vreg) $bias[3],
            $($sum = out(vreg) $sum,)+
            x = out(vreg) _, y = out(vreg) _, t0 = out(vreg) _, t1 = out(vreg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    };
}

/// Two rows of taps on top of sums. For each column of values: the pixels whose windows it lies in, and the taps that it lies under.
macro_rules! two_rows {
    ([$upper:expr, $lower:expr, $step:expr] [$($weights:ident)+] [$($sum:ident)+] $($($pixel:ident $w:ident $u:ident)+;)+) => {
        asm!(
            $(
                "ld1 {{ {x:v}.16b }}, [{upper}], {step}",
                "ld1 {{ {y:v}.16b }}, [{lower}], {step}",
                $(taps!($pixel $pixel (x $w, y $u)),)+
            )+
            upper = inout(reg) $upper => _, lower = inout(reg) $lower => _, step = in(reg) $step,
            $($weights = in(vreg) $weights,)+
            $($sum = inout(vreg) $sum,)+
            x = out(vreg) _, y = out(vreg) _, t0 = out(vreg) _, t1 = out(vreg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    };
}

/// As [`crate::portable::depthwise`].
pub(crate) fn depthwise(row: Row<'_>) {
    let (side, step) = (row.columns, row.step);
    let places = row.output.len() / step;
    if row.inputs.len() != side {
        return portable::depthwise(row);
    }
    assert!(row.output.len() == places * step && step.is_multiple_of(BLOCK));
    assert!(row.weights.len() == side * side * step && row.bias.len() == step && row.multipliers.len() == step);
    let needed = (places.max(1) - 1) * row.stride * step + side * step;
    assert!(row.inputs.iter().all(|values| needed <= values.len()), "a row of values is too short");
    // SAFETY: the lengths were checked.
    unsafe {
        match (side, row.stride) {
            (3, 1) => all(row, places, Block::<3>::one, Block::<3>::four_by_one),
            (3, 2) => all(row, places, Block::<3>::one, Block::<3>::four_by_two),
            (5, 1) => all(row, places, Block::<5>::one, Block::<5>::four_by_one),
            (5, 2) => all(row, places, Block::<5>::one, Block::<5>::four_by_two),
            _ => portable::depthwise(row),
        }
    }
}

/// # Safety
/// The lengths of `row` fit each other and `SIDE`; `four` is for its stride.
#[inline(always)]
unsafe fn all<const SIDE: usize>(
    row: Row<'_>,
    places: usize,
    one: unsafe fn(&Block<SIDE>) -> [Sums; 1],
    four: unsafe fn(&Block<SIDE>) -> [Sums; 4],
) {
    for first in (0..row.step).step_by(BLOCK) {
        // SAFETY: promised.
        unsafe {
            let weight = |tap: usize| vld1q_s8(row.weights.as_ptr().add(tap * row.step + first));
            let mut block = Block::<SIDE> {
                inputs: std::array::from_fn(|at| row.inputs[at].as_ptr().add(first)),
                step: row.step,
                weights: std::array::from_fn(|line| std::array::from_fn(|column| weight(line * SIDE + column))),
                bias: four_vectors(row.bias.as_ptr().add(first)),
                multipliers: row.multipliers.as_ptr().add(first),
                ends: Ends::of(row.limits),
                output: row.output.as_mut_ptr().add(first),
            };
            for _ in 0..places / 4 {
                block.store(four(&block));
                block.go(4, row.stride);
            }
            for _ in 0..places % 4 {
                block.store(one(&block));
                block.go(1, row.stride);
            }
        }
    }
}

/// Sixteen channels of a layer over a row.
struct Block<const SIDE: usize> {
    /// Under the next window.
    inputs: [*const i8; SIDE],
    step: usize,
    weights: [[int8x16_t; SIDE]; SIDE],
    bias: Sums,
    multipliers: *const f32,
    ends: Ends,
    /// Where the next result belongs.
    output: *mut i8,
}

/// # Safety
/// Of every function: the values under the next windows, and the room for their results, are there.
impl<const SIDE: usize> Block<SIDE> {
    #[inline(always)]
    unsafe fn store<const N: usize>(&self, sums: [Sums; N]) {
        // SAFETY: promised.
        unsafe {
            let multipliers = four_float_vectors(self.multipliers);
            if self.ends.narrow {
                for (pixel, sums) in sums.into_iter().enumerate() {
                    vst1q_s8(self.output.add(pixel * self.step), self.ends.stored::<true>(sums, multipliers));
                }
            } else {
                for (pixel, sums) in sums.into_iter().enumerate() {
                    vst1q_s8(self.output.add(pixel * self.step), self.ends.stored::<false>(sums, multipliers));
                }
            }
        }
    }

    /// Goes on to a later window.
    #[inline(always)]
    unsafe fn go(&mut self, places: usize, stride: usize) {
        // SAFETY: promised.
        unsafe {
            self.inputs = self.inputs.map(|row| row.add(places * stride * self.step));
            self.output = self.output.add(places * self.step);
        }
    }
}

/// # Safety
/// As of [`Block`].
impl Block<3> {
    /// The next window.
    #[inline(always)]
    unsafe fn one(&self) -> [Sums; 1] {
        let ([i, j, k], [[w0, w1, w2], [u0, u1, u2], last]) = (self.inputs, self.weights);
        // SAFETY: promised.
        unsafe {
            let [l0, l1, l2] = last;
            one_row!([k, self.step, self.bias] [l0 l1 l2] [a0 a1 a2 a3] x; y = a(x l0, y l1); x a(x l2););
            two_rows!(
                [i, j, self.step] [w0 w1 w2 u0 u1 u2] [a0 a1 a2 a3]
                a w0 u0; a w1 u1; a w2 u2;
            );
            [[a0, a1, a2, a3]]
        }
    }

    /// The next four windows, each one pixel after the one before.
    #[inline(always)]
    unsafe fn four_by_one(&self) -> [Sums; 4] {
        let ([i, j, k], [[w0, w1, w2], [u0, u1, u2], [l0, l1, l2]]) = (self.inputs, self.weights);
        // SAFETY: promised.
        unsafe {
            one_row!(
                [k, self.step, self.bias] [l0 l1 l2] [a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3 d0 d1 d2 d3]
                x; y = a(x l0, y l1); x = b(y l0, x l1) a(x l2);
                y = c(x l0, y l1) b(y l2); x = d(y l0, x l1) c(x l2); y d(y l2);
            );
            two_rows!(
                [i, j, self.step] [w0 w1 w2 u0 u1 u2] [a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3 d0 d1 d2 d3]
                a w0 u0; a w1 u1 b w0 u0; a w2 u2 b w1 u1 c w0 u0;
                b w2 u2 c w1 u1 d w0 u0; c w2 u2 d w1 u1; d w2 u2;
            );
            [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]]
        }
    }

    /// The next four windows, each two pixels after the one before.
    #[inline(always)]
    unsafe fn four_by_two(&self) -> [Sums; 4] {
        let ([i, j, k], [[w0, w1, w2], [u0, u1, u2], [l0, l1, l2]]) = (self.inputs, self.weights);
        // SAFETY: promised.
        unsafe {
            one_row!(
                [k, self.step, self.bias] [l0 l1 l2] [a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3 d0 d1 d2 d3]
                x; y = a(x l0, y l1); x a(x l2); y = b(x l0, y l1); x b(x l2);
                y = c(x l0, y l1); x c(x l2); y = d(x l0, y l1); x d(x l2);
            );
            two_rows!(
                [i, j, self.step] [w0 w1 w2 u0 u1 u2] [a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3 d0 d1 d2 d3]
                a w0 u0; a w1 u1; a w2 u2 b w0 u0; b w1 u1; b w2 u2 c w0 u0; c w1 u1;
                c w2 u2 d w0 u0; d w1 u1; d w2 u2;
            );
            [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]]
        }
    }
}

/// # Safety
/// As of [`Block`].
impl Block<5> {
    /// The next window.
    #[inline(always)]
    unsafe fn one(&self) -> [Sums; 1] {
        let [i, j, k, l, m] = self.inputs;
        let [first, second, third, fourth, [l0, l1, l2, l3, l4]] = self.weights;
        // SAFETY: promised.
        unsafe {
            one_row!(
                [m, self.step, self.bias] [l0 l1 l2 l3 l4] [a0 a1 a2 a3]
                x; y = a(x l0, y l1); x; y a(x l2, y l3); x a(x l4);
            );
            for (upper, lower, [w0, w1, w2, w3, w4], [u0, u1, u2, u3, u4]) in
                [(i, j, first, second), (k, l, third, fourth)]
            {
                two_rows!(
                    [upper, lower, self.step] [w0 w1 w2 w3 w4 u0 u1 u2 u3 u4] [a0 a1 a2 a3]
                    a w0 u0; a w1 u1; a w2 u2; a w3 u3; a w4 u4;
                );
            }
            [[a0, a1, a2, a3]]
        }
    }

    /// The next four windows, each one pixel after the one before.
    #[inline(always)]
    unsafe fn four_by_one(&self) -> [Sums; 4] {
        let [i, j, k, l, m] = self.inputs;
        let [first, second, third, fourth, [l0, l1, l2, l3, l4]] = self.weights;
        // SAFETY: promised.
        unsafe {
            one_row!(
                [m, self.step, self.bias] [l0 l1 l2 l3 l4] [a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3 d0 d1 d2 d3]
                x; y = a(x l0, y l1); x = b(y l0, x l1); y = c(x l0, y l1) a(x l2, y l3);
                x = d(y l0, x l1) a(x l4) b(y l2, x l3); y b(y l4) c(x l2, y l3);
                x c(x l4) d(y l2, x l3); y d(y l4);
            );
            for (upper, lower, [w0, w1, w2, w3, w4], [u0, u1, u2, u3, u4]) in
                [(i, j, first, second), (k, l, third, fourth)]
            {
                two_rows!(
                    [upper, lower, self.step] [w0 w1 w2 w3 w4 u0 u1 u2 u3 u4]
                    [a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3 d0 d1 d2 d3]
                    a w0 u0; a w1 u1 b w0 u0; a w2 u2 b w1 u1 c w0 u0; a w3 u3 b w2 u2 c w1 u1 d w0 u0;
                    a w4 u4 b w3 u3 c w2 u2 d w1 u1; b w4 u4 c w3 u3 d w2 u2; c w4 u4 d w3 u3; d w4 u4;
                );
            }
            [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]]
        }
    }

    /// The next four windows, each two pixels after the one before.
    #[inline(always)]
    unsafe fn four_by_two(&self) -> [Sums; 4] {
        let [i, j, k, l, m] = self.inputs;
        let [first, second, third, fourth, [l0, l1, l2, l3, l4]] = self.weights;
        // SAFETY: promised.
        unsafe {
            one_row!(
                [m, self.step, self.bias] [l0 l1 l2 l3 l4] [a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3 d0 d1 d2 d3]
                x; y = a(x l0, y l1); x; y = b(x l0, y l1) a(x l2, y l3); x a(x l4);
                y = c(x l0, y l1) b(x l2, y l3); x b(x l4); y = d(x l0, y l1) c(x l2, y l3);
                x c(x l4); y d(x l2, y l3); x d(x l4);
            );
            for (upper, lower, [w0, w1, w2, w3, w4], [u0, u1, u2, u3, u4]) in
                [(i, j, first, second), (k, l, third, fourth)]
            {
                two_rows!(
                    [upper, lower, self.step] [w0 w1 w2 w3 w4 u0 u1 u2 u3 u4]
                    [a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3 d0 d1 d2 d3]
                    a w0 u0; a w1 u1; a w2 u2 b w0 u0; a w3 u3 b w1 u1; a w4 u4 b w2 u2 c w0 u0; b w3 u3 c w1 u1;
                    b w4 u4 c w2 u2 d w0 u0; c w3 u3 d w1 u1; c w4 u4 d w2 u2; d w3 u3; d w4 u4;
                );
            }
            [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]]
        }
    }
}
