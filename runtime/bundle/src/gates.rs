//! What a picture must be like for an answer: block `gates` of the manifest.

use serde::{Deserialize, Serialize};

use crate::Measured;

/// Limits on pictures; outside them the answer is "cannot say", and the limit is the reason.
///
/// They come from the images that the operating point was chosen on, so they hold for pictures like those and no others: a bundle for
/// another hospital has that hospital's limits.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// On how well the picture was taken.
    pub quality: QualityLimits,
    /// On how near it is to the images that the model knows.
    pub in_distribution: InDistribution,
    /// Share of the images that each limit would pass before its margin, above one half and below 1.
    pub quantile: f64,
    /// The images that the limits were chosen on, and those that they were measured on.
    pub measured_on: String,
    /// What the limits refuse of sets that had no say in them: in distribution first, then others where they were at hand.
    pub flagged: Vec<Flagged>,
}

/// Limits on how well a picture was taken, all inclusive. Samples are those of the resized picture, which the model sees.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QualityLimits {
    /// Fewest columns of the decoded picture, before it is resized.
    pub min_width: u32,
    /// Fewest rows of the decoded picture.
    pub min_height: u32,
    /// Least width of the decoded picture over its height.
    pub min_aspect: f64,
    /// Greatest width of the decoded picture over its height.
    pub max_aspect: f64,
    /// Least mean luminance, on the scale 0 (black) to 1 (white).
    pub min_mean: f64,
    /// Greatest mean luminance.
    pub max_mean: f64,
    /// Greatest share of samples that are black or nearly so, 0 to 1.
    pub max_black_share: f64,
    /// Greatest share of samples that are white or nearly so, 0 to 1.
    pub max_white_share: f64,
    /// Least variance of the Laplacian of the luminance, in squared steps of 8 bits whatever the depth.
    pub min_sharpness: f64,
}

/// How images looked that the model knows, and how far from them a picture may be. Both limits are inclusive.
///
/// *Appearance* is the mean and the standard deviation of each channel of the network's input, in this order: means, then deviations.
/// Its distance is Mahalanobis's, `|whitening (appearance - mean)|` (the distance of Lee et al. 2018, "A Simple Unified Framework for
/// Detecting Out-of-Distribution Samples", section 2.1, on statistics of the input instead of features of a layer).
///
/// *Energy* is `-ln Σ exp(logit)` (Liu et al. 2020, "Energy-based Out-of-distribution Detection", equation 4 at temperature 1): low for
/// what the model knows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InDistribution {
    /// Mean appearance: two values a channel.
    pub mean: Vec<f64>,
    /// Inverse of the Cholesky factor of the appearances' covariance: the rows of a lower triangle one after another, the first of one value.
    /// In this form the distance is a number for every appearance, which a rounded inverse covariance does not promise.
    pub whitening: Vec<f64>,
    /// Greatest distance.
    pub max_distance: f64,
    /// Greatest energy, in nats.
    pub max_energy: f64,
}

/// Shares of a set that the limits refuse.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Flagged {
    /// Which set: `in_distribution`, `shifted` or `natural`.
    pub images: String,
    /// Refused for how they were taken.
    pub quality: Measured,
    /// Refused as unlike what the model knows, whether or not they were taken well.
    pub unlike: Measured,
    /// Refused for either.
    pub either: Measured,
}

impl Gates {
    /// The first thing in here that contradicts itself or an input of `channels`, in words.
    pub(crate) fn contradiction(&self, channels: usize) -> Option<String> {
        let (limits, near) = (&self.quality, &self.in_distribution);
        let dimensions = 2 * channels;
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        let is_range = |low: f64, high: f64| low.is_finite() && high.is_finite() && low <= high;
        if limits.min_width == 0 || limits.min_height == 0 || limits.min_aspect <= 0.0 {
            return Some("gates: the least width, height and aspect should be positive".to_owned());
        }
        if !is_range(limits.min_aspect, limits.max_aspect) {
            return Some(format!("gates: no aspect is from {} to {}", limits.min_aspect, limits.max_aspect));
        }
        if !is_range(limits.min_mean, limits.max_mean) {
            return Some(format!("gates: no mean is from {} to {}", limits.min_mean, limits.max_mean));
        }
        if !is_share(limits.max_black_share) || !is_share(limits.max_white_share) {
            return Some("gates: shares of black and white samples should be from 0 to 1".to_owned());
        }
        if !(limits.min_sharpness.is_finite() && limits.min_sharpness >= 0.0) {
            return Some(format!("gates: the least sharpness should be 0 or more, found {}", limits.min_sharpness));
        }
        let lengths = (near.mean.len(), near.whitening.len());
        if lengths != (dimensions, dimensions * (dimensions + 1) / 2) {
            return Some(format!(
                "gates: appearance should have {dimensions} values and their triangle, found {lengths:?}"
            ));
        }
        let numbers = near.mean.iter().chain(&near.whitening).chain([&near.max_energy]);
        if !(numbers.copied().all(f64::is_finite) && near.max_distance.is_finite() && near.max_distance > 0.0) {
            return Some("gates: appearance and energy should be finite, and the distance positive".to_owned());
        }
        if !(self.quantile > 0.5 && self.quantile < 1.0) {
            return Some(format!("gates: the quantile should be above 0.5 and below 1, found {}", self.quantile));
        }
        None
    }
}
