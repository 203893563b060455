//! Linear probe: how far a straight line divides the classes in an embedding that is not trained further.
//!
//! Multinomial logistic regression on standardised embeddings, the strength of its penalty chosen on the validation split. In f64
//! and over all images at once, so that there is no learning rate to set and every run gives the same numbers.

use burn::tensor::Device;
use rayon::prelude::*;
use remedis_metrics::{argmax, negative_log_likelihood};
use remedis_model::ClassifierHead;

use crate::lbfgs::minimise;
use crate::neighbours::{Hits, hits};

/// Weights of half the squared length, beside the mean cross-entropy; strong to weak, each starting where the one before ended.
const PENALTIES: [f64; 5] = [10.0, 1.0, 0.1, 0.01, 0.001];
/// Largest part of the gradient at which a fit is done.
const TOLERANCE: f64 = 1e-6;
/// Steps after which a fit is done anyhow.
const MOST_STEPS: usize = 500;
/// Sums over images are made of this many partial sums, whatever the number of threads.
const PARTS: usize = 32;

/// Embedded images and their classes.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// `[image][embedding]`, as [`embeddings`](crate::embeddings) gives them.
    pub embeddings: &'a [Vec<f32>],
    /// Class of each image.
    pub labels: &'a [usize],
}

/// A linear classifier of embeddings.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// `[embedding, class]`, row-major.
    pub weight: Vec<f32>,
    /// One number a class.
    pub bias: Vec<f32>,
    /// The penalty that was chosen.
    pub penalty: f64,
    /// How often it is right on the validation images, by which the penalty was chosen.
    pub validation: Hits,
}

impl Probe {
    /// Logits of each embedding: `[image][class]`.
    ///
    /// # Panics
    /// If an embedding has another length.
    #[must_use]
    pub fn logits(&self, embeddings: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let n_classes = self.bias.len();
        let one = |row: &Vec<f32>| {
            assert_eq!(row.len() * n_classes, self.weight.len(), "an embedding of another length");
            let mut logits: Vec<f64> = self.bias.iter().map(|&bias| f64::from(bias)).collect();
            for (&value, weights) in row.iter().zip(self.weight.chunks_exact(n_classes)) {
                logits.iter_mut().zip(weights).for_each(|(logit, &w)| *logit += f64::from(value) * f64::from(w));
            }
            logits.into_iter().map(|logit| logit as f32).collect()
        };
        embeddings.par_iter().map(one).collect()
    }

    /// Classes of each embedding; `None` where it is not finite.
    ///
    /// # Panics
    /// If an embedding has another length.
    #[must_use]
    pub fn decisions(&self, embeddings: &[Vec<f32>]) -> Vec<Option<usize>> {
        self.logits(embeddings).iter().map(|row| argmax(row)).collect()
    }

    /// The same as a head that stands on a backbone.
    #[must_use]
    pub fn head(&self, device: &Device) -> ClassifierHead {
        ClassifierHead::of(self.weight.clone(), self.bias.clone(), device)
    }
}

/// Fits a probe to `train` with each of five penalties; `val` chooses by balanced accuracy, then by loss, of equals the strongest.
///
/// `None` if either has no images or `train` holds a number that is not finite.
///
/// # Panics
/// If there is not one label below `n_classes` for each embedding, or embeddings differ in length.
#[must_use]
pub fn probe(train: Sample, val: Sample, n_classes: usize) -> Option<Probe> {
    let width = train.embeddings.first()?.len();
    for sample in [train, val] {
        assert_eq!(sample.embeddings.len(), sample.labels.len(), "one label for each embedding");
        assert!(sample.labels.iter().all(|&label| label < n_classes), "a label is not below {n_classes}");
        assert!(sample.embeddings.iter().all(|row| row.len() == width), "embeddings differ in length");
    }
    if val.embeddings.is_empty() || train.embeddings.iter().flatten().any(|value| !value.is_finite()) {
        return None;
    }
    let scale = Scale::of(train.embeddings);
    let rows: Vec<Vec<f32>> = train.embeddings.par_iter().map(|row| scale.apply(row)).collect();
    let mut parameters = vec![0.0; (width + 1) * n_classes];
    let mut best: Option<(Probe, Option<f64>)> = None;
    for penalty in PENALTIES {
        let objective = |at: &[f64], gradient: &mut [f64]| penalised(&rows, train.labels, at, penalty, gradient);
        parameters = minimise(parameters, TOLERANCE, MOST_STEPS, objective);
        let (weight, bias) = scale.fold(&parameters, n_classes);
        let mut probe = Probe { weight, bias, penalty, validation: Hits { accuracy: None, balanced_accuracy: None } };
        probe.validation = hits(val.labels, &probe.decisions(val.embeddings));
        let loss = negative_log_likelihood(&probe.logits(val.embeddings), val.labels, 1.0);
        let is_better = best.as_ref().is_none_or(|(other, other_loss)| {
            let (ours, theirs) = (probe.validation.balanced_accuracy, other.validation.balanced_accuracy);
            ours > theirs || ours == theirs && loss.zip(*other_loss).is_some_and(|(ours, theirs)| ours < theirs)
        });
        if is_better {
            best = Some((probe, loss));
        }
    }
    best.map(|(probe, _)| probe)
}

/// What brings each value of an embedding to mean 0 and deviation 1; values that never change become 0.
struct Scale {
    mean: Vec<f64>,
    factor: Vec<f64>,
}

impl Scale {
    fn of(rows: &[Vec<f32>]) -> Self {
        let (n, width) = (rows.len() as f64, rows[0].len());
        let column = |i: usize| rows.iter().map(move |row| f64::from(row[i]));
        let mean: Vec<f64> = (0..width).into_par_iter().map(|i| column(i).sum::<f64>() / n).collect();
        let factor = |i: usize| {
            let deviation = (column(i).map(|value| (value - mean[i]).powi(2)).sum::<f64>() / n).sqrt();
            if deviation > 1e-6 * mean[i].abs() { deviation.recip() } else { 0.0 }
        };
        let factor = (0..width).into_par_iter().map(factor).collect();
        Self { mean, factor }
    }

    fn apply(&self, row: &[f32]) -> Vec<f32> {
        let one = |((&value, mean), factor): ((&f32, &f64), &f64)| ((f64::from(value) - mean) * factor) as f32;
        row.iter().zip(&self.mean).zip(&self.factor).map(one).collect()
    }

    /// Weight and bias for embeddings as they are, from those for scaled ones.
    fn fold(&self, parameters: &[f64], n_classes: usize) -> (Vec<f32>, Vec<f32>) {
        let (weights, bias) = parameters.split_at(self.mean.len() * n_classes);
        let mut bias = bias.to_vec();
        let mut weight = Vec::with_capacity(weights.len());
        for ((row, mean), factor) in weights.chunks_exact(n_classes).zip(&self.mean).zip(&self.factor) {
            for (w, bias) in row.iter().zip(&mut bias) {
                weight.push((w * factor) as f32);
                *bias -= w * factor * mean;
            }
        }
        (weight, bias.into_iter().map(|bias| bias as f32).collect())
    }
}

/// Mean cross-entropy plus half of `penalty` times the squared length of the weights, and its gradient. Biases are not penalised.
///
/// `at` and `gradient` hold the weights `[embedding, class]` and then the biases.
fn penalised(rows: &[Vec<f32>], labels: &[usize], at: &[f64], penalty: f64, gradient: &mut [f64]) -> f64 {
    let n = rows.len();
    let n_classes = at.len() / (rows[0].len() + 1);
    let part = n.div_ceil(PARTS);
    let parts: Vec<(f64, Vec<f64>)> = rows
        .par_chunks(part)
        .zip(labels.par_chunks(part))
        .map(|(rows, labels)| cross_entropy(rows, labels, at, n_classes))
        .collect();
    let n_weights = at.len() - n_classes;
    for (i, (gradient, &at)) in gradient.iter_mut().zip(at).enumerate() {
        *gradient = if i < n_weights { penalty * at } else { 0.0 };
    }
    let mut value = at[..n_weights].iter().map(|w| w * w).sum::<f64>() * penalty / 2.0;
    for (loss, pull) in parts {
        value += loss / n as f64;
        gradient.iter_mut().zip(pull).for_each(|(gradient, pull)| *gradient += pull / n as f64);
    }
    value
}

/// Summed cross-entropy of some images, and its gradient.
fn cross_entropy(rows: &[Vec<f32>], labels: &[usize], at: &[f64], n_classes: usize) -> (f64, Vec<f64>) {
    let (weights, bias) = at.split_at(at.len() - n_classes);
    let (mut loss, mut gradient) = (0.0, vec![0.0; at.len()]);
    let mut logits = vec![0.0; n_classes];
    for (row, &label) in rows.iter().zip(labels) {
        logits.copy_from_slice(bias);
        for (&value, weights) in row.iter().zip(weights.chunks_exact(n_classes)) {
            logits.iter_mut().zip(weights).for_each(|(logit, w)| *logit += f64::from(value) * w);
        }
        let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        loss += sum.ln() + highest - logits[label];
        // From here on: probability minus target.
        logits.iter_mut().for_each(|logit| *logit = (*logit - highest).exp() / sum);
        logits[label] -= 1.0;
        let (of_weights, of_bias) = gradient.split_at_mut(at.len() - n_classes);
        for (&value, pull) in row.iter().zip(of_weights.chunks_exact_mut(n_classes)) {
            pull.iter_mut().zip(&logits).for_each(|(pull, off)| *pull += f64::from(value) * off);
        }
        of_bias.iter_mut().zip(&logits).for_each(|(pull, off)| *pull += off);
    }
    (loss, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_views::Key;

    /// Seven images in three classes.
    const ROWS: [[f32; 2]; 7] = [[0.0, 1.0], [1.0, 3.0], [2.0, 1.0], [5.0, 0.0], [4.0, 1.5], [-1.0, -2.0], [0.5, -3.0]];
    const LABELS: [usize; 7] = [0, 0, 0, 1, 1, 2, 2];

    fn rows() -> Vec<Vec<f32>> {
        ROWS.iter().map(|row| row.to_vec()).collect()
    }

    /// ```python
    /// from math import exp
    /// from statistics import fmean as mean, pstdev
    /// x = [[0, 1], [1, 3], [2, 1], [5, 0], [4, 1.5], [-1, -2], [.5, -3]]; y = [0, 0, 0, 1, 1, 2, 2]
    /// m, d = zip(*[(mean(c), pstdev(c)) for c in zip(*x)])
    /// z = [[(v - a) / b for v, a, b in zip(r, m, d)] for r in x]
    /// w, b = [[0] * 3 for _ in range(2)], [0] * 3
    /// for _ in range(20000):  # gradient descent with a penalty of 0.1
    ///     off = []
    ///     for r, label in zip(z, y):
    ///         e = [exp(sum(r[i] * w[i][c] for i in range(2)) + b[c]) for c in range(3)]
    ///         off.append([e[c] / sum(e) - (c == label) for c in range(3)])
    ///     b = [b[c] - .5 * mean(o[c] for o in off) for c in range(3)]
    ///     w = [[w[i][c] - .5 * (mean(o[c] * r[i] for o, r in zip(off, z)) + .1 * w[i][c]) for c in range(3)] for i in range(2)]
    /// print([[w[i][c] / d[i] for c in range(3)] for i in range(2)])
    /// print([b[c] - sum(w[i][c] / d[i] * m[i] for i in range(2)) for c in range(3)])
    /// ```
    #[test]
    fn the_fit_is_that_of_gradient_descent_to_the_end() {
        let scale = Scale::of(&rows());
        let scaled: Vec<_> = rows().iter().map(|row| scale.apply(row)).collect();
        let found = minimise(vec![0.0; 9], 1e-10, 500, |at, gradient| penalised(&scaled, &LABELS, at, 0.1, gradient));
        let (weight, bias) = scale.fold(&found, 3);
        let expected = [-0.267_039_26, 0.555_204_6, -0.288_165_34, 0.447_541_77, 0.063_774_94, -0.511_316_7];
        let expected_bias = [0.892_094, -1.140_016_6, 0.247_922_68];
        let close = |found: &[f32], expected: &[f32]| found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 2e-6);
        assert!(close(&weight, &expected), "{weight:?}");
        assert!(close(&bias, &expected_bias), "{bias:?}");
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let at: Vec<f64> = (0..9).map(|i| f64::from(i * i % 7) / 5.0 - 0.5).collect();
        let value = |at: &[f64], gradient: &mut [f64]| penalised(&rows(), &LABELS, at, 0.3, gradient);
        let mut gradient = vec![0.0; 9];
        value(&at, &mut gradient);
        for i in 0..9 {
            let moved = |by: f64| {
                let mut at = at.clone();
                at[i] += by;
                value(&at, &mut [0.0; 9])
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((gradient[i] - difference).abs() < 1e-8, "{i}: {}, expected {difference}", gradient[i]);
        }
    }

    #[test]
    fn a_probe_learns_what_a_line_divides_and_its_head_answers_alike() {
        let sample = rows();
        let sample = Sample { embeddings: &sample, labels: &LABELS };
        let found = probe(sample, sample, 3).unwrap();
        assert_eq!(found.validation, Hits { accuracy: Some(1.0), balanced_accuracy: Some(1.0) });
        let device = Device::flex();
        let embeddings = burn::tensor::Tensor::<2>::from_data(ROWS, &device);
        let logits = crate::checkpoint::floats(found.head(&device).forward(embeddings));
        let off = logits.iter().zip(found.logits(&rows()).concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-4, "{off}");
    }

    /// Forty values of which one tells the class and 39 are noise; ten images of each class.
    #[test]
    fn where_noise_could_be_learnt_by_heart_validation_chooses_a_strong_penalty() {
        let draw = |seed| {
            let mut chance = Key::new(seed, "test").chance();
            let row = |i: usize| {
                let class = (i % 2) as f32 * 2.0 - 1.0;
                (0..40).map(|j| if j == 0 { class } else { 0.0 } + chance.normal()).collect::<Vec<_>>()
            };
            (0..20).map(row).collect::<Vec<_>>()
        };
        let labels: Vec<_> = (0..20).map(|i| i % 2).collect();
        let (train, val) = (draw(1), draw(2));
        let sample = |embeddings| Sample { embeddings, labels: &labels };
        let found = probe(sample(&train), sample(&val), 2).unwrap();
        assert!(found.penalty >= 0.1, "{}", found.penalty);
    }

    #[test]
    fn a_value_that_never_changes_gets_no_weight() {
        let same: Vec<_> = rows().into_iter().map(|row| vec![row[0], 7.0, row[1]]).collect();
        let sample = Sample { embeddings: &same, labels: &LABELS };
        let found = probe(sample, sample, 3).unwrap();
        assert_eq!(found.weight[3..6], [0.0; 3]);
    }

    #[test]
    fn without_images_or_with_what_is_not_finite_there_is_no_probe() {
        let (rows, bad) = (rows(), vec![vec![f32::NAN, 0.0]; 7]);
        let sample = |embeddings| Sample { embeddings, labels: &LABELS };
        let none = Sample { embeddings: &[], labels: &[] };
        assert!(probe(none, sample(&rows), 3).is_none() && probe(sample(&rows), none, 3).is_none());
        assert!(probe(sample(&bad), sample(&rows), 3).is_none());
    }
}
