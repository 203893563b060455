//! Exact integer Winograd (Lavin and Gray 2016, section 4): results of a 3x3 window at stride 1, in tiles of 2x2 from 16
//! multiplications instead of 36, or of 4x4 from 36 instead of 144.
//!
//! With `B` and `A` of whole numbers and a multiple `s G` of whole numbers instead of `G`, everything stays whole and the result is a
//! multiple of the sum: `A^T [(sG) g (sG)^T * B^T d B] A = s^2 (g * d)`. The ranges, for values of 8 bits and weights up to 127 in size:
//!
//! - 2x2, `s = 2`: `B^T d B` adds four values: at most 4 * 128 = 512. `(2G) g (2G)^T` weighs at most nine weights by one, or one by
//!   four: at most 9 * 127 = 1,143.
//! - 4x4, `s = 24`: `B^T d B` is at most 10 * 10 * 128 = 12,800. Of `24 G`, the second, third and last rows are stored as a
//!   quarter, and `A` has the four: the rows left add up to at most 7, so weights are at most 7 * 7 * 127 = 6,223.
//! - Both fit 16 bits, and so `pmaddwd` multiplies them without loss.
//! - Sums over channels and the output transform may wrap around in 32 bits: additions and multiplications modulo 2^32 are still
//!   right if the result fits. Four times a sum does where sums stay below 2^29. 576 times a sum need not: modulo 2^32 it is
//!   multiplied by the inverse of 9, which leaves 64 times the sum, and that fits where sums stay below 2^25 ([`Size::is_exact`]).

use std::array::from_fn;

use serde::{Deserialize, Serialize};

use crate::conv::{MOST_TILES, slot};
use crate::picture::BLOCK;
use crate::{Family, Layer, Shape, Window};

/// Blocks of outputs whose products are kept together.
pub(crate) const fn together(family: Family) -> usize {
    match family {
        Family::Avx512 => 2,
        Family::Pairs | Family::Avx2 | Family::Dot | Family::Neon | Family::I8mm => 1,
    }
}

/// Transformed weights take 3.6 times the bytes in tiles of 2x2 and 8 times in tiles of 4x4; beyond so many filters they come from
/// slow memory at every answer.
const MOST_FILTERS: [usize; 2] = [256 * 256, 128 * 128];
/// Bytes of transformed values that stay in a second-level cache.
const CACHED: [usize; 2] = [96 << 10, 192 << 10];

/// Results that are computed together, along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Size {
    Two,
    Four,
}

impl Size {
    /// Results along an axis.
    pub(crate) fn side(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Multiplications for a tile: positions of its transform.
    pub(crate) fn positions(self) -> usize {
        (self.side() + 2) * (self.side() + 2)
    }

    /// Tiles computed together.
    pub(crate) fn batch(self, channels: usize) -> usize {
        (CACHED[self as usize] / (self.positions() * channels * 2) / 6).clamp(1, MOST_TILES / 6) * 6
    }

    /// Rows or columns beyond the picture that the last tile reads, and before it.
    pub(crate) fn margin(self, window: &Window, shape: Shape) -> usize {
        let Some(places) = window.places(shape) else { return 0 };
        let beyond = |axis: usize, size: usize| {
            let end = places[axis].next_multiple_of(self.side()) + 2;
            end.saturating_sub(size + window.before[axis]).max(window.before[axis])
        };
        beyond(0, shape.height).max(beyond(1, shape.width))
    }

    /// The size that has a layer computed soonest; `None` where its sums cannot be had this way, or not sooner.
    pub(crate) fn best(layer: &Layer<'_>, step: usize, family: Family) -> Option<Self> {
        let Window { kernel, stride, .. } = layer.window;
        let (channels, outputs) = (layer.input.channels, layer.bias.len());
        let places = layer.window.places(layer.input)?;
        let is_suitable = (kernel, stride) == ([3, 3], [1, 1]) && channels == step && channels >= 32;
        let has_it = |size: &Self| size.has(family, channels);
        // What the transforms cost beside the products is some quarter, and a third more for the larger tile. ARM multiplies 8-bit
        // values in fewer instructions than 16-bit ones, and AVX-512 in half as many.
        let (direct, factors) = match family {
            Family::Avx2 => (12, [16, 20]),
            Family::Neon => (12, [20, 22]),
            Family::Avx512 => (6, [16, 20]),
            Family::Pairs | Family::Dot | Family::I8mm => return None,
        };
        let direct = 9 * places[0] * places[1] * direct;
        let cost = |size: &Self| {
            let tiles = places.map(|places| places.div_ceil(size.side()));
            tiles[0] * tiles[1] * size.positions() * factors[*size as usize]
        };
        let fits = |size: &Self| channels * outputs <= MOST_FILTERS[*size as usize] && size.is_exact(layer);
        let pays = |size: &Self| is_suitable && has_it(size) && fits(size) && cost(size) <= direct;
        [Self::Two, Self::Four].into_iter().filter(pays).min_by_key(cost)
    }

    /// Whether a family has loops for it.
    pub(crate) fn has(self, family: Family, channels: usize) -> bool {
        match family {
            Family::Avx2 | Family::Neon => true,
            Family::Avx512 => self == Self::Four && channels.is_multiple_of(32),
            Family::Pairs | Family::Dot | Family::I8mm => false,
        }
    }

    /// Whether the multiple of any sum that is left at last fits 32 bits.
    fn is_exact(self, layer: &Layer<'_>) -> bool {
        let depth = layer.weights.len() / layer.bias.len();
        let bound = |filter: &[i8]| filter.iter().map(|weight| u64::from(weight.unsigned_abs())).sum::<u64>() * 255;
        let most = [1 << 29, 1 << 25][self as usize];
        layer.weights.chunks_exact(depth).all(|filter| bound(filter) < most)
    }

    /// Transformed weights, `[block][position]` and in each the order of [`place`].
    pub(crate) fn transform(self, layer: &Layer<'_>, family: Family) -> Vec<i16> {
        match self {
            Self::Two => transform::<Two, 4, 2>(layer, family),
            Self::Four => transform::<Four, 6, 4>(layer, family),
        }
    }
}

/// The transforms along one axis, from `IN` values to `OUT` results.
pub(crate) trait Tile<const IN: usize, const OUT: usize> {
    /// `B^T d`.
    fn forward(values: [i32; IN]) -> [i32; IN];
    /// `s G g`, rows by what `back` makes up for.
    fn filter(taps: [i32; 3]) -> [i32; IN];
    /// `A^T m`, modulo 2^32.
    fn back(sums: [i32; IN]) -> [i32; OUT];
    /// The sum of which `multiple` is `s^2` times, modulo 2^32.
    fn sum(multiple: i32) -> i32;
}

/// Tiles of 2x2.
pub(crate) struct Two;

impl Tile<4, 2> for Two {
    fn forward([a, b, c, d]: [i32; 4]) -> [i32; 4] {
        [a - c, b + c, c - b, b - d]
    }

    fn filter([a, b, c]: [i32; 3]) -> [i32; 4] {
        [2 * a, a + b + c, a - b + c, 2 * c]
    }

    fn back([a, b, c, d]: [i32; 4]) -> [i32; 2] {
        [a.wrapping_add(b).wrapping_add(c), b.wrapping_sub(c).wrapping_sub(d)]
    }

    fn sum(multiple: i32) -> i32 {
        multiple >> 2
    }
}

/// Tiles of 4x4.
pub(crate) struct Four;

/// Times 9 it is 1 modulo 2^32.
pub(crate) const INVERSE_OF_9: i32 = 954_437_177;

impl Tile<6, 4> for Four {
    fn forward([a, b, c, d, e, f]: [i32; 6]) -> [i32; 6] {
        let (u, v) = (e - 4 * c, d - 4 * b);
        let (p, q) = (e - c, 2 * (d - b));
        [4 * (a - c) + p, u + v, u - v, p + q, p - q, f - d - 2 * q]
    }

    fn filter([a, b, c]: [i32; 3]) -> [i32; 6] {
        [6 * a, -a - b - c, b - a - c, a + 2 * b + 4 * c, a - 2 * b + 4 * c, 6 * c]
    }

    fn back([a, b, c, d, e, f]: [i32; 6]) -> [i32; 4] {
        let (sum, difference) = (b.wrapping_add(c) << 2, b.wrapping_sub(c) << 2);
        let (p, q) = (d.wrapping_add(e), d.wrapping_sub(e));
        [
            a.wrapping_add(sum).wrapping_add(p),
            difference.wrapping_add(q << 1),
            sum.wrapping_add(p << 2),
            difference.wrapping_add(q << 3).wrapping_add(f << 2),
        ]
    }

    fn sum(multiple: i32) -> i32 {
        multiple.wrapping_mul(INVERSE_OF_9) >> 6
    }
}

/// `one` along columns, then along rows; `[row][column]` both.
pub(crate) fn both<const IN: usize, const OUT: usize>(
    values: [[i32; IN]; IN],
    one: impl Fn([i32; IN]) -> [i32; OUT],
) -> [[i32; OUT]; OUT] {
    let columns: [[i32; OUT]; IN] = from_fn(|column| one(from_fn(|row| values[row][column])));
    from_fn(|row| one(from_fn(|column| columns[column][row])))
}

/// Where a transformed weight lies among those of its block and position: pairs of channels together for x86, one after the other
/// for ARM, whose instructions multiply one channel by all outputs.
pub(crate) fn place(family: Family, output: usize, channel: usize) -> usize {
    match family {
        Family::Avx2 | Family::Avx512 => (channel / 2 * BLOCK + slot(family, output)) * 2 + channel % 2,
        _ => channel * BLOCK + slot(family, output),
    }
}

fn transform<T: Tile<IN, OUT>, const IN: usize, const OUT: usize>(layer: &Layer<'_>, family: Family) -> Vec<i16> {
    let (channels, outputs) = (layer.input.channels, layer.bias.len());
    let mut packed = vec![0; outputs.next_multiple_of(BLOCK) * IN * IN * channels];
    for (out, filter) in layer.weights.chunks_exact(9 * channels).enumerate() {
        for channel in 0..channels {
            let taps = from_fn(|row| from_fn(|column| filter[(3 * row + column) * channels + channel].into()));
            for (position, weight) in transformed::<T, IN, OUT>(taps).into_iter().flatten().enumerate() {
                let first = (out / BLOCK * IN * IN + position) * channels * BLOCK;
                packed[first + place(family, out % BLOCK, channel)] = weight as i16;
            }
        }
    }
    packed
}

/// `(sG) g (sG)^T`.
fn transformed<T: Tile<IN, OUT>, const IN: usize, const OUT: usize>(taps: [[i32; 3]; 3]) -> [[i32; IN]; IN] {
    let columns: [[i32; IN]; 3] = from_fn(|column| T::filter(from_fn(|row| taps[row][column])));
    from_fn(|row| T::filter(from_fn(|column| columns[column][row])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest of a transform over every choice of signs is the sum of the sizes of its coefficients.
    fn largest<const N: usize, const OUT: usize>(one: impl Fn([i32; N]) -> [i32; OUT]) -> i32 {
        let coefficients: [[i32; OUT]; N] = from_fn(|at| one(from_fn(|other| i32::from(at == other))));
        (0..OUT).map(|row| coefficients.iter().map(|of| of[row].abs()).sum()).max().unwrap()
    }

    #[test]
    fn transforms_stay_within_their_ranges() {
        assert_eq!([largest(Two::forward), largest(Two::filter)], [2, 3]);
        assert_eq!([largest(Four::forward), largest(Four::filter)], [10, 7]);
        assert!(10 * 10 * 128 < i32::from(i16::MAX) && 7 * 7 * 127 < i32::from(i16::MAX));
        assert_eq!(INVERSE_OF_9.wrapping_mul(9), 1);
    }

    /// Any values and weights of one tile, computed the long way.
    fn check<T: Tile<IN, OUT>, const IN: usize, const OUT: usize>() {
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [-128, 127, (state >> 24) as i32 - 128][(state >> 16) as usize % 3]
        };
        for _ in 0..200 {
            let taps: [[i32; 3]; 3] = from_fn(|_| from_fn(|_| byte().max(-127)));
            let values: [[i32; IN]; IN] = from_fn(|_| from_fn(|_| byte()));
            let (weights, forward) = (transformed::<T, IN, OUT>(taps), both(values, T::forward));
            // As if sums over channels had gone once around.
            let products = from_fn(|row| from_fn(|at| forward[row][at].wrapping_mul(weights[row][at])));
            let found = both::<IN, OUT>(products, T::back);
            for row in 0..OUT {
                for column in 0..OUT {
                    let under = (0..9).map(|tap| taps[tap / 3][tap % 3] * values[row + tap / 3][column + tap % 3]);
                    assert_eq!(T::sum(found[row][column]), under.sum::<i32>());
                }
            }
        }
    }

    #[test]
    fn tiles_are_the_convolution() {
        check::<Two, 4, 2>();
        check::<Four, 6, 4>();
    }
}
