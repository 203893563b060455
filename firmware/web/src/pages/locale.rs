//! Numbers and times as readers of a language write them.

use crate::Language;
use time::{OffsetDateTime, UtcOffset};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A language and the device's distance from UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Locale {
    language: Language,
    offset: UtcOffset,
}

impl Locale {
    pub(super) fn new(language: Language, utc_offset_minutes: i16) -> Self {
        let offset = UtcOffset::from_whole_seconds(i32::from(utc_offset_minutes) * 60).unwrap_or(UtcOffset::UTC);
        Self { language, offset }
    }

    pub(super) fn language(self) -> Language {
        self.language
    }

    /// Local time; a clock that is off the calendar shows its start.
    fn local(self, unix_ms: u64) -> OffsetDateTime {
        let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
        let utc = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        utc.checked_to_offset(self.offset).unwrap_or(utc)
    }

    pub(super) fn date_time(self, unix_ms: u64) -> String {
        let (local, clock) = (self.local(unix_ms), self.clock(unix_ms));
        let (day, month, year) = (local.day(), u8::from(local.month()), local.year());
        match self.language {
            Language::English => format!("{day} {} {year}, {clock}", MONTHS[usize::from(month) - 1]),
            Language::German => format!("{day:02}.{month:02}.{year}, {clock}"),
        }
    }

    pub(super) fn clock(self, unix_ms: u64) -> String {
        let (hour, minute, second) = self.local(unix_ms).to_hms();
        format!("{hour:02}:{minute:02}:{second:02}")
    }

    /// A moment on an axis that spans so many seconds: only as much of it as tells moments apart.
    pub(super) fn axis_time(self, unix_ms: u64, span_s: u32) -> String {
        let local = self.local(unix_ms);
        let (hour, minute, _) = local.to_hms();
        let (day, month) = (local.day(), u8::from(local.month()));
        let date = match self.language {
            Language::English => format!("{day} {}", MONTHS[usize::from(month) - 1]),
            Language::German => format!("{day:02}.{month:02}."),
        };
        match span_s {
            0..=86_400 => format!("{hour:02}:{minute:02}"),
            86_401..=1_209_600 => format!("{date} {hour:02}:{minute:02}"),
            _ => date,
        }
    }

    pub(super) fn utc_offset(self) -> String {
        let minutes = self.offset.whole_minutes();
        match minutes {
            0 => "UTC".into(),
            _ => {
                let sign = if minutes < 0 { '−' } else { '+' };
                format!("UTC{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }

    pub(super) fn ago(self, unix_ms: u64, now: u64) -> String {
        let seconds = now.saturating_sub(unix_ms) / 1000;
        let length = self.coarse(seconds);
        match self.language {
            Language::English => format!("{length} ago"),
            Language::German => format!("vor {length}"),
        }
    }

    /// A length of time in its largest unit.
    fn coarse(self, seconds: u64) -> String {
        match seconds {
            0..=119 => format!("{seconds} s"),
            120..=7_199 => format!("{} min", seconds / 60),
            7_200..=172_799 => format!("{} h", seconds / 3_600),
            _ => format!("{} {}", self.count(seconds / 86_400), self.days()),
        }
    }

    fn days(self) -> &'static str {
        match self.language {
            Language::English => "days",
            Language::German => "Tage(n)",
        }
    }

    /// A length of time in its two largest units, the second only when there is some of it.
    pub(super) fn duration(self, seconds: u64) -> String {
        let day = match self.language {
            Language::English => "d",
            Language::German => "T",
        };
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
        let ((large, large_unit), (small, small_unit)) = match (days, hours, minutes) {
            (0, 0, 0) => ((seconds, "s"), (0, "")),
            (0, 0, _) => ((minutes, "min"), (seconds % 60, "s")),
            (0, ..) => ((hours, "h"), (minutes, "min")),
            _ => ((days, day), (hours, "h")),
        };
        let large = format!("{} {large_unit}", self.count(large));
        if small == 0 { large } else { format!("{large} {small} {small_unit}") }
    }

    /// The nearest tenth, but 100 % of certainty only.
    pub(super) fn percent(self, share: f64) -> String {
        let most = if share < 1.0 { 99.9 } else { 100.0 };
        format!("{}\u{202f}%", self.decimal((share * 100.0).min(most), 1))
    }

    /// Bytes in decimal units, as disks are sold.
    pub(super) fn bytes(self, bytes: u64) -> String {
        const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
        if bytes < 1000 {
            return format!("{bytes} B");
        }
        let mut value = bytes as f64 / 1000.0;
        let mut unit = 0;
        // 999.95 would be written as 1000.0.
        while value >= 999.95 && unit + 1 < UNITS.len() {
            value /= 1000.0;
            unit += 1;
        }
        format!("{} {}", self.decimal(value, 1), UNITS[unit])
    }

    pub(super) fn count(self, count: u64) -> String {
        let digits = count.to_string();
        let separator = match self.language {
            Language::English => ',',
            Language::German => '.',
        };
        let mut text = String::new();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(separator);
            }
            text.push(digit);
        }
        text
    }

    /// A measured number, as short as it can be told: four decimals below ten, one above.
    pub(super) fn measure(self, number: f64) -> String {
        let decimals = if number.abs() < 10.0 { 4 } else { 1 };
        let text = format!("{number:.decimals$}");
        let short = text.trim_end_matches('0').trim_end_matches('.');
        match self.language {
            Language::English => short.to_owned(),
            Language::German => short.replace('.', ","),
        }
    }

    pub(super) fn decimal(self, number: f64, decimals: usize) -> String {
        let text = format!("{number:.decimals$}");
        match self.language {
            Language::English => text,
            Language::German => text.replace('.', ","),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: fn(i16) -> Locale = |offset| Locale::new(Language::English, offset);
    const GERMAN: fn(i16) -> Locale = |offset| Locale::new(Language::German, offset);
    /// `date -d '2026-11-26 19:15:02 UTC' +%s`, in milliseconds.
    const EVENING: u64 = 1_795_720_502_000;

    #[test]
    fn times_are_local() {
        assert_eq!(ENGLISH(0).date_time(EVENING), "26 Nov 2026, 19:15:02");
        assert_eq!(GERMAN(60).date_time(EVENING), "26.11.2026, 20:15:02");
        assert_eq!(ENGLISH(330).date_time(EVENING), "27 Nov 2026, 00:45:02");
        assert_eq!(
            [ENGLISH(0).utc_offset(), ENGLISH(-210).utc_offset(), ENGLISH(60).utc_offset()],
            ["UTC", "UTC−03:30", "UTC+01:00"]
        );
    }

    #[test]
    fn an_axis_says_no_more_than_it_must() {
        let texts = [3_600, 86_401, 1_209_601].map(|span| GERMAN(0).axis_time(EVENING, span));
        assert_eq!(texts, ["19:15", "26.11. 19:15", "26.11."]);
    }

    #[test]
    fn lengths_of_time() {
        assert_eq!(
            [5, 300, 7_200, 200_000].map(|s| ENGLISH(0).ago(0, s * 1000)),
            ["5 s ago", "5 min ago", "2 h ago", "2 days ago"]
        );
        assert_eq!(GERMAN(0).ago(2_000, 1_000), "vor 0 s", "a clock that was set back makes nothing negative");
        assert_eq!(
            [59, 61, 3_600, 3_700, 90_000].map(|s| ENGLISH(0).duration(s)),
            ["59 s", "1 min 1 s", "1 h", "1 h 1 min", "1 d 1 h"]
        );
    }

    #[test]
    fn numbers_are_written_as_the_language_does() {
        assert_eq!((ENGLISH(0).count(1_234_567), GERMAN(0).count(1_234)), ("1,234,567".into(), "1.234".into()));
        assert_eq!(
            [ENGLISH(0).percent(0.9312), ENGLISH(0).percent(0.9996), GERMAN(0).percent(1.0)],
            ["93.1\u{202f}%", "99.9\u{202f}%", "100,0\u{202f}%"]
        );
        assert_eq!(
            [0, 999, 1_000, 999_999, 31_900_000_000].map(|n| ENGLISH(0).bytes(n)),
            ["0 B", "999 B", "1.0 kB", "1.0 MB", "31.9 GB"]
        );
    }

    #[test]
    fn a_measured_number_is_short() {
        let measured = [0.0, 0.7, f64::from(0.7_f32), 0.000_04, 60.0, 141.26, -3.5];
        assert_eq!(measured.map(|number| ENGLISH(0).measure(number)), ["0", "0.7", "0.7", "0", "60", "141.3", "-3.5"]);
        assert_eq!(GERMAN(0).measure(141.26), "141,3");
    }

    #[test]
    fn no_time_breaks_the_calendar() {
        for offset in [i16::MIN, -1439, 0, 1439, i16::MAX] {
            for unix_ms in [0, 1, u64::MAX / 2, u64::MAX] {
                let _text = GERMAN(offset).date_time(unix_ms);
            }
        }
    }
}
