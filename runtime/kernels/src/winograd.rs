//! Exact integer Winograd F(2x2, 3x3) (Lavin and Gray 2016, section 4.1): four results of a 3x3 window at stride 1 from 16
//! multiplications instead of 36.
//!
//! With `B` and `A` of whole numbers and `2 G` instead of `G`, which has halves, everything stays whole and the result is four times
//! the sum: `A^T [(2G) g (2G)^T * B^T d B] A = 4 (g * d)`. The ranges, for values of 8 bits and weights up to 127 in size:
//!
//! - `B^T d B` adds four values: at most 4 * 128 = 512. `(2G) g (2G)^T` weighs at most nine weights by one, or one by four: at most
//!   9 * 127 = 1,143. Both fit 16 bits, and so `pmaddwd` multiplies them without loss.
//! - Sums over channels and the output transform may wrap around in 32 bits; additions modulo 2^32 are still right if the result
//!   fits, and four times a sum does where sums stay below 2^29 ([`is_exact`]).

use crate::conv::{MOST_TILES, slot};
use crate::picture::BLOCK;
use crate::{Family, Layer, Shape, Window};

/// Multiplications for a tile: positions of its transform.
pub(crate) const POSITIONS: usize = 16;
/// Transformed weights take 3.6 times the bytes; beyond this many filters they come from slow memory at every answer.
const MOST_FILTERS: usize = 256 * 256;

/// Whether the sums of a layer can be had this way, and soon enough.
pub(crate) fn pays(layer: &Layer<'_>, step: usize, family: Family) -> bool {
    let Window { kernel, stride, .. } = layer.window;
    let (channels, outputs) = (layer.input.channels, layer.bias.len());
    let Some([height, width]) = layer.window.places(layer.input) else { return false };
    let tiles = height.div_ceil(2) * width.div_ceil(2);
    family == Family::Avx2
        && (kernel, stride) == ([3, 3], [1, 1])
        && channels == step
        && channels >= 32
        && channels * outputs <= MOST_FILTERS
        && tiles * POSITIONS * 4 <= 9 * height * width * 3
        && is_exact(layer)
}

/// Whether four times any sum fits 32 bits.
fn is_exact(layer: &Layer<'_>) -> bool {
    let depth = layer.weights.len() / layer.bias.len();
    let bound = |filter: &[i8]| filter.iter().map(|weight| u64::from(weight.unsigned_abs())).sum::<u64>() * 255;
    layer.weights.chunks_exact(depth).all(|filter| bound(filter) < 1 << 29)
}

/// Transformed weights, `[block][position][channel / 2][slot][2]`.
pub(crate) fn transform(layer: &Layer<'_>, family: Family) -> Vec<i16> {
    let (channels, outputs) = (layer.input.channels, layer.bias.len());
    let mut packed = vec![0; outputs.next_multiple_of(BLOCK) * POSITIONS * channels];
    for (out, filter) in layer.weights.chunks_exact(9 * channels).enumerate() {
        for channel in 0..channels {
            let taps: [[i16; 3]; 3] = std::array::from_fn(|row| {
                std::array::from_fn(|column| filter[(3 * row + column) * channels + channel].into())
            });
            for (position, weight) in transformed(taps).into_iter().flatten().enumerate() {
                let first = (out / BLOCK * POSITIONS + position) * channels * BLOCK;
                packed[first + channel / 2 * BLOCK * 2 + slot(family, out % BLOCK) * 2 + channel % 2] = weight;
            }
        }
    }
    packed
}

/// `(2G) g (2G)^T`.
fn transformed(taps: [[i16; 3]; 3]) -> [[i16; 4]; 4] {
    let one = |[a, b, c]: [i16; 3]| [2 * a, a + b + c, a - b + c, 2 * c];
    let rows = taps.map(one);
    let column = |at: usize| one([rows[0][at], rows[1][at], rows[2][at]]);
    let columns: [[i16; 4]; 4] = std::array::from_fn(column);
    std::array::from_fn(|row| std::array::from_fn(|at| columns[at][row]))
}

/// Rows or columns beyond `size` that the last tile reads, and before it.
pub(crate) fn margin(window: &Window, shape: Shape) -> usize {
    let Some(places) = window.places(shape) else { return 0 };
    let beyond = |axis: usize, size: usize| {
        let end = 2 * places[axis].div_ceil(2) + 2;
        end.saturating_sub(size + window.before[axis]).max(window.before[axis])
    };
    beyond(0, shape.height).max(beyond(1, shape.width))
}

/// Tiles computed together, so that their transforms stay in a second-level cache.
pub(crate) fn batch(channels: usize) -> usize {
    ((96 << 10) / (POSITIONS * channels * 2) / 6).clamp(1, MOST_TILES / 6) * 6
}

#[cfg(test)]
mod tests {
    use super::transformed;

    #[test]
    fn the_largest_filter_stays_within_its_range() {
        let largest = [[127; 3]; 3];
        assert_eq!(transformed(largest).iter().flatten().max(), Some(&1143));
        let chequered = [[127, -127, 127], [-127, 127, -127], [127, -127, 127]];
        assert_eq!(transformed(chequered)[2][2], 1143);
        assert_eq!(transformed([[1, 0, 0], [0; 3], [0; 3]])[0], [4, 2, 2, 0]);
    }

    /// One row of the identity, for one tile: any values and weights, computed the long way.
    #[test]
    fn it_is_four_times_the_convolution() {
        let taps: [[i16; 3]; 3] = [[-127, 5, 90], [127, -127, 3], [0, 77, -1]];
        let values: [[i32; 4]; 4] = [[-128, 127, 3, 9], [127, -128, -128, 4], [55, 127, -77, 127], [1, -2, 127, -128]];
        let forward = |[a, b, c, d]: [i32; 4]| [a - c, b + c, c - b, b - d];
        let rows = values.map(forward);
        let columns: [[i32; 4]; 4] =
            std::array::from_fn(|at| forward([rows[0][at], rows[1][at], rows[2][at], rows[3][at]]));
        let weights = transformed(taps);
        let products: [[i32; 4]; 4] =
            std::array::from_fn(|row| std::array::from_fn(|at| columns[at][row] * i32::from(weights[row][at])));
        let back = |[a, b, c, d]: [i32; 4]| [a + b + c, b - c - d];
        let rows = products.map(back);
        let found: [[i32; 2]; 2] = std::array::from_fn(|at| back([rows[0][at], rows[1][at], rows[2][at], rows[3][at]]));
        for row in 0..2 {
            for column in 0..2 {
                let under =
                    (0..9).map(|tap| i32::from(taps[tap / 3][tap % 3]) * values[row + tap / 3][column + tap % 3]);
                assert_eq!(found[column][row], 4 * under.sum::<i32>());
            }
        }
    }
}
