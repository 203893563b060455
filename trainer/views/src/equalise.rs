//! Histogram equalisation.

use remedis_imaging::{Image, Sample, Samples};

/// Histogram equalisation of luminance with a bin for each of its 256 or 65,536 levels: `round((cdf - cdf_min) * top / (pixels -
/// cdf_min))`, where `top` is the highest level.
///
/// Colours move by as much as their luminance, that of [`Image::to_grey`], does.
#[must_use]
pub fn equalise(image: &Image) -> Image {
    let n = image.channels.count();
    let samples = match (&image.samples, &image.to_grey().samples) {
        (Samples::Eight(samples), Samples::Eight(luminance)) => spread(samples, luminance, n).into(),
        (Samples::Sixteen(samples), Samples::Sixteen(luminance)) => spread(samples, luminance, n).into(),
        _ => unreachable!("grey has the depth of the image"),
    };
    Image { samples, ..*image }
}

/// Samples of `n` channels, moved by as much as the levels of `luminance` do when they are spread evenly.
fn spread<S: Sample>(samples: &[S], luminance: &[S], n: usize) -> Vec<S> {
    let level_of = |sample: S| -> u32 { sample.into() };
    let mut counts = vec![0_u32; S::TOP as usize + 1];
    for &level in luminance {
        counts[level_of(level) as usize] += 1;
    }
    let first = counts.iter().copied().find(|&count| count > 0).unwrap_or(0);
    let span = counts.iter().sum::<u32>() - first;
    if span == 0 {
        return samples.to_vec();
    }
    let mut below = 0;
    let shift = |(level, count): (usize, &u32)| {
        below += count;
        (below.saturating_sub(first) as f32 * S::TOP as f32 / span as f32 + 0.5) as i32 - level as i32
    };
    let shifts: Vec<i32> = counts.iter().enumerate().map(shift).collect();
    let mut spread = samples.to_vec();
    for (pixel, &level) in spread.chunks_exact_mut(n).zip(luminance) {
        let shift = shifts[level_of(level) as usize];
        pixel.iter_mut().for_each(|sample| *sample = S::of((level_of(*sample) as i32 + shift).max(0) as u32));
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::Channels;

    #[test]
    fn four_levels_spread_over_the_range() {
        let image = Image::new(4, 1, Channels::Grey, vec![100_u8, 101, 102, 103]);
        assert_eq!(equalise(&image).as_u8(), [0, 85, 170, 255]);
        let flat = Image::new(2, 1, Channels::Grey, vec![7_u8, 7]);
        assert_eq!(equalise(&flat).as_u8(), [7, 7]);
    }
}
