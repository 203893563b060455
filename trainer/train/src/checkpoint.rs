//! Training checkpoints: weights, optimiser state and step, whole or not at all on disk.
//!
//! A checkpoint carries a *key*: the SHA-256 of everything that decides what it holds. A file with another key is never used,
//! so a changed plan or changed data trains again, and an unchanged one does not. Files are safetensors: final ones hold the
//! network under its own tensor names, kernels in 16 bits (a run of the largest teacher keeps eleven networks of 232 million
//! weights, 5 GB instead of 10), as does the best one of a stage that is watched; partial ones hold every bit under `weights.`,
//! beside the optimiser's state. Of these the newest few are kept, so that a file that a disk has lost costs minutes.

mod best;
mod file;
mod partial;
mod weights;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Tensor;
use sha2::{Digest, Sha256};

pub use best::Score;
use file::{read, write};
use remedis_model::Weights;
use remedis_ranks::Ranks;

use crate::precision::LossScale;
use crate::storage::WriteError;

/// Why a checkpoint could not be read or written. `file` is a file name, never a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system refused.
    #[error("cannot {action} checkpoint {file}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It could not be written; the checkpoint before it is still whole.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The content is not what a checkpoint of this network holds.
    #[error("checkpoint {file} is damaged: {found}; delete it to run its stage again")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        found: String,
    },
}

/// Where the checkpoints of one stage lie, and what they must have been made from.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
    name: String,
    key: String,
    ranks: Ranks,
    /// Partial checkpoints that are kept.
    keep: usize,
}

/// What a search for a finished checkpoint found.
#[derive(Debug)]
pub enum Finished<M> {
    /// The stage is done; here is its network.
    Yes(M),
    /// Nothing was saved.
    No,
    /// Something was saved, by another plan or from other data.
    Stale,
}

/// A stage under way.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// The whole training network.
    pub weights: Weights,
    /// The optimiser's state, as Burn writes it.
    pub optimiser: Vec<u8>,
    /// Newer files that could not be read, newest first, and what is wrong with each.
    pub passed_over: Vec<String>,
    /// The loss scale and what moves it.
    pub loss_scale: LossScale,
}

impl Place {
    /// The place of stage `name` in the run folder `out`; `decides` is everything that decides the result.
    #[must_use]
    pub fn new(out: &Path, name: &str, decides: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in decides {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let (folder, key) = (out.join("checkpoints"), hex(&hasher.finalize()));
        Self { folder, name: name.to_owned(), key, ranks: Ranks::alone(), keep: 1 }
    }

    /// The same place for all of these ranks: the first reads and writes, the others get what it read.
    #[must_use]
    pub fn among(self, ranks: &Ranks) -> Self {
        Self { ranks: ranks.clone(), ..self }
    }

    /// The same place, where this many of the newest partial checkpoints are kept; at least one is.
    #[must_use]
    pub fn keeping(self, keep: usize) -> Self {
        Self { keep: keep.max(1), ..self }
    }

    /// Whether all ranks hold the same weights, bit for bit.
    #[must_use]
    pub fn is_alike_everywhere<M: Module>(&self, network: &M) -> bool {
        if !self.ranks.are_several() {
            return true;
        }
        // Bytes of the digest as whole numbers, which no sum rounds.
        let own: Vec<f32> = Weights::of(network).sha256().bytes().map(f32::from).collect();
        let count = self.ranks.count() as f32;
        self.ranks.sum(own.clone()).iter().zip(own).all(|(sum, own)| *sum == own * count)
    }

    /// The finished network: `fresh`, with the saved weights in it. What was saved on the way goes, where a kill came between
    /// [`finish`](Self::finish)'s writing and its clearing up.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit `fresh`, or another cannot be removed.
    pub fn finished<M: Module>(&self, fresh: M) -> Result<Finished<M>, CheckpointError> {
        let file = self.final_name();
        let Some((metadata, entries)) = read(&self.folder, &file, &self.ranks)? else { return Ok(Finished::No) };
        if metadata.get("key") != Some(&self.key) {
            return Ok(Finished::Stale);
        }
        let weights = weights::read(entries, "");
        let damaged = |found| CheckpointError::Damaged { file, found };
        let network = weights.apply(fresh).map_err(damaged)?;
        if self.ranks.is_first() {
            self.remove_partial()?;
        }
        Ok(Finished::Yes(network))
    }

    /// Saves the finished network, removes what was saved on the way and gives back the network as the file holds it, so
    /// that going on from it and reading it later are the same.
    ///
    /// # Errors
    /// If a file cannot be written or removed.
    ///
    /// # Panics
    /// Never: the weights are the network's own.
    pub fn finish<M: Module>(&self, network: M) -> Result<M, CheckpointError> {
        let weights = Weights::of(&network).rounded_to_half();
        if !self.ranks.is_first() {
            return Ok(weights.apply(network).expect("a network's own weights fit it"));
        }
        write(&self.folder, &self.final_name(), &[("key", self.key.clone())], weights::finished(&weights))?;
        self.remove_partial()?;
        Ok(weights.apply(network).expect("a network's own weights fit it"))
    }

    fn final_name(&self) -> String {
        format!("{}.safetensors", self.name)
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The values of a tensor in row-major order.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("the data was just converted to f32")
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    pub(super) fn network(device: &Device) -> Linear {
        let fresh = LinearConfig::new(3, 2).init(device);
        let _ = Weights::of(&fresh);
        fresh
    }

    #[test]
    fn a_finished_network_comes_back_only_under_its_own_key() {
        let folder = tempfile::tempdir().unwrap();
        let device = Device::flex();
        let place = Place::new(folder.path(), "pretrain", &["plan", "data"]);
        assert!(matches!(place.finished(network(&device)).unwrap(), Finished::No));
        let saved = network(&device);
        let saved = place.finish(saved).unwrap();
        let Finished::Yes(loaded) = place.finished(network(&device)).unwrap() else { panic!("not found") };
        assert_eq!(Weights::of(&loaded).sha256(), Weights::of(&saved).sha256());
        let other = Place::new(folder.path(), "pretrain", &["plan", "other data"]);
        assert!(matches!(other.finished(network(&device)).unwrap(), Finished::Stale));
    }

    #[test]
    fn a_cut_file_is_damaged_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), "distil", &["plan"]);
        place.finish(network(&Device::flex())).unwrap();
        let path = folder.path().join("checkpoints/distil.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        let error = place.finished(network(&Device::flex())).unwrap_err().to_string();
        assert!(error.starts_with("checkpoint distil.safetensors is damaged: "), "{error}");
        assert!(error.ends_with("delete it to run its stage again"), "{error}");
    }

    #[test]
    fn another_network_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), "distil", &["plan"]);
        place.finish(network(&Device::flex())).unwrap();
        let error = place.finished(LinearConfig::new(4, 2).init(&Device::flex())).unwrap_err().to_string();
        assert!(error.contains("weight has the shape [3, 2], the network expects [4, 2]"), "{error}");
    }
}
