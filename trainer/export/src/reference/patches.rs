//! Where a convolution or a pool reads: patches of the padded input.

use crate::graph::{Geometry, Shape, Sides};

/// Output pixels computed together: as many as keep a few vector registers busy.
pub(super) const LANES: usize = 16;

/// Copies what each output pixel of `group` reads into one row: `[output pixel, in / groups, kernel y, kernel x]`.
/// Outside the image stands `outside`.
pub(super) fn gather<T: Copy>(
    input: &[T],
    shape: Shape,
    output: Shape,
    geometry: &Geometry,
    group: usize,
    outside: T,
) -> Vec<T> {
    let [_, height, width] = shape;
    let [_, channels, kernel_height, kernel_width] = geometry.kernel;
    let Sides { before: [above, left], after: [below, right] } = geometry.padding;
    let (padded_height, padded_width) = (above + height + below, left + width + right);
    let mut padded = vec![outside; channels * padded_height * padded_width];
    for (line, source) in
        input[group * channels * height * width..].chunks_exact(width).take(channels * height).enumerate()
    {
        let y = line / height * padded_height + line % height + above;
        padded[y * padded_width + left..][..width].copy_from_slice(source);
    }
    let mut rows = Vec::with_capacity(output[1] * output[2] * geometry.dot_length());
    for y in 0..output[1] {
        for x in 0..output[2] {
            for channel in 0..channels {
                for ky in 0..kernel_height {
                    let line = (channel * padded_height + y * geometry.stride + ky) * padded_width;
                    rows.extend_from_slice(&padded[line + x * geometry.stride..][..kernel_width]);
                }
            }
        }
    }
    rows
}

/// `[pixel, k]` to `[k, pixel]`, filled up with zeros to [`LANES`] pixels.
pub(super) fn transposed<T: Copy + Default>(rows: &[T], length: usize) -> Vec<[T; LANES]> {
    let mut columns = vec![[T::default(); LANES]; length];
    for (pixel, row) in rows.chunks_exact(length).enumerate() {
        for (column, &value) in columns.iter_mut().zip(row) {
            column[pixel] = value;
        }
    }
    columns
}

/// Position in the image of position `padded` in the padded image, if it is not padding.
pub(super) fn inside(padded: usize, padding: usize, size: usize) -> Option<usize> {
    padded.checked_sub(padding).filter(|&position| position < size)
}
