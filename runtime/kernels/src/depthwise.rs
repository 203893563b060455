//! Depthwise convolutions: each channel with its own window.

use crate::pack::{BLOCK, Range};
use crate::requantise::{check, check_weights, store};
use crate::{Backend, ConvWeights, LayerError, Requantise, Shape, Window};

/// Taps that a window may have: 7 by 7.
pub(crate) const MAX_TAPS: usize = 49;

/// A convolution of each channel with its own weights.
#[derive(Clone, Debug)]
pub struct Depthwise {
    input: Shape,
    window: Window,
    places: [usize; 2],
    /// `[tap, channel]`.
    weights: Vec<i8>,
    /// [`BLOCK`] channels at a time: `[block][tap][channel]`, as many taps as [`packed_taps`] says. The last block ends at the
    /// last channel and may lie over the one before. Empty below [`BLOCK`] channels.
    blocks: Vec<i16>,
    /// Less the zero point times the weights, so that padding stands for the zero point.
    bias: Vec<i32>,
    multipliers: Vec<f32>,
    range: Range,
    /// One pixel of padding.
    padding: Vec<i8>,
    /// From the first value under the window to that of each tap, where no tap lies in the padding.
    offsets: Vec<usize>,
}

/// A packed layer as an inner loop reads it.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct PackedDepthwise<'a> {
    /// `[block][tap][channel]`, blocks beginning at [`firsts`].
    pub(crate) weights: &'a [i16],
    pub(crate) bias: &'a [i32],
    pub(crate) multipliers: &'a [f32],
    pub(crate) range: Range,
}

impl Depthwise {
    /// Packs a layer; the weights are `[channel, tap row, tap column]`. `input_zero` is the stored value of a real zero.
    ///
    /// # Errors
    /// If a list has the wrong length, the window does not fit or is larger than 49 taps, or the sums could leave 32 bits.
    pub fn new(
        input: Shape,
        input_zero: i8,
        window: Window,
        layer: ConvWeights<'_>,
        requantise: &Requantise,
    ) -> Result<Self, LayerError> {
        let (taps, channels) = (window.kernel[0] * window.kernel[1], input.channels);
        let fits = window.places(input).filter(|_| input.volume() > 0 && taps <= MAX_TAPS);
        let places = fits.ok_or(LayerError::Window { window, input })?;
        if layer.bias.len() != channels {
            return Err(LayerError::Length { what: "biases", expected: channels, found: layer.bias.len() });
        }
        check_weights(layer.weights, taps * channels)?;
        let of = |channel: usize| layer.weights[channel * taps..][..taps].iter();
        check(layer.bias, requantise, of)?;
        let folded = |channel: usize| {
            layer.bias[channel] - i32::from(input_zero) * of(channel).map(|weight| i32::from(*weight)).sum::<i32>()
        };
        let mut by_tap = vec![0; taps * channels];
        for (at, &weight) in layer.weights.iter().enumerate() {
            by_tap[at % taps * channels + at / taps] = weight;
        }
        let mut blocks = Vec::new();
        for first in firsts(channels) {
            for tap in 0..packed_taps(taps) {
                let weight = |channel| if tap < taps { i16::from(by_tap[tap * channels + channel]) } else { 0 };
                blocks.extend((first..first + BLOCK).map(weight));
            }
        }
        Ok(Self {
            input,
            window,
            places,
            weights: by_tap,
            blocks,
            bias: (0..channels).map(folded).collect(),
            multipliers: requantise.multipliers.clone(),
            range: Range { zero_point: requantise.zero_point, low: requantise.low, high: requantise.high },
            padding: vec![input_zero; channels],
            offsets: window.taps().map(|[row, column]| (row * input.width + column) * channels).collect(),
        })
    }

    /// Shape of the result.
    #[must_use]
    pub fn output(&self) -> Shape {
        Shape { height: self.places[0], width: self.places[1], channels: self.input.channels }
    }

    /// Multiplications of one run.
    #[must_use]
    pub fn n_multiplications(&self) -> usize {
        self.output().volume() * self.window.kernel[0] * self.window.kernel[1]
    }

    /// Computes the layer.
    ///
    /// # Panics
    /// If `input` or `output` has another length than its shape.
    pub fn run(&self, backend: Backend, input: &[i8], output: &mut [i8]) {
        assert_eq!((input.len(), output.len()), (self.input.volume(), self.output().volume()), "input and output");
        let channels = self.input.channels;
        let [rows, columns] = [0, 1].map(|axis| self.inner(axis));
        for (row, output) in output.chunks_exact_mut(self.places[1] * channels).enumerate() {
            let columns = if rows.contains(&row) { columns.clone() } else { 0..0 };
            let (border, rest) = output.split_at_mut(columns.start * channels);
            let (inner, other_border) = rest.split_at_mut(columns.len() * channels);
            if !inner.is_empty() {
                let [down, right] = self.window.stride;
                let [top, left] = self.window.before;
                let first = (row * down - top) * self.input.width + columns.start * right - left;
                self.inner_places(backend, &input[first * channels..], inner);
            }
            for (first, output) in [(0, border), (columns.end, other_border)] {
                for (at, output) in output.chunks_exact_mut(channels).enumerate() {
                    self.border_place(backend, input, [row, first + at], output);
                }
            }
        }
    }

    /// The places along an axis whose window touches no padding.
    fn inner(&self, axis: usize) -> std::ops::Range<usize> {
        let (size, stride) = ([self.input.height, self.input.width][axis], self.window.stride[axis]);
        let (before, kernel) = (self.window.before[axis], self.window.kernel[axis]);
        let end = (size + before).checked_sub(kernel).map_or(0, |room| room / stride + 1).min(self.places[axis]);
        before.div_ceil(stride).min(end)..end
    }

    /// Neighbouring places without padding; `input` begins with the first value under the first window.
    fn inner_places(&self, backend: Backend, input: &[i8], output: &mut [i8]) {
        let (channels, step) = (self.input.channels, self.window.stride[1] * self.input.channels);
        match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 if channels >= BLOCK => {
                crate::x86::depthwise(input, &self.offsets, step, self.packed(), output);
            }
            _ => {
                for (at, output) in output.chunks_exact_mut(channels).enumerate() {
                    self.plain(|tap| &input[at * step + self.offsets[tap]..][..channels], output);
                }
            }
        }
    }

    /// A place whose window may lie over the padding: each tap is looked for on its own.
    fn border_place(&self, backend: Backend, input: &[i8], place: [usize; 2], output: &mut [i8]) {
        let channels = self.input.channels;
        let under = |tap: [usize; 2]| {
            let pixel = self.window.pixel(self.input, place, tap);
            pixel.map_or(self.padding.as_slice(), |pixel| &input[pixel * channels..][..channels])
        };
        let mut taps: [&[i8]; MAX_TAPS] = [&[]; MAX_TAPS];
        for (slot, tap) in taps.iter_mut().zip(self.window.taps()) {
            *slot = under(tap);
        }
        match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 if channels >= BLOCK => {
                crate::x86::depthwise_place(&taps[..self.offsets.len()], self.packed(), output);
            }
            _ => self.plain(|tap| taps[tap], output),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn packed(&self) -> PackedDepthwise<'_> {
        let Self { blocks: weights, bias, multipliers, range, .. } = self;
        PackedDepthwise { weights, bias, multipliers, range: *range }
    }

    fn plain<'a>(&self, tap: impl Fn(usize) -> &'a [i8], output: &mut [i8]) {
        let channels = output.len();
        for (channel, output) in output.iter_mut().enumerate() {
            let weights = self.weights[channel..].iter().step_by(channels).enumerate();
            let products = weights.map(|(number, weight)| i32::from(tap(number)[channel]) * i32::from(*weight));
            let sum = self.bias[channel] + products.sum::<i32>();
            let Range { zero_point, low, high } = self.range;
            *output = store(sum, self.multipliers[channel], zero_point, low, high);
        }
    }
}

/// Taps that are packed: those of 3 by 3, 5 by 5 or 7 by 7, whatever holds the window; the rest have a weight of zero.
pub(crate) fn packed_taps(taps: usize) -> usize {
    match taps {
        0..=9 => 9,
        10..=25 => 25,
        _ => MAX_TAPS,
    }
}

/// Where the blocks begin: every [`BLOCK`] channels, and the last one at the end.
pub(crate) fn firsts(channels: usize) -> impl Iterator<Item = usize> {
    let whole = channels / BLOCK * BLOCK;
    let last = (channels > BLOCK && whole < channels).then(|| channels - BLOCK);
    (0..whole).step_by(BLOCK).chain(last)
}
