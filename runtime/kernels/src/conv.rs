//! Dense convolutions, pointwise ones among them: rows of 16-bit values times packed weights.
//!
//! For up to [`ROWS`] output pixels the values under the window are gathered into one row a pixel, less their zero point and
//! as `i16`, with real zeros in the padding; then every block of outputs reads the same rows. The gathering costs one pass
//! over `rows * depth` values and serves all output channels.

use crate::pack::{BLOCK, Block, Packed, ROWS, Range};
use crate::requantise::{check, check_weights};
use crate::{Backend, LayerError, Requantise, Shape, Window, portable};

/// Gathered rows that stay in the first-level cache while all weights pass by, in bytes.
const CACHED_ROWS: usize = 16 << 10;

/// Weights and biases of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct ConvWeights<'a> {
    /// `[out, tap row, tap column, in]`, from -127 to 127.
    pub weights: &'a [i8],
    /// One for each output channel, in steps of input scale times weight scale.
    pub bias: &'a [i32],
}

/// A convolution of all input channels with all output channels.
#[derive(Clone, Debug)]
pub struct Conv {
    input: Shape,
    window: Window,
    places: [usize; 2],
    input_zero: i8,
    outputs: usize,
    packed: Packed,
    range: Range,
    /// Output pixels gathered at once, a multiple of [`ROWS`].
    batch: usize,
}

impl Conv {
    /// Packs a layer. `input_zero` is the stored value of a real zero in the input.
    ///
    /// # Errors
    /// If a list has the wrong length, the window does not fit, or the sums could leave 32 bits.
    pub fn new(
        input: Shape,
        input_zero: i8,
        window: Window,
        layer: ConvWeights<'_>,
        requantise: &Requantise,
    ) -> Result<Self, LayerError> {
        let fits = window.places(input).filter(|_| input.volume() > 0 && !layer.bias.is_empty());
        let places = fits.ok_or(LayerError::Window { window, input })?;
        let depth = window.kernel[0] * window.kernel[1] * input.channels;
        check_weights(layer.weights, depth * layer.bias.len())?;
        check(layer.bias, requantise, |channel| layer.weights[channel * depth..][..depth].iter())?;
        let packed = Packed::new(layer.weights, layer.bias, &requantise.multipliers);
        let batch = (CACHED_ROWS / (4 * packed.pairs) / ROWS).max(1) * ROWS;
        let range = Range { zero_point: requantise.zero_point, low: requantise.low, high: requantise.high };
        Ok(Self { input, window, places, input_zero, outputs: layer.bias.len(), packed, range, batch })
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
                for (rows, output) in rows.chunks(ROWS * stride).zip(output.chunks_mut(ROWS * self.outputs)) {
                    let n_rows = output.len() / self.outputs;
                    if n_outputs == BLOCK {
                        let target = Target { values: &mut output[first..], stride: self.outputs };
                        tile(backend, rows, stride, n_rows, &block, self.range, target);
                        continue;
                    }
                    let mut whole = [0; ROWS * BLOCK];
                    let target = Target { values: &mut whole, stride: BLOCK };
                    tile(backend, rows, stride, n_rows, &block, self.range, target);
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

/// Where a tile goes: [`BLOCK`] values a row, rows `stride` values apart.
pub(crate) struct Target<'a> {
    pub(crate) values: &'a mut [i8],
    pub(crate) stride: usize,
}

/// Up to [`ROWS`] rows of `stride` values times one block of outputs.
fn tile(
    backend: Backend,
    rows: &[i16],
    stride: usize,
    n_rows: usize,
    block: &Block<'_>,
    range: Range,
    target: Target<'_>,
) {
    match backend {
        Backend::Portable => portable::tile(rows, stride, n_rows, block, range, target),
        #[cfg(target_arch = "x86_64")]
        Backend::Avx2 => crate::x86::tile(rows, stride, n_rows, block, range, target),
    }
}
