//! Convolution of each channel by itself.

use rayon::prelude::*;

use super::patches::{Gather, TapRow};
use super::rows::{add, by_channels, vectorised};
use crate::Window;

/// `[rows, columns]` as `[columns, rows]`: weights `[channel, tap]` as `[tap, channel]` and back.
pub(crate) fn transpose(from: &[f32], columns: usize) -> Vec<f32> {
    let rows = from.len() / columns;
    (0..columns).flat_map(|column| (0..rows).map(move |row| from[row * columns + column])).collect()
}

/// The convolution of `x` with weights `[tap, channel]`.
pub(crate) fn forward(x: &[f32], source: [usize; 4], weight: &[f32], window: &Window) -> Vec<f32> {
    let gather = Gather::forward(source, window);
    let [rows, columns] = gather.output;
    let mut y = vec![0.0; gather.pixels() * source[3]];
    y.par_chunks_mut(columns * source[3]).enumerate().for_each(|(i, y)| {
        vectorised(
            #[inline(always)]
            || line(&gather, x, [i / rows, i % rows], weight, y, [0, 1]),
        );
    });
    y
}

/// The gradient of the input from the gradient of the output.
pub(crate) fn backward_input(
    gradient: &[f32],
    shape: [usize; 4],
    weight: &[f32],
    source: [usize; 4],
    window: &Window,
) -> Vec<f32> {
    let [images, height, width, channels] = source;
    let stride = window.stride;
    let phases: Vec<Gather> = (0..stride * stride)
        .map(|phase| Gather::backward(shape, [height, width], [phase / stride, phase % stride], window))
        .collect();
    let mut dx = vec![0.0; images * height * width * channels];
    dx.par_chunks_mut(width * channels).enumerate().for_each(|(i, dx)| {
        let (image, row) = (i / height, i % height);
        for phase in 0..stride {
            let gather = &phases[row % stride * stride + phase];
            vectorised(
                #[inline(always)]
                || line(gather, gradient, [image, row / stride], weight, dx, [phase, stride]),
            );
        }
    });
    dx
}

/// One row of the output, written to every `spread`th pixel of `into` from `first` on.
#[inline(always)]
fn line(
    gather: &Gather,
    source: &[f32],
    [image, row]: [usize; 2],
    weight: &[f32],
    into: &mut [f32],
    [first, spread]: [usize; 2],
) {
    let channels = gather.source[3];
    by_channels!(channels, c, N => {
        for x in 0..gather.output[1] {
            let mut sums = [0.0f32; N];
            for taps in &gather.rows {
                let Some((from, begin, end)) = reach(gather, taps, [image, row, x]) else { continue };
                for (i, tap) in taps.taps[begin..end].iter().enumerate() {
                    let from = (from + i) * channels + c;
                    let at = tap * channels + c;
                    for ((sum, x), w) in sums.iter_mut().zip(&source[from..from + N]).zip(&weight[at..at + N]) {
                        *sum += x * w;
                    }
                }
            }
            let at = (first + x * spread) * channels + c;
            into[at..at + N].copy_from_slice(&sums);
        }
    });
}

/// The first source pixel that a row of taps meets, and which of its taps lie inside.
#[inline(always)]
fn reach(gather: &Gather, taps: &TapRow, [image, row, column]: [usize; 3]) -> Option<(usize, usize, usize)> {
    let [_, height, width, _] = gather.source;
    let y = (row * gather.step) as isize + taps.down;
    if y < 0 || y >= height as isize {
        return None;
    }
    let first = (column * gather.step) as isize + taps.right;
    let count = taps.taps.len() as isize;
    let begin = (-first).clamp(0, count);
    let end = (width as isize - first).clamp(begin, count);
    let at = ((image * height + y as usize) * width) as isize + first + begin;
    (begin < end).then_some((at as usize, begin as usize, end as usize))
}

/// The gradient of the weights `[channel, tap]` from the gradient of the output.
pub(crate) fn backward_weight(x: &[f32], source: [usize; 4], gradient: &[f32], window: &Window) -> Vec<f32> {
    let gather = Gather::forward(source, window);
    let (taps, channels) = (gather.taps(), source[3]);
    let parts: Vec<Vec<f32>> = (0..source[0])
        .into_par_iter()
        .map(|image| {
            let mut sums = vec![0.0; taps * channels];
            vectorised(
                #[inline(always)]
                || image_sums(&gather, x, gradient, image, &mut sums),
            );
            sums
        })
        .collect();
    let mut sums = vec![0.0; taps * channels];
    for part in &parts {
        add(&mut sums, part);
    }
    transpose(&sums, channels)
}

#[inline(always)]
fn image_sums(gather: &Gather, x: &[f32], gradient: &[f32], image: usize, sums: &mut [f32]) {
    let [_, height, width, channels] = gather.source;
    let [rows, columns] = gather.output;
    by_channels!(channels, c, N => {
        for taps in &gather.rows {
            for (i, tap) in taps.taps.iter().enumerate() {
                let mut sum = [0.0f32; N];
                for row in 0..rows {
                    let y = (row * gather.step) as isize + taps.down;
                    if y < 0 || y >= height as isize {
                        continue;
                    }
                    // Columns whose source pixel lies inside.
                    let offset = taps.right + i as isize;
                    let begin = (-offset).max(0).cast_unsigned().div_ceil(gather.step).min(columns);
                    let end = (width as isize - offset).max(0).cast_unsigned().div_ceil(gather.step).clamp(begin, columns);
                    let from = (image * height + y as usize) * width;
                    let to = (image * rows + row) * columns;
                    for column in begin..end {
                        let from = (from + ((column * gather.step) as isize + offset) as usize) * channels + c;
                        let at = (to + column) * channels + c;
                        for ((sum, x), g) in sum.iter_mut().zip(&x[from..from + N]).zip(&gradient[at..at + N]) {
                            *sum += x * g;
                        }
                    }
                }
                sums[tap * channels + c..][..N].copy_from_slice(&sum);
            }
        }
    });
}
