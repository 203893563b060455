//! Winograd tiles: transform, matrix products, and back.
//!
//! `SMLAL` multiplies a transformed value, in a lane of a register, by the weights of four outputs: four products in one
//! instruction, where eight bits have five and a third, but of tiles of 4x4 there are four times fewer.

use std::arch::aarch64::*;
use std::array::from_fn;

use super::{Ends, Sums, four_float_vectors, four_vectors};
use crate::conv::Tiles;
use crate::picture::BLOCK;
use crate::winograd::{Four, INVERSE_OF_9, Two};

/// Tiles multiplied at once: sixteen vectors of sums.
const TILES: usize = 4;
/// Channels multiplied at once: the lanes of a register.
const LANES: usize = 8;

/// [`Tile`](crate::winograd::Tile) for eight values, or four sums. Additions wrap around, as theirs do.
pub(crate) trait Lanes<const IN: usize, const OUT: usize> {
    fn forward(values: [int16x8_t; IN]) -> [int16x8_t; IN];
    fn back(sums: [int32x4_t; IN]) -> [int32x4_t; OUT];
    fn sum(multiple: int32x4_t) -> int32x4_t;
}

impl Lanes<4, 2> for Two {
    #[inline(always)]
    fn forward([a, b, c, d]: [int16x8_t; 4]) -> [int16x8_t; 4] {
        // SAFETY: every 64-bit ARM has these instructions; so below.
        unsafe { [vsubq_s16(a, c), vaddq_s16(b, c), vsubq_s16(c, b), vsubq_s16(b, d)] }
    }

    #[inline(always)]
    fn back([a, b, c, d]: [int32x4_t; 4]) -> [int32x4_t; 2] {
        // SAFETY: see above.
        unsafe { [vaddq_s32(vaddq_s32(a, b), c), vsubq_s32(vsubq_s32(b, c), d)] }
    }

    #[inline(always)]
    fn sum(multiple: int32x4_t) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vshrq_n_s32::<2>(multiple) }
    }
}

impl Lanes<6, 4> for Four {
    #[inline(always)]
    fn forward([a, b, c, d, e, f]: [int16x8_t; 6]) -> [int16x8_t; 6] {
        // SAFETY: see above.
        unsafe {
            let (u, v) = (vmlsq_n_s16(e, c, 4), vmlsq_n_s16(d, b, 4));
            let (p, q) = (vsubq_s16(e, c), vshlq_n_s16::<1>(vsubq_s16(d, b)));
            [
                vmlaq_n_s16(p, vsubq_s16(a, c), 4),
                vaddq_s16(u, v),
                vsubq_s16(u, v),
                vaddq_s16(p, q),
                vsubq_s16(p, q),
                vmlsq_n_s16(vsubq_s16(f, d), q, 2),
            ]
        }
    }

    #[inline(always)]
    fn back([a, b, c, d, e, f]: [int32x4_t; 6]) -> [int32x4_t; 4] {
        // SAFETY: see above.
        unsafe {
            let (sum, difference) = (vshlq_n_s32::<2>(vaddq_s32(b, c)), vshlq_n_s32::<2>(vsubq_s32(b, c)));
            let (p, q) = (vaddq_s32(d, e), vsubq_s32(d, e));
            [
                vaddq_s32(vaddq_s32(a, sum), p),
                vmlaq_n_s32(difference, q, 2),
                vmlaq_n_s32(sum, p, 4),
                vmlaq_n_s32(vmlaq_n_s32(difference, q, 8), f, 4),
            ]
        }
    }

    #[inline(always)]
    fn sum(multiple: int32x4_t) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vshrq_n_s32::<6>(vmulq_n_s32(multiple, INVERSE_OF_9)) }
    }
}

/// As [`crate::portable::winograd`].
pub(crate) fn winograd<T: Lanes<IN, OUT>, const IN: usize, const OUT: usize>(
    tiles: Tiles<'_, IN, OUT, i8>,
    transformed: &mut [i16],
    products: &mut [i32],
) {
    tiles.check(transformed, products);
    let Tiles {
        input, starts, step, channels, weights, bias, multipliers, targets, output_step, output, limits, ..
    } = tiles;
    let count = starts.len();
    let (transformed, products, ends) = (transformed.as_mut_ptr(), products.as_mut_ptr(), Ends::of(limits));
    // SAFETY: every 64-bit ARM has the instructions; the lengths were checked.
    unsafe {
        for (tile, starts) in starts.iter().enumerate() {
            for channel in (0..channels).step_by(LANES) {
                let rows = starts.map(|start| input.as_ptr().add(start as usize + channel));
                forward::<T, IN, OUT>(rows, step, transformed.add(tile * channels + channel), count * channels);
            }
        }
        for block in 0..bias.len() / BLOCK {
            for position in 0..IN * IN {
                let weights = weights.as_ptr().add((block * IN * IN + position) * channels * BLOCK);
                let rows = transformed.add(position * count * channels);
                let sums = products.add(position * count * BLOCK);
                multiply_all(rows, count, channels, weights, sums);
            }
            let bias = four_vectors(bias.as_ptr().add(block * BLOCK));
            let multipliers = four_float_vectors(multipliers.as_ptr().add(block * BLOCK));
            for (tile, target) in targets.iter().enumerate() {
                let mut sums = [[[vdupq_n_s32(0); 4]; OUT]; OUT];
                for four in 0..4 {
                    let found = back::<T, IN, OUT>(products.add(tile * BLOCK + 4 * four), count * BLOCK);
                    for (sums, found) in sums.iter_mut().flatten().zip(found.into_iter().flatten()) {
                        sums[four] = vaddq_s32(T::sum(found), bias[four]);
                    }
                }
                for (at, sums) in sums.into_iter().flatten().enumerate() {
                    if let Some(target) = target.pixel(at / OUT, at % OUT, output_step) {
                        let found = ends.stored::<true>(sums, multipliers);
                        vst1q_s8(output.as_mut_ptr().add(target + block * BLOCK), found);
                    }
                }
            }
        }
    }
}

/// # Safety
/// `count` rows of `channels` values; as many weights for sixteen outputs; room for `count` times sixteen sums.
#[inline(always)]
unsafe fn multiply_all(rows: *const i16, count: usize, channels: usize, weights: *const i16, sums: *mut i32) {
    let mut tile = 0;
    while tile < count {
        let now = TILES.min(count - tile);
        // SAFETY: promised.
        unsafe {
            let (rows, sums) = (rows.add(tile * channels), sums.add(tile * BLOCK));
            match now {
                1 => multiply::<1>(rows, channels, weights, sums),
                2 => multiply::<2>(rows, channels, weights, sums),
                3 => multiply::<3>(rows, channels, weights, sums),
                _ => multiply::<TILES>(rows, channels, weights, sums),
            }
        }
        tile += now;
    }
}

/// # Safety
/// `N` rows of `channels` values; as many weights for sixteen outputs; room for `N` times sixteen sums.
#[inline(never)]
unsafe fn multiply<const N: usize>(rows: *const i16, channels: usize, weights: *const i16, to: *mut i32) {
    // SAFETY: promised.
    unsafe {
        let mut sums: [Sums; N] = [[vdupq_n_s32(0); 4]; N];
        for channel in (0..channels).step_by(LANES) {
            let values: [int16x8_t; N] = from_fn(|row| vld1q_s16(rows.add(row * channels + channel)));
            let weights = weights.add(channel * BLOCK);
            lane::<0, N>(&mut sums, values, weights);
            lane::<1, N>(&mut sums, values, weights);
            lane::<2, N>(&mut sums, values, weights);
            lane::<3, N>(&mut sums, values, weights);
            lane::<4, N>(&mut sums, values, weights);
            lane::<5, N>(&mut sums, values, weights);
            lane::<6, N>(&mut sums, values, weights);
            lane::<7, N>(&mut sums, values, weights);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (four, sums) in sums.into_iter().enumerate() {
                vst1q_s32(to.add(row * BLOCK + 4 * four), sums);
            }
        }
    }
}

/// One channel of each row times the weights of sixteen outputs.
///
/// # Safety
/// Sixteen weights for every lane.
#[inline(always)]
unsafe fn lane<const LANE: i32, const N: usize>(sums: &mut [Sums; N], values: [int16x8_t; N], weights: *const i16) {
    // SAFETY: promised.
    unsafe {
        let weights = weights.add(LANE as usize * BLOCK);
        let (low, high) = (vld1q_s16(weights), vld1q_s16(weights.add(8)));
        for ([a, b, c, d], values) in sums.iter_mut().zip(values) {
            *a = vmlal_laneq_s16::<LANE>(*a, vget_low_s16(low), values);
            *b = vmlal_high_laneq_s16::<LANE>(*b, low, values);
            *c = vmlal_laneq_s16::<LANE>(*c, vget_low_s16(high), values);
            *d = vmlal_high_laneq_s16::<LANE>(*d, high, values);
        }
    }
}

/// `B^T d B` of eight channels of a tile of `IN` by `IN` pixels.
///
/// # Safety
/// `IN` pixels, `step` values apart, in each of the rows; room at every position, `apart` values apart.
#[inline(always)]
unsafe fn forward<T: Lanes<IN, OUT>, const IN: usize, const OUT: usize>(
    rows: [*const i8; IN],
    step: usize,
    to: *mut i16,
    apart: usize,
) {
    // SAFETY: promised.
    unsafe {
        let value = |row: usize, column: usize| vmovl_s8(vld1_s8(rows[row].add(column * step)));
        // Down the columns first.
        let columns: [[int16x8_t; IN]; IN] = from_fn(|column| T::forward(from_fn(|row| value(row, column))));
        let rows: [[int16x8_t; IN]; IN] = from_fn(|row| T::forward(from_fn(|column| columns[column][row])));
        for (position, found) in rows.into_iter().flatten().enumerate() {
            vst1q_s16(to.add(position * apart), found);
        }
    }
}

/// `A^T m A` of four outputs of a tile.
///
/// # Safety
/// Four sums at every position, `apart` sums apart.
#[inline(always)]
unsafe fn back<T: Lanes<IN, OUT>, const IN: usize, const OUT: usize>(
    from: *const i32,
    apart: usize,
) -> [[int32x4_t; OUT]; OUT] {
    // SAFETY: promised.
    unsafe {
        let sum = |row: usize, column: usize| vld1q_s32(from.add((IN * row + column) * apart));
        let columns: [[int32x4_t; OUT]; IN] = from_fn(|column| T::back(from_fn(|row| sum(row, column))));
        from_fn(|row| T::back(from_fn(|column| columns[column][row])))
    }
}
