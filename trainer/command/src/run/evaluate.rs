//! From logits to rows of the evaluation table, and to the predictions on disk.

use anyhow::{Context, Result};
use remedis_metrics::probability::argmax;
use remedis_metrics::{BalancedAccuracy, BootstrapConfig, MacroAuroc, cluster_bootstrap, paired_difference, softmax};
use remedis_train::Pool;

use super::folder::Folder;
use crate::results::Estimate;

/// Classes with fewer test images at a site say too little to be averaged in.
pub(crate) const LEAST_TEST_IMAGES: usize = 5;

/// Logits of labelled test images.
#[derive(Clone, Debug)]
pub(crate) struct Scored {
    pub(crate) labels: Vec<usize>,
    pub(crate) clusters: Vec<String>,
    pub(crate) logits: Vec<Vec<f32>>,
    rows: Vec<usize>,
}

impl Scored {
    /// Pairs a fully labelled pool with the logits of its images.
    pub(crate) fn new(pool: &Pool, logits: Vec<Vec<f32>>) -> Self {
        let labels: Vec<usize> = pool.labels.iter().flatten().copied().collect();
        assert_eq!(labels.len(), logits.len(), "evaluation pools are fully labelled");
        Self { labels, clusters: pool.clusters.clone(), logits, rows: pool.rows.clone() }
    }

    /// Winning class of each image; arithmetic that is not a number decides for no class and so counts as wrong.
    pub(crate) fn decisions(&self) -> Vec<usize> {
        self.logits.iter().map(|row| argmax(row).unwrap_or(usize::MAX)).collect()
    }

    /// Softmax at a temperature.
    pub(crate) fn probabilities(&self, temperature: f64) -> Vec<Vec<f32>> {
        self.logits.iter().map(|row| softmax(row, temperature as f32)).collect()
    }

    /// Classes with enough images here, and the others that the site should have.
    pub(crate) fn measurable(&self, n_classes: usize) -> (Vec<usize>, Vec<usize>) {
        let count = |class| self.labels.iter().filter(|&&label| label == class).count();
        (0..n_classes).partition(|&class| count(class) >= LEAST_TEST_IMAGES)
    }

    /// Distinct patients or groups.
    pub(crate) fn n_clusters(&self) -> usize {
        let mut names: Vec<&String> = self.clusters.iter().collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// Writes `predictions/NAME.csv`: row of the index, label, decision, a probability per class. No file, no patient.
    pub(crate) fn save(&self, folder: &Folder, name: &str, classes: &[String]) -> Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let head = ["row", "label", "decision"].map(str::to_owned).into_iter();
        table.write_record(head.chain(classes.iter().map(|class| format!("p_{class}"))))?;
        for (i, (row, decision)) in self.probabilities(1.0).iter().zip(self.decisions()).enumerate() {
            let name = |class: usize| classes.get(class).map_or("", String::as_str).to_owned();
            let start = [self.rows[i].to_string(), name(self.labels[i]), name(decision)].into_iter();
            table.write_record(start.chain(row.iter().map(|p| format!("{p:.6}"))))?;
        }
        let bytes = table.into_inner().context("writing predictions")?;
        folder.write(&format!("predictions/{name}.csv"), &bytes)
    }
}

/// Both headline metrics of one model on one set of images, over the same classes.
pub(crate) struct Measures {
    balanced_accuracy: BalancedAccuracy,
    macro_auroc: MacroAuroc,
}

impl Measures {
    pub(crate) fn new(scored: &Scored, classes: &[usize]) -> Self {
        Self {
            balanced_accuracy: BalancedAccuracy::new(classes, &scored.labels, &scored.decisions()),
            macro_auroc: MacroAuroc::new(classes, &scored.probabilities(1.0), &scored.labels),
        }
    }

    /// Balanced accuracy and macro AUROC, each with its interval.
    pub(crate) fn estimates(&self, clusters: &[String], config: &BootstrapConfig) -> (Estimate, Estimate) {
        rayon::join(
            || {
                let drawn = cluster_bootstrap(clusters, config, |w| self.balanced_accuracy.weighted(w));
                Estimate::new(self.balanced_accuracy.value(), drawn)
            },
            || {
                let drawn = cluster_bootstrap(clusters, config, |w| self.macro_auroc.weighted(w));
                Estimate::new(self.macro_auroc.value(), drawn)
            },
        )
    }

    /// `self - other` on the same images, each with its paired interval.
    pub(crate) fn minus(&self, other: &Self, clusters: &[String], config: &BootstrapConfig) -> (Estimate, Estimate) {
        let (a, b) = (&self.balanced_accuracy, &other.balanced_accuracy);
        let (c, d) = (&self.macro_auroc, &other.macro_auroc);
        let plain = |a: Option<f64>, b: Option<f64>| Some(a? - b?);
        rayon::join(
            || {
                let drawn = paired_difference(clusters, config, |w| a.weighted(w), |w| b.weighted(w));
                Estimate::new(plain(a.value(), b.value()), drawn)
            },
            || {
                let drawn = paired_difference(clusters, config, |w| c.weighted(w), |w| d.weighted(w));
                Estimate::new(plain(c.value(), d.value()), drawn)
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(labels: &[usize], logits: &[[f32; 3]]) -> Scored {
        Scored {
            labels: labels.to_vec(),
            clusters: (0..labels.len()).map(|i| i.to_string()).collect(),
            logits: logits.iter().map(|row| row.to_vec()).collect(),
            rows: (0..labels.len()).collect(),
        }
    }

    #[test]
    fn classes_with_few_images_are_set_aside() {
        let scored = scored(&[0, 0, 0, 0, 0, 1, 1, 1, 1], &[[0.0; 3]; 9]);
        assert_eq!(scored.measurable(3), (vec![0], vec![1, 2]));
    }

    #[test]
    fn a_decision_that_is_not_a_number_is_wrong_not_right() {
        let scored = scored(&[0, 0], &[[f32::NAN, 0.0, 0.0], [1.0, 0.0, 0.0]]);
        let measures = Measures::new(&scored, &[0]);
        assert_eq!(measures.balanced_accuracy.value(), Some(0.5));
        assert_eq!(measures.macro_auroc.value(), None);
    }
}
