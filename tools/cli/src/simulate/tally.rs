//! What came of it: the journal of answers and the summary.

use anyhow::{Context, Result};
use remedis_link::{Decision, Outcome};
use serde::Serialize;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Answers as JSON lines; each is on disk before the device hears that it arrived.
pub(crate) struct Journal {
    file: File,
}

/// One line of the journal.
#[derive(Serialize)]
struct Answer {
    frame: u64,
    /// Position among the images sent, from 0.
    image: usize,
    decision: &'static str,
    class: Option<u16>,
    confidence: f64,
    model: String,
    latency_ms: u64,
}

impl Journal {
    /// Opens `path` to append to it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        Ok(Journal { file: file.with_context(|| format!("cannot open the journal {}", path.display()))? })
    }

    /// Appends one answer and waits until it is on disk.
    pub(crate) fn append(&mut self, outcome: &Outcome, image: usize, latency: Duration) -> Result<()> {
        let answer = Answer {
            frame: outcome.frame_id,
            image,
            decision: match outcome.decision {
                Decision::Class => "class",
                Decision::CannotSay => "cannot_say",
                Decision::Unreadable => "unreadable",
            },
            class: (outcome.class != Outcome::NO_CLASS).then_some(outcome.class),
            confidence: f64::from(outcome.confidence) / 10_000.0,
            model: outcome.model.iter().map(|byte| format!("{byte:02x}")).collect(),
            latency_ms: latency.as_millis() as u64,
        };
        let mut line = serde_json::to_string(&answer)?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).context("cannot write the journal")?;
        self.file.sync_data().context("cannot bring the journal to disk")
    }
}

/// Milliseconds from giving a frame to the link until its answer.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p95: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Latency {
    /// Quantiles by the nearest rank, or `None` without a measurement.
    pub(crate) fn of(mut measured_ms: Vec<u64>) -> Option<Self> {
        measured_ms.sort_unstable();
        let rank = |share: f64| (measured_ms.len() as f64 * share).ceil() as usize;
        let at = |share| measured_ms.get(rank(share).max(1) - 1).copied();
        Some(Latency { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)?, max: at(1.0)? })
    }
}

/// How a run went.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Frames given to the link.
    pub(crate) frames_sent: u64,
    /// Of these, answered.
    pub(crate) frames_answered: u64,
    /// Of these, refused by the device for good.
    pub(crate) frames_refused: u64,
    /// Frames asked for that were neither answered nor refused.
    pub(crate) unanswered: u64,
    pub(crate) retransmissions: u64,
    pub(crate) naks: u64,
    /// Times this end threw away damaged bytes and found the next packet.
    pub(crate) resyncs: u64,
    /// Times the device was gone and greeted anew.
    pub(crate) lost_sessions: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) seconds: f64,
    pub(crate) latency_ms: Option<Latency>,
    /// Ended by Ctrl-C.
    pub(crate) interrupted: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { frames_sent, frames_answered, frames_refused, unanswered, .. } = self;
        writeln!(
            f,
            "frames: {frames_sent} sent, {frames_answered} answered, {frames_refused} refused, {unanswered} unanswered"
        )?;
        let Summary { retransmissions, naks, resyncs, lost_sessions, .. } = self;
        writeln!(
            f,
            "line:   {retransmissions} retransmissions, {naks} refusals, {resyncs} resyncs, {lost_sessions} lost sessions"
        )?;
        write!(f, "bytes:  {} out, {} in, {:.1} s", self.bytes_sent, self.bytes_received, self.seconds)?;
        if let Some(Latency { p50, p95, p99, max }) = &self.latency_ms {
            write!(f, "\nanswer: {p50} ms median, {p95} ms p95, {p99} ms p99, {max} ms at most")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let latency = Latency::of((1..=100).rev().collect()).unwrap();
        assert_eq!((latency.p50, latency.p95, latency.p99, latency.max), (50, 95, 99, 100));
        assert!(Latency::of(vec![]).is_none());
    }
}
