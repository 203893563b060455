//! Convolution of each channel by itself.

use rayon::prelude::*;

use super::patches::{Gather, TapRow};
use super::rows::{add, by_channels, made, vectorised};
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
    let each = |i: usize, y: &mut [f32]| {
        vectorised(
            #[inline(always)]
            || line(&gather, x, [i / rows, i % rows], weight, y, [0, 1]),
        );
    };
    made(gather.pixels() * source[3], columns * source[3], each).0
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
    let each = |i: usize, dx: &mut [f32]| {
        let (image, row) = (i / height, i % height);
        for phase in 0..stride {
            let gather = &phases[row % stride * stride + phase];
            vectorised(
                #[inline(always)]
                || line(gather, gradient, [image, row / stride], weight, dx, [phase, stride]),
            );
        }
    };
    made(images * height * width * channels, width * channels, each).0
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
    /// Neighbours that are computed at once: each weight is read once for all of them.
    const STRIP: usize = 4;
    let channels = gather.source[3];
    let columns = gather.output[1];
    let inside = gather.rows.first().map_or(0..0, |taps| gather.columns(taps.right, taps.taps.len()));
    by_channels!(channels, c, N => {
        let mut x = 0;
        while x < columns {
            let pixel = [image, row, x];
            let at = |x: usize| (first + x * spread) * channels + c;
            if inside.start <= x && x + STRIP <= inside.end {
                let sums = strip::<N, STRIP>(gather, source, pixel, weight, c);
                for (i, sums) in sums.iter().enumerate() {
                    into[at(x + i)..][..N].copy_from_slice(sums);
                }
                x += STRIP;
            } else {
                let [sums] = strip::<N, 1>(gather, source, pixel, weight, c);
                into[at(x)..][..N].copy_from_slice(&sums);
                x += 1;
            }
        }
    });
}

/// `N` channels from `c` on of `P` neighbours in a row, all of whose taps lie inside if they are several.
#[inline(always)]
fn strip<const N: usize, const P: usize>(
    gather: &Gather,
    source: &[f32],
    pixel: [usize; 3],
    weight: &[f32],
    c: usize,
) -> [[f32; N]; P] {
    let channels = gather.source[3];
    let mut sums = [[0.0f32; N]; P];
    for taps in &gather.rows {
        let Some((from, begin, end)) = reach(gather, taps, pixel) else { continue };
        for (i, tap) in taps.taps[begin..end].iter().enumerate() {
            let mut w = [0.0f32; N];
            w.copy_from_slice(&weight[tap * channels + c..][..N]);
            for (p, sums) in sums.iter_mut().enumerate() {
                let x = &source[(from + i + p * gather.step) * channels + c..][..N];
                accumulate(sums, x, &w);
            }
        }
    }
    sums
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
    by_channels!(gather.source[3], c, N => {
        for taps in &gather.rows {
            // Kernels of 3 and of 5 columns read each gradient once for all of a row's taps.
            match taps.taps.len() {
                3 => tap_sums::<N, 3>(gather, x, gradient, [image, c, 0], taps, sums),
                5 => tap_sums::<N, 5>(gather, x, gradient, [image, c, 0], taps, sums),
                count => (0..count).for_each(|tap| tap_sums::<N, 1>(gather, x, gradient, [image, c, tap], taps, sums)),
            }
        }
    });
}

/// Sums of gradients times pixels for `N` channels and `T` taps of a row, from channel `c` and from tap `first` on.
#[inline(always)]
fn tap_sums<const N: usize, const T: usize>(
    gather: &Gather,
    x: &[f32],
    gradient: &[f32],
    [image, c, first]: [usize; 3],
    taps: &TapRow,
    sums: &mut [f32],
) {
    let [_, height, width, channels] = gather.source;
    let [rows, columns] = gather.output;
    let offset = taps.right + first as isize;
    let inside = gather.columns(offset, T);
    let mut sum = [[0.0f32; N]; T];
    for row in 0..rows {
        let y = (row * gather.step) as isize + taps.down;
        if y < 0 || y >= height as isize {
            continue;
        }
        let from = (image * height + y as usize) * width;
        let to = (image * rows + row) * columns;
        let pixel = |at: isize| &x[(from + at as usize) * channels + c..][..N];
        for column in 0..columns {
            let mut g = [0.0f32; N];
            g.copy_from_slice(&gradient[(to + column) * channels + c..][..N]);
            let at = (column * gather.step) as isize + offset;
            if inside.contains(&column) {
                for (t, sum) in sum.iter_mut().enumerate() {
                    accumulate(sum, pixel(at + t as isize), &g);
                }
            } else {
                for (t, sum) in sum.iter_mut().enumerate() {
                    let at = at + t as isize;
                    if (0..width as isize).contains(&at) {
                        accumulate(sum, pixel(at), &g);
                    }
                }
            }
        }
    }
    for (sum, tap) in sum.iter().zip(&taps.taps[first..]) {
        sums[tap * channels + c..][..N].copy_from_slice(sum);
    }
}

#[inline(always)]
fn accumulate<const N: usize>(sum: &mut [f32; N], x: &[f32], g: &[f32; N]) {
    for ((sum, x), g) in sum.iter_mut().zip(x).zip(g) {
        *sum = x.mul_add(*g, *sum);
    }
}
