//! Area under the receiver operating characteristic curve: how well scores order images.

/// Area under the ROC curve, or `None` when `positive` holds only one class or a score is not a number.
///
/// Equals the probability that a positive image scores above a negative one; ties count one half
/// (Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve").
///
/// # Panics
/// If the slices differ in length.
pub fn auroc(scores: &[f32], positive: &[bool]) -> Option<f64> {
    Ranked::new(scores, positive)?.weighted(&vec![1; scores.len()])
}

/// Mean of the one-vs-rest areas over the classes that occur in `labels`; `None` when fewer than two do.
///
/// `probabilities` is `[image][class]`. To fix the classes beforehand, as a bootstrap must, use [`MacroAuroc`].
///
/// # Panics
/// If the slices differ in length, or a row has no probability for an occurring class.
pub fn macro_auroc(probabilities: &[Vec<f32>], labels: &[usize]) -> Option<f64> {
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    MacroAuroc::new(&classes, probabilities, labels).value()
}

/// Macro one-vs-rest AUROC over a fixed list of classes, ready to be taken on many resamples of the same images.
#[derive(Clone, Debug)]
pub struct MacroAuroc {
    n_images: usize,
    /// One ranking per class; `None` when some score was not a number.
    rankings: Option<Vec<Ranked>>,
}

impl MacroAuroc {
    /// Each class of `classes` is ranked by its own column of `probabilities` (`[image][class]`) against all others.
    ///
    /// # Panics
    /// If the slices differ in length, or a row has no probability for a listed class.
    pub fn new(classes: &[usize], probabilities: &[Vec<f32>], labels: &[usize]) -> Self {
        assert_eq!(labels.len(), probabilities.len(), "one row of probabilities per label");
        let ranking = |&class: &usize| {
            let scores: Vec<f32> = probabilities.iter().map(|row| row[class]).collect();
            let positive: Vec<bool> = labels.iter().map(|&label| label == class).collect();
            Ranked::new(&scores, &positive)
        };
        Self { n_images: labels.len(), rankings: classes.iter().map(ranking).collect() }
    }

    /// The value on the images as they are; `None` when a listed class lacks images, or all others do.
    pub fn value(&self) -> Option<f64> {
        self.weighted(&vec![1; self.n_images])
    }

    /// The value when image `i` counts `weights[i]` times; `None` when a listed class, or its rest, is left empty.
    ///
    /// # Panics
    /// If there is not one weight per image.
    pub fn weighted(&self, weights: &[u32]) -> Option<f64> {
        assert_eq!(weights.len(), self.n_images, "one weight per image");
        let areas: Option<Vec<f64>> = self.rankings.as_ref()?.iter().map(|ranking| ranking.weighted(weights)).collect();
        let areas = areas?;
        (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
    }
}

/// Images in the order of their scores, so that a resample costs one pass instead of a sort.
#[derive(Clone, Debug)]
struct Ranked {
    /// Image index, whether it is positive, and whether its score is above that of the one before.
    order: Vec<(u32, bool, bool)>,
}

impl Ranked {
    fn new(scores: &[f32], positive: &[bool]) -> Option<Self> {
        assert_eq!(scores.len(), positive.len(), "one score per label");
        if scores.iter().any(|score| score.is_nan()) {
            return None;
        }
        let mut by_score: Vec<usize> = (0..scores.len()).collect();
        by_score.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        // `total_cmp` orders -0 below +0, which are one value here: neighbours either way, so `>` decides.
        let order = by_score.iter().enumerate().map(|(place, &image)| {
            let rises = place > 0 && scores[image] > scores[by_score[place - 1]];
            (u32::try_from(image).expect("fewer than 2^32 images"), positive[image], rises)
        });
        Some(Self { order: order.collect() })
    }

    /// Twice the won pairs plus the tied ones, over twice all pairs; exact in integers.
    fn weighted(&self, weights: &[u32]) -> Option<f64> {
        let (mut positives, mut negatives, mut doubled_wins) = (0_u64, 0_u64, 0_u64);
        let (mut tied_positives, mut tied_negatives) = (0_u64, 0_u64);
        for &(image, is_positive, rises) in &self.order {
            if rises {
                doubled_wins += tied_positives * (2 * negatives + tied_negatives);
                positives += tied_positives;
                negatives += tied_negatives;
                (tied_positives, tied_negatives) = (0, 0);
            }
            let weight = u64::from(weights[image as usize]);
            match is_positive {
                true => tied_positives += weight,
                false => tied_negatives += weight,
            }
        }
        doubled_wins += tied_positives * (2 * negatives + tied_negatives);
        positives += tied_positives;
        negatives += tied_negatives;
        (positives > 0 && negatives > 0).then(|| doubled_wins as f64 / (2 * positives * negatives) as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{LABELS, assert_close, probabilities};

    #[test]
    fn counts_the_pairs_in_order() {
        // Positives 0.8, 0.3; negatives 0.5, 0.1: three of four pairs are in order.
        assert_eq!(auroc(&[0.8, 0.3, 0.5, 0.1], &[true, true, false, false]), Some(0.75));
    }

    #[test]
    fn ties_count_one_half() {
        // scikit-learn: roc_auc_score([1,0,1,0,1,0], [.5,.5,.8,.2,.2,.1]) = 0.7777777777777778
        let positive = [true, false, true, false, true, false];
        assert_close(auroc(&[0.5, 0.5, 0.8, 0.2, 0.2, 0.1], &positive), 0.7777777777777778);
        assert_eq!(auroc(&[0.0, -0.0], &[true, false]), Some(0.5));
    }

    #[test]
    fn one_class_has_no_auroc() {
        assert_eq!(auroc(&[0.1, 0.9], &[true, true]), None);
        assert_eq!(auroc(&[], &[]), None);
        assert_eq!(macro_auroc(&[vec![0.5, 0.5]], &[1]), None);
    }

    #[test]
    fn a_score_that_is_not_a_number_has_no_auroc() {
        assert_eq!(auroc(&[0.1, f32::NAN], &[true, false]), None);
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let p = probabilities();
        for (class, expected) in [0.90625, 0.9375, 1.0].into_iter().enumerate() {
            assert_close(MacroAuroc::new(&[class], &p, &LABELS).value(), expected);
        }
        assert_close(macro_auroc(&p, &LABELS), 0.9479166666666666);
    }

    fn images() -> impl Strategy<Value = Vec<(i8, bool, u32)>> {
        prop::collection::vec((-20_i8..20, any::<bool>(), 0_u32..4), 2..60)
    }

    proptest! {
        #[test]
        fn a_rising_map_of_the_scores_changes_nothing(images in images()) {
            let positive: Vec<bool> = images.iter().map(|i| i.1).collect();
            let scores: Vec<f32> = images.iter().map(|i| f32::from(i.0) / 4.0).collect();
            let mapped: Vec<f32> = scores.iter().map(|s| s.exp() - 3.0).collect();
            prop_assert_eq!(auroc(&scores, &positive), auroc(&mapped, &positive));
        }

        #[test]
        fn turning_scores_and_labels_round_changes_nothing(images in images()) {
            let scores: Vec<f32> = images.iter().map(|i| f32::from(i.0)).collect();
            let positive: Vec<bool> = images.iter().map(|i| i.1).collect();
            let turned: Vec<f32> = scores.iter().map(|s| -s).collect();
            let swapped: Vec<bool> = positive.iter().map(|p| !p).collect();
            prop_assert_eq!(auroc(&scores, &positive), auroc(&turned, &swapped));
        }

        #[test]
        fn agrees_with_counting_every_pair(images in images()) {
            let (mut wins, mut pairs) = (0.0, 0.0);
            for a in images.iter().filter(|i| i.1) {
                for b in images.iter().filter(|i| !i.1) {
                    let weight = f64::from(a.2) * f64::from(b.2);
                    pairs += weight;
                    wins += weight * match a.0.cmp(&b.0) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            let probabilities: Vec<Vec<f32>> = images.iter().map(|i| vec![f32::from(i.0)]).collect();
            let labels: Vec<usize> = images.iter().map(|i| usize::from(!i.1)).collect();
            let weights: Vec<u32> = images.iter().map(|i| i.2).collect();
            let found = MacroAuroc::new(&[0], &probabilities, &labels).weighted(&weights);
            match found {
                None => prop_assert_eq!(pairs, 0.0),
                Some(area) => prop_assert!((area - wins / pairs).abs() < 1e-12),
            }
        }
    }
}
