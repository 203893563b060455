//! Winograd tiles: transform, sixteen matrix products, and back.

use std::arch::x86_64::*;

use super::conv::add_products;
use super::{Ends, kept, mixed_float_vectors, mixed_vectors, stored};
use crate::conv::Tiles;
use crate::picture::BLOCK;
use crate::winograd::POSITIONS;

/// Tiles multiplied at once.
const PIXELS: usize = 6;

/// Four results for each tile, all outputs; only for [`Instructions::Avx2`](crate::backend::Instructions).
pub(crate) fn winograd(tiles: Tiles<'_>, transformed: &mut [i16], products: &mut [i32]) {
    let Tiles { input, starts, step, channels, weights, bias, multipliers, .. } = tiles;
    let count = starts.len();
    assert!(channels.is_multiple_of(BLOCK) && channels > 0 && step >= channels && bias.len().is_multiple_of(BLOCK));
    assert!(weights.len() == POSITIONS * channels * bias.len() && multipliers.len() == bias.len());
    assert!(transformed.len() >= POSITIONS * count * channels && products.len() >= POSITIONS * count * BLOCK);
    let last = starts.iter().flatten().max().map_or(0, |last| *last as usize);
    assert!(last + 3 * step + channels <= input.len() && tiles.targets.len() == count);
    let last = tiles.targets.iter().flatten().flatten().flatten().max().map_or(0, |last| *last as usize);
    assert!(last + bias.len() <= tiles.output.len());
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe { all(tiles, transformed.as_mut_ptr(), products.as_mut_ptr()) }
}

/// # Safety
/// AVX2; what [`winograd`] checks.
#[target_feature(enable = "avx2")]
unsafe fn all(tiles: Tiles<'_>, transformed: *mut i16, products: *mut i32) {
    let Tiles { input, starts, step, channels, weights, bias, multipliers, limits, targets, output } = tiles;
    let (count, ends) = (starts.len(), Ends::of(limits));
    // SAFETY: promised.
    unsafe {
        for (tile, starts) in starts.iter().enumerate() {
            for channel in (0..channels).step_by(BLOCK) {
                let rows = starts.map(|start| input.as_ptr().add(start as usize + channel));
                forward(rows, step, transformed.add(tile * channels + channel), count * channels);
            }
        }
        for block in 0..bias.len() / BLOCK {
            for position in 0..POSITIONS {
                let weights = weights.as_ptr().add((block * POSITIONS + position) * channels * BLOCK);
                let rows = transformed.add(position * count * channels);
                let sums = products.add(position * count * BLOCK);
                let mut tile = 0;
                while tile < count {
                    let (rows, sums) = (rows.add(tile * channels), sums.add(tile * BLOCK));
                    match count - tile {
                        1 => multiply::<1>(rows, channels, weights, sums),
                        2 => multiply::<2>(rows, channels, weights, sums),
                        3 => multiply::<3>(rows, channels, weights, sums),
                        4 => multiply::<4>(rows, channels, weights, sums),
                        5 => multiply::<5>(rows, channels, weights, sums),
                        _ => multiply::<PIXELS>(rows, channels, weights, sums),
                    }
                    tile += PIXELS;
                }
            }
            let bias = mixed_vectors(bias.as_ptr().add(block * BLOCK));
            let multipliers = mixed_float_vectors(multipliers.as_ptr().add(block * BLOCK));
            for (tile, targets) in targets.iter().enumerate() {
                let sums = [0, 1].map(|half| back(products.add(tile * BLOCK + 8 * half), count * BLOCK));
                for (at, target) in targets.iter().flatten().enumerate() {
                    if let Some(target) = target {
                        let of = |half: usize| {
                            _mm256_add_epi32(_mm256_srai_epi32::<2>(sums[half][at / 2][at % 2]), bias[half])
                        };
                        let found = stored([of(0), of(1)], multipliers, ends);
                        _mm256_storeu_si256(output.as_mut_ptr().add(*target as usize + block * BLOCK).cast(), found);
                    }
                }
            }
        }
    }
}

/// # Safety
/// AVX2; `N` rows of `channels` values; as many weights for sixteen outputs; room for `N` times sixteen sums.
#[inline(never)]
#[target_feature(enable = "avx2")]
unsafe fn multiply<const N: usize>(rows: *const i16, channels: usize, weights: *const i16, to: *mut i32) {
    let mut sums = [[_mm256_setzero_si256(); 2]; N];
    // SAFETY: promised.
    unsafe {
        add_products(std::array::from_fn(|row| kept(rows.add(row * channels))), channels, weights, &mut sums);
        for (row, sums) in sums.into_iter().enumerate() {
            _mm256_storeu_si256(to.add(row * BLOCK).cast(), sums[0]);
            _mm256_storeu_si256(to.add(row * BLOCK + 8).cast(), sums[1]);
        }
    }
}

/// `B^T d B` of sixteen channels of a tile of 4 by 4 pixels.
///
/// # Safety
/// AVX2; four pixels, `step` values apart, in each of the rows; room at every position, `apart` values apart.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn forward(rows: [*const i16; 4], step: usize, to: *mut i16, apart: usize) {
    let one = |[a, b, c, d]: [__m256i; 4]| {
        [_mm256_sub_epi16(a, c), _mm256_add_epi16(b, c), _mm256_sub_epi16(c, b), _mm256_sub_epi16(b, d)]
    };
    // SAFETY: promised.
    let value = |row: usize, column: usize| unsafe { _mm256_loadu_si256(rows[row].add(column * step).cast()) };
    // Down the columns first, which leaves four registers a column.
    let columns: [[__m256i; 4]; 4] =
        std::array::from_fn(|column| one([value(0, column), value(1, column), value(2, column), value(3, column)]));
    let [first, second, third, fourth] = columns;
    for (row, ((a, b), (c, d))) in first.into_iter().zip(second).zip(third.into_iter().zip(fourth)).enumerate() {
        let along = one([a, b, c, d]);
        for (column, found) in along.into_iter().enumerate() {
            // SAFETY: promised.
            unsafe { _mm256_storeu_si256(to.add((4 * row + column) * apart).cast(), found) };
        }
    }
}

/// `A^T m A` of eight outputs of a tile.
///
/// # Safety
/// AVX2; eight sums at every position, `apart` sums apart.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn back(from: *const i32, apart: usize) -> [[__m256i; 2]; 2] {
    let one = |[a, b, c, d]: [__m256i; 4]| {
        [_mm256_add_epi32(_mm256_add_epi32(a, b), c), _mm256_sub_epi32(_mm256_sub_epi32(b, c), d)]
    };
    // SAFETY: promised.
    let sum = |row: usize, column: usize| unsafe { _mm256_loadu_si256(from.add((4 * row + column) * apart).cast()) };
    let columns: [[__m256i; 2]; 4] =
        std::array::from_fn(|column| one([sum(0, column), sum(1, column), sum(2, column), sum(3, column)]));
    std::array::from_fn(|row| one([columns[0][row], columns[1][row], columns[2][row], columns[3][row]]))
}
