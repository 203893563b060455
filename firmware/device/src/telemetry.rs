//! Times and counts for machines: the Prometheus text of the web page, and the figures of a soak run.
//!
//! Times are kept in histograms of three significant digits, so that a p99.9 is a measured one. They hold the whole run.

mod hours;

use crate::board::{Board, SourceState, State};
use crate::operation::alarm::Alarm;
use crate::operation::clock::unix_ms;
use hdrhistogram::Histogram;
use hours::Hours;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use remedis_store::Verdict;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest time that is told apart, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// What is told of each stage.
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.99, "0.99"), (0.999, "0.999")];

/// A part of the way from image to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// From the last byte to the judge.
    Wait,
    /// From a file to pixels.
    Decode,
    /// From pixels to an opinion.
    Judge,
    /// Until the answer is durable.
    Store,
    /// Where the evidence lies; after the answer was given.
    HeatMap,
    /// From the last byte until the answer is durable and told.
    Whole,
}

impl Stage {
    const ALL: [Self; 6] = [Self::Wait, Self::Decode, Self::Judge, Self::Store, Self::HeatMap, Self::Whole];

    /// As trace and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Decode => "decode",
            Self::Judge => "judge",
            Self::Store => "store",
            Self::HeatMap => "heat_map",
            Self::Whole => "whole",
        }
    }
}

/// Everything that is measured.
#[derive(Debug)]
pub struct Telemetry {
    measured: Mutex<Measured>,
}

#[derive(Debug)]
struct Measured {
    stages: Vec<Histogram<u64>>,
    hours: Hours,
    /// By source, decision and reason.
    answers: BTreeMap<[&'static str; 3], u64>,
}

impl Default for Telemetry {
    fn default() -> Self {
        let empty = || Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are constant and in order");
        let stages = Stage::ALL.iter().map(|_| empty()).collect();
        Self { measured: Mutex::new(Measured { stages, hours: Hours::default(), answers: BTreeMap::new() }) }
    }
}

/// Quantiles of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// How many were measured.
    pub n: u64,
    /// Median, 99 and 99.9 percent, in milliseconds.
    pub ms: [f64; 3],
}

impl Telemetry {
    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the time that a stage took.
    pub fn observe(&self, stage: Stage, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        self.lock().stages[stage as usize].saturating_record(took_us);
    }

    /// Counts an answer that was given.
    pub fn answered(&self, source: &'static str, verdict: &Verdict, reason: Option<&'static str>, whole_ms: u64) {
        let decision = match verdict {
            Verdict::Class { .. } => "class",
            Verdict::CannotSay { .. } => "cannot_say",
            Verdict::Unreadable { .. } => "unreadable",
        };
        let mut measured = self.lock();
        *measured.answers.entry([source, decision, reason.unwrap_or("none")]).or_default() += 1;
        measured.stages[Stage::Whole as usize].saturating_record(whole_ms.saturating_mul(1000));
        measured.hours.record(unix_ms(), whole_ms);
    }

    /// The quantiles of each stage that was measured.
    pub fn quantiles(&self) -> Vec<(Stage, Quantiles)> {
        let measured = self.lock();
        let of = |stage: Stage| {
            let times = &measured.stages[stage as usize];
            let ms = QUANTILES.map(|(quantile, _)| times.value_at_quantile(quantile) as f64 / 1000.0);
            (stage, Quantiles { n: times.len(), ms })
        };
        Stage::ALL.into_iter().map(of).filter(|(_, quantiles)| quantiles.n > 0).collect()
    }

    /// What 50 and 95 of 100 answers took at most, in milliseconds, in the hour that `unix_ms` is of. None where this run of the device
    /// gave none, or longer ago than a day.
    pub fn hour(&self, unix_ms: u64) -> Option<[u64; 2]> {
        self.lock().hours.quantiles(unix_ms)
    }

    /// All of it, and what the board shows, as OpenMetrics text.
    ///
    /// # Panics
    /// Never: text is written to memory.
    pub fn text(
        &self,
        board: &Board,
        depths: &[(&'static str, usize)],
        uptime_s: u64,
        web: &[(&'static str, u64)],
    ) -> String {
        let mut registry = Registry::with_prefix("remedis");
        self.register_times(&mut registry);
        let answers = family(&mut registry, "answers", "Answers given, by source, decision and reason");
        for ([source, decision, reason], n) in &self.lock().answers {
            let labels = vec![("source", *source), ("decision", *decision), ("reason", *reason)];
            answers.get_or_create(&owned(labels)).set(*n as f64);
        }
        let waiting = family(&mut registry, "queue_depth", "Images that wait, by source");
        for (source, n) in depths {
            waiting.get_or_create(&owned(vec![("source", source)])).set(*n as f64);
        }
        let page = family(&mut registry, "web", "What the web page has met, by kind");
        for (kind, n) in web {
            page.get_or_create(&owned(vec![("kind", kind)])).set(*n as f64);
        }
        let uptime = family(&mut registry, "uptime_seconds", "Since this run of the device began");
        uptime.get_or_create(&vec![]).set(uptime_s as f64);
        board.look(|state| register_board(&mut registry, state));
        let mut text = String::new();
        encode(&mut text, &registry).expect("memory takes text");
        text
    }

    fn register_times(&self, registry: &mut Registry) {
        let times = family(registry, "stage_seconds", "Time by stage of the way from image to answer: quantiles");
        let counts = family(registry, "stage_images", "Images that went through a stage");
        for (stage, quantiles) in self.quantiles() {
            counts.get_or_create(&owned(vec![("stage", stage.name())])).set(quantiles.n as f64);
            for ((_, name), ms) in QUANTILES.into_iter().zip(quantiles.ms) {
                let labels = owned(vec![("stage", stage.name()), ("quantile", name)]);
                times.get_or_create(&labels).set(ms / 1000.0);
            }
        }
    }
}

type Labels = Vec<(String, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

fn family(registry: &mut Registry, name: &str, help: &str) -> Gauges {
    let family = Gauges::default();
    registry.register(name, help, family.clone());
    family
}

fn owned(labels: Vec<(&str, &str)>) -> Labels {
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn register_board(registry: &mut Registry, state: &State) {
    let up = family(registry, "source_up", "Whether a source of images is there");
    let skipped = family(registry, "source_skipped", "Live images that were passed over");
    let line = family(registry, "source_line", "What the line of a source has met, by kind");
    for source in &state.sources {
        let labels = owned(vec![("source", source.name)]);
        up.get_or_create(&labels).set(f64::from(u8::from(source.state != SourceState::Lost)));
        skipped.get_or_create(&labels).set(source.n_skipped as f64);
        for (kind, n) in &source.counters {
            line.get_or_create(&owned(vec![("source", source.name), ("kind", kind)])).set(*n as f64);
        }
    }
    let alarms = family(registry, "alarm", "1 for each alarm that is on");
    for (alarm, _) in state.alarms.iter() {
        let mut labels = vec![("alarm", alarm.code())];
        if let Alarm::SourceLost(source) = alarm {
            labels.push(("source", source));
        }
        alarms.get_or_create(&owned(labels)).set(1.0);
    }
    let model = family(registry, "model_info", "1 for the model that answers");
    let name = &state.model;
    let labels = vec![("name", name.name.as_str()), ("version", &name.version), ("digest", &name.digest)];
    // A device that waits for its disk has none yet.
    if !name.digest.is_empty() {
        model.get_or_create(&owned(labels)).set(1.0);
    }
    let journal = family(registry, "journal_answers", "Answers in the journal");
    journal.get_or_create(&vec![]).set(state.n_answers as f64);
    for (known, name, help) in [
        (state.celsius, "temperature_celsius", "Of the processor"),
        (state.free_bytes.map(|bytes| bytes as f64), "disk_free_bytes", "Where answers are kept"),
    ] {
        if let Some(value) = known {
            family(registry, name, help).get_or_create(&vec![]).set(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let telemetry = Telemetry::default();
        for ms in 1..=1000 {
            telemetry.observe(Stage::Judge, Duration::from_millis(ms));
        }
        let quantiles = telemetry.quantiles();
        let [(Stage::Judge, Quantiles { n: 1000, ms })] = quantiles[..] else { panic!("{quantiles:?}") };
        for (found, expected) in ms.into_iter().zip([500.0, 990.0, 999.0]) {
            assert!((found / expected - 1.0_f64).abs() < 0.002, "{found} for {expected}");
        }
    }

    #[test]
    fn the_text_has_stages_answers_and_alarms() {
        let (telemetry, board) = (Telemetry::default(), Board::default());
        telemetry.observe(Stage::Decode, Duration::from_millis(4));
        telemetry.answered("link", &Verdict::Unreadable { reason: "no picture".into() }, Some("unreadable"), 9);
        board.raise(Alarm::Hot, "91 degrees");
        board.raise(Alarm::SourceLost("link"), "unplugged");
        let text = telemetry.text(&board, &[("link", 2)], 7, &[("logins", 3)]);
        for line in [
            "remedis_stage_seconds{stage=\"decode\",quantile=\"0.5\"} 0.004",
            "remedis_answers{source=\"link\",decision=\"unreadable\",reason=\"unreadable\"} 1",
            "remedis_queue_depth{source=\"link\"} 2",
            "remedis_alarm{alarm=\"hot\"} 1",
            "remedis_alarm{alarm=\"source_lost\",source=\"link\"} 1",
            "remedis_web{kind=\"logins\"} 3",
            "remedis_uptime_seconds 7",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
