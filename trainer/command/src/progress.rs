//! Progress: one redrawn block on a terminal, a plain line every ten seconds elsewhere or JSON lines where asked; and always
//! `metrics.jsonl` and TensorBoard's event files.
//!
//! Nothing here panics when standard error is gone: a terminal that closes must not cost what was not saved yet.

mod left;
mod metrics;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use remedis_train::storage::WriteError;
use remedis_train::{Observer, StepRecord, WatchRecord};
use serde::Serialize;
use serde_json::json;

use crate::arguments::ProgressForm;
use crate::run::folder::write_atomic;
use metrics::Metrics;

pub(crate) use left::Planned;

/// How often a plain line is written when nobody watches.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

const TEMPLATE: &str = "{prefix}\n{bar:48.cyan/blue} {pos}/{len}  {percent} %  about {eta} left in this stage\n{msg}";

/// Shows and records what the stages do.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    is_json: bool,
    metrics: Option<Metrics>,
    planned: Vec<Planned>,
    stage: String,
    stage_began: Instant,
    first_step: Option<(u64, Instant)>,
    spoke: Instant,
    last: Option<StepRecord>,
    /// Balanced accuracy of the neighbours' last vote.
    last_knn: Option<f64>,
    timings: BTreeMap<String, f64>,
    /// First failure to write metrics, reported when the stage is over: observers cannot fail.
    failure: Option<WriteError>,
}

/// A line on standard error, if anybody listens.
pub(crate) fn tell(line: &str) {
    // A closed terminal or pipe is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Progress {
    /// Appends to `metrics.jsonl` of a run folder and begins an event file beside it; `planned` names all stages in order.
    pub(crate) fn open(out: &Path, planned: Vec<Planned>, form: ProgressForm) -> Result<Self> {
        let timings = std::fs::read(out.join("timings.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let metrics = Some(Metrics::open(out)?);
        Ok(Self { metrics, planned, timings: timings.unwrap_or_default(), ..Self::shown(form)? })
    }

    /// Progress that is only told, for verbs without a run folder.
    pub(crate) fn spoken(planned: Vec<String>) -> Result<Self> {
        let planned = planned.into_iter().map(Planned::untrained).collect();
        Ok(Self { planned, ..Self::shown(ProgressForm::Auto)? })
    }

    fn shown(form: ProgressForm) -> Result<Self> {
        let style = ProgressStyle::with_template(TEMPLATE).context("the progress template")?;
        let bar = (form == ProgressForm::Auto && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
            bar.set_style(style);
            bar
        });
        let now = Instant::now();
        Ok(Self {
            bar,
            is_json: form == ProgressForm::Json,
            metrics: None,
            planned: Vec::new(),
            stage: String::new(),
            stage_began: now,
            first_step: None,
            spoke: now,
            last: None,
            last_knn: None,
            timings: BTreeMap::new(),
            failure: None,
        })
    }

    /// A stage that takes no optimiser steps begins.
    pub(crate) fn begin(&mut self, name: &str) {
        self.stage(name, 0);
    }

    /// `done` of `total` images of a stage without optimiser steps are through.
    pub(crate) fn count(&mut self, done: usize, total: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else if self.spoke.elapsed() >= PLAIN_EVERY {
            self.spoke = Instant::now();
            let left = self.stage_began.elapsed().mul_f64(total.saturating_sub(done) as f64 / done.max(1) as f64);
            self.say(&format!("{} {done}/{total}  about {} left", self.heading(), HumanDuration(left)));
        }
    }

    /// Ends the running stage, says so where it is done, and fails if its metrics could not be written.
    fn end_stage(&mut self, is_done: bool) -> Result<()> {
        if !self.stage.is_empty() {
            let seconds = self.stage_began.elapsed();
            if is_done && self.is_json {
                tell(&json!({"stage": self.stage, "seconds": seconds.as_secs_f64()}).to_string());
            } else if is_done {
                let ending = self.last.as_ref().map(|r| format!(", loss {:.4}", r.loss)).unwrap_or_default();
                self.say(&format!("{} done in {}{ending}", self.heading(), HumanDuration(seconds)));
            }
            *self.timings.entry(std::mem::take(&mut self.stage)).or_default() += seconds.as_secs_f64();
        }
        match self.failure.take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Writes how long each stage took, resumed parts added up, and clears the block. `is_done` says whether the last one was not
    /// interrupted.
    pub(crate) fn finish(&mut self, out: &Path, is_done: bool) -> Result<()> {
        let ended = self.close(is_done);
        write_atomic(&out.join("timings.json"), &serde_json::to_vec_pretty(&self.timings)?)?;
        ended
    }

    /// Ends the running stage, which was not interrupted where `is_done`, and clears the block.
    pub(crate) fn close(&mut self, is_done: bool) -> Result<()> {
        let ended = self.end_stage(is_done);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        ended
    }

    fn heading(&self) -> String {
        match self.planned.iter().position(|planned| planned.name == self.stage) {
            Some(place) => format!("[{}/{}] {}", place + 1, self.planned.len(), self.stage),
            None => self.stage.clone(),
        }
    }

    /// A line that stays.
    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(line)),
            None if self.is_json => tell(&json!({"note": line}).to_string()),
            None => tell(line),
        }
    }

    fn record(&mut self, line: &impl Serialize, stage: &str, step: u64, values: &[(&str, f64)]) {
        if let Some(Err(error)) = self.metrics.as_mut().map(|metrics| metrics.record(line, stage, step, values)) {
            self.failure.get_or_insert(error);
        }
    }

    /// Time left in the stage and in the run, from the steps done since this process began the stage.
    fn left(&self, record: &StepRecord) -> Option<(Duration, Option<Duration>)> {
        let (step, at) = self.first_step?;
        let done = record.step.checked_sub(step).filter(|&done| done > 0)?;
        let a_step = at.elapsed().div_f64(done as f64);
        let stage = a_step.mul_f64(record.total.saturating_sub(record.step) as f64);
        let later = left::later(&self.planned, &record.stage, a_step.mul_f64(record.total as f64));
        Some((stage, later.map(|later| stage + later)))
    }
}

impl Observer for Progress {
    fn stage(&mut self, name: &str, total_steps: u64) {
        if let Err(error) = self.end_stage(true) {
            self.say(&format!("warning: {error:#}"));
        }
        name.clone_into(&mut self.stage);
        (self.stage_began, self.first_step, self.last) = (Instant::now(), None, None);
        self.spoke = self.stage_began;
        match &self.bar {
            Some(bar) => {
                bar.reset();
                bar.set_length(total_steps);
                bar.set_prefix(self.heading());
                bar.set_message("");
            }
            None if self.is_json => tell(&json!({"stage": name, "total": total_steps}).to_string()),
            None => self.say(&self.heading()),
        }
    }

    fn step(&mut self, record: &StepRecord) {
        let values = [
            ("loss", record.loss),
            ("learning_rate", record.learning_rate),
            ("gradient_norm", record.gradient_norm),
            ("loss_scale", record.loss_scale),
            ("skipped_steps", record.skipped_steps as f64),
            ("images_per_second", record.images_per_second),
            ("waiting_share", record.waiting_share),
        ];
        self.record(record, &record.stage, record.step, &values);
        if self.first_step.is_none() {
            self.first_step = Some((record.step, Instant::now()));
            if let Some(bar) = &self.bar {
                // A resumed stage has not done its first steps just now.
                bar.set_position(record.step);
                bar.reset_eta();
            }
        }
        let state = format!(
            "loss {:.4}  learning rate {:.4}  gradient norm {:.3}  {:.0} images/s  waiting {:.0} %",
            record.loss,
            record.learning_rate,
            record.gradient_norm,
            record.images_per_second,
            100.0 * record.waiting_share
        );
        let left = self.left(record);
        if let Some(bar) = &self.bar {
            bar.set_position(record.step);
            let run = left.and_then(|(_, run)| run);
            bar.set_message(match run {
                Some(run) => format!("{state}\nabout {} left to train in the whole run", HumanDuration(run)),
                None => state,
            });
        } else if self.is_json {
            tell(&serde_json::to_string(record).expect("a record holds only numbers and a name"));
        } else if self.spoke.elapsed() >= PLAIN_EVERY {
            self.spoke = Instant::now();
            let left = match left {
                Some((stage, Some(run))) => {
                    format!("  about {} left, {} in the whole run", HumanDuration(stage), HumanDuration(run))
                }
                Some((stage, None)) => format!("  about {} left", HumanDuration(stage)),
                None => String::new(),
            };
            self.say(&format!("{} {}/{}  {state}{left}", self.heading(), record.step, record.total));
        }
        self.last = Some(record.clone());
    }

    fn note(&mut self, text: &str) {
        self.say(text);
    }

    fn watch(&mut self, record: &WatchRecord) {
        let mut values = vec![("spread", record.spread), ("dimensions", record.dimensions)];
        values.extend(record.knn.map(|knn| ("knn", knn)));
        self.record(record, &record.stage, record.watched_step, &values);
        if self.is_json {
            tell(&serde_json::to_string(record).expect("a record holds only numbers and words"));
        } else {
            self.say(&watched(record, self.last_knn));
        }
        self.last_knn = record.knn.or(self.last_knn);
    }
}

/// What was seen of a network, in one line, and a second one where something is wrong.
fn watched(record: &WatchRecord, before: Option<f64>) -> String {
    let knn = record.knn.map_or(String::new(), |knn| {
        let trend = before.map_or(String::new(), |before| format!(" ({:+.3})", knn - before));
        format!("neighbours vote {knn:.3}{trend}, ")
    });
    let alarm = record.alarm.as_ref().map_or(String::new(), |alarm| format!("\nwarning: {alarm}"));
    format!(
        "{} {}/{}  {knn}spread {:.2}, {:.1} directions{alarm}",
        record.stage, record.watched_step, record.total, record.spread, record.dimensions
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(step: u64) -> StepRecord {
        StepRecord {
            stage: "contrast".to_owned(),
            step,
            total: 10,
            loss: 1.5,
            learning_rate: 0.1,
            gradient_norm: 2.0,
            loss_scale: 1.0,
            skipped_steps: 0,
            images_per_second: 100.0,
            waiting_share: 0.25,
        }
    }

    fn open(folder: &Path) -> Progress {
        let planned = vec![Planned { name: "contrast".to_owned(), images: 320 }];
        Progress::open(folder, planned, ProgressForm::Plain).unwrap()
    }

    #[test]
    fn a_look_is_told_with_its_trend_and_its_alarm() {
        let look = WatchRecord {
            stage: "contrast".to_owned(),
            watched_step: 5,
            total: 10,
            spread: 0.8,
            dimensions: 12.34,
            knn: Some(0.7),
            alarm: None,
        };
        assert_eq!(
            watched(&look, Some(0.65)),
            "contrast 5/10  neighbours vote 0.700 (+0.050), spread 0.80, 12.3 directions"
        );
        let blind = WatchRecord { knn: None, alarm: Some("it collapses".to_owned()), ..look };
        assert_eq!(watched(&blind, None), "contrast 5/10  spread 0.80, 12.3 directions\nwarning: it collapses");
    }

    #[test]
    fn a_killed_runs_half_line_is_dropped_and_the_rest_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut progress = open(folder.path());
        progress.stage("contrast", 10);
        progress.step(&record(1));
        drop(progress);
        let path = folder.path().join("metrics.jsonl");
        let mut torn = std::fs::read_to_string(&path).unwrap();
        torn.push_str(r#"{"stage":"contr"#);
        std::fs::write(&path, torn).unwrap();
        let mut progress = open(folder.path());
        progress.stage("contrast", 10);
        progress.step(&record(2));
        progress.finish(folder.path(), true).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let steps: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, [1, 2]);
        let timings = std::fs::read_to_string(folder.path().join("timings.json")).unwrap();
        assert!(timings.contains("contrast"), "{timings}");
    }
}
