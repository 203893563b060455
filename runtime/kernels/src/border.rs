//! Where real numbers become stored ones, and back.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::constants::{Scratch, scratch_bytes};
use crate::kernels::{Kernels, Loops};
use crate::picture::Value;
use crate::requantise::Limits;
use crate::{Backend, View, ViewMut};

/// `clamp(round_half_even(x / scale) + zero_point)`, with this one division as ONNX has it; what is no number becomes the zero point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantise {
    /// One step, above 0.
    pub scale: f32,
    /// Of the result.
    pub limits: Limits,
}

impl Quantise {
    /// Bytes of scratch that [`Quantise::run`] needs for rows of `width` pixels.
    #[must_use]
    pub fn scratch(&self, width: usize) -> usize {
        4 * scratch_bytes::<i16>(width)
    }

    /// Stores the given rows of `[channel, row, column]`.
    ///
    /// # Panics
    /// If `input` has another length than the picture, or `scratch` is too short.
    pub fn run(
        &self,
        backend: Backend,
        input: &[f32],
        rows: Range<usize>,
        output: &mut ViewMut<'_>,
        scratch: &mut [u8],
    ) {
        let shape = output.layout.shape;
        assert_eq!(input.len(), shape.volume(), "values for {shape:?}");
        match backend.loops() {
            Loops::Bytes(kernels) => self.rows(&kernels, input, rows, output, scratch),
            Loops::Words(kernels) => self.rows(&kernels, input, rows, output, scratch),
        }
    }

    fn rows<T: Value>(
        &self,
        kernels: &Kernels<T>,
        input: &[f32],
        rows: Range<usize>,
        output: &mut ViewMut<'_>,
        scratch: &mut [u8],
    ) {
        let (shape, step) = (output.layout.shape, output.layout.step);
        let mut scratch = Scratch::new(scratch);
        let mut planes: [&mut [T]; 4] = std::array::from_fn(|_| scratch.take::<T>(shape.width));
        for row in rows {
            let output = output.row::<T>(row);
            // Up to four channels at a time, so that whole pixels are written where there are no more.
            for first in (0..shape.channels).step_by(4) {
                let n_channels = (shape.channels - first).min(4);
                for (channel, plane) in planes.iter_mut().enumerate().take(n_channels) {
                    let values = &input[((first + channel) * shape.height + row) * shape.width..][..shape.width];
                    (kernels.quantise)(self, values, plane);
                }
                (kernels.interleave)(planes.each_ref().map(|plane| &**plane), step, &mut output[first..]);
            }
        }
    }
}

#[inline(always)]
pub(crate) fn quantise<T: Value>(layer: &Quantise, values: &[f32], stored: &mut [T]) {
    for (stored, value) in stored.iter_mut().zip(values) {
        *stored = T::of(layer.limits.store_number(value / layer.scale));
    }
}

/// Four planes as the first four channels of pixels; a plane that holds nothing goes to a channel that nobody reads.
#[inline(always)]
pub(crate) fn interleave<T: Value>(planes: [&[T]; 4], step: usize, output: &mut [T]) {
    let [a, b, c, d] = planes;
    match step {
        1 => output.copy_from_slice(a),
        2 => output.as_chunks_mut().0.iter_mut().zip(a).zip(b).for_each(|((pixel, a), b)| *pixel = [*a, *b]),
        3 => {
            let pixels = output.as_chunks_mut().0.iter_mut();
            pixels.zip(a).zip(b).zip(c).for_each(|(((pixel, a), b), c)| *pixel = [*a, *b, *c]);
        }
        _ => {
            for ((((pixel, a), b), c), d) in output.chunks_mut(step).zip(a).zip(b).zip(c).zip(d) {
                pixel[..4].copy_from_slice(&[*a, *b, *c, *d]);
            }
        }
    }
}

/// `scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dequantise {
    /// One step.
    pub scale: f32,
    /// The stored value of a real zero.
    pub zero_point: i8,
}

impl Dequantise {
    /// The real values of a picture, `[channel, row, column]`.
    ///
    /// # Panics
    /// If `output` has another length than the picture.
    pub fn run(&self, input: View<'_>, output: &mut [f32]) {
        let shape = input.layout.shape;
        assert_eq!(output.len(), shape.volume(), "values of {shape:?}");
        for (channel, plane) in output.chunks_exact_mut(shape.height * shape.width).enumerate() {
            for (row, plane) in plane.chunks_exact_mut(shape.width).enumerate() {
                for (column, value) in plane.iter_mut().enumerate() {
                    let steps = i16::from(input.value(row, column, channel)) - i16::from(self.zero_point);
                    *value = self.scale * f32::from(steps);
                }
            }
        }
    }
}
