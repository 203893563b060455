//! The range of every activation, measured on a calibration set with the float graph.
//!
//! Ranges are per tensor. A percentile below 100 clips rare extremes: two passes, the second one over a histogram.
//! Only minima, maxima and integer counts are merged, so the result does not depend on the number of threads.

use rayon::prelude::*;
use remedis_bundle::Preprocessing;
use remedis_imaging::Image;

use crate::graph::{FloatGraph, volume};

/// Resolution of the histogram between a tensor's smallest and largest value.
const N_BINS: usize = 4096;

/// Why ranges cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The calibration set is empty.
    #[error("no calibration images: give at least one, a few hundred for good ranges")]
    NoImages,
    /// Not a percentile this can use.
    #[error("percentile is {found}, expected above 50 and at most 100 (100 keeps every value)")]
    Percentile {
        /// What was given.
        found: f64,
    },
    /// A prepared image of another size.
    #[error("prepared image {index} has {found} values, the network reads {expected}")]
    Size {
        /// Its position in the calibration set.
        index: usize,
        /// Values the network reads.
        expected: usize,
        /// Values it has.
        found: usize,
    },
    /// Training diverged, or a prepared image holds NaN.
    #[error("layer {layer} returned a value that is not finite on a calibration image")]
    NotFinite {
        /// The first such layer, or `input`.
        layer: String,
    },
    /// An image the device's preprocessing refuses.
    #[error("cannot prepare calibration image {index}")]
    Prepare {
        /// Its position in the calibration set.
        index: usize,
        /// What the preprocessing said.
        source: remedis_imaging::PrepareError,
    },
}

/// Smallest and largest value to represent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Smallest.
    pub low: f32,
    /// Largest.
    pub high: f32,
}

/// The range of each value of a graph but the logits, by value.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    /// Value 0, the input, first.
    pub values: Vec<Range>,
}

/// Measures ranges on `images`, prepared exactly as the device prepares them.
///
/// The input's own range is known where samples have 8 bits: what black and white become, a step for each level. Where they have 16, no
/// 256 steps hold the levels: they lie between the darkest and the brightest sample of `images`, and the device cuts off beyond.
///
/// # Errors
/// If an image cannot be prepared, and as [`calibrate`].
pub fn calibrate_images(
    graph: &FloatGraph,
    images: &[Image],
    preprocessing: &Preprocessing,
    percentile: f64,
) -> Result<Ranges, CalibrateError> {
    let prepare = |(index, image)| {
        remedis_imaging::prepare(image, preprocessing).map_err(|source| CalibrateError::Prepare { index, source })
    };
    let prepared = images.par_iter().enumerate().map(prepare).collect::<Result<Vec<_>, _>>()?;
    let mut ranges = calibrate(graph, &prepared, percentile)?;
    if !preprocessing.depth_bits.is_eight() {
        return Ok(ranges);
    }
    for (mean, std) in preprocessing.mean.iter().zip(&preprocessing.std) {
        ranges.values[0] = ranges.values[0].including(-mean / std).including((1.0 - mean) / std);
    }
    Ok(ranges)
}

/// Measures ranges on tensors that [`remedis_imaging::prepare`] made, each `[channel, height, width]`.
///
/// `percentile` is per side: 100 keeps the extremes, 99.9 drops the smallest and the largest thousandth of each
/// activation. The input always keeps its extremes.
///
/// # Errors
/// If the set is empty, a tensor has the wrong size, the percentile is out of range or a value is not finite.
pub fn calibrate(graph: &FloatGraph, prepared: &[Vec<f32>], percentile: f64) -> Result<Ranges, CalibrateError> {
    if !(percentile > 50.0 && percentile <= 100.0) {
        return Err(CalibrateError::Percentile { found: percentile });
    }
    let expected = volume(graph.input);
    if let Some((index, image)) = prepared.iter().enumerate().find(|(_, image)| image.len() != expected) {
        return Err(CalibrateError::Size { index, expected, found: image.len() });
    }
    let extremes = extremes(graph, prepared).ok_or(CalibrateError::NoImages)?;
    if let Some(value) = extremes.iter().position(|range| !(range.low.is_finite() && range.high.is_finite())) {
        let layer = value.checked_sub(1).map_or("input", |node| graph.nodes[node].name.as_str()).to_owned();
        return Err(CalibrateError::NotFinite { layer });
    }
    if percentile == 100.0 {
        return Ok(Ranges { values: extremes });
    }
    let counts = histograms(graph, prepared, &extremes);
    let clip = |(value, (&range, counts)): (usize, (&Range, &Vec<u64>))| {
        if value == 0 { range } else { clipped(range, counts, percentile) }
    };
    Ok(Ranges { values: extremes.iter().zip(&counts).enumerate().map(clip).collect() })
}

impl Range {
    const EMPTY: Range = Range { low: f32::INFINITY, high: f32::NEG_INFINITY };
    const UNKNOWN: Range = Range { low: f32::NAN, high: f32::NAN };

    fn of(values: &[f32]) -> Range {
        let range = values.iter().fold(Range::EMPTY, |range, &value| range.including(value));
        if values.iter().all(|value| value.is_finite()) { range } else { Range::UNKNOWN }
    }

    fn including(self, value: f32) -> Range {
        Range { low: self.low.min(value), high: self.high.max(value) }
    }

    fn union(self, other: Range) -> Range {
        if self.low.is_nan() || other.low.is_nan() {
            Range::UNKNOWN
        } else {
            self.including(other.low).including(other.high)
        }
    }

    fn bin(self, value: f32) -> usize {
        let width = self.high - self.low;
        if width > 0.0 { (((value - self.low) / width * N_BINS as f32) as usize).min(N_BINS - 1) } else { 0 }
    }

    fn edge(self, bin: usize) -> f32 {
        self.low + (self.high - self.low) * (bin as f32 / N_BINS as f32)
    }
}

fn extremes(graph: &FloatGraph, prepared: &[Vec<f32>]) -> Option<Vec<Range>> {
    let of_one = |image: &Vec<f32>| {
        let mut ranges = Vec::with_capacity(graph.nodes.len());
        graph.watch(image, |_, values| ranges.push(Range::of(values)));
        ranges
    };
    prepared.par_iter().map(of_one).reduce_with(|a, b| a.into_iter().zip(b).map(|(a, b)| a.union(b)).collect())
}

fn histograms(graph: &FloatGraph, prepared: &[Vec<f32>], extremes: &[Range]) -> Vec<Vec<u64>> {
    let empty = || vec![vec![0u64; N_BINS]; extremes.len()];
    let count = |mut counts: Vec<Vec<u64>>, image: &Vec<f32>| {
        graph.watch(image, |value, values| values.iter().for_each(|&x| counts[value][extremes[value].bin(x)] += 1));
        counts
    };
    let merge = |mut a: Vec<Vec<u64>>, b: Vec<Vec<u64>>| {
        a.iter_mut().flatten().zip(b.iter().flatten()).for_each(|(a, b)| *a += b);
        a
    };
    prepared.par_iter().fold(empty, count).reduce(empty, merge)
}

fn clipped(range: Range, counts: &[u64], percentile: f64) -> Range {
    let total: u64 = counts.iter().sum();
    let dropped = (total as f64 * (1.0 - percentile / 100.0)).floor() as u64;
    let low = first_kept(0..N_BINS, counts, dropped).map_or(range.low, |bin| range.edge(bin));
    let high = first_kept((0..N_BINS).rev(), counts, dropped).map_or(range.high, |bin| range.edge(bin + 1));
    Range { low, high }
}

fn first_kept(mut bins: impl Iterator<Item = usize>, counts: &[u64], dropped: u64) -> Option<usize> {
    let mut seen = 0;
    bins.find(|&bin| {
        seen += counts[bin];
        seen > dropped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_net::{images, residual_net};

    #[test]
    fn a_percentile_drops_the_outlier_and_100_keeps_it() {
        let range = Range { low: 0.0, high: 100.0 };
        let mut counts = vec![0; N_BINS];
        counts[..41].fill(100);
        counts[N_BINS - 1] = 1;
        let kept = clipped(range, &counts, 99.9);
        assert!(kept.high < 1.01 && kept.low == 0.0, "{kept:?}");
        assert_eq!(clipped(range, &counts, 100.0), range);
    }

    #[test]
    fn ranges_hold_every_value_they_were_measured_on() {
        let graph = residual_net(3);
        let images = images(3, &graph, 4);
        let ranges = calibrate(&graph, &images, 100.0).unwrap();
        assert_eq!(ranges.values.len(), graph.nodes.len());
        graph.watch(&images[2], |value, values| {
            let range = ranges.values[value];
            assert!(values.iter().all(|x| (range.low..=range.high).contains(x)), "value {value}");
        });
    }

    #[test]
    fn a_lower_percentile_gives_narrower_ranges() {
        let graph = residual_net(3);
        let images = images(3, &graph, 8);
        let all = calibrate(&graph, &images, 100.0).unwrap();
        let most = calibrate(&graph, &images, 99.0).unwrap();
        assert_eq!(all.values[0], most.values[0], "the input is never clipped");
        let narrower = all.values.iter().zip(&most.values).skip(1).filter(|(all, most)| most.high < all.high).count();
        assert!(narrower > all.values.len() / 2, "{narrower}");
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let graph = residual_net(5);
        let images = images(5, &graph, 9);
        let with = |n| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(n)
                .build()
                .unwrap()
                .install(|| calibrate(&graph, &images, 99.9).unwrap())
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn bad_sets_are_refused_with_the_reason() {
        let graph = residual_net(5);
        let mut image = images(5, &graph, 1).remove(0);
        assert!(matches!(calibrate(&graph, &[], 100.0), Err(CalibrateError::NoImages)));
        assert!(matches!(calibrate(&graph, &[vec![0.0; 3]], 100.0), Err(CalibrateError::Size { found: 3, .. })));
        assert!(matches!(calibrate(&graph, &[image.clone()], 101.0), Err(CalibrateError::Percentile { .. })));
        image[0] = f32::NAN;
        let error = calibrate(&graph, &[image], 100.0).unwrap_err();
        assert_eq!(error.to_string(), "layer input returned a value that is not finite on a calibration image");
    }
}
