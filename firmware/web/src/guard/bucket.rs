//! A token bucket: so much at once, so much a second afterwards.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    level: f64,
    filled: Duration,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(capacity: f64, now: Duration) -> Self {
        Self { level: capacity, filled: now }
    }

    /// Fills it up to the present.
    pub(crate) fn fill(&mut self, capacity: f64, per_second: f64, now: Duration) {
        let elapsed = now.saturating_sub(self.filled).as_secs_f64();
        self.level = (self.level + elapsed * per_second).min(capacity);
        self.filled = now;
    }

    /// How long until it holds one.
    pub(crate) fn wait(&self, per_second: f64) -> Option<Duration> {
        let missing = 1.0 - self.level;
        (missing > 0.0).then(|| Duration::try_from_secs_f64(missing / per_second).unwrap_or(Duration::MAX))
    }

    /// Takes one, also of what is not there yet down to nothing.
    pub(crate) fn take(&mut self) {
        self.level = (self.level - 1.0).max(0.0);
    }
}
