//! Which labels a short label budget buys.

use std::collections::BTreeMap;

use remedis_views::Key;

use crate::pool::Pool;

/// Draws about `n` labelled images of `pool`, even over classes and by whole patients; returns their positions, rising.
///
/// Classes take turns; at its turn a class adds one more patient (an image without a patient counts as one), until `n` images
/// are reached. So the draw is *nested*: with one seed, a larger `n` holds every image of a smaller one. The last patient is
/// taken whole, so the result may exceed `n`, by less than that patient's images. 0, or more than there are, takes all.
#[must_use]
pub fn draw_labels(pool: &Pool, n: usize, n_classes: usize, seed: u64) -> Vec<usize> {
    let labelled = pool.labelled();
    if n == 0 || n >= labelled.len() {
        return labelled;
    }
    let mut by_class = vec![Vec::new(); n_classes];
    for bag in bags(pool, &labelled) {
        if let Some(class) = pool.labels[bag[0]].filter(|&class| class < n_classes) {
            by_class[class].push(bag);
        }
    }
    for (class, bags) in by_class.iter_mut().enumerate() {
        Key { sample: class as u64, ..Key::new(seed, "labels") }.chance().shuffle(bags);
    }
    let turns = by_class.iter().map(Vec::len).max().unwrap_or(0);
    let mut drawn = Vec::new();
    for bag in (0..turns).flat_map(|turn| by_class.iter().filter_map(move |bags| bags.get(turn))) {
        if drawn.len() >= n {
            break;
        }
        drawn.extend(bag);
    }
    drawn.sort_unstable();
    drawn
}

/// Images grouped by patient, in order of first appearance; an image without a patient is alone.
fn bags(pool: &Pool, images: &[usize]) -> Vec<Vec<usize>> {
    let mut bags: Vec<Vec<usize>> = Vec::new();
    let mut of_patient: BTreeMap<&str, usize> = BTreeMap::new();
    for &image in images {
        match pool.patients[image].as_deref() {
            Some(patient) => {
                let bag = *of_patient.entry(patient).or_insert_with(|| {
                    bags.push(Vec::new());
                    bags.len() - 1
                });
                bags[bag].push(image);
            }
            None => bags.push(vec![image]),
        }
    }
    bags
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::{Channels, Image};

    /// One image an entry: label and patient.
    fn pool(entries: &[(usize, Option<&str>)]) -> Pool {
        let mut pool = Pool::default();
        for (row, (label, patient)) in entries.iter().enumerate() {
            pool.images.push(Image::new(1, 1, Channels::Grey, vec![0_u8]));
            pool.labels.push(Some(*label));
            pool.patients.push(patient.map(str::to_owned));
            pool.clusters.push(row.to_string());
            pool.rows.push(row);
        }
        pool
    }

    #[test]
    fn classes_share_the_budget_evenly_even_when_one_is_common() {
        let entries: Vec<_> = (0..100).map(|i| (usize::from(i >= 90), None)).collect();
        let pool = pool(&entries);
        let drawn = draw_labels(&pool, 10, 2, 1);
        assert_eq!(drawn.iter().filter(|&&i| i >= 90).count(), 5);
        assert_eq!(drawn.len(), 10);
    }

    #[test]
    fn a_larger_draw_holds_the_smaller_one() {
        let entries: Vec<_> = (0..60).map(|i| (i % 3, None)).collect();
        let pool = pool(&entries);
        let (small, large) = (draw_labels(&pool, 9, 3, 5), draw_labels(&pool, 30, 3, 5));
        assert!(small.iter().all(|i| large.contains(i)));
        assert_ne!(small, draw_labels(&pool, 9, 3, 6));
    }

    #[test]
    fn patients_are_never_split() {
        let pool = pool(&[(0, Some("a")), (1, Some("b")), (0, Some("a")), (1, Some("b")), (0, Some("c")), (1, None)]);
        let drawn = draw_labels(&pool, 3, 2, 1);
        for patient in [[0, 2], [1, 3]] {
            let taken = patient.iter().filter(|i| drawn.contains(i)).count();
            assert_ne!(taken, 1, "{drawn:?}");
        }
    }

    #[test]
    fn zero_takes_every_label_and_leaves_the_unlabelled() {
        let mut pool = pool(&[(0, None), (1, None), (0, None)]);
        pool.labels[1] = None;
        assert_eq!(draw_labels(&pool, 0, 2, 1), [0, 2]);
    }
}
