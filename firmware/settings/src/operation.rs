//! What is kept, and what is watched over.

use crate::explain::Explain;
use crate::{ConfigError, value};
use serde::Deserialize;
use std::path::PathBuf;

/// Models that were installed on the device.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsConfig {
    /// The folder; only the device's user may write there.
    pub folder: PathBuf,
    /// A new model may be started so often before it has proved itself; then the last good one returns.
    #[serde(default = "default_trial_starts")]
    pub trial_starts: u32,
    /// Images that a new model must answer before it counts as good.
    #[serde(default = "default_trial_answers")]
    pub trial_answers: u32,
}

/// Answers and audit log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// The answers, an SQLite database; begun when it does not exist.
    pub answers: PathBuf,
    /// The audit log, one JSON object a line; begun when it does not exist.
    pub audit: PathBuf,
    /// Older answers are removed, in days; 0 keeps them all.
    #[serde(default)]
    pub max_age_days: u32,
    /// The oldest answers are removed when all take more than this, in megabytes; 0 sets no limit.
    #[serde(default)]
    pub max_megabytes: u32,
}

/// Bounds that mark a result or the device as unwell.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// A result counts as old after this long, in seconds, and is marked so.
    pub stale_after_s: u64,
    /// Longest time spent on the heat-map of a result, in milliseconds; 0 makes none.
    pub heat_map_ms: u64,
    /// Alarm when less than this is free where answers are kept, in megabytes.
    pub min_free_megabytes: u64,
    /// Alarm above this temperature, in degrees Celsius.
    pub max_celsius: f64,
    /// Where the kernel tells the temperature, in thousandths of a degree.
    pub thermometer: Option<PathBuf>,
    /// An image that takes longer than this to answer means that the device hangs: systemd starts it again. In seconds.
    pub longest_answer_s: u64,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            stale_after_s: 300,
            heat_map_ms: 500,
            min_free_megabytes: 100,
            max_celsius: 85.0,
            thermometer: None,
            longest_answer_s: 60,
        }
    }
}

fn default_trial_starts() -> u32 {
    3
}
fn default_trial_answers() -> u32 {
    3
}

impl ModelsConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.trial_starts == 0 {
            return value("models.trial_starts", 0, "at least 1");
        }
        Ok(())
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        lines.path("folder", &self.folder, "installed models, the active one and the last good one");
        lines.value(
            "trial_starts",
            self.trial_starts,
            "a new model that is started so often without proving itself is given up",
        );
        lines.value("trial_answers", self.trial_answers, "images a new model must answer before it counts as good");
    }
}

impl JournalConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.answers == self.audit {
            return value("journal.audit", self.audit.display(), "another file than journal.answers");
        }
        if (1..4).contains(&self.max_megabytes) {
            return value("journal.max_megabytes", self.max_megabytes, "0, or at least 4");
        }
        Ok(())
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        lines.within("journal", |lines| {
            lines.path("answers", &self.answers, "every answer, before the hardware hears it");
            lines.path("audit", &self.audit, "everything that changes behaviour, each line chained to the one before");
            let (age, size) = (self.max_age_days, self.max_megabytes);
            lines.optional("max_age_days", (age > 0).then_some(age), "older answers are removed");
            lines.optional("max_megabytes", (size > 0).then_some(size), "the oldest answers give way above this");
        });
    }
}

impl HealthConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.stale_after_s == 0 {
            return value("health.stale_after_s", 0, "at least 1");
        }
        if self.longest_answer_s == 0 {
            return value("health.longest_answer_s", 0, "at least 1");
        }
        if !self.max_celsius.is_finite() {
            return value("health.max_celsius", self.max_celsius, "a temperature in degrees Celsius");
        }
        Ok(())
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        lines.within("health", |lines| {
            lines.value("stale_after_s", self.stale_after_s, "older results are marked as old");
            lines.value("heat_map_ms", self.heat_map_ms, "longest time spent on a heat-map; 0 makes none");
            lines.value("min_free_megabytes", self.min_free_megabytes, "alarm when less of the disk is free");
            lines.value("max_celsius", self.max_celsius, "alarm above this");
            lines.optional_path("thermometer", self.thermometer.as_deref(), "where the kernel tells the temperature");
            lines.value(
                "longest_answer_s",
                self.longest_answer_s,
                "longer than this is a hang: systemd starts the device again",
            );
        });
    }
}
