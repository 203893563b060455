//! The inner loops in plain Rust, over the packed weights.

use crate::pack::{BLOCK, Block, Range, Rows, Target};
use crate::requantise::store;

/// Gathered pixels times one block of outputs.
pub(crate) fn tile(rows: Rows<'_>, block: &Block<'_>, target: Target<'_>) {
    let Range { zero_point, low, high } = block.range;
    for (row, out) in target.values.chunks_mut(target.stride).enumerate().take(rows.count) {
        let mut sums = *block.bias;
        let (weights, _) = block.weights.as_chunks::<{ 2 * BLOCK }>();
        let (values, _) = rows.values[row * rows.stride..][..2 * weights.len()].as_chunks::<2>();
        for (weights, values) in weights.iter().zip(values) {
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum += i32::from(values[0]) * i32::from(weights[2 * at])
                    + i32::from(values[1]) * i32::from(weights[2 * at + 1]);
            }
        }
        for (at, out) in out[..BLOCK].iter_mut().enumerate() {
            *out = store(sums[at], block.multipliers[at], zero_point, low, high);
        }
    }
}
