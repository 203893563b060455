//! Counting decisions: accuracy, balanced accuracy, and the confusion matrix with its "cannot say" column.

use serde::Serialize;

use crate::interval::{Interval, wilson};

/// Share of `decisions` equal to their label, or `None` without images.
///
/// # Panics
/// If the slices differ in length.
pub fn accuracy(labels: &[usize], decisions: &[usize]) -> Option<f64> {
    assert_eq!(labels.len(), decisions.len(), "one decision per label");
    let hits = labels.iter().zip(decisions).filter(|(label, decision)| label == decision).count();
    (!labels.is_empty()).then(|| hits as f64 / labels.len() as f64)
}

/// Mean over the classes that occur in `labels` of the share of their images decided rightly; `None` without images.
///
/// To fix the classes beforehand, as a bootstrap must, use [`BalancedAccuracy`].
///
/// # Panics
/// If the slices differ in length.
pub fn balanced_accuracy(labels: &[usize], decisions: &[usize]) -> Option<f64> {
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    BalancedAccuracy::new(&classes, labels, decisions).value()
}

/// Balanced accuracy over a fixed list of classes, ready to be taken on many resamples of the same images.
#[derive(Clone, Debug)]
pub struct BalancedAccuracy {
    n_classes: usize,
    /// Position of each image's label in the list of classes, and whether the decision was right.
    images: Vec<Option<(usize, bool)>>,
}

impl BalancedAccuracy {
    /// Images whose label is not among `classes` do not count; a decision outside `classes` is simply wrong.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn new(classes: &[usize], labels: &[usize], decisions: &[usize]) -> Self {
        assert_eq!(labels.len(), decisions.len(), "one decision per label");
        let image = |(label, decision): (&usize, &usize)| {
            let position = classes.iter().position(|class| class == label)?;
            Some((position, label == decision))
        };
        Self { n_classes: classes.len(), images: labels.iter().zip(decisions).map(image).collect() }
    }

    /// The value on the images as they are; `None` when a class of the list has no image.
    pub fn value(&self) -> Option<f64> {
        self.weighted(&vec![1; self.images.len()])
    }

    /// The value when image `i` counts `weights[i]` times; `None` when a class of the list is left without an image.
    ///
    /// # Panics
    /// If there is not one weight per image.
    pub fn weighted(&self, weights: &[u32]) -> Option<f64> {
        assert_eq!(weights.len(), self.images.len(), "one weight per image");
        let mut counts = vec![(0_u64, 0_u64); self.n_classes];
        for (image, &weight) in self.images.iter().zip(weights) {
            if let Some((class, is_right)) = *image {
                counts[class].0 += u64::from(weight) * u64::from(is_right);
                counts[class].1 += u64::from(weight);
            }
        }
        let recalls: Option<Vec<f64>> =
            counts.iter().map(|&(right, all)| (all > 0).then(|| right as f64 / all as f64)).collect();
        let recalls = recalls?;
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }
}

/// One class against the rest, counted; "cannot say" is kept apart and never dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BinaryCounts {
    /// Images of the class, decided as the class.
    pub true_positive: u64,
    /// Images of the class, decided as another one.
    pub false_negative: u64,
    /// Other images, decided as the class.
    pub false_positive: u64,
    /// Other images, decided as any other class.
    pub true_negative: u64,
    /// Images of the class left undecided.
    pub undecided_positive: u64,
    /// Other images left undecided.
    pub undecided_negative: u64,
}

impl BinaryCounts {
    /// True positives among the answered images of the class, with its Wilson interval; `None` when none was answered.
    pub fn sensitivity(&self) -> Option<Interval> {
        wilson(self.true_positive, self.true_positive + self.false_negative)
    }

    /// True negatives among the answered other images, with its Wilson interval; `None` when none was answered.
    pub fn specificity(&self) -> Option<Interval> {
        wilson(self.true_negative, self.true_negative + self.false_positive)
    }

    /// Sensitivity when every undecided image of the class counts as missed.
    pub fn sensitivity_undecided_missed(&self) -> Option<Interval> {
        wilson(self.true_positive, self.true_positive + self.false_negative + self.undecided_positive)
    }

    /// Specificity when every undecided other image counts as a false alarm.
    pub fn specificity_undecided_alarmed(&self) -> Option<Interval> {
        wilson(self.true_negative, self.true_negative + self.false_positive + self.undecided_negative)
    }

    /// Share of all other images not decided as the class: an undecided one raises no alarm.
    pub fn specificity_undecided_silent(&self) -> Option<Interval> {
        let silent = self.true_negative + self.undecided_negative;
        wilson(silent, silent + self.false_positive)
    }
}

/// How often each label met each decision. Rows are labels, columns decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionMatrix {
    /// `counts[label][decision]`.
    pub counts: Vec<Vec<u64>>,
    /// "Cannot say", per label.
    pub undecided: Vec<u64>,
}

impl ConfusionMatrix {
    /// Counts decisions; `None` is "cannot say".
    ///
    /// # Panics
    /// If the slices differ in length, or a label or decision is not below `n_classes`.
    pub fn new(n_classes: usize, labels: &[usize], decisions: &[Option<usize>]) -> Self {
        assert_eq!(labels.len(), decisions.len(), "one decision per label");
        let mut matrix = Self { counts: vec![vec![0; n_classes]; n_classes], undecided: vec![0; n_classes] };
        for (&label, decision) in labels.iter().zip(decisions) {
            match *decision {
                Some(decision) => matrix.counts[label][decision] += 1,
                None => matrix.undecided[label] += 1,
            }
        }
        matrix
    }

    /// The matrix folded to `class` against the rest.
    ///
    /// # Panics
    /// If `class` is not below the number of classes.
    pub fn one_vs_rest(&self, class: usize) -> BinaryCounts {
        let mut folded = BinaryCounts::default();
        for (label, row) in self.counts.iter().enumerate() {
            for (decision, &count) in row.iter().enumerate() {
                *match (label == class, decision == class) {
                    (true, true) => &mut folded.true_positive,
                    (true, false) => &mut folded.false_negative,
                    (false, true) => &mut folded.false_positive,
                    (false, false) => &mut folded.true_negative,
                } += count;
            }
            match label == class {
                true => folded.undecided_positive += self.undecided[label],
                false => folded.undecided_negative += self.undecided[label],
            }
        }
        folded
    }

    /// Answered images, and all of them.
    pub fn coverage(&self) -> (u64, u64) {
        let answered: u64 = self.counts.iter().flatten().sum();
        (answered, answered + self.undecided.iter().sum::<u64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{LABELS, assert_close};

    const DECISIONS: [usize; 12] = [0, 0, 1, 0, 1, 1, 0, 1, 2, 2, 2, 2];

    #[test]
    fn balanced_accuracy_weighs_classes_not_images() {
        // Class 0: 3 of 4 right. Class 1: 0 of 1.
        assert_eq!(balanced_accuracy(&[0, 0, 0, 0, 1], &[0, 0, 0, 1, 0]), Some(0.375));
        assert_eq!(accuracy(&[0, 0, 0, 0, 1], &[0, 0, 0, 1, 0]), Some(0.6));
    }

    #[test]
    fn agrees_with_scikit_learn() {
        assert_close(balanced_accuracy(&LABELS, &DECISIONS), 0.8333333333333334);
        let decisions = DECISIONS.map(Some);
        let matrix = ConfusionMatrix::new(3, &LABELS, &decisions);
        assert_eq!(matrix.counts, [[3, 1, 0], [1, 3, 0], [0, 0, 4]]);
    }

    #[test]
    fn no_images_have_no_accuracy() {
        assert_eq!(accuracy(&[], &[]), None);
        assert_eq!(balanced_accuracy(&[], &[]), None);
    }

    #[test]
    fn a_listed_class_without_images_leaves_it_undefined() {
        assert_eq!(BalancedAccuracy::new(&[0, 1, 2], &[0, 1], &[0, 1]).value(), None);
        assert_eq!(BalancedAccuracy::new(&[0, 1], &[0, 1], &[0, 0]).weighted(&[5, 0]), None);
    }

    #[test]
    fn an_unlisted_class_does_not_count_but_mistakes_for_it_do() {
        // The image of class 2 is left out; class 1 taken for class 2 is a mistake.
        assert_eq!(BalancedAccuracy::new(&[0, 1], &[0, 1, 2], &[0, 2, 2]).value(), Some(0.5));
    }

    #[test]
    fn weights_are_repetitions() {
        let repeated = balanced_accuracy(&[0, 0, 0, 1, 1], &[0, 0, 1, 1, 1]);
        assert_eq!(BalancedAccuracy::new(&[0, 1], &[0, 0, 1], &[0, 1, 1]).weighted(&[2, 1, 2]), repeated);
    }

    #[test]
    fn undecided_images_are_counted_both_ways() {
        let labels = [0, 0, 0, 0, 1, 1, 1, 1];
        let decisions = [Some(0), Some(0), Some(1), None, Some(1), Some(0), None, None];
        let matrix = ConfusionMatrix::new(2, &labels, &decisions);
        assert_eq!(matrix.coverage(), (5, 8));
        let counts = matrix.one_vs_rest(0);
        let expected = BinaryCounts {
            true_positive: 2,
            false_negative: 1,
            false_positive: 1,
            true_negative: 1,
            undecided_positive: 1,
            undecided_negative: 2,
        };
        assert_eq!(counts, expected);
        assert_close(counts.sensitivity().map(|s| s.value), 2.0 / 3.0);
        assert_close(counts.specificity().map(|s| s.value), 1.0 / 2.0);
        assert_close(counts.sensitivity_undecided_missed().map(|s| s.value), 2.0 / 4.0);
        assert_close(counts.specificity_undecided_alarmed().map(|s| s.value), 1.0 / 4.0);
        assert_close(counts.specificity_undecided_silent().map(|s| s.value), 3.0 / 4.0);
    }
}
