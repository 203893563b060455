//! The limits of a bundle's gates, from the images that its operating point was chosen on.
//!
//! A limit is a quantile of what was measured there and a margin beyond it: few images show how a measure is spread, not where it
//! ends, and the next microscope of the same model is a little darker. Beyond the quantile comes a share of its distance from the
//! median, so that a measure that varies among good images has the wider margin, but never less than a step that an eye would miss.

use remedis_bundle::{Gates, InDistribution, QualityLimits};
use remedis_imaging::{GateResult, Preprocessing, Quality, distance, energy};

/// Share of the images that a limit passes before its margin.
pub const GATE_QUANTILE: f64 = 0.995;
/// Margin of a limit, as a share of the distance between median and quantile.
pub const GATE_MARGIN: f64 = 0.25;

/// Least margin of exposure and of shares of black and white samples: a twentieth of the scale.
const LEAST_SHARE: f64 = 0.05;
/// Least margin of sharpness and of the sides: half as much.
const LEAST_FACTOR: f64 = 0.5;
/// Margin of the aspect: a quarter wider or higher.
const ASPECT_FACTOR: f64 = 1.25;
/// Least margins of distance and energy: half a deviation, a tenth of a nat.
const LEAST_DISTANCE: f64 = 0.5;
const LEAST_ENERGY: f64 = 0.1;
/// Deviation of appearances, on the scale of the network's input, below which a difference is none.
const LEAST_DEVIATION: f64 = 0.01;

/// An image as the gates see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What was measured of it.
    pub quality: Quality,
    /// Energy of the logits, in nats.
    pub energy: f64,
}

impl Seen {
    /// What was measured of an image, and the energy of its logits.
    #[must_use]
    pub fn new(quality: Quality, logits: &[f32]) -> Self {
        Self { quality, energy: energy(logits) }
    }

    /// Every measure beside its limit, in the order in which they decide.
    ///
    /// # Panics
    /// If preprocessing or limits are for another number of channels.
    #[must_use]
    pub fn results(&self, preprocessing: &Preprocessing, gates: &Gates) -> Vec<GateResult> {
        self.quality.gates_with_energy(self.energy, preprocessing, gates)
    }
}

/// The gates of a model that learnt from images like `known` and whose operating point was chosen on `chosen_on`; `flagged` is still
/// empty. `None` without images, or where an energy is no number.
///
/// # Panics
/// If `preprocessing` has another number of channels than the images.
#[must_use]
pub fn fit_gates(
    known: &[Quality],
    chosen_on: &[Seen],
    preprocessing: &Preprocessing,
    measured_on: String,
) -> Option<Gates> {
    if known.is_empty() || chosen_on.is_empty() || chosen_on.iter().any(|seen| !seen.energy.is_finite()) {
        return None;
    }
    let appearances: Vec<Vec<f64>> = known.iter().map(|quality| quality.appearance(preprocessing)).collect();
    let (mean, whitening) = whitened(&appearances);
    let mut in_distribution = InDistribution { mean, whitening, max_distance: 0.0, max_energy: 0.0 };
    let distance = |seen: &Seen| distance(&seen.quality.appearance(preprocessing), &in_distribution);
    let max_distance = Spread::of(chosen_on, distance).above(LEAST_DISTANCE);
    in_distribution.max_distance = max_distance;
    in_distribution.max_energy = Spread::of(chosen_on, |seen| seen.energy).above(LEAST_ENERGY);
    Some(Gates {
        quality: quality_limits(chosen_on),
        in_distribution,
        quantile: GATE_QUANTILE,
        measured_on,
        flagged: Vec::new(),
    })
}

fn quality_limits(chosen_on: &[Seen]) -> QualityLimits {
    let of = |measure: fn(&Quality) -> f64| Spread::of(chosen_on, |seen| measure(&seen.quality));
    let side = |measure| ((of(measure).low * LEAST_FACTOR) as u32).max(1);
    let (aspect, exposure) =
        (of(|quality| f64::from(quality.width) / f64::from(quality.height)), of(|quality| quality.mean));
    QualityLimits {
        min_width: side(|quality| quality.width.into()),
        min_height: side(|quality| quality.height.into()),
        min_aspect: aspect.low / ASPECT_FACTOR,
        max_aspect: aspect.high * ASPECT_FACTOR,
        min_mean: exposure.below(LEAST_SHARE).max(0.0),
        max_mean: exposure.above(LEAST_SHARE).min(1.0),
        max_black_share: of(|quality| quality.black_share).above(LEAST_SHARE).min(1.0),
        max_white_share: of(|quality| quality.white_share).above(LEAST_SHARE).min(1.0),
        min_sharpness: of(|quality| quality.sharpness).below_by_factor(LEAST_FACTOR),
    }
}

/// How a measure is spread over images.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    /// Exceeded by all but the lowest images.
    low: f64,
    median: f64,
    /// Reached by all but the highest images.
    high: f64,
}

impl Spread {
    fn of(seen: &[Seen], measure: impl Fn(&Seen) -> f64) -> Self {
        let mut values: Vec<f64> = seen.iter().map(measure).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let beyond = ((1.0 - GATE_QUANTILE) * values.len() as f64) as usize;
        Self { low: values[beyond], median: values[last / 2], high: values[last - beyond] }
    }

    fn above(self, least: f64) -> f64 {
        self.high + (GATE_MARGIN * (self.high - self.median)).max(least)
    }

    fn below(self, least: f64) -> f64 {
        self.low - (GATE_MARGIN * (self.median - self.low)).max(least)
    }

    /// As [`below`](Self::below) on a logarithmic scale, for what is positive and spread over magnitudes.
    fn below_by_factor(self, least: f64) -> f64 {
        // The fourth root of the ratio is a quarter of the distance; square roots are the same on every machine, powers are not.
        let quarter = if self.median > 0.0 { (self.low / self.median).sqrt().sqrt() } else { 1.0 };
        self.low * quarter.min(least)
    }
}

/// Mean of `appearances` and the inverse of their covariance's Cholesky factor, as [`InDistribution`] holds it.
#[expect(clippy::needless_range_loop, reason = "a row of the triangle is made of the rows before it")]
fn whitened(appearances: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let (n, size) = (appearances.len() as f64, appearances[0].len());
    let mean: Vec<f64> = (0..size).map(|at| appearances.iter().map(|one| one[at]).sum::<f64>() / n).collect();
    let covariance = |row: usize, column: usize| {
        let products = appearances.iter().map(|one| (one[row] - mean[row]) * (one[column] - mean[column]));
        let floor = if row == column { LEAST_DEVIATION * LEAST_DEVIATION } else { 0.0 };
        products.sum::<f64>() / n + floor
    };
    let mut factor = vec![vec![0.0; size]; size];
    let mut inverse = vec![vec![0.0; size]; size];
    for row in 0..size {
        for column in 0..=row {
            let known: f64 = (0..column).map(|at| factor[row][at] * factor[column][at]).sum();
            let left = covariance(row, column) - known;
            // The floor keeps the diagonal positive; rounding could take it below.
            factor[row][column] = if row == column {
                left.max(LEAST_DEVIATION * LEAST_DEVIATION).sqrt()
            } else {
                left / factor[column][column]
            };
        }
        for column in 0..=row {
            let unit = f64::from(u8::from(row == column));
            let known: f64 = (column..row).map(|at| factor[row][at] * inverse[at][column]).sum();
            inverse[row][column] = (unit - known) / factor[row][row];
        }
    }
    let triangle = inverse.iter().enumerate().flat_map(|(row, values)| values[..=row].to_vec()).collect();
    (mean, triangle)
}

#[cfg(test)]
mod tests {
    use remedis_imaging::{ChannelStatistics, Channels, Depth, Gate, Resize};

    use super::*;

    fn input() -> Preprocessing {
        let (mean, std) = (vec![0.0], vec![1.0]);
        let (channels, depth_bits, resize) = (Channels::Grey, Depth::Eight, Resize::Stretch);
        Preprocessing { width: 8, height: 8, channels, depth_bits, resize, mean, std }
    }

    /// `n` images whose measures rise evenly: means of 0.4 to 0.6, sharpness of 100 to 200.
    fn images(n: u32) -> Vec<Seen> {
        let image = |number| {
            let share = f64::from(number) / f64::from(n - 1);
            let mean = 0.4 + 0.2 * share;
            let quality = Quality {
                width: 80 + number % 2,
                height: 80,
                sharpness: 100.0 + 100.0 * share,
                mean,
                black_share: 0.0,
                white_share: 0.01 * share,
                channels: vec![ChannelStatistics { mean, std: 0.1 + 0.01 * f64::from(number % 3) }],
            };
            Seen { quality, energy: -4.0 + 2.0 * share }
        };
        (0..n).map(image).collect()
    }

    fn fitted(images: &[Seen]) -> Gates {
        let known: Vec<Quality> = images.iter().map(|seen| seen.quality.clone()).collect();
        fit_gates(&known, images, &input(), "tests".to_owned()).unwrap()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}");
    }

    #[test]
    fn limits_lie_beyond_the_images_by_their_margin() {
        let gates = fitted(&images(101));
        let limits = &gates.quality;
        assert_eq!((limits.min_width, limits.min_height), (40, 40));
        close(limits.min_aspect, 0.8);
        close(limits.max_aspect, 81.0 / 80.0 * 1.25);
        // A quarter of the 0.1 between median and end is less than the least margin.
        close(limits.min_mean, 0.35);
        close(limits.max_mean, 0.65);
        close(limits.max_black_share, 0.05);
        close(limits.max_white_share, 0.06);
        close(limits.min_sharpness, 50.0);
        // From -2 a quarter of the way from -3.
        close(gates.in_distribution.max_energy, -1.75);
        assert_eq!(gates.quantile, 0.995);
    }

    #[test]
    fn the_images_that_limits_were_chosen_on_pass() {
        let images = images(101);
        let gates = fitted(&images);
        let failed = images.iter().flat_map(|seen| seen.results(&input(), &gates)).filter(|result| !result.passed);
        assert_eq!(failed.collect::<Vec<_>>(), []);
    }

    #[test]
    fn one_strange_image_in_five_hundred_moves_no_limit() {
        let mut images = images(500);
        let before = fitted(&images);
        images[499].quality.sharpness = 1e9;
        images[0].energy = 1e9;
        images[1].quality.sharpness = 0.0;
        let known: Vec<Quality> = self::images(500).iter().map(|seen| seen.quality.clone()).collect();
        let after = fit_gates(&known, &images, &input(), "tests".to_owned()).unwrap();
        assert!((after.in_distribution.max_energy - before.in_distribution.max_energy).abs() < 0.05);
        assert!((after.quality.min_sharpness - before.quality.min_sharpness).abs() < 0.5);
        let failed = images[0].results(&input(), &after).into_iter().filter(|result| !result.passed);
        assert_eq!(failed.map(|result| result.gate).collect::<Vec<_>>(), [Gate::Energy]);
    }

    #[test]
    fn a_low_measure_that_varies_has_a_wide_margin() {
        let spread = Spread { low: 1.0, median: 81.0, high: 90.0 };
        close(spread.below_by_factor(0.5), 1.0 / 3.0);
        close(Spread { low: 64.0, ..spread }.below_by_factor(0.5), 32.0);
        close(Spread { low: 0.0, median: 0.0, high: 0.0 }.below_by_factor(0.5), 0.0);
        close(spread.below(0.05), -19.0);
    }

    #[test]
    fn whitened_appearances_have_unit_covariance() {
        // Means and deviations that hang together.
        let appearances: Vec<Vec<f64>> = (0..60_i32)
            .map(|number| {
                let (a, b) = (f64::from(number % 7) - 3.0, f64::from(number % 5) - 2.0);
                vec![3.0 + a, 1.0 + 0.5 * a + 2.0 * b]
            })
            .collect();
        let (mean, whitening) = whitened(&appearances);
        let known = InDistribution { mean, whitening, max_distance: 1.0, max_energy: 0.0 };
        let squares: f64 = appearances.iter().map(|one| distance(one, &known).powi(2)).sum();
        // The mean of the squared distance is the number of dimensions, less what the floor takes.
        assert!((squares / 60.0 - 2.0).abs() < 1e-3, "{}", squares / 60.0);
    }

    #[test]
    fn images_that_are_all_alike_leave_room_for_a_step() {
        let alike = vec![images(2)[0].clone(); 30];
        let gates = fitted(&alike);
        let nearly = |change: f64| {
            let mut seen = alike[0].clone();
            seen.quality.channels[0].mean += change;
            seen.results(&input(), &gates).iter().all(|result| result.passed)
        };
        assert!(nearly(0.004) && !nearly(0.1));
    }

    #[test]
    fn nothing_has_no_limits() {
        let seen = images(3);
        let known: Vec<Quality> = seen.iter().map(|seen| seen.quality.clone()).collect();
        let fit = |known: &[Quality], seen: &[Seen]| fit_gates(known, seen, &input(), String::new());
        assert_eq!(fit(&[], &seen), None);
        assert_eq!(fit(&known, &[]), None);
        let lost = Seen { energy: f64::NAN, ..seen[0].clone() };
        assert_eq!(fit(&known, &[lost]), None);
    }
}
