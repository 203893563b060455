//! Gaussian blur.

use crate::planes::Planes;
use crate::vectorised;

/// Beyond this many standard deviations the kernel holds less than a ten-thousandth of its weight and is cut.
const REACH_IN_SIGMAS: f32 = 4.0;

/// Gaussian blur, separable, edge pixels repeated; the kernel spans a tenth of the height, made odd, as in `SimCLR`, and no more
/// than 4 `sigma` (in pixels) either side.
pub fn blur(planes: &mut Planes, sigma: f32) {
    let reach = ((planes.height / 10).max(2) / 2).min(libm::ceilf(REACH_IN_SIGMAS * sigma) as usize);
    let side: Vec<f32> = (0..=reach).map(|i| libm::expf(-((i * i) as f32) / (2.0 * sigma * sigma))).collect();
    let sum = side[0] + 2.0 * side[1..].iter().sum::<f32>();
    let kernel: Vec<f32> = side.iter().map(|weight| weight / sum).collect();
    let (width, height) = (planes.width, planes.height);
    let mut between = vec![0.0; width * height];
    let mut padded = vec![0.0; width + 2 * reach];
    vectorised(
        #[inline(always)]
        || {
            for plane in planes.values.chunks_exact_mut(width * height) {
                for y in 0..height {
                    let row = |y: usize| &plane[y * width..][..width];
                    let to = &mut between[y * width..][..width];
                    let pair = |i: usize| (row(y.saturating_sub(i)), row((y + i).min(height - 1)));
                    combine(to, row(y), &kernel, pair);
                }
                for (from, to) in between.chunks_exact(width).zip(plane.chunks_exact_mut(width)) {
                    padded[..reach].fill(from[0]);
                    padded[reach..][..width].copy_from_slice(from);
                    padded[reach + width..].fill(from[width - 1]);
                    combine(to, from, &kernel, |i| (&padded[reach - i..][..width], &padded[reach + i..][..width]));
                }
            }
        },
    );
}

/// `kernel[0] * middle + sum over i of kernel[i] * (pair(i).0 + pair(i).1)`.
#[inline(always)]
fn combine<'a>(to: &mut [f32], middle: &[f32], kernel: &[f32], pair: impl Fn(usize) -> (&'a [f32], &'a [f32])) {
    to.iter_mut().zip(middle).for_each(|(to, from)| *to = kernel[0] * from);
    for (i, &weight) in kernel.iter().enumerate().skip(1) {
        let (before, after) = pair(i);
        for ((to, before), after) in to.iter_mut().zip(before).zip(after) {
            *to += weight * (before + after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::{Channels, Image};

    #[test]
    fn a_point_spreads_evenly_and_keeps_its_sum() {
        let mut pixels = vec![0_u8; 25];
        pixels[12] = 255;
        let image = Image::new(5, 5, Channels::Grey, pixels);
        let mut planes = Planes::from_image(&image);
        blur(&mut planes, 1.0);
        assert!((planes.values.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        // exp(-1/2) = 0.6065; the middle weighs 1 / (1 + 2 * 0.6065) = 0.4519 along each axis.
        assert!((planes.values[12] - 0.4519 * 0.4519).abs() < 1e-3);
        assert!((planes.values[11] - 0.4519 * 0.2741).abs() < 1e-3);
        assert_eq!(planes.values[11], planes.values[7]);
    }
}
