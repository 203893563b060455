//! Histogram equalisation.

use remedis_imaging::Image;

/// Histogram equalisation of luminance over 256 bins: `round((cdf - cdf_min) * 255 / (pixels - cdf_min))`.
///
/// Colours move by as much as their luminance, that of [`Image::to_grey`], does.
#[must_use]
pub fn equalise(image: &Image) -> Image {
    let luminance = image.to_grey().pixels;
    let mut counts = [0_u32; 256];
    for &level in &luminance {
        counts[usize::from(level)] += 1;
    }
    let first = counts.iter().copied().find(|&count| count > 0).unwrap_or(0);
    let span = counts.iter().sum::<u32>() - first;
    if span == 0 {
        return image.clone();
    }
    let mut below = 0;
    let levels = counts.map(|count| {
        below += count;
        (below.saturating_sub(first) as f32 * 255.0 / span as f32 + 0.5) as u8
    });
    let shifts: [i16; 256] = std::array::from_fn(|level| i16::from(levels[level]) - level as i16);
    let mut pixels = image.pixels.clone();
    for (pixel, &level) in pixels.chunks_exact_mut(image.channels.count()).zip(&luminance) {
        let shift = shifts[usize::from(level)];
        pixel.iter_mut().for_each(|value| *value = (i16::from(*value) + shift).clamp(0, 255) as u8);
    }
    Image { pixels, ..*image }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::Channels;

    #[test]
    fn four_levels_spread_over_the_range() {
        let image = Image { width: 4, height: 1, channels: Channels::Grey, pixels: vec![100, 101, 102, 103] };
        assert_eq!(equalise(&image).pixels, [0, 85, 170, 255]);
        let flat = Image { width: 2, height: 1, channels: Channels::Grey, pixels: vec![7, 7] };
        assert_eq!(equalise(&flat).pixels, [7, 7]);
    }
}
