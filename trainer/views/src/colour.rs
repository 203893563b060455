//! Changes of brightness and colour. A grey image has no colour to change.

use crate::planes::Planes;
use crate::vectorised;

/// Weights of red, green and blue in luminance (ITU-R BT.601), as in TensorFlow's `rgb_to_grayscale`.
const LUMINANCE: [f32; 3] = [0.2989, 0.587, 0.114];

/// Multiplies every value by `factor`.
pub fn brightness(planes: &mut Planes, factor: f32) {
    vectorised(
        #[inline(always)]
        || planes.values.iter_mut().for_each(|value| *value = (*value * factor).clamp(0.0, 1.0)),
    );
}

/// Stretches every channel about its mean by `factor`.
pub fn contrast(planes: &mut Planes, factor: f32) {
    vectorised(
        #[inline(always)]
        || {
            for plane in planes.planes_mut() {
                let mean = sum(plane) / plane.len() as f32;
                plane.iter_mut().for_each(|value| *value = ((*value - mean) * factor + mean).clamp(0.0, 1.0));
            }
        },
    );
}

/// The sum of `values`, in an order that vectors of any width keep.
#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().chain(rest).sum()
}

/// Multiplies the saturation of the hue-saturation-value form by `factor`, at most to full saturation.
pub fn saturation(planes: &mut Planes, factor: f32) {
    each_colour(
        planes,
        #[inline(always)]
        |[r, g, b]| {
            let high = r.max(g).max(b);
            let span = high - r.min(g).min(b);
            let factor = if factor * span > high { high / span } else { factor };
            [r, g, b].map(|value| high - (high - value) * factor)
        },
    );
}

/// Turns the hue by `turns` of the colour circle, value and saturation kept.
///
/// # Panics
/// If `turns` is not between -1/2 and 1/2.
pub fn hue(planes: &mut Planes, turns: f32) {
    assert!((-0.5..=0.5).contains(&turns), "{turns} turns of hue are more than half a turn");
    each_colour(
        planes,
        #[inline(always)]
        |colours| turn_hue(colours, turns * 6.0),
    );
}

/// Without branches, so that it vectorises; `sixths` of the circle, -3 to 3.
#[inline(always)]
fn turn_hue([r, g, b]: [f32; 3], sixths: f32) -> [f32; 3] {
    let high = r.max(g).max(b);
    let span = high - r.min(g).min(b);
    let divisor = if span > 0.0 { span } else { 1.0 };
    let of_red = (g - b) / divisor;
    let of_green = (b - r) / divisor + 2.0;
    let of_blue = (r - g) / divisor + 4.0;
    let hue = if high == r {
        of_red
    } else if high == g {
        of_green
    } else {
        of_blue
    };
    // Hue is from -1 to 5, so turned it is from -4 to 8: one step brings it back to 0 to 6.
    let turned = hue + sixths;
    let turned = if turned < 0.0 { turned + 6.0 } else { turned };
    let turned = if turned >= 6.0 { turned - 6.0 } else { turned };
    [5.0, 3.0, 1.0].map(|offset| {
        let k = offset + turned;
        let k = if k >= 6.0 { k - 6.0 } else { k };
        high - span * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// Replaces every colour by its luminance.
pub fn grey(planes: &mut Planes) {
    let [red, green, blue] = LUMINANCE;
    each_colour(
        planes,
        #[inline(always)]
        |[r, g, b]| [r * red + g * green + b * blue; 3],
    );
}

/// Changes whole pixels, and clips them.
pub(crate) fn each_colour(planes: &mut Planes, change: impl Fn([f32; 3]) -> [f32; 3]) {
    if !planes.is_colour() {
        return;
    }
    let colours = planes.colours_mut();
    vectorised(
        #[inline(always)]
        || {
            each_pixel(
                colours,
                #[inline(always)]
                |pixel| change(pixel).map(|value| value.clamp(0.0, 1.0)),
            );
        },
    );
}

/// Changes pixel by pixel, in blocks of constant size on the stack: what compilers turn into vectors.
#[inline(always)]
fn each_pixel([red, green, blue]: [&mut [f32]; 3], change: impl Fn([f32; 3]) -> [f32; 3]) {
    const BLOCK: usize = 64;
    let (reds, red) = red.as_chunks_mut::<BLOCK>();
    let (greens, green) = green.as_chunks_mut::<BLOCK>();
    let (blues, blue) = blue.as_chunks_mut::<BLOCK>();
    for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
        let (mut r, mut g, mut b) = (*red, *green, *blue);
        for i in 0..BLOCK {
            [r[i], g[i], b[i]] = change([r[i], g[i], b[i]]);
        }
        (*red, *green, *blue) = (r, g, b);
    }
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        [*red, *green, *blue] = change([*red, *green, *blue]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::{Channels, Image};

    fn rgb(pixels: &[[u8; 3]]) -> Image {
        Image::new(pixels.len() as u32, 1, Channels::Rgb, pixels.concat())
    }

    fn check(image: &Image, change: impl Fn(&mut Planes), expected: &[[u8; 3]]) {
        let mut planes = Planes::from_image(image);
        change(&mut planes);
        assert_eq!(planes.into_image().as_u8(), expected.concat());
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
}
