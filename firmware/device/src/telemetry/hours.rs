//! Times to answer by the hour, for the trend of the web page. They are of this run of the device, and of the last day.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

const HOUR_MS: u64 = 3_600_000;
/// Hours that are kept, the present one among them.
const N_HOURS: u64 = 24;
/// Longest time that is told apart, in milliseconds: an hour.
const LONGEST_MS: u64 = HOUR_MS;

/// Histograms of two significant digits, as fine as a chart shows.
#[derive(Debug, Default)]
pub(super) struct Hours(BTreeMap<u64, Histogram<u64>>);

impl Hours {
    /// Counts an answer that was told at `unix_ms`, and forgets hours that are not of the last day.
    pub(super) fn record(&mut self, unix_ms: u64, whole_ms: u64) {
        let hour = unix_ms / HOUR_MS;
        // A clock that was set back leaves none of the future.
        self.0.retain(|kept, _| *kept <= hour && kept + N_HOURS > hour);
        let empty = || Histogram::new_with_bounds(1, LONGEST_MS, 2).expect("the bounds are constant and in order");
        self.0.entry(hour).or_insert_with(empty).saturating_record(whole_ms);
    }

    /// What 50 and 95 of 100 answers took at most, in milliseconds, in the hour that `unix_ms` is of.
    pub(super) fn quantiles(&self, unix_ms: u64) -> Option<[u64; 2]> {
        let times = self.0.get(&(unix_ms / HOUR_MS))?;
        Some([0.5, 0.95].map(|quantile| times.value_at_quantile(quantile)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_its_own_times() {
        let mut hours = Hours::default();
        (1..=100).for_each(|ms| hours.record(5 * HOUR_MS, ms));
        hours.record(6 * HOUR_MS, 7);
        assert_eq!(hours.quantiles(5 * HOUR_MS + 1), Some([50, 95]));
        assert_eq!(hours.quantiles(6 * HOUR_MS), Some([7, 7]));
        assert_eq!(hours.quantiles(4 * HOUR_MS), None);
    }

    #[test]
    fn a_day_is_kept_and_nothing_of_a_future_that_the_clock_took_back() {
        let mut hours = Hours::default();
        [100, 101, 124, 90].into_iter().for_each(|hour| hours.record(hour * HOUR_MS, 9));
        assert_eq!(hours.0.keys().copied().collect::<Vec<_>>(), [90]);
        (91..200).for_each(|hour| hours.record(hour * HOUR_MS, 9));
        assert_eq!(
            (hours.0.len(), hours.quantiles(175 * HOUR_MS), hours.quantiles(176 * HOUR_MS)),
            (24, None, Some([9, 9]))
        );
    }
}
