//! The best network that a watched stage has had so far, beside the checkpoint to go on from.

use burn::module::Module;
use remedis_model::Weights;

use super::{CheckpointError, Place, file, weights};

/// When a network was at its best, and by what numbers: larger is better, the first decides, the next where it is equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Steps done.
    pub step: u64,
    /// What was watched.
    pub numbers: Vec<f64>,
}

impl Score {
    /// Whether this is better than the best so far. What is not a number is not.
    #[must_use]
    pub fn beats(&self, best: Option<&Self>) -> bool {
        let is_number = self.numbers.iter().all(|number| !number.is_nan());
        is_number && best.is_none_or(|best| self.numbers > best.numbers)
    }
}

impl Place {
    /// Of the best network saved so far by the same plan from the same data.
    #[must_use]
    pub fn best_score(&self) -> Option<Score> {
        let metadata = file::metadata(&self.folder, &self.best_name())?;
        self.read_score(metadata.get("best")?)
    }

    /// Saves the best network so far in the place of the one before, half its size as a finished one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_best<M: Module>(&self, score: &Score, network: &M) -> Result<(), CheckpointError> {
        if !self.ranks.is_first() {
            return Ok(());
        }
        let numbers: Vec<String> = score.numbers.iter().map(f64::to_string).collect();
        // One entry, as several are written in no order of their own, and equal runs leave equal files.
        let best = format!("{} {} {}", self.key, score.step, numbers.join(" "));
        let weights = Weights::of(network).rounded_to_half();
        file::write(&self.folder, &self.best_name(), &[("best", best)], weights::finished(&weights))
    }

    /// The best network that was saved, and its score: `fresh` with its weights in it, for all ranks.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit `fresh`.
    pub fn best<M: Module>(&self, fresh: M) -> Result<Option<(Score, M)>, CheckpointError> {
        let file = self.best_name();
        let Some((metadata, entries)) = file::read(&self.folder, &file, &self.ranks)? else { return Ok(None) };
        let Some(score) = metadata.get("best").and_then(|best| self.read_score(best)) else { return Ok(None) };
        let damaged = |found| CheckpointError::Damaged { file, found };
        weights::read(entries, "").apply(fresh).map(|network| Some((score, network))).map_err(damaged)
    }

    /// Removes the best network, where the finished one is the same.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn remove_best(&self) -> Result<(), CheckpointError> {
        if self.ranks.is_first() { file::remove(&self.folder, &self.best_name()) } else { Ok(()) }
    }

    /// A score as it is written, if it is of this key.
    fn read_score(&self, written: &str) -> Option<Score> {
        let mut words = written.strip_prefix(&self.key)?.split_whitespace();
        let step = words.next()?.parse().ok()?;
        let numbers = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Score { step, numbers })
    }

    fn best_name(&self) -> String {
        format!("{}.best.safetensors", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    fn score(step: u64, numbers: &[f64]) -> Score {
        Score { step, numbers: numbers.to_vec() }
    }

    #[test]
    fn the_first_number_decides_then_the_next_and_equals_do_not_beat_each_other() {
        let best = score(1, &[0.5, -1.0]);
        assert!(best.beats(None));
        assert!(score(2, &[0.6, -9.0]).beats(Some(&best)));
        assert!(score(2, &[0.5, -0.9]).beats(Some(&best)));
        assert!(!score(2, &[0.5, -1.0]).beats(Some(&best)));
        assert!(!score(2, &[0.4, 0.0]).beats(Some(&best)));
        assert!(!score(2, &[f64::NAN, 0.0]).beats(None) && !score(2, &[0.9, f64::NAN]).beats(Some(&best)));
    }

    #[test]
    fn the_best_network_comes_back_with_its_score_only_under_its_own_key() {
        let folder = tempfile::tempdir().unwrap();
        let fresh = || LinearConfig::new(3, 2).init(&Device::flex());
        let place = Place::new(folder.path(), "contrast", &["plan"]);
        assert_eq!(place.best_score(), None);
        assert!(place.best(fresh()).unwrap().is_none());
        let (first, second) = (fresh(), fresh());
        place.save_best(&score(40, &[0.1 + 0.2, -1e-9]), &first).unwrap();
        assert_eq!(place.best_score(), Some(score(40, &[0.1 + 0.2, -1e-9])));
        place.save_best(&score(80, &[0.5]), &second).unwrap();
        let (found, network) = place.best(fresh()).unwrap().unwrap();
        assert_eq!(found, score(80, &[0.5]));
        let saved = Weights::of(&second).rounded_to_half().sha256();
        assert_eq!(Weights::of(&network).sha256(), saved);
        let other = Place::new(folder.path(), "contrast", &["other plan"]);
        assert!(other.best_score().is_none() && other.best(fresh()).unwrap().is_none());
        place.remove_best().unwrap();
        assert!(place.best_score().is_none());
    }
}
