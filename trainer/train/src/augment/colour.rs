//! Changes of colour and sharpness, on planes of numbers from 0 to 1.

use remedis_imaging::{Channels, Image};

/// Weights of red, green and blue in luminance (ITU-R BT.601), as in TensorFlow's `rgb_to_grayscale`.
const LUMINANCE: [f32; 3] = [0.2989, 0.587, 0.114];

/// An image as numbers from 0 to 1, interleaved like the image it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    width: usize,
    height: usize,
    channels: Channels,
    values: Vec<f32>,
}

impl Planes {
    /// Bytes to numbers.
    #[must_use]
    pub fn from_image(image: &Image) -> Self {
        let values = image.pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Self { width: image.width as usize, height: image.height as usize, channels: image.channels, values }
    }

    /// Numbers to bytes, rounded.
    #[must_use]
    pub fn into_image(self) -> Image {
        let pixels = self.values.iter().map(|value| (value * 255.0 + 0.5) as u8).collect();
        Image { width: self.width as u32, height: self.height as u32, channels: self.channels, pixels }
    }

    fn each(&mut self, change: impl Fn(f32) -> f32) {
        for value in &mut self.values {
            *value = change(*value).clamp(0.0, 1.0);
        }
    }

    /// Changes whole pixels; a grey image has no colour to change.
    fn each_colour(&mut self, change: impl Fn([f32; 3]) -> [f32; 3]) {
        if self.channels == Channels::Rgb {
            for pixel in self.values.chunks_exact_mut(3) {
                let changed = change([pixel[0], pixel[1], pixel[2]]);
                pixel.copy_from_slice(&changed.map(|value| value.clamp(0.0, 1.0)));
            }
        }
    }
}

/// Multiplies every value by `factor`.
pub fn brightness(planes: &mut Planes, factor: f32) {
    planes.each(|value| value * factor);
}

/// Stretches every channel about its mean by `factor`.
pub fn contrast(planes: &mut Planes, factor: f32) {
    let n = planes.channels.count();
    for c in 0..n {
        let channel = || planes.values.iter().skip(c).step_by(n);
        let mean = channel().sum::<f32>() / channel().count() as f32;
        for value in planes.values.iter_mut().skip(c).step_by(n) {
            *value = ((*value - mean) * factor + mean).clamp(0.0, 1.0);
        }
    }
}

/// Multiplies the saturation of the hue-saturation-value form by `factor`, at most to full saturation.
pub fn saturation(planes: &mut Planes, factor: f32) {
    planes.each_colour(|pixel| {
        let high = pixel[0].max(pixel[1]).max(pixel[2]);
        let low = pixel[0].min(pixel[1]).min(pixel[2]);
        let factor = if high > low { factor.min(high / (high - low)) } else { 1.0 };
        pixel.map(|value| high - (high - value) * factor)
    });
}

/// Turns the hue by `turns` of the colour circle, value and saturation kept.
pub fn hue(planes: &mut Planes, turns: f32) {
    planes.each_colour(|pixel| turn_hue(pixel, turns));
}

fn turn_hue([r, g, b]: [f32; 3], turns: f32) -> [f32; 3] {
    let high = r.max(g).max(b);
    let span = high - r.min(g).min(b);
    if span == 0.0 {
        return [r, g, b];
    }
    let sixths = if high == r {
        (g - b) / span
    } else if high == g {
        (b - r) / span + 2.0
    } else {
        (r - g) / span + 4.0
    };
    let turned = (sixths + turns * 6.0).rem_euclid(6.0);
    [5.0, 3.0, 1.0].map(|offset| {
        let k = (offset + turned).rem_euclid(6.0);
        high - span * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// Replaces every colour by its luminance.
pub fn grey(planes: &mut Planes) {
    planes.each_colour(|pixel| [pixel.iter().zip(LUMINANCE).map(|(value, weight)| value * weight).sum(); 3]);
}

/// Gaussian blur, separable, edge pixels repeated; the kernel spans a tenth of the height, made odd, as in `SimCLR`.
pub fn blur(planes: &mut Planes, sigma: f32) {
    let reach = (planes.height / 10).max(2) as isize / 2;
    let mut kernel: Vec<f32> = (-reach..=reach).map(|i| (-((i * i) as f32) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|weight| *weight /= sum);

    let (width, height, n) = (planes.width, planes.height, planes.channels.count());
    let row = width * n;
    smooth(&mut planes.values, &kernel, [height, row, width, n], n);
    smooth(&mut planes.values, &kernel, [width, n, height, row], n);
}

/// Convolves `count` lines (`line` apart) of `length` points (`step` apart) and `n` channels.
fn smooth(values: &mut [f32], kernel: &[f32], [count, line, length, step]: [usize; 4], n: usize) {
    let reach = kernel.len() / 2;
    let mut padded = vec![0.0; length + 2 * reach];
    for start in (0..count).flat_map(|i| (0..n).map(move |c| i * line + c)) {
        for (i, slot) in padded.iter_mut().enumerate() {
            *slot = values[start + i.saturating_sub(reach).min(length - 1) * step];
        }
        for i in 0..length {
            values[start + i * step] = kernel.iter().zip(&padded[i..]).map(|(weight, value)| weight * value).sum();
        }
    }
}

/// Histogram equalisation of luminance over 256 bins: `round((cdf - cdf_min) * 255 / (pixels - cdf_min))`.
///
/// Colours move by as much as their luminance does.
#[must_use]
pub fn equalise(image: &Image) -> Image {
    let n = image.channels.count();
    let luminance = |pixel: &[u8]| match pixel {
        [r, g, b] => {
            let sum: f32 = [r, g, b].into_iter().zip(LUMINANCE).map(|(value, weight)| f32::from(*value) * weight).sum();
            (sum + 0.5) as u8
        }
        _ => pixel[0],
    };
    let mut counts = [0_u32; 256];
    for pixel in image.pixels.chunks_exact(n) {
        counts[usize::from(luminance(pixel))] += 1;
    }
    let first = counts.iter().copied().find(|&count| count > 0).unwrap_or(0);
    let span = counts.iter().sum::<u32>() - first;
    if span == 0 {
        return image.clone();
    }
    let mut below = 0;
    let table = counts.map(|count| {
        below += count;
        (below.saturating_sub(first) as f32 * 255.0 / span as f32 + 0.5) as u8
    });
    let equalised = image.pixels.chunks_exact(n).flat_map(|pixel| {
        let old = luminance(pixel);
        let shift = i16::from(table[usize::from(old)]) - i16::from(old);
        pixel.iter().map(move |&value| (i16::from(value) + shift).clamp(0, 255) as u8)
    });
    Image { pixels: equalised.collect(), ..*image }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(pixels: &[[u8; 3]]) -> Image {
        Image { width: pixels.len() as u32, height: 1, channels: Channels::Rgb, pixels: pixels.concat() }
    }

    fn check(image: &Image, change: impl Fn(&mut Planes), expected: &[[u8; 3]]) {
        let mut planes = Planes::from_image(image);
        change(&mut planes);
        assert_eq!(planes.into_image().pixels, expected.concat());
    }

    #[test]
    fn brightness_multiplies_and_stops_at_white() {
        check(&rgb(&[[100, 200, 0]]), |p| brightness(p, 1.5), &[[150, 255, 0]]);
    }

    #[test]
    fn contrast_zero_leaves_the_mean_of_each_channel() {
        check(&rgb(&[[0, 10, 50], [100, 30, 50]]), |p| contrast(p, 0.0), &[[50, 20, 50]; 2]);
        check(&rgb(&[[0, 10, 50], [100, 30, 50]]), |p| contrast(p, 1.0), &[[0, 10, 50], [100, 30, 50]]);
    }

    #[test]
    fn saturation_zero_leaves_the_brightest_channel_and_full_saturation_is_the_end() {
        check(&rgb(&[[200, 100, 150]]), |p| saturation(p, 0.0), &[[200, 200, 200]]);
        check(&rgb(&[[200, 100, 150]]), |p| saturation(p, 9.0), &[[200, 0, 100]]);
    }

    #[test]
    fn a_third_of_a_turn_moves_red_to_green_to_blue() {
        check(&rgb(&[[200, 50, 50]]), |p| hue(p, 1.0 / 3.0), &[[50, 200, 50]]);
        check(&rgb(&[[50, 200, 50]]), |p| hue(p, 1.0 / 3.0), &[[50, 50, 200]]);
        check(&rgb(&[[10, 200, 90]]), |p| hue(p, 0.0), &[[10, 200, 90]]);
    }

    #[test]
    fn grey_is_the_luminance() {
        check(&rgb(&[[255, 0, 0], [0, 255, 0]]), grey, &[[76; 3], [150; 3]]);
    }

    #[test]
    fn blur_spreads_a_point_evenly_and_keeps_the_sum() {
        let mut pixels = vec![0; 25];
        pixels[12] = 255;
        let image = Image { width: 5, height: 5, channels: Channels::Grey, pixels };
        let mut planes = Planes::from_image(&image);
        blur(&mut planes, 1.0);
        assert!((planes.values.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        // exp(-1/2) = 0.6065; the middle weighs 1 / (1 + 2 * 0.6065) = 0.4519 along each axis.
        assert!((planes.values[12] - 0.4519 * 0.4519).abs() < 1e-3);
        assert!((planes.values[11] - 0.4519 * 0.2741).abs() < 1e-3);
        assert_eq!(planes.values[11], planes.values[7]);
    }

    #[test]
    fn equalisation_spreads_four_levels_over_the_range() {
        let image = Image { width: 4, height: 1, channels: Channels::Grey, pixels: vec![100, 101, 102, 103] };
        assert_eq!(equalise(&image).pixels, [0, 85, 170, 255]);
        let flat = Image { width: 2, height: 1, channels: Channels::Grey, pixels: vec![7, 7] };
        assert_eq!(equalise(&flat).pixels, [7, 7]);
    }
}
