//! A few real steps of every stage, on a sample of the images, in a folder that is thrown away.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::tensor::Device;
use remedis_data::Split;
use remedis_model::Classifier;
use remedis_ranks::Ranks;
use remedis_train::{
    Detail, Observer, Plan, Pool, Session, Start, StepRecord, TrainError, WatchRecord, backbone, contrast, distil,
    finetune, grid_names, pretrain, self_distil,
};
use serde::Serialize;

use crate::run::courses::{self, Course};
use crate::run::sets::{Set, Sets};
use crate::run::teach;

/// Steps of a stage, of which the first is not counted where there are more: it allocates and warms caches.
const STEPS: usize = 4;
/// A stage whose steps take longer than this in all is not asked for another.
const LONGEST: Duration = Duration::from_secs(60);

/// What one kind of stage will take.
#[derive(Debug, Serialize)]
pub(super) struct StageTime {
    pub(super) stage: &'static str,
    /// How often it comes in a run.
    pub(super) times: usize,
    /// Steps each time.
    pub(super) steps: u64,
    pub(super) images_per_second: f64,
    /// Of all its steps every time.
    pub(super) seconds: f64,
}

/// Stops a stage after [`STEPS`] and keeps their times.
struct Watch<'a> {
    stop: &'a AtomicBool,
    began: Instant,
    took: Vec<Duration>,
}

impl Observer for Watch<'_> {
    fn stage(&mut self, _name: &str, _total_steps: u64) {
        self.began = Instant::now();
    }

    fn step(&mut self, _record: &StepRecord) {
        self.took.push(self.began.elapsed());
        self.began = Instant::now();
        if self.took.len() >= STEPS || self.took.iter().sum::<Duration>() > LONGEST {
            self.stop.store(true, Ordering::SeqCst);
        }
    }

    fn note(&mut self, _text: &str) {}
    fn watch(&mut self, _record: &WatchRecord) {}
}

/// Runs the first steps of every stage of a run.
pub(super) fn time(plan: &Plan, sets: &Sets, device: &Device) -> Result<Vec<StageTime>> {
    let n_classes = sets.classes.len();
    let largest = [plan.pretrain.batch, plan.contrast.batch, plan.finetune.batch, plan.distil.batch];
    let wanted = STEPS * largest.into_iter().max().unwrap_or(1);
    let train = sample(plan, &sets.data, wanted, &sets.classes);
    let noise = backbone(plan, plan.seed, device);
    let mut stages = Vec::new();
    let mut add = |stage, times, course: Course, work: &dyn Fn(&mut Session) -> Result<(), TrainError>| -> Result<()> {
        let seconds = seconds_a_step(plan, device, work).with_context(|| format!("timing steps of {stage}"))?;
        stages.push(StageTime {
            stage,
            times,
            steps: course.steps,
            images_per_second: course.images as f64 / seconds,
            seconds: seconds * (course.steps * times as u64) as f64,
        });
        Ok(())
    };
    if let (Some(set), Some(n)) = (&sets.natural, courses::natural_images(sets)) {
        let natural = sample(plan, set, wanted, &set.index.classes());
        add("pretrain", 1, courses::pretrain(plan, n), &|session| pretrain(session, &natural).map(drop))?;
    }
    let (n, n_patients) = courses::training_images(sets);
    if plan.contrast.epochs > 0 {
        let course = courses::contrast(plan, n, n_patients);
        add("contrast", 1, course, &|session| contrast(session, noise.clone(), &train, None).map(drop))?;
    }
    let adaptations = if sets.shifted.is_some() { teach::adaptations(plan).len() } else { 0 };
    let n_labels = courses::labels(plan, n);
    let times = 2 * grid_names(plan, "finetune", n_labels).len() + adaptations;
    add("finetune", times, courses::finetune(plan, n_labels), &|session| {
        finetune(session, "finetune", Start::Backbone(noise.clone()), &train, n_classes).map(drop)
    })?;
    let teacher = Classifier::new(noise.clone(), n_classes, device);
    if plan.self_distil.epochs > 0 {
        add("self_distil", 1, courses::self_distil(plan, n), &|session| {
            self_distil(session, &teacher, Start::Backbone(noise.clone()), &train).map(drop)
        })?;
    }
    add("distil", 1, courses::distil(plan, n), &|session| distil(session, &teacher, &train).map(drop))?;
    Ok(stages)
}

/// Seconds of one step, from the first steps of the stage that `work` is.
fn seconds_a_step(plan: &Plan, device: &Device, work: &dyn Fn(&mut Session) -> Result<(), TrainError>) -> Result<f64> {
    let folder = tempfile::tempdir().context("making a folder to throw away")?;
    let stop = AtomicBool::new(false);
    let mut watch = Watch { stop: &stop, began: Instant::now(), took: Vec::new() };
    let ended = work(&mut Session {
        plan,
        out: folder.path(),
        device: device.clone(),
        ranks: Ranks::alone(),
        observer: &mut watch,
        save_every: Duration::MAX,
        keep: 1,
        stop: &stop,
    });
    match ended {
        Ok(()) | Err(TrainError::Interrupted { .. }) => Ok(typical(&watch.took)),
        Err(error) => Err(error.into()),
    }
}

/// The mean of all steps but the first, where there are others.
fn typical(took: &[Duration]) -> f64 {
    let counted = if took.len() > 1 { &took[1..] } else { took };
    counted.iter().map(Duration::as_secs_f64).sum::<f64>() / counted.len().max(1) as f64
}

/// About `wanted` labelled training images of a set: first one of each patient, as a batch of pairs has no patient twice, then others.
fn sample(plan: &Plan, set: &Set, wanted: usize, classes: &[String]) -> Pool {
    let mut seen = BTreeSet::new();
    let rows = set.rows(&[Split::Train]).into_iter().filter(|&row| set.is_labelled(row, classes));
    let (first, others): (Vec<usize>, Vec<usize>) =
        rows.partition(|&row| set.index.rows[row].patient.as_ref().is_none_or(|patient| seen.insert(patient)));
    let mut rows: Vec<usize> = first.into_iter().chain(others).take(wanted).collect();
    rows.sort_unstable();
    Pool::load(&set.index, &rows, &plan.input.preprocessing(), Detail::Twice, classes).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_not_counted_where_there_are_others() {
        let seconds = |all: &[u64]| typical(&all.iter().map(|&s| Duration::from_secs(s)).collect::<Vec<_>>());
        assert_eq!(seconds(&[9, 1, 3]), 2.0);
        assert_eq!(seconds(&[9]), 9.0);
    }

    #[test]
    fn a_watched_stage_is_asked_to_stop_after_a_few_steps() {
        let stop = AtomicBool::new(false);
        let mut watch = Watch { stop: &stop, began: Instant::now(), took: Vec::new() };
        let record = StepRecord {
            stage: "distil".to_owned(),
            step: 1,
            total: 100,
            loss: 1.0,
            learning_rate: 0.1,
            gradient_norm: 1.0,
            loss_scale: 1.0,
            skipped_steps: 0,
            images_per_second: 1.0,
            waiting_share: 0.0,
        };
        for step in 1..=STEPS {
            assert!(!stop.load(Ordering::SeqCst), "{step}");
            watch.step(&record);
        }
        assert!(stop.load(Ordering::SeqCst));
    }
}
