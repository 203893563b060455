//! Winograd tiles: transform, matrix products, and back.

use std::arch::x86_64::*;
use std::array::from_fn;

use super::conv::add_products;
use super::{Add, Ends, kept, mixed_float_vectors, mixed_vectors, stored};
use crate::conv::{Tiles, even};
use crate::picture::BLOCK;
use crate::winograd::{Four, INVERSE_OF_9, Two};

/// Tiles multiplied at once.
const PIXELS: usize = 6;

/// [`Tile`](crate::winograd::Tile) for sixteen values, or eight sums.
pub(crate) trait Lanes<const IN: usize, const OUT: usize> {
    /// # Safety
    /// AVX2.
    unsafe fn forward(values: [__m256i; IN]) -> [__m256i; IN];
    /// # Safety
    /// AVX2.
    unsafe fn back(sums: [__m256i; IN]) -> [__m256i; OUT];
    /// # Safety
    /// AVX2.
    unsafe fn sum(multiple: __m256i) -> __m256i;
}

impl Lanes<4, 2> for Two {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn forward([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
        [_mm256_sub_epi16(a, c), _mm256_add_epi16(b, c), _mm256_sub_epi16(c, b), _mm256_sub_epi16(b, d)]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn back([a, b, c, d]: [__m256i; 4]) -> [__m256i; 2] {
        [_mm256_add_epi32(_mm256_add_epi32(a, b), c), _mm256_sub_epi32(_mm256_sub_epi32(b, c), d)]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sum(multiple: __m256i) -> __m256i {
        _mm256_srai_epi32::<2>(multiple)
    }
}

impl Lanes<6, 4> for Four {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn forward([a, b, c, d, e, f]: [__m256i; 6]) -> [__m256i; 6] {
        let times_4 = |value| _mm256_slli_epi16::<2>(value);
        let (u, v) = (_mm256_sub_epi16(e, times_4(c)), _mm256_sub_epi16(d, times_4(b)));
        let (p, q) = (_mm256_sub_epi16(e, c), _mm256_slli_epi16::<1>(_mm256_sub_epi16(d, b)));
        [
            _mm256_add_epi16(times_4(_mm256_sub_epi16(a, c)), p),
            _mm256_add_epi16(u, v),
            _mm256_sub_epi16(u, v),
            _mm256_add_epi16(p, q),
            _mm256_sub_epi16(p, q),
            _mm256_sub_epi16(_mm256_sub_epi16(f, d), _mm256_add_epi16(q, q)),
        ]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn back([a, b, c, d, e, f]: [__m256i; 6]) -> [__m256i; 4] {
        let times_4 = |value| _mm256_slli_epi32::<2>(value);
        let (sum, difference) = (times_4(_mm256_add_epi32(b, c)), times_4(_mm256_sub_epi32(b, c)));
        let (p, q) = (_mm256_add_epi32(d, e), _mm256_sub_epi32(d, e));
        [
            _mm256_add_epi32(_mm256_add_epi32(a, sum), p),
            _mm256_add_epi32(difference, _mm256_add_epi32(q, q)),
            _mm256_add_epi32(sum, times_4(p)),
            _mm256_add_epi32(_mm256_add_epi32(difference, _mm256_slli_epi32::<3>(q)), times_4(f)),
        ]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sum(multiple: __m256i) -> __m256i {
        _mm256_srai_epi32::<6>(_mm256_mullo_epi32(multiple, _mm256_set1_epi32(INVERSE_OF_9)))
    }
}

/// All results and outputs of each tile.
pub(crate) fn winograd<M: Add, T: Lanes<IN, OUT>, const IN: usize, const OUT: usize>(
    tiles: Tiles<'_, IN, OUT>,
    transformed: &mut [i16],
    products: &mut [i32],
) {
    tiles.check(transformed, products);
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
    unsafe { all::<M, T, IN, OUT>(tiles, transformed.as_mut_ptr(), products.as_mut_ptr()) }
}

/// # Safety
/// AVX2 and `M`; what [`winograd`] checks.
#[target_feature(enable = "avx2")]
unsafe fn all<M: Add, T: Lanes<IN, OUT>, const IN: usize, const OUT: usize>(
    tiles: Tiles<'_, IN, OUT>,
    transformed: *mut i16,
    products: *mut i32,
) {
    let Tiles {
        input, starts, step, channels, weights, bias, multipliers, limits, targets, output_step, output, ..
    } = tiles;
    let (count, ends) = (starts.len(), Ends::of(limits));
    // SAFETY: promised.
    unsafe {
        for (tile, starts) in starts.iter().enumerate() {
            for channel in (0..channels).step_by(BLOCK) {
                let rows = starts.map(|start| input.as_ptr().add(start as usize + channel));
                forward::<T, IN, OUT>(rows, step, transformed.add(tile * channels + channel), count * channels);
            }
        }
        for block in 0..bias.len() / BLOCK {
            for position in 0..IN * IN {
                let weights = weights.as_ptr().add((block * IN * IN + position) * channels * BLOCK);
                multiply_all::<M>(
                    transformed.add(position * count * channels),
                    count,
                    channels,
                    weights,
                    products.add(position * count * BLOCK),
                );
            }
            let bias = mixed_vectors(bias.as_ptr().add(block * BLOCK));
            let multipliers = mixed_float_vectors(multipliers.as_ptr().add(block * BLOCK));
            for (tile, target) in targets.iter().enumerate() {
                let mut sums = [[[_mm256_setzero_si256(); OUT]; OUT]; 2];
                for (half, sums) in sums.iter_mut().enumerate() {
                    back::<T, IN, OUT>(products.add(tile * BLOCK + 8 * half), count * BLOCK, sums);
                }
                for at in 0..OUT * OUT {
                    if let Some(target) = target.pixel(at / OUT, at % OUT, output_step) {
                        let of = |half: usize| _mm256_add_epi32(T::sum(sums[half][at / OUT][at % OUT]), bias[half]);
                        let found = stored([of(0), of(1)], multipliers, ends);
                        _mm256_storeu_si256(output.as_mut_ptr().add(target + block * BLOCK).cast(), found);
                    }
                }
            }
        }
    }
}

/// # Safety
/// AVX2 and `M`; `count` rows of `channels` values; as many weights for sixteen outputs; room for `count` times sixteen sums.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn multiply_all<M: Add>(rows: *const i16, count: usize, channels: usize, weights: *const i16, sums: *mut i32) {
    let group = even(count, PIXELS);
    let mut tile = 0;
    while tile < count {
        let now = group.min(count - tile);
        // SAFETY: promised.
        unsafe {
            let (rows, sums) = (rows.add(tile * channels), sums.add(tile * BLOCK));
            match now {
                1 => multiply::<M, 1>(rows, channels, weights, sums),
                2 => multiply::<M, 2>(rows, channels, weights, sums),
                3 => multiply::<M, 3>(rows, channels, weights, sums),
                4 => multiply::<M, 4>(rows, channels, weights, sums),
                5 => multiply::<M, 5>(rows, channels, weights, sums),
                _ => multiply::<M, PIXELS>(rows, channels, weights, sums),
            }
        }
        tile += now;
    }
}

/// # Safety
/// AVX2 and `M`; `N` rows of `channels` values; as many weights for sixteen outputs; room for `N` times sixteen sums.
#[inline(never)]
#[target_feature(enable = "avx2")]
unsafe fn multiply<M: Add, const N: usize>(rows: *const i16, channels: usize, weights: *const i16, to: *mut i32) {
    let mut sums = [[_mm256_setzero_si256(); 2]; N];
    // SAFETY: promised.
    unsafe {
        add_products::<M, _, _>(from_fn(|row| kept(rows.add(row * channels))), channels, weights, &mut sums);
        for (row, sums) in sums.into_iter().enumerate() {
            _mm256_storeu_si256(to.add(row * BLOCK).cast(), sums[0]);
            _mm256_storeu_si256(to.add(row * BLOCK + 8).cast(), sums[1]);
        }
    }
}

/// `B^T d B` of sixteen channels of a tile of `IN` by `IN` pixels.
///
/// # Safety
/// AVX2; `IN` pixels, `step` values apart, in each of the rows; room at every position, `apart` values apart.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn forward<T: Lanes<IN, OUT>, const IN: usize, const OUT: usize>(
    rows: [*const i16; IN],
    step: usize,
    to: *mut i16,
    apart: usize,
) {
    // SAFETY: promised.
    unsafe {
        let value = |row: usize, column: usize| _mm256_loadu_si256(rows[row].add(column * step).cast());
        // Down the columns first.
        let columns: [[__m256i; IN]; IN] = from_fn(|column| T::forward(from_fn(|row| value(row, column))));
        let rows: [[__m256i; IN]; IN] = from_fn(|row| T::forward(from_fn(|column| columns[column][row])));
        for (position, found) in rows.into_iter().flatten().enumerate() {
            _mm256_storeu_si256(to.add(position * apart).cast(), found);
        }
    }
}

/// `A^T m A` of eight outputs of a tile.
///
/// # Safety
/// AVX2; eight sums at every position, `apart` sums apart.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn back<T: Lanes<IN, OUT>, const IN: usize, const OUT: usize>(
    from: *const i32,
    apart: usize,
    sums: &mut [[__m256i; OUT]; OUT],
) {
    // SAFETY: promised.
    unsafe {
        let sum = |row: usize, column: usize| _mm256_loadu_si256(from.add((IN * row + column) * apart).cast());
        let columns: [[__m256i; OUT]; IN] = from_fn(|column| T::back(from_fn(|row| sum(row, column))));
        for (row, sums) in sums.iter_mut().enumerate() {
            *sums = T::back(from_fn(|column| columns[column][row]));
        }
    }
}
