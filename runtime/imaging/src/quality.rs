//! How well a picture was taken, and how it looks, in numbers that are the same on every processor.
//!
//! All of them are sums over the whole-number samples of the resized picture, so they see what the model sees: blur that resizing
//! hides is none. The trainer measures the images that limits come from by this code, the device those that it judges.

use remedis_bundle::{Channels, Gates, InDistribution, Preprocessing};

use crate::Image;
use crate::gate::{Gate, GateResult};
use crate::prepare::{PrepareError, resize};
use crate::samples::{Sample, Samples};

/// Samples up to this many steps of 8 bits from an end of the scale count as black or white: JPEG rings about what was clipped.
const CLIPPED_STEPS: u32 = 3;

/// Mean and standard deviation of the samples of one channel, on the scale 0 (black) to 1 (white).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, with all samples as its population.
    pub std: f64,
}

/// What was measured of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Columns of the picture before it was resized.
    pub width: u32,
    /// Rows of the picture before it was resized.
    pub height: u32,
    /// Variance of the Laplacian (weights 1, 1, -4, 1, 1) of the luminance over the pixels that have four neighbours, in squared steps
    /// of 8 bits whatever the depth; 0 where no pixel has.
    ///
    /// Source: Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy: a comparative study"; operator LAPV in Pertuz
    /// et al. 2013, "Analysis of focus measure operators for shape-from-focus".
    pub sharpness: f64,
    /// Mean luminance, 0 to 1.
    pub mean: f64,
    /// Share of samples, over all channels, that are black or nearly so.
    pub black_share: f64,
    /// Share of samples, over all channels, that are white or nearly so.
    pub white_share: f64,
    /// One entry a channel of the resized picture.
    pub channels: Vec<ChannelStatistics>,
}

impl Quality {
    /// Resizes and measures a decoded picture of any size.
    ///
    /// # Errors
    /// If the picture or the input is empty.
    ///
    /// # Panics
    /// If the samples do not fit the size of `image`.
    pub fn of(image: &Image, preprocessing: &Preprocessing) -> Result<Self, PrepareError> {
        Ok(Self::measure([image.width, image.height], &resize(image, preprocessing)?))
    }

    /// Measures a resized picture that had `size`, `[width, height]`, before.
    ///
    /// # Panics
    /// If the samples do not fit the size of `resized`, or there are none.
    #[must_use]
    pub fn measure([width, height]: [u32; 2], resized: &Image) -> Self {
        resized.assert_whole();
        assert!(!resized.samples.is_empty(), "resizing refuses empty pictures");
        let grey = match resized.channels {
            Channels::Grey => None,
            Channels::Rgb => Some(resized.to_grey()),
        };
        let (grey, size) =
            (grey.as_ref().unwrap_or(resized), [resized.width, resized.height].map(|side| side as usize));
        let (mean, sharpness) = match &grey.samples {
            Samples::Eight(samples) => (statistics(samples, 0, 1).mean, laplacian_variance(samples, size)),
            Samples::Sixteen(samples) => (statistics(samples, 0, 1).mean, laplacian_variance(samples, size)),
        };
        let n_channels = resized.channels.count();
        let (channels, [black_share, white_share]) = match &resized.samples {
            Samples::Eight(samples) => (by_channel(samples, n_channels), clipped(samples)),
            Samples::Sixteen(samples) => (by_channel(samples, n_channels), clipped(samples)),
        };
        Self { width, height, sharpness, mean, black_share, white_share, channels }
    }

    /// The picture's appearance, as [`InDistribution`] means it: statistics of the network's input, means before deviations.
    ///
    /// # Panics
    /// If `preprocessing` has another number of channels.
    #[must_use]
    pub fn appearance(&self, preprocessing: &Preprocessing) -> Vec<f64> {
        let n_channels = preprocessing.channels.count();
        assert_eq!(self.channels.len(), n_channels, "the picture was resized for another input");
        let (means, stds) = (&preprocessing.mean, &preprocessing.std);
        let mean =
            |channel: usize| (self.channels[channel].mean - f64::from(means[channel])) / f64::from(stds[channel]);
        let std = |channel: usize| self.channels[channel].std / f64::from(stds[channel]);
        (0..n_channels).map(mean).chain((0..n_channels).map(std)).collect()
    }

    /// Every measured number beside its limit, and last the [`energy`](crate::energy) of the logits, in the order in which they decide.
    ///
    /// # Panics
    /// As [`gates`](Self::gates).
    #[must_use]
    pub fn gates_with_energy(&self, energy: f64, preprocessing: &Preprocessing, gates: &Gates) -> Vec<GateResult> {
        let energy = GateResult::at_most(Gate::Energy, energy, gates.in_distribution.max_energy);
        self.gates(preprocessing, gates).into_iter().chain([energy]).collect()
    }

    /// Every measured number beside its limit, in the order in which they decide.
    ///
    /// # Panics
    /// If `preprocessing` or the limits have another number of channels.
    #[must_use]
    pub fn gates(&self, preprocessing: &Preprocessing, gates: &Gates) -> Vec<GateResult> {
        let limits = &gates.quality;
        let [width, height] = [self.width, self.height].map(f64::from);
        let distance = distance(&self.appearance(preprocessing), &gates.in_distribution);
        vec![
            GateResult::at_least(Gate::Width, width, f64::from(limits.min_width)),
            GateResult::at_least(Gate::Height, height, f64::from(limits.min_height)),
            GateResult::between(Gate::Aspect, width / height, [limits.min_aspect, limits.max_aspect]),
            GateResult::between(Gate::Exposure, self.mean, [limits.min_mean, limits.max_mean]),
            GateResult::at_most(Gate::Black, self.black_share, limits.max_black_share),
            GateResult::at_most(Gate::White, self.white_share, limits.max_white_share),
            GateResult::at_least(Gate::Sharpness, self.sharpness, limits.min_sharpness),
            GateResult::at_most(Gate::Appearance, distance, gates.in_distribution.max_distance),
        ]
    }
}

/// Mahalanobis distance of an appearance from those that the model knows.
///
/// # Panics
/// If the lengths do not fit each other.
#[must_use]
pub fn distance(appearance: &[f64], known: &InDistribution) -> f64 {
    let n = appearance.len();
    assert_eq!((known.mean.len(), known.whitening.len()), (n, n * (n + 1) / 2), "the reference is for another input");
    let mut squares = 0.0;
    for row in 0..n {
        let weights = &known.whitening[row * (row + 1) / 2..][..=row];
        let terms = weights.iter().zip(appearance).zip(&known.mean);
        let whitened: f64 = terms.map(|((weight, value), mean)| weight * (value - mean)).sum();
        squares += whitened * whitened;
    }
    squares.sqrt()
}

fn by_channel<S: Sample>(samples: &[S], n_channels: usize) -> Vec<ChannelStatistics> {
    (0..n_channels).map(|channel| statistics(samples, channel, n_channels)).collect()
}

/// Of every `step`th sample from the `first` on. Sums are whole numbers: 4096 x 4096 squares of 16 bits take 57.
fn statistics<S: Sample>(samples: &[S], first: usize, step: usize) -> ChannelStatistics {
    let (mut sum, mut squares, mut n) = (0_u64, 0_u64, 0_u64);
    for &sample in samples[first..].iter().step_by(step) {
        let sample: u32 = sample.into();
        sum += u64::from(sample);
        squares += u64::from(sample) * u64::from(sample);
        n += 1;
    }
    let (n_wide, sum_wide) = (u128::from(n), u128::from(sum));
    let spread = n_wide * u128::from(squares) - sum_wide * sum_wide;
    let scale = n as f64 * f64::from(S::TOP);
    ChannelStatistics { mean: sum as f64 / scale, std: (spread as f64).sqrt() / scale }
}

/// Shares of black and of white samples.
fn clipped<S: Sample>(samples: &[S]) -> [f64; 2] {
    let near = CLIPPED_STEPS * (S::TOP / 255);
    let count = |is_near: fn(u32, u32) -> bool| {
        samples.iter().filter(|&&sample| is_near(sample.into(), near)).count() as f64 / samples.len() as f64
    };
    [count(|sample, near| sample <= near), count(|sample, near| sample >= S::TOP - near)]
}

/// Variance of the Laplacian, in squared steps of 8 bits. Sums are whole numbers: a square has 37 bits, 4096 x 4096 of them 61.
fn laplacian_variance<S: Sample>(grey: &[S], [width, height]: [usize; 2]) -> f64 {
    if width < 3 || height < 3 {
        return 0.0;
    }
    let (mut sum, mut squares) = (0_i64, 0_i64);
    let value = |sample: S| -> i64 { i64::from(Into::<u32>::into(sample)) };
    for row in 1..height - 1 {
        let line = |row: usize| &grey[row * width..][..width];
        let (above, here, below) = (line(row - 1), line(row), line(row + 1));
        for column in 1..width - 1 {
            let around =
                value(above[column]) + value(below[column]) + value(here[column - 1]) + value(here[column + 1]);
            let laplacian = around - 4 * value(here[column]);
            sum += laplacian;
            squares += laplacian * laplacian;
        }
    }
    let n = ((width - 2) * (height - 2)) as i128;
    let spread = n * i128::from(squares) - i128::from(sum) * i128::from(sum);
    let scale = n as f64 * f64::from(S::TOP / 255);
    spread as f64 / (scale * scale)
}

#[cfg(test)]
mod tests;
