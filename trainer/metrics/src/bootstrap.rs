//! Cluster bootstrap: intervals that know images of one patient are not independent.
//!
//! Whole clusters (patients, or groups of near copies) are drawn with replacement. Every resample has its own random
//! stream, so a result depends on the seed alone, not on order or threads.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::interval::Interval;

/// What decides a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BootstrapConfig {
    /// How many resamples; 2,000 or more for a 95 % interval (Efron and Tibshirani 1993, section 13.3).
    pub resamples: u32,
    /// Seeds the draws.
    pub seed: u64,
}

/// A value with its percentile interval and what had to be left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bootstrap {
    /// The value on all images, with its 95 % percentile interval.
    pub interval: Interval,
    /// Resamples on which the metric was undefined (a class was not drawn); they carry no vote.
    pub undefined: u32,
    /// Number of clusters drawn from.
    pub clusters: usize,
}

/// Bootstraps `metric`, which is given how often each image was drawn.
///
/// `clusters[i]` names the cluster of image `i`. The interval runs from the 2.5 % to the 97.5 % percentile. `None` when
/// the metric is undefined on all images as they are, or on more than half of the resamples.
/// Source: Field and Welsh 2007, "Bootstrapping clustered data" (the randomised cluster bootstrap).
///
/// # Panics
/// If there are 2^32 clusters or more, or if `metric` does.
pub fn cluster_bootstrap<C: Ord>(
    clusters: &[C],
    config: &BootstrapConfig,
    metric: impl Fn(&[u32]) -> Option<f64>,
) -> Option<Bootstrap> {
    let value = metric(&vec![1; clusters.len()])?;
    let members = members(clusters);
    let n_clusters = u32::try_from(members.len()).expect("fewer than 2^32 clusters");
    let mut weights = vec![0_u32; clusters.len()];
    let mut values: Vec<f64> = (0..config.resamples)
        .filter_map(|resample| {
            let mut random = ChaCha8Rng::seed_from_u64(config.seed);
            random.set_stream(u64::from(resample));
            weights.fill(0);
            for _ in 0..n_clusters {
                let drawn = random.random_range(0..n_clusters) as usize;
                members[drawn].iter().for_each(|&image| weights[image] += 1);
            }
            metric(&weights)
        })
        .collect();
    if values.is_empty() || (values.len() as u32) * 2 < config.resamples {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let undefined = config.resamples - values.len() as u32;
    let interval = Interval { value, low: percentile(&values, 0.025), high: percentile(&values, 0.975) };
    Some(Bootstrap { interval, undefined, clusters: members.len() })
}

/// Bootstraps the difference `a - b` of two metrics taken on the same images: both see the same resample, so what the
/// models share cancels.
pub fn paired_difference<C: Ord>(
    clusters: &[C],
    config: &BootstrapConfig,
    a: impl Fn(&[u32]) -> Option<f64>,
    b: impl Fn(&[u32]) -> Option<f64>,
) -> Option<Bootstrap> {
    cluster_bootstrap(clusters, config, |weights| Some(a(weights)? - b(weights)?))
}

/// Images of each cluster, clusters in the order of their names.
fn members<C: Ord>(clusters: &[C]) -> Vec<Vec<usize>> {
    let mut by_cluster: std::collections::BTreeMap<&C, Vec<usize>> = std::collections::BTreeMap::new();
    for (image, cluster) in clusters.iter().enumerate() {
        by_cluster.entry(cluster).or_default().push(image);
    }
    by_cluster.into_values().collect()
}

/// Percentile of sorted values by linear interpolation (definition 7 of Hyndman and Fan 1996, numpy's default).
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: BootstrapConfig = BootstrapConfig { resamples: 2000, seed: 7 };

    fn mean(values: &[f64]) -> impl Fn(&[u32]) -> Option<f64> + '_ {
        move |weights| {
            let n: u32 = weights.iter().sum();
            let total: f64 = values.iter().zip(weights).map(|(v, &w)| v * f64::from(w)).sum();
            (n > 0).then(|| total / f64::from(n))
        }
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        // np.percentile([1, 2, 4, 8], [2.5, 50, 97.5]) = 1.075, 3.0, 7.7
        for (share, expected) in [(0.025, 1.075), (0.5, 3.0), (0.975, 7.7)] {
            assert!((percentile(&[1.0, 2.0, 4.0, 8.0], share) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn the_interval_of_a_mean_has_the_width_theory_gives() {
        // Mean of 100 zeros and 100 ones: standard error 0.5 / sqrt(200), so 1.96 of it is 0.0693.
        let values: Vec<f64> = (0..200).map(|i| f64::from(i % 2)).collect();
        let clusters: Vec<usize> = (0..200).collect();
        let found = cluster_bootstrap(&clusters, &CONFIG, mean(&values)).expect("defined").interval;
        assert_eq!(found.value, 0.5);
        assert!((found.high - 0.5 - 0.0693).abs() < 0.008, "{found:?}");
        assert!((0.5 - found.low - 0.0693).abs() < 0.008, "{found:?}");
    }

    #[test]
    fn copies_of_an_image_within_its_patient_add_no_certainty() {
        let values = [0.0, 1.0, 1.0, 0.0, 1.0, 0.3, 0.7, 0.2];
        let alone: Vec<usize> = (0..8).collect();
        let tripled: Vec<f64> = values.iter().flat_map(|&v| [v, v, v]).collect();
        let patients: Vec<usize> = alone.iter().flat_map(|&p| [p, p, p]).collect();
        let one = cluster_bootstrap(&alone, &CONFIG, mean(&values)).expect("defined").interval;
        let three = cluster_bootstrap(&patients, &CONFIG, mean(&tripled)).expect("defined").interval;
        assert!((one.low - three.low).abs() < 1e-9 && (one.high - three.high).abs() < 1e-9, "{one:?} {three:?}");
        let unclustered: Vec<usize> = (0..24).collect();
        let naive = cluster_bootstrap(&unclustered, &CONFIG, mean(&tripled)).expect("defined").interval;
        assert!(naive.high - naive.low < 0.75 * (three.high - three.low), "clusters must widen: {naive:?} {three:?}");
    }

    #[test]
    fn undefined_resamples_are_counted_not_guessed() {
        // Defined only when the first of three images was drawn: missed with probability (2/3)^3 = 0.296.
        let metric = |weights: &[u32]| (weights[0] > 0).then_some(1.0);
        let found = cluster_bootstrap(&[0, 1, 2], &CONFIG, metric).expect("mostly defined");
        assert!((520..=670).contains(&found.undefined), "{}", found.undefined);
        assert_eq!(found.interval, Interval { value: 1.0, low: 1.0, high: 1.0 });
    }

    #[test]
    fn mostly_undefined_is_none() {
        let all_drawn = |weights: &[u32]| weights.iter().all(|&w| w > 0).then_some(1.0);
        assert_eq!(cluster_bootstrap(&[0, 1, 2, 3, 4], &CONFIG, all_drawn), None);
        assert_eq!(cluster_bootstrap::<u8>(&[], &CONFIG, |_| None), None);
    }

    #[test]
    fn a_model_against_itself_differs_by_exactly_nothing() {
        let values = [0.2, 0.9, 0.4];
        let found = paired_difference(&[0, 1, 2], &CONFIG, mean(&values), mean(&values)).expect("defined");
        assert_eq!(found.interval, Interval { value: 0.0, low: 0.0, high: 0.0 });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn a_seed_decides_the_result(seed: u64) {
            let config = BootstrapConfig { resamples: 50, seed };
            let values = [0.1, 0.5, 0.2, 0.9];
            let first = cluster_bootstrap(&[0, 0, 1, 2], &config, mean(&values));
            let again = cluster_bootstrap(&["a", "a", "b", "c"], &config, mean(&values));
            prop_assert_eq!(first, again);
        }
    }
}
