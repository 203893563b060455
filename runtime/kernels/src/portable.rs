//! The inner loops in plain Rust, over the packed weights.

use crate::conv::Target;
use crate::pack::{BLOCK, Block, Range};
use crate::requantise::store;

/// Up to [`ROWS`](crate::pack::ROWS) pixels times one block of outputs; see [`crate::conv`] for the shapes.
pub(crate) fn tile(rows: &[i16], stride: usize, n_rows: usize, block: &Block<'_>, range: Range, target: Target<'_>) {
    for (row, out) in target.values.chunks_mut(target.stride).enumerate().take(n_rows) {
        let mut sums = *block.bias;
        let (weights, _) = block.weights.as_chunks::<{ 2 * BLOCK }>();
        let (values, _) = rows[row * stride..][..2 * weights.len()].as_chunks::<2>();
        for (weights, values) in weights.iter().zip(values) {
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum += i32::from(values[0]) * i32::from(weights[2 * at])
                    + i32::from(values[1]) * i32::from(weights[2 * at + 1]);
            }
        }
        for (at, out) in out[..BLOCK].iter_mut().enumerate() {
            *out = store(sums[at], block.multipliers[at], range.zero_point, range.low, range.high);
        }
    }
}
