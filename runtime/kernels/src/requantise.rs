//! From an exact 32-bit sum to the stored 8-bit value: the one rounding rule.

use serde::{Deserialize, Serialize};

use crate::{Shape, Window};

/// How sums become stored values.
///
/// `stored = clamp(round_half_even(f32(sum) * multiplier[channel]) + zero_point, low, high)`
///
/// Both operations are IEEE 754 single precision, rounded to nearest, ties to even: `f32(sum)` rounds sums beyond 2^24, the
/// product is rounded once, and nothing is fused. Every processor of the last fifteen years does exactly this, eight values
/// at a time; the rule of onnxruntime's optimised kernels is the same one. A 64-bit product would be twice the work on x86
/// and does not exist on 32-bit ARM vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Requantise {
    /// Input scale times weight scale over output scale, for each output channel.
    pub multipliers: Vec<f32>,
    /// The stored value of a real zero.
    pub zero_point: i8,
    /// The least stored value: -128, or the zero point under a ReLU.
    pub low: i8,
    /// The largest stored value: 127, or less under a ReLU6.
    pub high: i8,
}

impl Requantise {
    /// The stored value of `sum` in `channel`.
    ///
    /// # Panics
    /// If there is no such channel.
    #[must_use]
    pub fn store(&self, sum: i32, channel: usize) -> i8 {
        Limits::of(self).store(sum as f32 * self.multipliers[channel])
    }
}

/// The part of [`Requantise`] that all channels share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The stored value of a real zero.
    pub zero_point: i8,
    /// The least stored value.
    pub low: i8,
    /// The largest stored value.
    pub high: i8,
}

impl Limits {
    /// Of a layer's results.
    #[must_use]
    pub fn of(requantise: &Requantise) -> Self {
        Self { zero_point: requantise.zero_point, low: requantise.low, high: requantise.high }
    }

    /// Whether it is a range at all: for limits from a file.
    #[must_use]
    pub fn is_range(self) -> bool {
        self.low <= self.high
    }

    /// As [`Limits::store`], in a form that compilers turn into vectors: added to 1.5 * 2^23, a number below 2^22 is rounded to a
    /// whole one, ties to even, in the lowest bits. Numbers beyond that are far outside of every range.
    #[inline(always)]
    pub(crate) fn store_number(self, steps: f32) -> i32 {
        const MAGIC: f32 = 12_582_912.0;
        let steps = if steps.is_nan() { 0.0 } else { steps };
        let steps = (steps.clamp(-1e6, 1e6) + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32;
        (steps + i32::from(self.zero_point)).max(self.low.into()).min(self.high.into())
    }

    /// The stored value of a number of steps; what is no number becomes the zero point.
    #[inline]
    #[must_use]
    pub fn store(self, steps: f32) -> i8 {
        let steps = steps.round_ties_even() as i32;
        steps.saturating_add(self.zero_point.into()).clamp(self.low.into(), self.high.into()) as i8
    }
}

/// Why a layer cannot be built.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum LayerError {
    /// A list of the wrong length.
    #[error("{what} should have {expected} entries, found {found}")]
    Length {
        /// Which list.
        what: &'static str,
        /// By the shapes.
        expected: usize,
        /// As given.
        found: usize,
    },
    /// A window that does not fit, or a shape without values.
    #[error("a window of {window:?} does not fit an input of {input:?}")]
    Window {
        /// The window.
        window: Window,
        /// The input.
        input: Shape,
    },
    /// Sums that could leave 32 bits.
    #[error("the sums of output channel {channel} could reach {bound}, expected below 2^31: run this layer in float")]
    Overflow {
        /// Which output channel.
        channel: usize,
        /// Largest magnitude.
        bound: u64,
    },
    /// A multiplier that is no positive number, or so large that a step could leave 32 bits.
    #[error(
        "the multiplier of output channel {channel} is {found}, expected above 0 and below 2^31 over the largest sum"
    )]
    Multiplier {
        /// Which output channel.
        channel: usize,
        /// As given.
        found: f32,
    },
    /// A weight of -128, which has no opposite.
    #[error("weight {position} is -128, expected -127 to 127")]
    Weight {
        /// Where in the list.
        position: usize,
    },
    /// An empty range of stored values.
    #[error("stored values from {low} to {high}: expected a range")]
    Range {
        /// The least.
        low: i8,
        /// The largest.
        high: i8,
    },
}

/// What a convolution is made of, as the quantised network has it.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Shape of what it reads.
    pub input: Shape,
    /// The stored value of a real zero there.
    pub input_zero: i8,
    /// What it slides over that.
    pub window: Window,
    /// `[out, tap row, tap column, in]`, from -127 to 127; a depthwise layer has one `in` for each `out`.
    pub weights: &'a [i8],
    /// One for each output channel, in steps of input scale times weight scale.
    pub bias: &'a [i32],
    /// How its sums become stored values.
    pub requantise: &'a Requantise,
}

impl Layer<'_> {
    /// Rows and columns of the result of a layer whose outputs read `inner` input channels each.
    ///
    /// Refuses arithmetic that could differ between processors: sums or steps beyond 32 bits, and -128, whose absolute value
    /// does not fit and with which pairs of products could leave 16 bits.
    pub(crate) fn check(&self, inner: usize) -> Result<[usize; 2], LayerError> {
        let Self { input, window, requantise, .. } = *self;
        let fits = window.places(input).filter(|_| input.volume() > 0 && !self.bias.is_empty());
        let places = fits.ok_or(LayerError::Window { window, input })?;
        let depth = window.kernel[0] * window.kernel[1] * inner;
        let lengths = [
            ("weights", depth * self.bias.len(), self.weights.len()),
            ("multipliers", self.bias.len(), requantise.multipliers.len()),
        ];
        if let Some((what, expected, found)) = lengths.into_iter().find(|(_, expected, found)| expected != found) {
            return Err(LayerError::Length { what, expected, found });
        }
        if let Some(position) = self.weights.iter().position(|weight| *weight == i8::MIN) {
            return Err(LayerError::Weight { position });
        }
        if requantise.low > requantise.high {
            return Err(LayerError::Range { low: requantise.low, high: requantise.high });
        }
        let channels = self.weights.chunks_exact(depth).zip(self.bias.iter().zip(&requantise.multipliers));
        for (channel, (weights, (bias, &multiplier))) in channels.enumerate() {
            // A value less its zero point is from -255 to 255; the zero point times the weights may be folded into the bias.
            let magnitude: u64 = weights.iter().map(|weight| u64::from(weight.unsigned_abs())).sum();
            let bound = u64::from(bias.unsigned_abs()) + 2 * 255 * magnitude;
            if bound >= 1 << 31 {
                return Err(LayerError::Overflow { channel, bound });
            }
            let is_usable = multiplier > 0.0 && f64::from(multiplier) * (bound.max(1) as f64) < f64::from(1 << 30);
            if !is_usable {
                return Err(LayerError::Multiplier { channel, found: multiplier });
            }
        }
        Ok(places)
    }

    /// Each bias less the zero point times its weights: then sums of stored values are sums of real ones, and the zero point
    /// itself stands in the padding. `offset` is what is added to stored values before they are multiplied.
    pub(crate) fn folded_bias(&self, offset: i32) -> Vec<i32> {
        let depth = self.weights.len() / self.bias.len();
        let of = |filter: &[i8]| {
            filter.iter().map(|weight| i32::from(*weight)).sum::<i32>() * (i32::from(self.input_zero) + offset)
        };
        self.weights.chunks_exact(depth).zip(self.bias).map(|(filter, bias)| bias - of(filter)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    fn store(sum: i32, multiplier: f32, zero_point: i8, low: i8, high: i8) -> i8 {
        Limits { zero_point, low, high }.store(sum as f32 * multiplier)
    }

    #[test]
    fn halves_go_to_even_and_the_range_holds() {
        let halves: Vec<i8> = [-5, -3, -1, 1, 3, 5].map(|sum| store(sum, 0.5, 0, -128, 127)).to_vec();
        assert_eq!(halves, [-2, -2, 0, 0, 2, 2]);
        assert_eq!([store(1000, 1.0, 3, -128, 100), store(-1000, 1.0, 3, -10, 127)], [100, -10]);
        for steps in [0.5, 1.5, -0.5, -2.5, 3.499_999_8, 1e9, -3e38, f32::NAN, f32::INFINITY, 126.5, -131.5] {
            let limits = Limits { zero_point: 3, low: -120, high: 125 };
            assert_eq!(limits.store_number(steps), i32::from(limits.store(steps)), "{steps}");
        }
        assert_eq!([store(i32::MAX, 0.25, 127, -128, 127), store(i32::MIN, 0.25, -128, -128, 127)], [127, -128]);
    }

    #[test]
    fn the_product_is_rounded_once_in_single_precision() {
        // 16,777,217 becomes 16,777,216 as f32; times 2^-24 that is 1.
        assert_eq!(store(16_777_217, 2.0_f32.powi(-25), 0, -128, 127), 0);
        assert_eq!(store(25_165_824, 2.0_f32.powi(-24), 0, -128, 127), 2);
    }
}
