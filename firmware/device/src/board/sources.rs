//! Where images come from, as people see it.

use std::collections::BTreeMap;

/// What a source is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceState {
    /// Open, and nothing is heard of it.
    #[default]
    Waiting,
    /// There, with nothing to hand in.
    Connected,
    /// An image is coming in.
    Receiving {
        /// How much of it, 0 to 100.
        percent: u8,
    },
    /// Not there, or there and of no use.
    Lost,
}

/// A source and what it has met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// As settings and journal call it.
    pub name: &'static str,
    /// What it is doing.
    pub state: SourceState,
    /// Why it is lost, in words.
    pub trouble: Option<String>,
    /// Images answered.
    pub n_answers: u64,
    /// Live images that were passed over.
    pub n_skipped: u64,
    /// What its line has met, by kind.
    pub counters: BTreeMap<&'static str, u64>,
}

impl SourceStatus {
    /// The counters that tell of something wrong on the line.
    pub fn n_errors(&self) -> u64 {
        const ERRORS: [&str; 6] = ["corrupt", "malformed", "damaged_images", "resyncs", "timeouts", "failed"];
        ERRORS.iter().filter_map(|kind| self.counters.get(kind)).sum()
    }
}
