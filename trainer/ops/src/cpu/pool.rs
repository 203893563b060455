//! Maximum and mean over pixels.

use super::rows::{by_channels, made, vectorised};
use crate::Window;

/// The largest value under each window; what lies outside of the image counts as `outside`.
pub(crate) fn max(x: &[f32], source: [usize; 4], window: &Window, outside: f32) -> Vec<f32> {
    let [images, height, width, channels] = source;
    let [rows, columns] = window.output([height, width]);
    let [of_x, of_y] = [height * width * channels, rows * columns * channels];
    let (y, _) = made(images * of_y, of_y, |image, y| {
        let x = &x[image * of_x..][..of_x];
        vectorised(
            #[inline(always)]
            || {
                for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
                    y.fill(f32::NEG_INFINITY);
                    for tap in taps(window, [height, width], [pixel / columns, pixel % columns]) {
                        match tap {
                            Some(at) => larger(y, &x[at * channels..(at + 1) * channels]),
                            None => y.iter_mut().for_each(|y| *y = if outside > *y { outside } else { *y }),
                        }
                    }
                }
            },
        );
    });
    y
}

#[inline(always)]
fn larger(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        // NaN wins.
        *y = if *y >= *x || y.is_nan() { *y } else { *x };
    }
}

/// Source pixels under a window, row by row; `None` outside of the image.
#[inline(always)]
fn taps(
    window: &Window,
    [height, width]: [usize; 2],
    [row, column]: [usize; 2],
) -> impl Iterator<Item = Option<usize>> {
    let Window { kernel, stride, before, .. } = *window;
    (0..kernel[0] * kernel[1]).map(move |tap| {
        let y = (row * stride + tap / kernel[1]).checked_sub(before[0])?;
        let x = (column * stride + tap % kernel[1]).checked_sub(before[1])?;
        (y < height && x < width).then_some(y * width + x)
    })
}

/// The gradient of `x`: each window's goes to the first of its largest values, or nowhere where `outside` is larger.
pub(crate) fn max_backward(
    x: &[f32],
    source: [usize; 4],
    window: &Window,
    outside: f32,
    y: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let [images, height, width, channels] = source;
    let [rows, columns] = window.output([height, width]);
    let [of_x, of_y] = [height * width * channels, rows * columns * channels];
    let (dx, _) = made(images * of_x, of_x, |image, dx| {
        let x = &x[image * of_x..][..of_x];
        let [y, gradient] = [y, gradient].map(|values| &values[image * of_y..][..of_y]);
        vectorised(
            #[inline(always)]
            || image_max_backward(x, y, gradient, window, [height, width, columns, channels], outside, dx),
        );
    });
    dx
}

/// [`max_backward`] of one image.
#[inline(always)]
fn image_max_backward(
    x: &[f32],
    y: &[f32],
    gradient: &[f32],
    window: &Window,
    [height, width, columns, channels]: [usize; 4],
    outside: f32,
    dx: &mut [f32],
) {
    for (pixel, (y, gradient)) in y.chunks_exact(channels).zip(gradient.chunks_exact(channels)).enumerate() {
        let place = [pixel / columns, pixel % columns];
        by_channels!(channels, c, N => {
            let y = &y[c..c + N];
            // What of the gradient has not yet found its value.
            let mut left = [0.0f32; N];
            left.copy_from_slice(&gradient[c..c + N]);
            for tap in taps(window, [height, width], place) {
                let Some(at) = tap else {
                    left.iter_mut().zip(y).for_each(|(left, y)| *left = if *y == outside { 0.0 } else { *left });
                    continue;
                };
                let range = at * channels + c..at * channels + c + N;
                for ((dx, x), (left, y)) in dx[range.clone()].iter_mut().zip(&x[range]).zip(left.iter_mut().zip(y)) {
                    let hit = *x == *y;
                    *dx += if hit { *left } else { 0.0 };
                    *left = if hit { 0.0 } else { *left };
                }
            }
        });
    }
}

/// Mean over the pixels of each image: `[image, channel]`.
pub(crate) fn mean(x: &[f32], [_, height, width, channels]: [usize; 4]) -> Vec<f32> {
    let pixels = height * width;
    let (y, _) = made(x.len() / pixels, channels, |image, y| {
        let x = &x[image * pixels * channels..][..pixels * channels];
        vectorised(
            #[inline(always)]
            || {
                for x in x.chunks_exact(channels) {
                    super::rows::add(y, x);
                }
                y.iter_mut().for_each(|y| *y /= pixels as f32);
            },
        );
    });
    y
}

/// The gradient of `x` for [`mean`].
pub(crate) fn mean_backward(gradient: &[f32], [images, height, width, channels]: [usize; 4]) -> Vec<f32> {
    let pixels = height * width;
    let (dx, _) = made(images * pixels * channels, pixels * channels, |image, dx| {
        let g = &gradient[image * channels..][..channels];
        vectorised(
            #[inline(always)]
            || {
                for dx in dx.chunks_exact_mut(channels) {
                    for (dx, g) in dx.iter_mut().zip(g) {
                        *dx = g / pixels as f32;
                    }
                }
            },
        );
    });
    dx
}
