//! Winograd tiles of 4x4: transform, matrix products of 16-bit values by `vpdpwssd`, and back.

use std::arch::x86_64::*;
use std::array::from_fn;

use super::{AHEAD, Ends, float_vectors, store, vectors};
use crate::Family;
use crate::conv::{Tiles, even};
use crate::picture::BLOCK;
use crate::winograd::{INVERSE_OF_9, together};

/// Tiles multiplied at once at most.
const PIXELS: usize = 9;
/// Blocks multiplied at once at most.
const BLOCKS: usize = together(Family::Avx512);
/// Channels transformed at once.
pub(crate) const CHANNELS: usize = 32;

/// All results and outputs of each tile.
pub(crate) fn winograd(tiles: Tiles<'_, 6, 4, i8>, transformed: &mut [i16], products: &mut [i32]) {
    tiles.check(transformed, products);
    assert!(tiles.channels.is_multiple_of(CHANNELS) && tiles.family == Family::Avx512);
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe { all(tiles, transformed.as_mut_ptr(), products.as_mut_ptr()) }
}

/// # Safety
/// AVX-512 with VNNI; what [`winograd`] checks.
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn all(tiles: Tiles<'_, 6, 4, i8>, transformed: *mut i16, products: *mut i32) {
    let Tiles { input, starts, step, channels, bias, .. } = tiles;
    let count = starts.len();
    // SAFETY: promised.
    unsafe {
        for (tile, starts) in starts.iter().enumerate() {
            for channel in (0..channels).step_by(CHANNELS) {
                let rows = starts.map(|start| input.as_ptr().add(start as usize + channel));
                forward(rows, step, transformed.add(tile * channels + channel), count * channels);
            }
        }
        let (blocks, output) = (bias.len() / BLOCK, tiles.output.as_mut_ptr());
        let whole = blocks / BLOCKS * BLOCKS;
        (0..whole).step_by(BLOCKS).for_each(|first| some::<BLOCKS>(&tiles, first, transformed, products, output));
        (whole..blocks).for_each(|first| some::<1>(&tiles, first, transformed, products, output));
    }
}

/// The results of `B` blocks.
///
/// # Safety
/// AVX-512 with VNNI; what [`winograd`] checks; there are as many blocks.
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn some<const B: usize>(
    tiles: &Tiles<'_, 6, 4, i8>,
    first: usize,
    transformed: *const i16,
    products: *mut i32,
    output: *mut i8,
) {
    let (count, channels) = (tiles.starts.len(), tiles.channels);
    // SAFETY: promised.
    unsafe {
        for position in 0..36 {
            let product = Product {
                rows: transformed.add(position * count * channels),
                channels,
                weights: tiles.weights.as_ptr().add((first * 36 + position) * channels * BLOCK),
                to_next_block: 36 * channels * BLOCK,
                to: products.add(position * count * B * BLOCK),
            };
            product.all::<B>(count);
        }
        let bias: [_; B] = vectors(tiles.bias.as_ptr().add(first * BLOCK));
        let multipliers: [_; B] = float_vectors(tiles.multipliers.as_ptr().add(first * BLOCK));
        let ends = Ends::of(tiles.limits);
        for (tile, target) in tiles.targets.iter().enumerate() {
            let mut sums = [[_mm512_setzero_si512(); 16]; B];
            for (block, sums) in sums.iter_mut().enumerate() {
                back(products.add((tile * B + block) * BLOCK), count * B * BLOCK, bias[block], sums);
            }
            for at in 0..16 {
                if let Some(target) = target.pixel(at / 4, at % 4, tiles.output_step) {
                    let sums = from_fn(|block| sums[block][at]);
                    store::<B>(sums, multipliers, ends, output.add(target + first * BLOCK));
                }
            }
        }
    }
}

/// A matrix product of one position.
struct Product {
    /// `channels` values a tile.
    rows: *const i16,
    channels: usize,
    weights: *const i16,
    to_next_block: usize,
    /// `[tile][block][16]`.
    to: *mut i32,
}

/// # Safety
/// Of every function: AVX-512 with VNNI; there are the values and weights, and room for the sums, of as many tiles and blocks.
impl Product {
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    unsafe fn all<const B: usize>(&self, count: usize) {
        let each = even(count, PIXELS).max(1);
        for tile in (0..count).step_by(each) {
            // SAFETY: promised.
            unsafe {
                match each.min(count - tile) {
                    1 => self.some::<1, B>(tile),
                    2 => self.some::<2, B>(tile),
                    3 => self.some::<3, B>(tile),
                    4 => self.some::<4, B>(tile),
                    5 => self.some::<5, B>(tile),
                    6 => self.some::<6, B>(tile),
                    7 => self.some::<7, B>(tile),
                    8 => self.some::<8, B>(tile),
                    _ => self.some::<PIXELS, B>(tile),
                }
            }
        }
    }

    #[inline(never)]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    unsafe fn some<const N: usize, const B: usize>(&self, tile: usize) {
        let mut sums = [[_mm512_setzero_si512(); B]; N];
        // SAFETY: promised; loads and stores need no alignment, and nothing is read ahead where no memory is.
        unsafe {
            let rows: [_; N] = from_fn(|row| self.rows.add((tile + row) * self.channels));
            for at in (0..self.channels).step_by(2) {
                let weights: [_; B] = from_fn(|block| {
                    let from = self.weights.add(block * self.to_next_block + BLOCK * at);
                    _mm_prefetch::<_MM_HINT_T0>(from.cast::<i8>().wrapping_add(AHEAD));
                    _mm512_loadu_si512(from.cast())
                });
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let two = _mm512_set1_epi32(row.add(at).cast::<i32>().read_unaligned());
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = add_pairs(*sum, two, weights);
                    }
                }
            }
            for (at, sums) in sums.iter().enumerate() {
                for (block, sums) in sums.iter().enumerate() {
                    _mm512_storeu_si512(self.to.add(((tile + at) * B + block) * BLOCK).cast(), *sums);
                }
            }
        }
    }
}

/// Adds two products to each sum. Not by the standard library's name, of which compilers make two instructions.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn add_pairs(mut sums: __m512i, values: __m512i, weights: __m512i) -> __m512i {
    // SAFETY: registers only.
    unsafe {
        std::arch::asm!(
            "vpdpwssd {sums}, {values}, {weights}",
            sums = inout(zmm_reg) sums, values = in(zmm_reg) values, weights = in(zmm_reg) weights,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// `B^T d B` of thirty-two channels of a tile of 6 by 6 pixels.
///
/// # Safety
/// AVX-512; six pixels, `step` values apart, in each of the rows; room at every position, `apart` values apart.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn forward(rows: [*const i8; 6], step: usize, to: *mut i16, apart: usize) {
    // SAFETY: promised; loads and stores need no alignment.
    unsafe {
        let value =
            |row: usize, column: usize| _mm512_cvtepi8_epi16(_mm256_loadu_si256(rows[row].add(column * step).cast()));
        // Down the columns first.
        let columns: [_; 6] = from_fn(|column| forward_one(from_fn(|row| value(row, column))));
        let rows: [_; 6] = from_fn(|row| forward_one(from_fn(|column| columns[column][row])));
        for (position, found) in rows.into_iter().flatten().enumerate() {
            _mm512_storeu_si512(to.add(position * apart).cast(), found);
        }
    }
}

/// As [`Tile::forward`](crate::winograd::Tile).
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn forward_one([a, b, c, d, e, f]: [__m512i; 6]) -> [__m512i; 6] {
    let (sub, add) = (|a, b| _mm512_sub_epi16(a, b), |a, b| _mm512_add_epi16(a, b));
    let times_4 = |value| _mm512_slli_epi16::<2>(value);
    let (u, v) = (sub(e, times_4(c)), sub(d, times_4(b)));
    let (p, q) = (sub(e, c), _mm512_slli_epi16::<1>(sub(d, b)));
    [add(times_4(sub(a, c)), p), add(u, v), sub(u, v), add(p, q), sub(p, q), sub(sub(f, d), add(q, q))]
}

/// The sums of sixteen outputs of a tile: `A^T m A` without its multiple, and the bias.
///
/// # Safety
/// AVX-512; sixteen sums at every position, `apart` sums apart.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn back(from: *const i32, apart: usize, bias: __m512i, sums: &mut [__m512i; 16]) {
    // SAFETY: promised; loads need no alignment.
    let sum = |row: usize, column: usize| unsafe { _mm512_loadu_si512(from.add((6 * row + column) * apart).cast()) };
    let columns: [_; 6] = from_fn(|column| back_one(from_fn(|row| sum(row, column))));
    let inverse = _mm512_set1_epi32(INVERSE_OF_9);
    for (row, sums) in sums.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let multiples = back_one(from_fn(|column| columns[column][row]));
        for (sum, multiple) in sums.iter_mut().zip(multiples) {
            let shifted = _mm512_srai_epi32::<6>(_mm512_mullo_epi32(multiple, inverse));
            *sum = _mm512_add_epi32(shifted, bias);
        }
    }
}

/// As [`Tile::back`](crate::winograd::Tile).
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
fn back_one([a, b, c, d, e, f]: [__m512i; 6]) -> [__m512i; 4] {
    let (sub, add) = (|a, b| _mm512_sub_epi32(a, b), |a, b| _mm512_add_epi32(a, b));
    let times_4 = |value| _mm512_slli_epi32::<2>(value);
    let (sum, difference) = (times_4(add(b, c)), times_4(sub(b, c)));
    let (p, q) = (add(d, e), sub(d, e));
    [
        add(add(a, sum), p),
        add(difference, add(q, q)),
        add(sum, times_4(p)),
        add(add(difference, _mm512_slli_epi32::<3>(q)), times_4(f)),
    ]
}
