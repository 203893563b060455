//! Batch normalisation with the activation after it.

use rayon::prelude::*;

use super::activation::{Activate, with_activation};
use super::rows::{NARROW, mapped, narrow, piece, total, vectorised, widen, zipped};
use crate::Activation;

/// What normalises each channel.
pub(crate) struct Channels<'a> {
    pub(crate) gamma: &'a [f32],
    pub(crate) beta: &'a [f32],
    pub(crate) activation: Activation,
}

impl Channels<'_> {
    /// What each channel is multiplied with and what is added, for statistics of groups of as many channels as share them.
    #[inline(always)]
    pub(crate) fn affine(&self, mean: &[f32], inverse: &[f32]) -> [Vec<f32>; 2] {
        let width = self.gamma.len() / mean.len();
        let scale: Vec<f32> = self.gamma.iter().enumerate().map(|(c, gamma)| gamma * inverse[c / width]).collect();
        let shift = self.beta.iter().enumerate().map(|(c, beta)| beta - mean[c / width] * scale[c]).collect();
        [scale, shift]
    }
}

/// The result, and mean and biased variance of each channel.
pub(crate) fn forward(x: &[f32], norm: &Channels<'_>, epsilon: f32) -> [Vec<f32>; 3] {
    let [mean, variance] = moments(x, norm.gamma.len());
    let scale: Vec<f32> = norm.gamma.iter().zip(&variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
    let shift: Vec<f32> = norm.beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
    [affine(x, [&scale, &shift], norm.activation), mean, variance]
}

/// `activation(x * scale + shift)`.
pub(crate) fn affine(x: &[f32], [scale, shift]: [&[f32]; 2], activation: Activation) -> Vec<f32> {
    mapped(x, piece(x.len(), scale.len()), |x, y| {
        with_activation!(activation, A => vectorised(#[inline(always)] || affine_rows::<A>(x, scale, shift, y)));
    })
}

/// [`affine`] of rows of pixels, rounded once: networks of many normalisations in a row amplify what a second rounding adds.
/// Processors without a fused multiply-add get the same numbers, slowly.
#[inline(always)]
pub(crate) fn affine_rows<A: Activate>(x: &[f32], scale: &[f32], shift: &[f32], y: &mut [f32]) {
    for (y, x) in y.chunks_exact_mut(scale.len()).zip(x.chunks_exact(scale.len())) {
        for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
            *y = A::value(x.mul_add(*scale, *shift));
        }
    }
}

/// Mean and biased variance of each channel.
fn moments(x: &[f32], channels: usize) -> [Vec<f32>; 2] {
    let rows = x.len() / channels;
    let size = piece(x.len(), channels);
    // Values less those of the first row: squares of what is left lose nothing where a channel's mean is far from 0.
    let origin = &x[..channels.min(x.len())];
    let parts: Vec<Vec<f64>> = x
        .par_chunks(size)
        .map(|x| {
            let mut sums = vec![0.0; 2 * channels];
            vectorised(
                #[inline(always)]
                || sum_moments(x, origin, &mut sums),
            );
            sums
        })
        .collect();
    let sums = total(&parts, 2 * channels);
    let (sum, squares) = sums.split_at(channels);
    let count = rows.max(1) as f64;
    let mean = sum.iter().zip(origin).map(|(s, o)| (s / count + f64::from(*o)) as f32).collect();
    let variance = sum.iter().zip(squares).map(|(s, q)| (q / count - (s / count).powi(2)).max(0.0) as f32).collect();
    [mean, variance]
}

#[inline(always)]
fn sum_moments(x: &[f32], origin: &[f32], sums: &mut [f64]) {
    let channels = origin.len();
    let mut narrow = vec![0.0; 2 * channels];
    for x in x.chunks(NARROW * channels) {
        let (sum, squares) = narrow.split_at_mut(channels);
        for x in x.chunks_exact(channels) {
            for (((x, origin), sum), square) in x.iter().zip(origin).zip(&mut *sum).zip(&mut *squares) {
                let d = x - origin;
                *sum += d;
                *square += d * d;
            }
        }
        widen(sums, &mut narrow);
    }
}

/// Gradients of `x`, `gamma` and `beta`.
///
/// Source: Ioffe and Szegedy 2015, "Batch Normalization", section 3.
pub(crate) fn backward(
    x: &[f32],
    norm: &Channels<'_>,
    epsilon: f32,
    [mean, variance]: [&[f32]; 2],
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let channels = norm.gamma.len();
    let rows = x.len() / channels;
    let inverse: Vec<f32> = variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
    let [scale, shift] = norm.affine(mean, &inverse);
    let affine = [&scale[..], &shift[..]];
    let sums = gradient_sums(x, affine, norm.activation, mean, gradient);
    let (beta, moments) = sums.split_at(channels);
    // dx = scale * (g - mean(g) - normal * mean(g * normal)), with normal = (x - mean) * inverse.
    let count = rows.max(1) as f64;
    let mut gamma = vec![0.0; channels];
    let mut line = [vec![0.0; channels], vec![0.0; channels], vec![0.0; channels]];
    for c in 0..channels {
        let [inverse, wide, mean] = [inverse[c], scale[c], mean[c]].map(f64::from);
        let along = moments[c] * inverse;
        gamma[c] = along as f32;
        let slope = -wide * inverse * along / count;
        (line[0][c], line[1][c], line[2][c]) = (wide, slope, -wide * beta[c] / count - slope * mean);
    }
    let dx = zipped([x, gradient], piece(x.len(), channels), |[x, gradient], dx| {
        with_activation!(norm.activation, A => vectorised(#[inline(always)] || input_gradient_wide::<A>(x, gradient, affine, &line, dx)));
    });
    [dx, gamma, narrow(beta)]
}

/// What passes the activation times the scale, and what the statistics add: `x * slope + offset`, of the line's scale, slope and offset.
///
/// In 64 bits until the last rounding. A channel's gradients add up to nothing but for what roundings leave: one that all of its pixels
/// share, as that of a 32-bit offset, would not cancel where layers before this one add them up.
#[inline(always)]
fn input_gradient_wide<A: Activate>(
    x: &[f32],
    gradient: &[f32],
    [scale, shift]: [&[f32]; 2],
    [wide, slope, offset]: &[Vec<f64>; 3],
    dx: &mut [f32],
) {
    let channels = scale.len();
    let (shift, wide) = (&shift[..channels], &wide[..channels]);
    let (slope, offset) = (&slope[..channels], &offset[..channels]);
    let rows = x.chunks_exact(channels).zip(gradient.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels));
    for ((x, gradient), dx) in rows {
        for c in 0..channels {
            let g = A::gradient(x[c].mul_add(scale[c], shift[c]), gradient[c]);
            dx[c] = f64::from(g).mul_add(wide[c], f64::from(x[c]).mul_add(slope[c], offset[c])) as f32;
        }
    }
}

/// Gradients of `x`, `scale` and `shift` for [`affine`].
pub(crate) fn affine_backward(
    x: &[f32],
    affine: [&[f32]; 2],
    activation: Activation,
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let channels = affine[0].len();
    let zeros = vec![0.0; channels];
    let sums = gradient_sums(x, affine, activation, &zeros, gradient);
    let (shift, scale) = sums.split_at(channels);
    let dx = zipped([x, gradient], piece(x.len(), channels), |[x, gradient], dx| {
        with_activation!(activation, A => vectorised(#[inline(always)] || {
            input_gradient::<A>(x, gradient, affine, [&zeros, &zeros, &zeros], dx);
        }));
    });
    [dx, narrow(scale), narrow(shift)]
}

/// Sums over the pixels of what passes the activation, then of the same times `x - mean`.
fn gradient_sums(x: &[f32], affine: [&[f32]; 2], activation: Activation, mean: &[f32], gradient: &[f32]) -> Vec<f64> {
    let channels = mean.len();
    let size = piece(x.len(), channels);
    let parts: Vec<Vec<f64>> = x
        .par_chunks(size)
        .zip(gradient.par_chunks(size))
        .map(|(x, gradient)| {
            let mut sums = vec![0.0; 2 * channels];
            with_activation!(activation, A => vectorised(#[inline(always)] || sum_gradients::<A>(x, gradient, affine, mean, &mut sums)));
            sums
        })
        .collect();
    total(&parts, 2 * channels)
}

/// Adds to `sums` what passes the activation, then the same times `x - mean`, over the pixels.
#[inline(always)]
pub(crate) fn sum_gradients<A: Activate>(
    x: &[f32],
    gradient: &[f32],
    [scale, shift]: [&[f32]; 2],
    mean: &[f32],
    sums: &mut [f64],
) {
    let channels = scale.len();
    let (scale, shift, mean) = (&scale[..channels], &shift[..channels], &mean[..channels]);
    let mut narrow = vec![0.0; 2 * channels];
    for (x, gradient) in x.chunks(NARROW * channels).zip(gradient.chunks(NARROW * channels)) {
        let (sum, moment) = narrow.split_at_mut(channels);
        for (x, gradient) in x.chunks_exact(channels).zip(gradient.chunks_exact(channels)) {
            for c in 0..channels {
                let g = A::gradient(x[c].mul_add(scale[c], shift[c]), gradient[c]);
                sum[c] += g;
                moment[c] += g * (x[c] - mean[c]);
            }
        }
        widen(sums, &mut narrow);
    }
}

/// The gradient of the input for rows of pixels: what passes the activation times the scale, and what the statistics add, a line of
/// mean, slope and offset: `(x - mean) * slope + offset`, without the digits that `x * slope` loses to a mean far from 0.
#[inline(always)]
pub(crate) fn input_gradient<A: Activate>(
    x: &[f32],
    gradient: &[f32],
    [scale, shift]: [&[f32]; 2],
    [mean, slope, offset]: [&[f32]; 3],
    dx: &mut [f32],
) {
    let channels = scale.len();
    let (shift, mean) = (&shift[..channels], &mean[..channels]);
    let (slope, offset) = (&slope[..channels], &offset[..channels]);
    let rows = x.chunks_exact(channels).zip(gradient.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels));
    for ((x, gradient), dx) in rows {
        for c in 0..channels {
            let g = A::gradient(x[c].mul_add(scale[c], shift[c]), gradient[c]);
            dx[c] = g.mul_add(scale[c], (x[c] - mean[c]).mul_add(slope[c], offset[c]));
        }
    }
}
