//! A classifier without training: the votes of the nearest known embeddings.
//!
//! Source: Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section 3.4: cosine
//! similarity, votes weighted by `exp(cosine / 0.07)`. It tells whether an embedding is good before any head is trained.

use rayon::prelude::*;
use remedis_metrics::{accuracy, balanced_accuracy};

/// Temperature of the votes.
const TEMPERATURE: f64 = 0.07;
/// Partial sums of an inner product; they are added in a fixed order, so results do not depend on the processor.
const LANES: usize = 8;

/// How often decisions are right; `None` without images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hits {
    /// Share of all images.
    pub accuracy: Option<f64>,
    /// Mean of the shares of each class that occurs.
    pub balanced_accuracy: Option<f64>,
}

/// The class of each query by the votes of its `k` most similar embeddings in `train`.
///
/// Similarity is the cosine (0 where an embedding is all zeros). Of equally similar embeddings the first in `train` count, of
/// classes with equal votes the lower one wins. Embeddings in `train` with a value that is not finite are passed over; when
/// none is left, or the query has such a value, there is no class. Runs on all threads, with one result on any number of them.
///
/// # Panics
/// If there is not one label below `n_classes` for each of `train`, embeddings differ in length, or `k` is 0.
#[must_use]
pub fn knn(
    train: &[Vec<f32>],
    labels: &[usize],
    queries: &[Vec<f32>],
    k: usize,
    n_classes: usize,
) -> Vec<Option<usize>> {
    assert!(k > 0, "no neighbours are asked");
    assert_eq!(train.len(), labels.len(), "one label for each embedding");
    assert!(labels.iter().all(|&label| label < n_classes), "a label is not below {n_classes}");
    let width = train.first().map_or(0, Vec::len);
    assert!(
        train.iter().chain(queries).all(|row| train.is_empty() || row.len() == width),
        "embeddings differ in length"
    );
    let known: Vec<_> = train.iter().zip(labels).filter_map(|(row, &label)| Some((unit(row)?, label))).collect();
    queries.par_iter().map(|query| vote(&unit(query)?, &known, k, n_classes)).collect()
}

/// How often `decisions` are right; a missing decision is wrong.
///
/// # Panics
/// If the slices differ in length.
#[must_use]
pub fn hits(labels: &[usize], decisions: &[Option<usize>]) -> Hits {
    let decisions: Vec<_> = decisions.iter().map(|decision| decision.unwrap_or(usize::MAX)).collect();
    Hits { accuracy: accuracy(labels, &decisions), balanced_accuracy: balanced_accuracy(labels, &decisions) }
}

/// `row` at unit length; zeros stay zeros. `None` if a value is not finite.
fn unit(row: &[f32]) -> Option<Vec<f32>> {
    // In f64, where the square of no finite f32 overflows.
    let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { length.recip() } else { 0.0 };
    length.is_finite().then(|| row.iter().map(|&value| (f64::from(value) * scale) as f32).collect())
}

fn vote(query: &[f32], known: &[(Vec<f32>, usize)], k: usize, n_classes: usize) -> Option<usize> {
    let mut near: Vec<_> = known.iter().enumerate().map(|(i, (row, label))| (dot(query, row), i, *label)).collect();
    let order = |a: &(f32, usize, usize), b: &(f32, usize, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if k < near.len() {
        near.select_nth_unstable_by(k, order);
        near.truncate(k);
    }
    near.sort_unstable_by(order);
    let mut votes = vec![0.0; n_classes];
    for (cosine, _, label) in &near {
        votes[*label] += (f64::from(*cosine) / TEMPERATURE).exp();
    }
    let winner = (0..n_classes).reduce(|best, class| if votes[class] > votes[best] { class } else { best });
    winner.filter(|_| !near.is_empty())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a.zip(b) {
        sums.iter_mut().zip(x.iter().zip(y)).for_each(|(sum, (x, y))| *sum += x * y);
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(rows: [[f32; 2]; N]) -> Vec<Vec<f32>> {
        rows.map(|row| row.to_vec()).to_vec()
    }

    #[test]
    fn the_nearest_direction_wins_whatever_the_length() {
        let train = rows([[5.0, 0.1], [0.1, 0.2], [0.0, 90.0]]);
        let found = knn(&train, &[0, 1, 2], &rows([[1.0, 0.0], [0.01, 0.02], [1e-20, 1e-18]]), 1, 3);
        assert_eq!(found, [Some(0), Some(1), Some(2)]);
    }

    // Cosines with [1, 0]: 1 of class 0; 0.8 and 0.8 of class 1. exp(1 / 0.07) = 1,600,000 and twice exp(0.8 / 0.07) =
    // 2 * 91,900: one near neighbour outvotes two that are farther. With cosines 0.99, 0.98, 0.98: 1,387,000 and 2 * 1,203,000.
    #[test]
    fn votes_are_weighted_by_similarity() {
        let query = rows([[1.0, 0.0]]);
        assert_eq!(knn(&rows([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6]]), &[0, 1, 1], &query, 3, 2), [Some(0)]);
        let at = |cosine: f32| [cosine, (1.0 - cosine * cosine).sqrt()];
        assert_eq!(knn(&rows([at(0.99), at(0.98), at(0.98)]), &[0, 1, 1], &query, 3, 2), [Some(1)]);
        assert_eq!(knn(&rows([at(0.99), at(0.98), at(0.98)]), &[0, 1, 1], &query, 1, 2), [Some(0)]);
    }

    #[test]
    fn ties_go_to_the_first_embedding_and_to_the_lower_class() {
        let (query, same) = (rows([[2.0, 0.0]]), rows([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]));
        assert_eq!(knn(&same, &[2, 1, 1], &query, 1, 3), [Some(2)]);
        assert_eq!(knn(&same, &[2, 1, 0], &query, 3, 3), [Some(0)]);
    }

    #[test]
    fn what_is_not_finite_has_no_vote_and_no_class() {
        let train = rows([[f32::NAN, 1.0], [0.0, 1.0], [f32::INFINITY, 0.0]]);
        let queries = rows([[1.0, 0.0], [f32::NAN, 0.0], [0.0, f32::NEG_INFINITY]]);
        assert_eq!(knn(&train, &[0, 1, 0], &queries, 2, 2), [Some(1), None, None]);
        assert_eq!(knn(&train[..1], &[0], &queries[..1], 2, 2), [None]);
        assert_eq!(knn(&[], &[], &queries[..1], 2, 2), [None]);
    }

    #[test]
    fn long_embeddings_are_compared_in_every_value() {
        let row = |at: usize| (0..19).map(|i| if i == at { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
        let train: Vec<_> = (0..19).map(row).collect();
        let labels: Vec<_> = (0..19).collect();
        let expected: Vec<_> = labels.iter().map(|&label| Some(label)).collect();
        assert_eq!(knn(&train, &labels, &train, 5, 19), expected);
    }

    // Class 0: one of three right; class 1: one of one.
    #[test]
    fn a_missing_decision_is_wrong() {
        let found = hits(&[0, 0, 0, 1], &[Some(0), None, Some(1), Some(1)]);
        assert_eq!(found, Hits { accuracy: Some(0.5), balanced_accuracy: Some((1.0 / 3.0 + 1.0) / 2.0) });
        assert_eq!(hits(&[], &[]), Hits { accuracy: None, balanced_accuracy: None });
    }
}
