//! Group normalisation with the activation after it: each image by itself.

use super::activation::{Activate, with_activation};
use super::batch_norm::{Channels, affine_rows, input_gradient, sum_gradients};
use super::rows::{NARROW, add, made, narrow, total, vectorised, widen};

/// The result, and mean and inverse deviation of each group: `[image, group]`.
pub(crate) fn forward(x: &[f32], image: usize, groups: usize, norm: &Channels<'_>, epsilon: f32) -> [Vec<f32>; 3] {
    let (y, moments) = made(x.len(), image, |i, y| {
        let x = &x[i * image..][..image];
        with_activation!(norm.activation, A => vectorised(#[inline(always)] || normalise::<A>(x, norm, epsilon, groups, y)))
    });
    let (mean, inverse): (Vec<_>, Vec<_>) = moments.into_iter().unzip();
    [y, mean.concat(), inverse.concat()]
}

/// One image's result, and mean and inverse deviation of its groups.
#[inline(always)]
fn normalise<A: Activate>(
    x: &[f32],
    norm: &Channels<'_>,
    epsilon: f32,
    groups: usize,
    y: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let channels = norm.gamma.len();
    let width = channels / groups;
    let count = (x.len() / groups) as f64;
    let mut wide = vec![0.0f64; channels];
    let mut narrow = vec![0.0f32; channels];
    for x in x.chunks(NARROW * channels) {
        for x in x.chunks_exact(channels) {
            add(&mut narrow, x);
        }
        widen(&mut wide, &mut narrow);
    }
    let mean: Vec<f32> = wide.chunks_exact(width).map(|sum| (sum.iter().sum::<f64>() / count) as f32).collect();
    let centre: Vec<f32> = (0..channels).map(|c| mean[c / width]).collect();
    wide.fill(0.0);
    for x in x.chunks(NARROW * channels) {
        for x in x.chunks_exact(channels) {
            for ((square, x), centre) in narrow.iter_mut().zip(x).zip(&centre) {
                let d = x - centre;
                *square += d * d;
            }
        }
        widen(&mut wide, &mut narrow);
    }
    let deviation = |squares: &[f64]| {
        let variance = squares.iter().sum::<f64>() / count;
        (1.0 / (variance + f64::from(epsilon)).sqrt()) as f32
    };
    let inverse: Vec<f32> = wide.chunks_exact(width).map(deviation).collect();
    let [scale, shift] = norm.affine(&mean, &inverse);
    affine_rows::<A>(x, &scale, &shift, y);
    (mean, inverse)
}

/// Gradients of `x`, `gamma` and `beta`.
pub(crate) fn backward(
    x: &[f32],
    image: usize,
    norm: &Channels<'_>,
    [mean, inverse]: [&[f32]; 2],
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let channels = norm.gamma.len();
    let groups = mean.len() * image / x.len().max(1);
    let (dx, parts) = made(x.len(), image, |i, dx| {
        let [x, gradient] = [x, gradient].map(|values| &values[i * image..][..image]);
        let moments = [mean, inverse].map(|values| &values[i * groups..][..groups]);
        let mut sums = vec![0.0; 2 * channels];
        with_activation!(norm.activation, A => vectorised(#[inline(always)] || {
            image_backward::<A>(x, norm, moments, gradient, dx, &mut sums);
        }));
        sums
    });
    let sums = total(&parts, 2 * channels);
    let (beta, gamma) = sums.split_at(channels);
    [dx, narrow(gamma), narrow(beta)]
}

/// One image's input gradient, and its part of the gradients of `beta` and of `gamma`.
#[inline(always)]
fn image_backward<A: Activate>(
    x: &[f32],
    norm: &Channels<'_>,
    [mean, inverse]: [&[f32]; 2],
    gradient: &[f32],
    dx: &mut [f32],
    sums: &mut [f64],
) {
    let channels = norm.gamma.len();
    let width = channels / mean.len();
    let count = (x.len() / mean.len()) as f64;
    let [scale, shift] = norm.affine(mean, inverse);
    let centre: Vec<f32> = (0..channels).map(|c| mean[c / width]).collect();
    sum_gradients::<A>(x, gradient, [&scale, &shift], &centre, sums);
    let (sum, moment) = sums.split_at_mut(channels);
    // As in batch normalisation, with the means over a group of gradients that `gamma` has scaled.
    let mut slope = vec![0.0; channels];
    let mut offset = vec![0.0; channels];
    for (group, inverse) in inverse.iter().enumerate() {
        let range = group * width..(group + 1) * width;
        let (mut plain, mut along) = (0.0, 0.0);
        for c in range.clone() {
            plain += sum[c] * f64::from(norm.gamma[c]);
            along += moment[c] * f64::from(norm.gamma[c]);
        }
        let i = f64::from(*inverse);
        slope[range.clone()].fill((-i * i * i * along / count) as f32);
        offset[range.clone()].fill((-i * plain / count) as f32);
        moment[range].iter_mut().for_each(|moment| *moment *= i);
    }
    input_gradient::<A>(x, gradient, [&scale, &shift], [&centre, &slope, &offset], dx);
}
