//! Telling near copies by a difference hash.

use rayon::prelude::*;
use remedis_imaging::{Channels, Depth, Image, Preprocessing, Resize, resize};

/// Bits in which two hashes may differ and still count as one picture; fewer than [`PARTS`], so that pairs cannot hide.
const MAX_DIFFERING_BITS: u32 = 6;
const PARTS: usize = 8;
/// A hash with fewer bits set is of a nearly flat picture, and like every other such.
const MIN_SET_BITS: u32 = 24;

/// 16 x 16 signs of the horizontal gradient of the picture at 17 x 16.
pub(crate) type Hash = [u32; PARTS];

/// Hashes a picture; `None` when it is too flat to be told from others, or empty.
pub(crate) fn hash(image: &Image) -> Option<Hash> {
    let small = Preprocessing {
        width: 17,
        height: 16,
        channels: Channels::Grey,
        depth_bits: Depth::Eight,
        resize: Resize::Stretch,
        mean: vec![0.0],
        std: vec![1.0],
    };
    let small = resize(image, &small).ok()?;
    let mut hash = [0; PARTS];
    for (row, line) in small.as_u8().chunks_exact(17).enumerate() {
        for (column, pair) in line.windows(2).enumerate() {
            hash[row / 2] |= u32::from(pair[0] < pair[1]) << (row % 2 * 16 + column);
        }
    }
    let set: u32 = hash.iter().map(|part| part.count_ones()).sum();
    (MIN_SET_BITS..=256 - MIN_SET_BITS).contains(&set).then_some(hash)
}

/// All pairs (smaller position first, sorted) whose hashes nearly agree and for which `wanted` holds.
///
/// Two hashes that differ in fewer bits than there are parts agree in at least one part, so only such are compared.
pub(crate) fn near_pairs(hashes: &[Option<Hash>], wanted: impl Fn(usize, usize) -> bool + Sync) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = (0..PARTS)
        .into_par_iter()
        .flat_map_iter(|part| {
            let mut order: Vec<(u32, usize)> =
                hashes.iter().enumerate().filter_map(|(at, hash)| Some((hash.as_ref()?[part], at))).collect();
            order.sort_unstable();
            let mut found = Vec::new();
            for bucket in order.chunk_by(|a, b| a.0 == b.0) {
                for (at, &(_, first)) in bucket.iter().enumerate() {
                    for &(_, second) in &bucket[at + 1..] {
                        if is_near(hashes[first], hashes[second]) && wanted(first, second) {
                            found.push((first, second));
                        }
                    }
                }
            }
            found
        })
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn is_near(first: Option<Hash>, second: Option<Hash>) -> bool {
    let (Some(first), Some(second)) = (first, second) else { return false };
    first.iter().zip(second).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() <= MAX_DIFFERING_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_within_six_bits_are_found_and_others_not() {
        let base: Hash = [0xdead_beef, 1, 2, 3, 4, 5, 6, 7];
        let flipped = |bits: usize| {
            let mut hash = base;
            (0..bits).for_each(|bit| hash[bit % PARTS] ^= 1 << (bit * 3));
            Some(hash)
        };
        let hashes = [Some(base), flipped(6), flipped(7), None, Some(base)];
        assert_eq!(near_pairs(&hashes, |_, _| true), [(0, 1), (0, 4), (1, 2), (1, 4)]);
        assert_eq!(near_pairs(&hashes, |first, second| (first, second) == (0, 4)), [(0, 4)]);
    }
}
