//! Where real numbers become stored ones, and back.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::backend::{Instructions, vectorised};
use crate::constants::{Scratch, scratch_bytes};
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
        scratch_bytes::<i8>(width)
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
        let (shape, step) = (output.layout.shape, output.layout.step);
        assert_eq!(input.len(), shape.volume(), "values for {shape:?}");
        let stored = Scratch::new(scratch).take::<i8>(shape.width);
        for row in rows {
            let output = output.row(row);
            for channel in 0..shape.channels {
                let values = &input[(channel * shape.height + row) * shape.width..][..shape.width];
                vectorised!(backend, quantise(self, values, stored));
                for (stored, pixel) in stored.iter().zip(output.chunks_exact_mut(step)) {
                    pixel[channel] = *stored;
                }
            }
        }
    }
}

#[inline(always)]
fn quantise(layer: &Quantise, values: &[f32], stored: &mut [i8]) {
    for (stored, value) in stored.iter_mut().zip(values) {
        *stored = layer.limits.store_small((value / layer.scale).clamp(-1e6, 1e6));
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
                for (value, pixel) in plane.iter_mut().zip(input.row(row).chunks_exact(input.layout.step)) {
                    *value = self.scale * f32::from(i16::from(pixel[channel]) - i16::from(self.zero_point));
                }
            }
        }
    }
}
