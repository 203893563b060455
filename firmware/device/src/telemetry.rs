//! Times and counts for machines: the Prometheus text of the web page, and the figures of a soak run.

mod hours;
mod recent;
mod text;

pub use text::Figures;

use crate::operation::clock::{unix_ms, up_ms};
use hours::Hours;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use recent::Recent;
use remedis_store::Verdict;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is told of each stage.
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.99, "0.99"), (0.999, "0.999")];
/// Upper ends of the histograms for Prometheus, in seconds: from a store in memory to a model that is far too large.
const BOUNDS_S: [f64; 16] =
    [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

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
    /// Of the whole run.
    times: Family<Labels, Histogram, fn() -> Histogram>,
    measured: Mutex<Measured>,
}

#[derive(Debug)]
struct Measured {
    recent: Recent,
    hours: Hours,
    /// By source, decision and reason.
    answers: BTreeMap<[&'static str; 3], u64>,
}

type Labels = Vec<(String, String)>;

impl Default for Telemetry {
    fn default() -> Self {
        let measured = Measured { recent: Recent::new(up_ms()), hours: Hours::default(), answers: BTreeMap::new() };
        let times = Family::new_with_constructor((|| Histogram::new(BOUNDS_S)) as fn() -> Histogram);
        Self { times, measured: Mutex::new(measured) }
    }
}

/// Times of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageTimes {
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
        self.times.get_or_create(&text::stage_labels(stage)).observe(took.as_secs_f64());
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.lock().recent.record(up_ms(), stage, took_us);
    }

    /// Counts an answer that was given.
    pub fn answered(&self, source: &'static str, verdict: &Verdict, reason: Option<&'static str>, whole_ms: u64) {
        let decision = match verdict {
            Verdict::Class { .. } => "class",
            Verdict::CannotSay { .. } => "cannot_say",
            Verdict::Unreadable { .. } => "unreadable",
        };
        self.observe(Stage::Whole, Duration::from_millis(whole_ms));
        let mut measured = self.lock();
        *measured.answers.entry([source, decision, reason.unwrap_or("none")]).or_default() += 1;
        measured.hours.record(unix_ms(), whole_ms);
    }

    /// The times of each stage that was measured in the last five to ten minutes, or since a start that is not so long ago.
    pub fn recent(&self) -> Vec<(Stage, StageTimes)> {
        let (now_ms, mut measured) = (up_ms(), self.lock());
        let of = |stage: Stage| {
            let times = measured.recent.of(now_ms, stage);
            let ms = QUANTILES.map(|(quantile, _)| times.value_at_quantile(quantile) as f64 / 1000.0);
            (stage, StageTimes { n: times.len(), ms })
        };
        Stage::ALL.into_iter().map(of).filter(|(_, times)| times.n > 0).collect()
    }

    /// What 50 and 95 of 100 answers took at most, in milliseconds, in the hour that `unix_ms` is of. None where this run of the device
    /// gave none, or longer ago than a day.
    pub fn hour(&self, unix_ms: u64) -> Option<[u64; 2]> {
        self.lock().hours.quantiles(unix_ms)
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
        let recent = telemetry.recent();
        let [(Stage::Judge, StageTimes { n: 1000, ms })] = recent[..] else { panic!("{recent:?}") };
        for (found, expected) in ms.into_iter().zip([500.0, 990.0, 999.0]) {
            assert!((found / expected - 1.0_f64).abs() < 0.002, "{found} for {expected}");
        }
    }
}
