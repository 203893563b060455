//! Progress: one redrawn block on a terminal, a plain line every ten seconds elsewhere, and `metrics.jsonl` always.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use remedis_train::{Observer, StepRecord, WatchRecord};
use serde::Serialize;

use crate::run::folder::write_atomic;

/// How often a plain line is written when nobody watches.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

const TEMPLATE: &str = "{prefix}\n{bar:48.cyan/blue} {pos}/{len}  {percent} %  about {eta} left in this stage\n{msg}";

/// Shows and records what the stages do.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    metrics: Option<File>,
    planned: Vec<String>,
    stage: String,
    stage_began: Instant,
    first_step: Option<(u64, Instant)>,
    spoke: Instant,
    last: Option<StepRecord>,
    /// Balanced accuracy of the neighbours' last vote.
    last_knn: Option<f64>,
    timings: BTreeMap<String, f64>,
    /// First failure to write `metrics.jsonl`, reported when the stage is over: observers cannot fail.
    failure: Option<std::io::Error>,
}

impl Progress {
    /// Appends to `metrics.jsonl` of a run folder; `planned` names all stages in order. A half-written last line of a killed run is dropped.
    pub(crate) fn open(out: &Path, planned: Vec<String>) -> Result<Self> {
        let path = out.join("metrics.jsonl");
        let metrics = open_at_whole_line(&path).with_context(|| format!("opening {}", path.display()))?;
        let timings = std::fs::read(out.join("timings.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Ok(Self { metrics: Some(metrics), timings: timings.unwrap_or_default(), ..Self::spoken(planned)? })
    }

    /// Progress that is only told, for verbs without a run folder.
    pub(crate) fn spoken(planned: Vec<String>) -> Result<Self> {
        let style = ProgressStyle::with_template(TEMPLATE).context("the progress template")?;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
            bar.set_style(style);
            bar
        });
        let now = Instant::now();
        Ok(Self {
            bar,
            metrics: None,
            planned,
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
            self.say(&format!("{} {done}/{total}", self.heading()));
        }
    }

    /// Ends the running stage and fails if its metrics could not be written.
    pub(crate) fn end_stage(&mut self) -> Result<()> {
        if !self.stage.is_empty() {
            let seconds = self.stage_began.elapsed();
            let ending = self.last.as_ref().map(|r| format!(", loss {:.4}", r.loss)).unwrap_or_default();
            self.say(&format!("{} done in {}{ending}", self.heading(), HumanDuration(seconds)));
            *self.timings.entry(std::mem::take(&mut self.stage)).or_default() += seconds.as_secs_f64();
        }
        match self.failure.take() {
            Some(error) => Err(error).context("writing metrics.jsonl; is the disk full?"),
            None => Ok(()),
        }
    }

    /// Writes how long each stage took, resumed parts added up, and clears the block.
    pub(crate) fn finish(&mut self, out: &Path) -> Result<()> {
        let ended = self.close();
        write_atomic(&out.join("timings.json"), &serde_json::to_vec_pretty(&self.timings)?)?;
        ended
    }

    /// Ends the running stage and clears the block.
    pub(crate) fn close(&mut self) -> Result<()> {
        let ended = self.end_stage();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        ended
    }

    fn heading(&self) -> String {
        match self.planned.iter().position(|name| *name == self.stage) {
            Some(place) => format!("[{}/{}] {}", place + 1, self.planned.len(), self.stage),
            None => self.stage.clone(),
        }
    }

    /// A line that stays.
    fn say(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
        self.spoke = Instant::now();
    }

    fn record(&mut self, record: &impl Serialize) {
        let Some(metrics) = &mut self.metrics else { return };
        let mut line = serde_json::to_vec(record).expect("a record holds only numbers and a name");
        line.push(b'\n');
        if let Err(error) = metrics.write_all(&line)
            && self.failure.is_none()
        {
            self.failure = Some(error);
        }
    }

    /// Time left in the stage, from the steps done since this process began it.
    fn left(&self, record: &StepRecord) -> Option<Duration> {
        let (step, at) = self.first_step?;
        let done = record.step.checked_sub(step).filter(|&done| done > 0)?;
        let left = record.total.saturating_sub(record.step);
        Some(at.elapsed().mul_f64(left as f64 / done as f64))
    }
}

impl Observer for Progress {
    fn stage(&mut self, name: &str, total_steps: u64) {
        if let Err(error) = self.end_stage() {
            self.say(&format!("warning: {error:#}"));
        }
        name.clone_into(&mut self.stage);
        (self.stage_began, self.first_step, self.last) = (Instant::now(), None, None);
        match &self.bar {
            Some(bar) => {
                bar.reset();
                bar.set_length(total_steps);
                bar.set_prefix(self.heading());
                bar.set_message("");
            }
            None => self.say(&self.heading()),
        }
    }

    fn step(&mut self, record: &StepRecord) {
        self.record(record);
        self.first_step.get_or_insert((record.step, Instant::now()));
        let state = format!(
            "loss {:.4}  learning rate {:.4}  gradient norm {:.3}  {:.0} images/s  waiting {:.0} %",
            record.loss,
            record.learning_rate,
            record.gradient_norm,
            record.images_per_second,
            100.0 * record.waiting_share
        );
        if let Some(bar) = &self.bar {
            bar.set_position(record.step);
            bar.set_message(state);
        } else if self.spoke.elapsed() >= PLAIN_EVERY {
            let left = self.left(record).map(|d| format!("  about {} left", HumanDuration(d))).unwrap_or_default();
            self.say(&format!("{} {}/{}  {state}{left}", self.heading(), record.step, record.total));
        }
        self.last = Some(record.clone());
    }

    fn note(&mut self, text: &str) {
        self.say(text);
    }

    fn watch(&mut self, record: &WatchRecord) {
        self.record(record);
        self.say(&watched(record, self.last_knn));
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

fn open_at_whole_line(path: &Path) -> std::io::Result<File> {
    let written = match std::fs::read(path) {
        Ok(bytes) => bytes.iter().rposition(|&b| b == b'\n').map_or(0, |place| place + 1),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let file = File::options().append(true).create(true).open(path)?;
    file.set_len(written as u64)?;
    Ok(file)
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
            images_per_second: 100.0,
            waiting_share: 0.25,
        }
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
        let mut progress = Progress::open(folder.path(), vec!["contrast".to_owned()]).unwrap();
        progress.stage("contrast", 10);
        progress.step(&record(1));
        drop(progress);
        let path = folder.path().join("metrics.jsonl");
        let mut torn = std::fs::read_to_string(&path).unwrap();
        torn.push_str(r#"{"stage":"contr"#);
        std::fs::write(&path, torn).unwrap();
        let mut progress = Progress::open(folder.path(), vec!["contrast".to_owned()]).unwrap();
        progress.stage("contrast", 10);
        progress.step(&record(2));
        progress.finish(folder.path()).unwrap();
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
