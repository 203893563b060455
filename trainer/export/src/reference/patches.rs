//! Where a convolution or a pool reads: patches of the padded input.

use crate::graph::{Geometry, Shape};

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
    let mut rows = Vec::with_capacity(output[1] * output[2] * geometry.dot_length());
    for y in 0..output[1] {
        for x in 0..output[2] {
            for channel in 0..channels {
                let plane = &input[(group * channels + channel) * height * width..][..height * width];
                for ky in 0..kernel_height {
                    let line = inside(y * geometry.stride + ky, geometry.padding, height)
                        .map(|iy| &plane[iy * width..][..width]);
                    for kx in 0..kernel_width {
                        let ix = inside(x * geometry.stride + kx, geometry.padding, width);
                        rows.push(line.zip(ix).map_or(outside, |(line, ix)| line[ix]));
                    }
                }
            }
        }
    }
    rows
}

/// Position in the image of position `padded` in the padded image, if it is not padding.
pub(super) fn inside(padded: usize, padding: usize, size: usize) -> Option<usize> {
    padded.checked_sub(padding).filter(|&position| position < size)
}
