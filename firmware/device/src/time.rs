//! Times for people, in the device's time zone.

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

fn zoned(unix_ms: u64) -> Option<ZonedDateTime> {
    let ms = i64::try_from(unix_ms).ok()?;
    Some(Timestamp::from_millisecond(ms).ok()?.to_zoned_datetime(TimeZone::system()))
}

fn format(unix_ms: u64, pattern: &str) -> String {
    // A time that no calendar has is not shown.
    zoned(unix_ms).map(|time| time.strftime(pattern).to_string()).unwrap_or_default()
}

/// `14:32`.
pub fn of_day(unix_ms: u64) -> String {
    format(unix_ms, "%H:%M")
}

/// `14`.
pub fn hour(unix_ms: u64) -> String {
    format(unix_ms, "%H")
}

/// `2026-11-26 14:32`.
pub fn of_minute(unix_ms: u64) -> String {
    format(unix_ms, "%Y-%m-%d %H:%M")
}

/// Minutes that local time is ahead of UTC.
pub fn utc_offset_minutes(unix_ms: u64) -> i16 {
    zoned(unix_ms).map_or(0, |time| (time.offset().seconds() / 60) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_no_calendar_is_not_shown() {
        assert_eq!(of_minute(u64::MAX), "");
        assert_eq!(of_minute(1_795_703_520_000).len(), 16);
    }
}
