//! Checkpoints of a stage under way: the newest few, each with its step in its name.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Bytes;
use remedis_model::Weights;

use super::file::{self, Entry};
use super::{CheckpointError, Place, Progress, weights};
use crate::precision::LossScale;

impl Place {
    /// The newest that was saved on the way by the same plan from the same data, if anything was. A file that cannot be read is passed
    /// over for the one before it.
    ///
    /// # Errors
    /// If there are files and none can be read.
    pub fn progress(&self) -> Result<Option<Progress>, CheckpointError> {
        let (bytes, found) = if self.ranks.is_first() { self.newest()? } else { (Vec::new(), None) };
        let bytes = self.ranks.broadcast(bytes);
        // No checkpoint is empty: its header alone has bytes.
        if self.ranks.is_first() || bytes.is_empty() {
            return Ok(found);
        }
        self.read_progress(&format!("{}.partial", self.name), &bytes)
    }

    /// Saves a stage under way. Older files go when the new one is on the disk, but for as many as are kept.
    ///
    /// # Errors
    /// If the file cannot be written; those before it are still there.
    ///
    /// # Panics
    /// Never: a loss scale is finite.
    pub fn save_progress<M: Module>(
        &self,
        step: u64,
        network: &M,
        optimiser: &ModuleOptimizer,
        loss_scale: &LossScale,
    ) -> Result<(), CheckpointError> {
        if !self.ranks.is_first() {
            return Ok(());
        }
        let file = self.partial_name(step);
        let state = optimiser.into_bytes().map_err(|error| CheckpointError::Damaged {
            file: file.clone(),
            found: format!("the optimiser state cannot be written: {error}"),
        })?;
        let mut entries = weights::exact(&Weights::of(network), "weights.");
        entries.push(("optimiser".to_owned(), Entry::bytes(state.to_vec())));
        let loss_scale = serde_json::to_string(loss_scale).expect("a scale holds only finite numbers");
        let metadata = [("key", self.key.clone()), ("step", step.to_string()), ("loss_scale", loss_scale)];
        file::write(&self.folder, &file, &metadata, entries)?;
        self.remove_all_but(step)
    }

    /// Puts saved progress into a fresh network and optimiser.
    ///
    /// # Errors
    /// If what was saved does not fit them.
    pub fn restore<M: Module>(
        &self,
        progress: Progress,
        fresh: M,
        optimiser: ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), CheckpointError> {
        let damaged = |found| CheckpointError::Damaged { file: self.partial_name(progress.step), found };
        let network = progress.weights.apply(fresh).map_err(damaged)?;
        let state = Bytes::from_bytes_vec(progress.optimiser);
        let optimiser = optimiser.from_bytes(state).map_err(|error| damaged(error.to_string()))?;
        Ok((network, optimiser))
    }

    /// Removes what was saved on the way.
    pub(super) fn remove_partial(&self) -> Result<(), CheckpointError> {
        self.partial_steps()?.into_iter().try_for_each(|step| file::remove(&self.folder, &self.partial_name(step)))
    }

    /// Bytes and content of the newest file of this key that can be read.
    fn newest(&self) -> Result<(Vec<u8>, Option<Progress>), CheckpointError> {
        let (mut passed_over, mut first_error) = (Vec::new(), None);
        for step in self.partial_steps()? {
            let file = self.partial_name(step);
            let bytes = file::bytes(&self.folder, &file).map(Option::unwrap_or_default);
            match bytes.and_then(|bytes| Ok((self.read_progress(&file, &bytes)?, bytes))) {
                Ok((Some(found), bytes)) => return Ok((bytes, Some(Progress { passed_over, ..found }))),
                Ok((None, _)) => {}
                Err(error) => {
                    passed_over.push(error.to_string());
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok((Vec::new(), None)), Err)
    }

    /// What the bytes of `file` hold, if it is of this key.
    fn read_progress(&self, file: &str, bytes: &[u8]) -> Result<Option<Progress>, CheckpointError> {
        let (metadata, entries) = file::parse(file, bytes)?;
        if metadata.get("key") != Some(&self.key) {
            return Ok(None);
        }
        let damaged = |found: &str| CheckpointError::Damaged { file: file.to_owned(), found: found.to_owned() };
        let step =
            metadata.get("step").and_then(|step| step.parse().ok()).ok_or_else(|| damaged("it names no step"))?;
        let optimiser = entries.get("optimiser").ok_or_else(|| damaged("it holds no optimiser state"))?.bytes.clone();
        let loss_scale = metadata
            .get("loss_scale")
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| damaged("it names no loss scale"))?;
        let weights = weights::read(entries, "weights.");
        Ok(Some(Progress { step, weights, optimiser, loss_scale, passed_over: Vec::new() }))
    }

    /// Removes all but the newest of this key up to `step`, which is on the disk: later steps are of files that were passed over.
    fn remove_all_but(&self, step: u64) -> Result<(), CheckpointError> {
        let is_own = |other: u64| {
            let metadata = file::metadata(&self.folder, &self.partial_name(other));
            metadata.is_some_and(|metadata| metadata.get("key") == Some(&self.key))
        };
        let mut kept = 0;
        for other in self.partial_steps()? {
            if other <= step && kept < self.keep && is_own(other) {
                kept += 1;
            } else {
                file::remove(&self.folder, &self.partial_name(other))?;
            }
        }
        Ok(())
    }

    /// Steps of the files that are there, newest first, whatever their key.
    fn partial_steps(&self) -> Result<Vec<u64>, CheckpointError> {
        let wrong =
            |source| CheckpointError::File { action: "look for", file: format!("{}.partial", self.name), source };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(wrong(error)),
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(wrong)?.file_name();
            let step = name.to_str().and_then(|name| name.strip_prefix(&self.name)?.strip_prefix(".step-"));
            steps.extend(step.and_then(|step| step.strip_suffix(".partial")?.parse::<u64>().ok()));
        }
        steps.sort_unstable_by(|a, b| b.cmp(a));
        Ok(steps)
    }

    fn partial_name(&self, step: u64) -> String {
        format!("{}.step-{step}.partial", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Finished;
    use super::super::tests::network;
    use super::*;
    use crate::precision::Precision;
    use burn::nn::Linear;
    use burn::optim::{GradientsParams, SgdConfig, momentum::MomentumConfig};
    use burn::tensor::{Device, Tensor};
    use std::path::Path;

    fn sgd() -> ModuleOptimizer {
        SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init()
    }

    /// One step towards smaller outputs.
    fn step(network: Linear, optimiser: &mut ModuleOptimizer, device: &Device) -> Linear {
        let x = Tensor::<2>::from_data([[1.0, 2.0, 3.0]], device);
        let loss = network.forward(x).powf_scalar(2.0).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        optimiser.step(0.01, network, gradients)
    }

    #[test]
    fn training_goes_on_from_saved_progress_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let device = Device::flex().autodiff();
        let place = Place::new(folder.path(), "finetune", &["plan"]);
        let mut optimiser = sgd();
        let mut straight = network(&device);
        for _ in 0..2 {
            straight = step(straight, &mut optimiser, &device);
        }
        place.save_progress(2, &straight, &optimiser, &LossScale::new(Precision::F32)).unwrap();
        straight = step(straight, &mut optimiser, &device);

        let progress = place.progress().unwrap().unwrap();
        assert_eq!(progress.step, 2);
        let (resumed, mut optimiser) = place.restore(progress, network(&device), sgd()).unwrap();
        let resumed = step(resumed, &mut optimiser, &device);
        assert_eq!(Weights::of(&resumed).sha256(), Weights::of(&straight).sha256());
        place.finish(resumed).unwrap();
        assert!(place.progress().unwrap().is_none());
    }

    /// Saves these steps of one network.
    fn save(place: &Place, steps: &[u64]) {
        let device = Device::flex().autodiff();
        let mut optimiser = sgd();
        let network = step(network(&device), &mut optimiser, &device);
        steps.iter().for_each(|step| {
            place.save_progress(*step, &network, &optimiser, &LossScale::new(Precision::F32)).unwrap()
        });
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder.join("checkpoints")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    fn newest(place: &Place) -> Option<(u64, usize)> {
        place.progress().unwrap().map(|found| (found.step, found.passed_over.len()))
    }

    #[test]
    fn the_newest_few_are_kept_until_the_stage_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), "contrast", &["plan"]).keeping(2);
        assert!(place.progress().unwrap().is_none());
        save(&place, &[2, 9]);
        assert_eq!(files(folder.path()), ["contrast.step-2.partial", "contrast.step-9.partial"]);
        save(&place, &[10]);
        assert_eq!(files(folder.path()), ["contrast.step-10.partial", "contrast.step-9.partial"]);
        assert_eq!(newest(&place), Some((10, 0)));
        // A stage whose name begins alike keeps its own.
        save(&Place::new(folder.path(), "contrast.step-1", &["plan"]), &[7]);
        place.finish(network(&Device::flex())).unwrap();
        assert_eq!(files(folder.path()), ["contrast.safetensors", "contrast.step-1.step-7.partial"]);
    }

    #[test]
    fn what_a_kill_before_the_clearing_up_leaves_goes_when_the_stage_is_found_finished() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), "contrast", &["plan"]);
        place.finish(network(&Device::flex())).unwrap();
        save(&place, &[9]);
        assert_eq!(files(folder.path()), ["contrast.safetensors", "contrast.step-9.partial"]);
        assert!(matches!(place.finished(network(&Device::flex())).unwrap(), Finished::Yes(_)));
        assert_eq!(files(folder.path()), ["contrast.safetensors"]);
        // A stage of another plan is gone on with, and keeps what it has.
        save(&place, &[9]);
        let other = Place::new(folder.path(), "contrast", &["other plan"]);
        assert!(matches!(other.finished(network(&Device::flex())).unwrap(), Finished::Stale));
        assert_eq!(files(folder.path()), ["contrast.safetensors", "contrast.step-9.partial"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_passed_over_and_goes_with_the_next_save() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), "contrast", &["plan"]).keeping(2);
        save(&place, &[20, 40]);
        let newest_file = folder.path().join("checkpoints/contrast.step-40.partial");
        let bytes = std::fs::read(&newest_file).unwrap();
        std::fs::write(&newest_file, &bytes[..bytes.len() - 4]).unwrap();
        assert_eq!(newest(&place), Some((20, 1)));
        save(&place, &[21]);
        assert_eq!(files(folder.path()), ["contrast.step-20.partial", "contrast.step-21.partial"]);
        for file in files(folder.path()) {
            std::fs::write(folder.path().join("checkpoints").join(file), b"nothing").unwrap();
        }
        let error = place.progress().unwrap_err().to_string();
        assert!(error.starts_with("checkpoint contrast.step-21.partial is damaged: "), "{error}");
    }

    #[test]
    fn what_another_plan_saved_is_not_gone_on_from_and_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        save(&Place::new(folder.path(), "contrast", &["other plan"]), &[90]);
        let place = Place::new(folder.path(), "contrast", &["plan"]).keeping(3);
        assert_eq!(newest(&place), None);
        save(&place, &[1, 2]);
        assert_eq!(files(folder.path()), ["contrast.step-1.partial", "contrast.step-2.partial"]);
    }

    #[test]
    fn an_old_file_stays_when_the_new_one_cannot_be_written_and_a_half_written_one_is_no_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), "contrast", &["plan"]);
        save(&place, &[1]);
        // What a writer killed half-way leaves, and a folder where the new file should go, which no rename replaces.
        let at = |name: &str| folder.path().join("checkpoints").join(name);
        std::fs::write(at(".unfinished-x"), b"ha").unwrap();
        std::fs::create_dir(at("contrast.step-2.partial")).unwrap();
        let error = place
            .save_progress(2, &network(&Device::flex()), &sgd(), &LossScale::new(Precision::F32))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("cannot write checkpoint contrast.step-2.partial"), "{error}");
        std::fs::remove_dir(at("contrast.step-2.partial")).unwrap();
        assert_eq!(newest(&place), Some((1, 0)));
        // Killed between writing the new one and removing the old one: the new one counts, and the next save tidies.
        save(&place.clone().keeping(2), &[2]);
        assert_eq!(newest(&place), Some((2, 0)));
        save(&place, &[3]);
        assert_eq!(files(folder.path()), [".unfinished-x", "contrast.step-3.partial"]);
    }
}
