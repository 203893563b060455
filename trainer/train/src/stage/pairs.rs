//! Positive pairs: which two images make one, and which pairs share a batch.

use std::collections::BTreeMap;

use remedis_views::Key;

use crate::loader::permutation;
use crate::pool::Pool;

/// Images that may be positives of each other and never negatives: those of one patient, or one image of unknown patient.
pub(super) struct Units {
    bags: Vec<Vec<usize>>,
    pairs_two_images: bool,
}

/// A positive pair: two images of the pool, which may be one and the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) epoch: u64,
    pub(super) first: usize,
    pub(super) second: usize,
}

impl Units {
    /// Groups the pool by patient. Without `pairs_two_images` a pair is two views of one image, drawn from the patient's.
    pub(super) fn new(pool: &Pool, pairs_two_images: bool) -> Self {
        let mut bags: Vec<Vec<usize>> = Vec::new();
        let mut of_patient: BTreeMap<&str, usize> = BTreeMap::new();
        for (image, patient) in pool.patients.iter().enumerate() {
            match patient.as_deref().and_then(|patient| of_patient.get(patient)) {
                Some(&bag) => bags[bag].push(image),
                None => {
                    of_patient.extend(patient.as_deref().map(|patient| (patient, bags.len())));
                    bags.push(vec![image]);
                }
            }
        }
        Self { bags, pairs_two_images }
    }

    /// Number of patients (and images of unknown patient).
    pub(super) fn len(&self) -> usize {
        self.bags.len()
    }

    /// The pairs of step `step` (from 0): one a unit, `batch` different units. What is left of a pass is dropped.
    pub(super) fn pairs(&self, key: Key, batch: usize, step: u64) -> Vec<Pair> {
        let per_pass = (self.len() / batch) as u64;
        let (epoch, place) = (step / per_pass, (step % per_pass) as usize);
        let order = permutation(key, epoch, self.len());
        order[place * batch..(place + 1) * batch].iter().map(|&unit| self.pair(key, epoch, unit)).collect()
    }

    fn pair(&self, key: Key, epoch: u64, unit: usize) -> Pair {
        let bag = &self.bags[unit];
        let mut chance = Key { epoch, sample: unit as u64, view: u32::MAX, ..key }.chance();
        let first = chance.below(bag.len());
        let second = if self.pairs_two_images && bag.len() > 1 {
            (first + 1 + chance.below(bag.len() - 1)) % bag.len()
        } else {
            first
        };
        Pair { epoch, first: bag[first], second: bag[second] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images 0 to 2 are of patient a, 3 and 4 of b, 5 of c, 6 and 7 of nobody known.
    fn units(pairs_two_images: bool) -> Units {
        let patients = [Some("a"), Some("a"), Some("a"), Some("b"), Some("b"), Some("c"), None, None];
        let pool = Pool { patients: patients.map(|p| p.map(str::to_owned)).to_vec(), ..Pool::default() };
        Units::new(&pool, pairs_two_images)
    }

    fn patient(image: usize) -> usize {
        [0, 0, 0, 1, 1, 2, 3, 4][image]
    }

    #[test]
    fn a_pair_is_two_images_of_one_patient_where_there_are_two() {
        let units = units(true);
        assert_eq!(units.len(), 5);
        for step in 0..50 {
            for pair in units.pairs(Key::new(1, "test"), 5, step) {
                assert_eq!(patient(pair.first), patient(pair.second));
                assert_eq!(pair.first == pair.second, patient(pair.first) >= 2, "{pair:?}");
            }
        }
    }

    #[test]
    fn no_patient_is_twice_in_a_batch() {
        let units = units(true);
        for step in 0..50 {
            let mut patients: Vec<_> =
                units.pairs(Key::new(1, "test"), 3, step).iter().map(|pair| patient(pair.first)).collect();
            patients.sort_unstable();
            patients.dedup();
            assert_eq!(patients.len(), 3);
        }
    }

    #[test]
    fn without_pairing_both_views_are_of_one_image_and_every_image_has_its_turn() {
        let units = units(false);
        let pairs: Vec<_> = (0..50).flat_map(|step| units.pairs(Key::new(1, "test"), 5, step)).collect();
        assert!(pairs.iter().all(|pair| pair.first == pair.second));
        assert!((0..8).all(|image| pairs.iter().any(|pair| pair.first == image)));
    }

    #[test]
    fn all_pairs_of_a_bag_occur() {
        let units = units(true);
        let mut seen: Vec<_> = (0..200)
            .flat_map(|step| units.pairs(Key::new(1, "test"), 5, step))
            .filter(|pair| patient(pair.first) == 0)
            .map(|pair| (pair.first, pair.second))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]);
    }
}
