//! Depthwise convolutions: each channel with its own window.

use crate::backend::Instructions;
use crate::pack::{BLOCK, Range};
use crate::requantise::store;
use crate::{Backend, Layer, LayerError, Shape, Window};

/// A convolution of each channel with its own weights.
#[derive(Clone, Debug)]
pub struct Depthwise {
    input: Shape,
    window: Window,
    places: [usize; 2],
    /// `[tap, channel]`.
    weights: Vec<i8>,
    /// [`BLOCK`] channels at a time: `[block][tap][channel]`. The last block ends at the last channel and may lie over the one
    /// before. Empty below [`BLOCK`] channels, and for windows that have no kernel of their own.
    blocks: Vec<i16>,
    /// Less the zero point times the weights, so that padding stands for the zero point.
    bias: Vec<i32>,
    multipliers: Vec<f32>,
    range: Range,
    /// The stored value of a real zero, which padding stands for.
    input_zero: i8,
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
    /// Packs a layer of as many outputs as inputs; the weights are `[channel, tap row, tap column]`.
    ///
    /// # Errors
    /// If a list has the wrong length, the window does not fit, or the sums could leave 32 bits.
    pub fn new(layer: &Layer<'_>) -> Result<Self, LayerError> {
        let Layer { input, input_zero, window, requantise, .. } = *layer;
        let (taps, channels) = (window.kernel[0] * window.kernel[1], input.channels);
        if layer.bias.len() != channels {
            return Err(LayerError::Length { what: "biases", expected: channels, found: layer.bias.len() });
        }
        let places = layer.check(1)?;
        let of = |channel: usize| layer.weights[channel * taps..][..taps].iter();
        let folded = |channel: usize| {
            layer.bias[channel] - i32::from(input_zero) * of(channel).map(|weight| i32::from(*weight)).sum::<i32>()
        };
        let mut by_tap = vec![0; taps * channels];
        for (at, &weight) in layer.weights.iter().enumerate() {
            by_tap[at % taps * channels + at / taps] = weight;
        }
        let firsts = firsts(channels).filter(|_| [[3, 3], [5, 5]].contains(&window.kernel));
        let blocks = firsts.flat_map(|first| {
            let weights = by_tap.chunks_exact(channels).flat_map(move |tap| &tap[first..first + BLOCK]);
            weights.map(|weight| i16::from(*weight)).collect::<Vec<_>>()
        });
        let blocks = blocks.collect();
        Ok(Self {
            input,
            window,
            places,
            weights: by_tap,
            blocks,
            bias: (0..channels).map(folded).collect(),
            multipliers: requantise.multipliers.clone(),
            range: Range::of(requantise),
            input_zero,
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

    /// Bytes of scratch that [`Depthwise::run`] needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.weights.len()
    }

    /// Computes the layer. What `scratch` holds does not matter.
    ///
    /// # Panics
    /// If `input` or `output` has another length than its shape, or `scratch` is shorter than [`Depthwise::scratch`].
    pub fn run(&self, backend: Backend, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
        assert_eq!((input.len(), output.len()), (self.input.volume(), self.output().volume()), "input and output");
        let channels = self.input.channels;
        let scratch = &mut scratch[..self.scratch()];
        let [rows, columns] = [0, 1].map(|axis| self.inner(axis));
        for (row, output) in output.chunks_exact_mut(self.places[1] * channels).enumerate() {
            let columns = if rows.contains(&row) { columns.clone() } else { 0..0 };
            let (border, rest) = output.split_at_mut(columns.start * channels);
            let (inner, other_border) = rest.split_at_mut(columns.len() * channels);
            if !inner.is_empty() {
                let [down, right] = self.window.stride;
                let [top, left] = self.window.before;
                let first = (row * down - top) * self.input.width + columns.start * right - left;
                self.places(backend, &input[first * channels..], self.input.width * channels, inner);
            }
            for (first, output) in [(0, border), (columns.end, other_border)] {
                for (at, output) in output.chunks_exact_mut(channels).enumerate() {
                    self.gather(input, [row, first + at], scratch);
                    self.places(backend, scratch, self.window.kernel[1] * channels, output);
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

    /// The values under the window at `place`, padding among them, as a picture of the window's size.
    fn gather(&self, input: &[i8], place: [usize; 2], taps: &mut [i8]) {
        let channels = self.input.channels;
        for (to, tap) in taps.chunks_exact_mut(channels).zip(self.window.taps()) {
            match self.window.pixel(self.input, place, tap) {
                Some(pixel) => to.copy_from_slice(&input[pixel * channels..][..channels]),
                None => to.fill(self.input_zero),
            }
        }
    }

    /// Neighbouring places without padding. `input` begins with the first value under the first window, and its rows are
    /// `row_step` values apart.
    fn places(&self, backend: Backend, input: &[i8], row_step: usize, output: &mut [i8]) {
        let step = self.window.stride[1] * self.input.channels;
        match backend.instructions() {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 if !self.blocks.is_empty() => {
                let Self { blocks: weights, bias, multipliers, range, .. } = self;
                let layer = PackedDepthwise { weights, bias, multipliers, range: *range };
                crate::x86::depthwise(input, self.window.kernel[0], [row_step, step], layer, output);
            }
            _ => self.plain(input, [row_step, step], output),
        }
    }

    fn plain(&self, input: &[i8], [row_step, step]: [usize; 2], output: &mut [i8]) {
        let (channels, Range { zero_point, low, high }) = (self.input.channels, self.range);
        for (place, output) in output.chunks_exact_mut(channels).enumerate() {
            for (channel, output) in output.iter_mut().enumerate() {
                let mut sum = self.bias[channel];
                for ([row, column], weights) in self.window.taps().zip(self.weights.chunks_exact(channels)) {
                    let value = input[row * row_step + column * channels + place * step + channel];
                    sum += i32::from(value) * i32::from(weights[channel]);
                }
                *output = store(sum, self.multipliers[channel], zero_point, low, high);
            }
        }
    }
}

/// Where the blocks begin: every [`BLOCK`] channels, and the last one at the end.
pub(crate) fn firsts(channels: usize) -> impl Iterator<Item = usize> {
    let whole = channels / BLOCK * BLOCK;
    let last = (channels > BLOCK && whole < channels).then(|| channels - BLOCK);
    (0..whole).step_by(BLOCK).chain(last)
}
