//! Pools: the largest value under a window, and the mean of a whole picture.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::backend::vectorised;
use crate::constants::{Scratch, scratch_bytes};
use crate::picture::{BLOCK, Value};
use crate::requantise::Limits;
use crate::{Backend, LayerError, Layout, Shape, View, ViewMut, Window};

/// The largest stored value under a window; padding never wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPool {
    /// What it slides.
    pub window: Window,
}

impl MaxPool {
    /// Shape of the result; `None` where the window does not fit, or a place would see only padding.
    #[must_use]
    pub fn output(&self, input: Shape) -> Option<Shape> {
        let Window { kernel, before, after, .. } = self.window;
        let sees_pixels = (0..2).all(|axis| before[axis] < kernel[axis] && after[axis] < kernel[axis]);
        let [height, width] = self.window.places(input).filter(|_| sees_pixels)?;
        Some(Shape { height, width, channels: input.channels })
    }

    /// Computes the given rows of the result. What the margins of the input hold does not matter.
    ///
    /// # Panics
    /// If a picture has another shape than it should.
    pub fn run(&self, backend: Backend, input: View<'_>, rows: Range<usize>, output: &mut ViewMut<'_>) {
        let Layout { shape, step, .. } = input.layout;
        assert_eq!(self.output(shape), Some(output.layout.shape), "the shape of the result");
        assert_eq!(step, output.layout.step, "values a pixel");
        match input.layout.value_bytes {
            1 => self.rows::<i8>(backend, input, rows, output),
            _ => self.rows::<i16>(backend, input, rows, output),
        }
    }

    fn rows<T: Value>(&self, backend: Backend, input: View<'_>, rows: Range<usize>, output: &mut ViewMut<'_>) {
        for row in rows {
            let output = output.row::<T>(row);
            vectorised!(backend, pool_row(&self.window, input, row, output));
        }
    }
}

#[inline(always)]
fn pool_row<T: Value>(window: &Window, input: View<'_>, row: usize, output: &mut [T]) {
    let Layout { shape, step, .. } = input.layout;
    // What of the window lies in the picture, along one axis.
    let under = |axis: usize, place: usize, size: usize| {
        let first = place * window.stride[axis];
        let end = (first + window.kernel[axis]).saturating_sub(window.before[axis]).min(size);
        first.saturating_sub(window.before[axis])..end
    };
    let rows = under(0, row, shape.height);
    for (column, output) in output.chunks_exact_mut(step).enumerate() {
        let columns = under(1, column, shape.width);
        let pixels = || rows.clone().flat_map(|row| columns.clone().map(move |column| (row, column)));
        // As many channels at a time as stay in registers.
        let (some, rest) = output.as_chunks_mut::<64>();
        let first_of_rest = 64 * some.len();
        some.iter_mut().enumerate().for_each(|(at, output)| largest(input, pixels(), 64 * at, output));
        let rest = rest.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate();
        rest.for_each(|(at, output)| largest(input, pixels(), first_of_rest + BLOCK * at, output));
    }
}

/// The largest values of `N` channels from `first` on, of some pixels.
#[inline(always)]
fn largest<T: Value, const N: usize>(
    input: View<'_>,
    pixels: impl Iterator<Item = (usize, usize)>,
    first: usize,
    output: &mut [T; N],
) {
    let mut found = [T::of(i8::MIN.into()); N];
    for (row, column) in pixels {
        let at = input.layout.offset(row as isize, column as isize) + first;
        for (found, value) in found.iter_mut().zip(&input.values::<T>()[at..][..N]) {
            *found = (*found).max(*value);
        }
    }
    *output = found;
}

/// `store(f32(sum of all pixels less their zero) * multiplier)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AveragePool {
    /// The stored value of a real zero in the input.
    pub zero: i8,
    /// Input scale over number of pixels times output scale.
    pub multiplier: f32,
    /// Of the result.
    pub limits: Limits,
}

impl AveragePool {
    /// # Errors
    /// If sums or steps could leave 32 bits, or the multiplier is no positive number.
    pub fn check(&self, input: Shape) -> Result<(), LayerError> {
        let Limits { low, high, .. } = self.limits;
        if !self.limits.is_range() {
            return Err(LayerError::Range { low, high });
        }
        let bound = (input.height as u64).saturating_mul(input.width as u64).saturating_mul(255);
        if bound >= 1 << 31 {
            return Err(LayerError::Overflow { channel: 0, bound });
        }
        let is_usable = self.multiplier > 0.0 && f64::from(self.multiplier) * (bound as f64) < f64::from(1 << 30);
        if is_usable { Ok(()) } else { Err(LayerError::Multiplier { channel: 0, found: self.multiplier }) }
    }

    /// Bytes of scratch that [`AveragePool::run`] needs.
    #[must_use]
    pub fn scratch(&self, channels: usize) -> usize {
        scratch_bytes::<i32>(channels.next_multiple_of(16))
    }

    /// Computes the one pixel of the result.
    ///
    /// # Panics
    /// If the output is not one pixel of as many channels, or `scratch` is too short.
    pub fn run(&self, backend: Backend, input: View<'_>, output: &mut ViewMut<'_>, scratch: &mut [u8]) {
        let Shape { height, width, channels } = input.layout.shape;
        assert_eq!(output.layout.shape, Shape { height: 1, width: 1, channels }, "the result of an average");
        assert_eq!(input.layout.step, output.layout.step, "values a pixel");
        let sums = Scratch::new(scratch).take::<i32>(input.layout.step);
        sums.fill(-((height * width) as i32) * i32::from(self.zero));
        match input.layout.value_bytes {
            1 => self.finish::<i8>(backend, input, sums, output),
            _ => self.finish::<i16>(backend, input, sums, output),
        }
    }

    fn finish<T: Value>(&self, backend: Backend, input: View<'_>, sums: &mut [i32], output: &mut ViewMut<'_>) {
        for row in 0..input.layout.shape.height {
            let row = input.row::<T>(row);
            vectorised!(backend, accumulate(row, sums));
        }
        let output = output.row::<T>(0);
        vectorised!(backend, finish(self, sums, output));
    }
}

#[inline(always)]
fn finish<T: Value>(layer: &AveragePool, sums: &[i32], output: &mut [T]) {
    for (output, sum) in output.iter_mut().zip(sums) {
        *output = T::of(layer.limits.store_number(*sum as f32 * layer.multiplier));
    }
}

#[inline(always)]
fn accumulate<T: Value>(row: &[T], sums: &mut [i32]) {
    for pixel in row.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += value.number();
        }
    }
}
