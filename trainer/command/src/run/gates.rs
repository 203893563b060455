//! The device's gates: limits from the validation images, and what they refuse of the sets at hand.

use anyhow::{Context, Result};
use rayon::prelude::*;
use remedis_bundle::{Flagged, Gates, Measured};
use remedis_export::{GATE_MARGIN, GATE_QUANTILE, Seen, fit_gates};
use remedis_imaging::{Preprocessing, Quality};
use remedis_metrics::{Interval, wilson};
use remedis_train::Pool;

use super::sets::{Pools, Set, Sets};
use super::ship::evenly;

/// Training images whose appearance is measured: six numbers and how they hang together are known from fewer.
const KNOWN_SAMPLE: usize = 4096;
/// Natural images that the gates are tried on.
const NATURAL_SAMPLE: usize = 512;

/// Measures images as the device will.
pub(super) struct Judge<'a> {
    pub(super) sets: &'a Sets,
    pub(super) pools: &'a Pools,
    pub(super) input: &'a Preprocessing,
}

/// What the gates say of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    quality: bool,
    unlike: bool,
}

impl Refused {
    /// Whether the device does not judge it.
    pub(super) fn is_refused(self) -> bool {
        self.quality || self.unlike
    }
}

impl Judge<'_> {
    /// Limits from the validation images, whose logits are given, and the appearance of the training images; none tried yet.
    pub(super) fn fit(&self, val_logits: &[Vec<f32>]) -> Result<Gates> {
        let unlabelled = &self.pools.unlabelled;
        let known = self.qualities(&unlabelled.subset(&evenly(unlabelled.len(), KNOWN_SAMPLE)), &self.sets.data);
        let chosen_on = self.seen(&self.pools.val, &self.sets.data, val_logits);
        let measured_on = format!(
            "quantile {GATE_QUANTILE} of the {} validation images of {} and a margin of {GATE_MARGIN} of its distance from the median \
             or more; tried on images that had no say",
            chosen_on.len(),
            self.sets.data.name
        );
        fit_gates(&known, &chosen_on, self.input, measured_on)
            .context("no gates: the int8 student's validation logits are not finite")
    }

    /// What the gates say of each test image in distribution.
    pub(super) fn refused(&self, gates: &Gates, test_logits: &[Vec<f32>]) -> Vec<Refused> {
        self.judged(gates, &self.pools.test, &self.sets.data, test_logits)
    }

    /// Shares refused of the test images in distribution, of those of the new site, and of natural images, where there are such.
    pub(super) fn flagged(
        &self,
        gates: &Gates,
        in_distribution: &[Refused],
        run: impl Fn(&Pool) -> Vec<Vec<f32>>,
    ) -> Vec<Flagged> {
        let mut all = vec![flagged("in_distribution", in_distribution)];
        let Pools { shifted_test, natural, .. } = self.pools;
        if let Some(set) = self.sets.shifted.as_ref().filter(|_| self.pools.has_new_site()) {
            all.push(flagged("shifted", &self.judged(gates, shifted_test, set, &run(shifted_test))));
        }
        if let (Some(set), Some(pool)) = (&self.sets.natural, natural) {
            let sample = pool.subset(&evenly(pool.len(), NATURAL_SAMPLE));
            all.push(flagged("natural", &self.judged(gates, &sample, set, &run(&sample))));
        }
        all
    }

    fn judged(&self, gates: &Gates, pool: &Pool, set: &Set, logits: &[Vec<f32>]) -> Vec<Refused> {
        let judge = |seen: &Seen| {
            let failed: Vec<_> = seen.results(self.input, gates).into_iter().filter(|result| !result.passed).collect();
            let quality = failed.iter().any(|result| result.gate.is_of_quality());
            Refused { quality, unlike: failed.iter().any(|result| !result.gate.is_of_quality()) }
        };
        self.seen(pool, set, logits).iter().map(judge).collect()
    }

    fn seen(&self, pool: &Pool, set: &Set, logits: &[Vec<f32>]) -> Vec<Seen> {
        self.qualities(pool, set).into_iter().zip(logits).map(|(quality, logits)| Seen::new(quality, logits)).collect()
    }

    /// Of the pictures as the model sees them, with the sides that their files have.
    fn qualities(&self, pool: &Pool, set: &Set) -> Vec<Quality> {
        let one = |i: usize| {
            let quality = Quality::of(&pool.images.get(i), self.input).expect("loading refuses empty pictures");
            match set.audit.shapes[pool.rows[i]] {
                Some([width, height]) => Quality { width, height, ..quality },
                // Unreadable when the set was audited and readable since: its sides are unknown, those at hand have to do.
                None => quality,
            }
        };
        (0..pool.len()).into_par_iter().map(one).collect()
    }
}

fn flagged(images: &str, refused: &[Refused]) -> Flagged {
    let share = |is_so: fn(&Refused) -> bool| {
        let n = refused.len() as u64;
        measured(wilson(refused.iter().filter(|&one| is_so(one)).count() as u64, n), n)
    };
    Flagged {
        images: images.to_owned(),
        quality: share(|one| one.quality),
        unlike: share(|one| one.unlike),
        either: share(|one| one.is_refused()),
    }
}

/// A proportion as the manifest holds it.
pub(super) fn measured(interval: Option<Interval>, n: u64) -> Measured {
    Measured {
        value: interval.map(|i| i.value),
        low: interval.map(|i| i.low),
        high: interval.map(|i| i.high),
        n: u32::try_from(n).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_images_and_not_gates() {
        let refused = [(false, false), (true, false), (true, true), (false, false)];
        let refused = refused.map(|(quality, unlike)| Refused { quality, unlike });
        let found = flagged("shifted", &refused);
        let values = [&found.quality, &found.unlike, &found.either].map(|share| (share.value, share.n));
        assert_eq!(values, [(Some(0.5), 4), (Some(0.25), 4), (Some(0.5), 4)]);
        assert_eq!(flagged("natural", &[]).either, Measured::default());
    }
}
