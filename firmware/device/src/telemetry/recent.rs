//! Times of late: of the last five to ten minutes, so that a device that has become slow shows it after weeks as after an hour.

use super::Stage;
use hdrhistogram::Histogram;

/// Two of these are kept: the one under way, and the one before.
const SPAN_MS: u64 = 5 * 60_000;
/// Longest time that is told apart, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// Times by stage in histograms of three significant digits, so that a p99.9 is a measured one.
#[derive(Debug)]
pub(super) struct Recent {
    /// When the span under way began.
    since_ms: u64,
    now: Times,
    before: Times,
}

/// In microseconds, by [`Stage`].
type Times = [Histogram<u32>; Stage::ALL.len()];

impl Recent {
    /// None yet; nothing is forgotten for ten minutes from `now_ms`.
    pub(super) fn new(now_ms: u64) -> Self {
        let empty = |_| Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are constant and in order");
        let [now, before] = [(); 2].map(|()| Stage::ALL.map(empty));
        Self { since_ms: now_ms, now, before }
    }

    /// Counts the time that a stage took.
    pub(super) fn record(&mut self, now_ms: u64, stage: Stage, took_us: u64) {
        self.go_on(now_ms);
        self.now[stage as usize].saturating_record(took_us);
    }

    /// All times of a stage that are of late.
    pub(super) fn of(&mut self, now_ms: u64, stage: Stage) -> Histogram<u32> {
        self.go_on(now_ms);
        let [mut all, now] = [&self.before, &self.now].map(|times| times[stage as usize].clone());
        all += now;
        all
    }

    /// Forgets what is over.
    fn go_on(&mut self, now_ms: u64) {
        let n_spans = now_ms.saturating_sub(self.since_ms) / SPAN_MS;
        for _ in 0..n_spans.min(2) {
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.iter_mut().for_each(Histogram::reset);
        }
        self.since_ms += n_spans * SPAN_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    /// How many times of the stage are of late, and the longest of 99 in 100 of them.
    fn told(recent: &mut Recent, now_ms: u64) -> (u64, u64) {
        let times = recent.of(now_ms, Stage::Judge);
        (times.len(), times.value_at_quantile(0.99))
    }

    #[test]
    fn a_device_that_has_become_slow_shows_it_within_ten_minutes_however_long_it_was_quick() {
        let mut recent = Recent::new(0);
        (0..10_000).for_each(|minute| recent.record(minute * MINUTE_MS, Stage::Judge, 50));
        for minute in 10_000..10_010 {
            recent.record(minute * MINUTE_MS, Stage::Judge, 500);
        }
        assert_eq!(recent.of(10_010 * MINUTE_MS - 1, Stage::Judge).value_at_quantile(0.01), 500);
    }

    #[test]
    fn five_to_ten_minutes_are_kept_and_the_first_ten_whole() {
        let mut recent = Recent::new(7);
        (0..9).for_each(|minute| recent.record(7 + minute * MINUTE_MS, Stage::Judge, 50));
        assert_eq!(told(&mut recent, 6 + 10 * MINUTE_MS), (9, 50));
        recent.record(7 + 10 * MINUTE_MS, Stage::Judge, 80);
        assert_eq!(told(&mut recent, 7 + 10 * MINUTE_MS), (5, 80));
        assert_eq!(told(&mut recent, 7 + 15 * MINUTE_MS), (1, 80));
        assert_eq!(told(&mut recent, 7 + 20 * MINUTE_MS), (0, 0));
    }

    #[test]
    fn after_a_long_silence_nothing_is_of_late() {
        let mut recent = Recent::new(0);
        recent.record(0, Stage::Judge, 50);
        recent.record(9 * MINUTE_MS, Stage::Judge, 50);
        assert_eq!(told(&mut recent, 1_000 * MINUTE_MS), (0, 0));
        recent.record(1_000 * MINUTE_MS, Stage::Judge, 60);
        assert_eq!(told(&mut recent, 1_004 * MINUTE_MS), (1, 60));
    }

    #[test]
    fn a_stage_has_times_of_its_own_and_longer_ones_than_can_be_told_apart_count() {
        let mut recent = Recent::new(0);
        recent.record(0, Stage::Store, u64::MAX);
        recent.record(0, Stage::Judge, 50);
        assert_eq!(told(&mut recent, 0), (1, 50));
        assert!(recent.of(0, Stage::Store).value_at_quantile(0.5) >= LONGEST_US);
    }
}
