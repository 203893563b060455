//! Weights in the order in which the inner loops read them, and what else a loop is handed.

use crate::Requantise;

/// Output channels that an inner loop computes at once.
pub(crate) const BLOCK: usize = 16;
/// Pixels that an inner loop computes at once: six times two vectors of sums, two of weights and one broadcast fill the
/// sixteen registers of AVX2.
pub(crate) const ROWS: usize = 6;

/// A matrix `[out, depth]` of weights in blocks of [`BLOCK`] outputs, pairs of depth together: `[block][pair][out][2]`.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// Zeros where a block or a pair is not full.
    weights: Vec<i8>,
    /// Padded to whole blocks.
    bias: Vec<i32>,
    multipliers: Vec<f32>,
    range: Range,
    /// Pairs along the depth.
    pub(crate) pairs: usize,
}

/// Up to [`ROWS`] gathered pixels: [`Packed::pairs`] pairs of values each, rows `stride` values apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [i16],
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

/// Where a tile goes: [`BLOCK`] values a row, rows `stride` values apart.
pub(crate) struct Target<'a> {
    pub(crate) values: &'a mut [i8],
    pub(crate) stride: usize,
}

/// What one block of outputs needs.
pub(crate) struct Block<'a> {
    /// `[pair][out][2]`.
    pub(crate) weights: &'a [i8],
    pub(crate) bias: &'a [i32; BLOCK],
    pub(crate) multipliers: &'a [f32; BLOCK],
    pub(crate) range: Range,
}

/// The part of [`Requantise`](crate::Requantise) that all channels share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) zero_point: i8,
    pub(crate) low: i8,
    pub(crate) high: i8,
}

impl Range {
    pub(crate) fn of(requantise: &Requantise) -> Self {
        Self { zero_point: requantise.zero_point, low: requantise.low, high: requantise.high }
    }
}

impl Packed {
    pub(crate) fn new(weights: &[i8], bias: &[i32], requantise: &Requantise) -> Self {
        let (outputs, depth) = (bias.len(), weights.len() / bias.len());
        let (blocks, pairs) = (outputs.div_ceil(BLOCK), depth.div_ceil(2));
        let mut packed = vec![0; blocks * pairs * BLOCK * 2];
        for (out, row) in weights.chunks_exact(depth).enumerate() {
            for (at, &weight) in row.iter().enumerate() {
                packed[((out / BLOCK * pairs + at / 2) * BLOCK + out % BLOCK) * 2 + at % 2] = weight;
            }
        }
        let (mut bias, mut multipliers) = (bias.to_vec(), requantise.multipliers.clone());
        bias.resize(blocks * BLOCK, 0);
        multipliers.resize(blocks * BLOCK, 0.0);
        Self { weights: packed, bias, multipliers, range: Range::of(requantise), pairs }
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let (bias, _) = self.bias.as_chunks::<BLOCK>();
        let (multipliers, _) = self.multipliers.as_chunks::<BLOCK>();
        let weights = self.weights.chunks_exact(self.pairs * BLOCK * 2);
        weights.zip(bias.iter().zip(multipliers)).map(|(weights, (bias, multipliers))| Block {
            weights,
            bias,
            multipliers,
            range: self.range,
        })
    }
}
