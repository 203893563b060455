//! Dense convolutions, pointwise ones among them: rows of 16-bit values times packed weights.
//!
//! For up to [`ROWS`] output pixels the values under the window are gathered into one row a pixel, less their zero point and
//! as `i16`, with real zeros in the padding; then every block of outputs reads the same rows. The gathering costs one pass
//! over `rows * depth` values and serves all output channels.

use crate::backend::Instructions;
use crate::pack::{BLOCK, Block, Packed, ROWS, Rows, Target};
use crate::{Backend, Layer, LayerError, Shape, Window, portable};

/// Gathered rows that stay in the first-level cache while all weights pass by, in bytes.
const CACHED_ROWS: usize = 16 << 10;

/// A convolution of all input channels with all output channels.
#[derive(Clone, Debug)]
pub struct Conv {
    input: Shape,
    window: Window,
    places: [usize; 2],
    input_zero: i8,
    outputs: usize,
    packed: Packed,
    /// Output pixels gathered at once, a multiple of [`ROWS`].
    batch: usize,
}

impl Conv {
    /// Packs a layer.
    ///
    /// # Errors
    /// If a list has the wrong length, the window does not fit, or the sums could leave 32 bits.
    pub fn new(layer: &Layer<'_>) -> Result<Self, LayerError> {
        let places = layer.check(layer.input.channels)?;
        let packed = Packed::new(layer.weights, layer.bias, layer.requantise);
        let batch = (CACHED_ROWS / (4 * packed.pairs) / ROWS).max(1) * ROWS;
        let Layer { input, input_zero, window, bias, .. } = *layer;
        Ok(Self { input, window, places, input_zero, outputs: bias.len(), packed, batch })
    }

    /// Shape of the result.
    #[must_use]
    pub fn output(&self) -> Shape {
        Shape { height: self.places[0], width: self.places[1], channels: self.outputs }
    }

    /// Multiplications of one run.
    #[must_use]
    pub fn n_multiplications(&self) -> usize {
        self.output().volume() * self.window.kernel[0] * self.window.kernel[1] * self.input.channels
    }

    /// Values of scratch that [`Conv::run`] needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.batch * self.packed.pairs * 2
    }

    /// Computes the layer. What `scratch` holds does not matter.
    ///
    /// # Panics
    /// If `input` or `output` has another length than its shape, or `scratch` is shorter than [`Conv::scratch`].
    pub fn run(&self, backend: Backend, input: &[i8], output: &mut [i8], scratch: &mut [i16]) {
        assert_eq!((input.len(), output.len()), (self.input.volume(), self.output().volume()), "input and output");
        let stride = self.packed.pairs * 2;
        let rows = &mut scratch[..self.batch * stride];
        for (batch, output) in output.chunks_mut(self.batch * self.outputs).enumerate() {
            let n_pixels = output.len() / self.outputs;
            for (at, row) in rows.chunks_exact_mut(stride).take(n_pixels).enumerate() {
                let pixel = batch * self.batch + at;
                self.gather(input, [pixel / self.places[1], pixel % self.places[1]], row);
            }
            for (number, block) in self.packed.blocks().enumerate() {
                let first = number * BLOCK;
                let n_outputs = BLOCK.min(self.outputs - first);
                for (values, output) in rows.chunks(ROWS * stride).zip(output.chunks_mut(ROWS * self.outputs)) {
                    let rows = Rows { values, stride, count: output.len() / self.outputs };
                    if n_outputs == BLOCK {
                        let target = Target { values: &mut output[first..], stride: self.outputs };
                        tile(backend, rows, &block, target);
                        continue;
                    }
                    let mut whole = [0; ROWS * BLOCK];
                    tile(backend, rows, &block, Target { values: &mut whole, stride: BLOCK });
                    for (whole, pixel) in whole.chunks_exact(BLOCK).zip(output.chunks_exact_mut(self.outputs)) {
                        pixel[first..].copy_from_slice(&whole[..n_outputs]);
                    }
                }
            }
        }
    }

    /// The values under the window at `place`, less the zero point, in the order of the weights.
    fn gather(&self, input: &[i8], place: [usize; 2], row: &mut [i16]) {
        let channels = self.input.channels;
        let [n_rows, n_columns] = self.window.kernel;
        let (taps, padding) = row.split_at_mut(n_rows * n_columns * channels);
        for (tap_row, taps) in taps.chunks_exact_mut(n_columns * channels).enumerate() {
            let ends = [0, n_columns - 1].map(|column| self.window.pixel(self.input, place, [tap_row, column]));
            if let [Some(first), Some(_)] = ends {
                // No padding between two pixels of the image: one run of values.
                self.centre(&input[first * channels..][..taps.len()], taps);
                continue;
            }
            for (column, taps) in taps.chunks_exact_mut(channels).enumerate() {
                match self.window.pixel(self.input, place, [tap_row, column]) {
                    Some(pixel) => self.centre(&input[pixel * channels..][..channels], taps),
                    None => taps.fill(0),
                }
            }
        }
        padding.fill(0);
    }

    fn centre(&self, from: &[i8], to: &mut [i16]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = i16::from(*from) - i16::from(self.input_zero);
        }
    }
}

/// Gathered pixels times one block of outputs.
fn tile(backend: Backend, rows: Rows<'_>, block: &Block<'_>, target: Target<'_>) {
    match backend.instructions() {
        Instructions::Portable => portable::tile(rows, block, target),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => crate::x86::tile(rows, block, target),
    }
}
