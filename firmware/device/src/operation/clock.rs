//! Two clocks: one that only goes forward and counts sleep, and the one that people set.

use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that says less was never set: 2026-01-01.
const EARLIEST_UNIX_MS: u64 = 1_767_225_600_000;
/// A difference of the two clocks that changed by more than this was a jump, in milliseconds: NTP slews by less.
const JUMP_MS: u64 = 2_000;

/// Milliseconds since the machine was started, time asleep included (`CLOCK_BOOTTIME`).
///
/// A result that was shown before the device slept is older by the sleep when it wakes.
pub fn up_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    // Never negative on Linux; 2^64 milliseconds are not reached.
    (time.tv_sec.unsigned_abs()) * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

/// Milliseconds since 1970-01-01 UTC by the clock that people set; 0 before that.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Whether people's clock can be believed when it says this: one that was never set begins long ago.
pub fn is_plausible(unix_ms: u64) -> bool {
    unix_ms >= EARLIEST_UNIX_MS
}

/// Notices when the people's clock jumps.
#[derive(Debug)]
pub struct JumpWatch {
    /// People's clock minus the other, when it was last right.
    offset_ms: i128,
}

impl JumpWatch {
    /// Takes the clocks as they are for right.
    pub fn new(up_ms: u64, unix_ms: u64) -> Self {
        Self { offset_ms: offset(up_ms, unix_ms) }
    }

    /// By how much the people's clock jumped since the last look, in milliseconds; slow drift is followed.
    pub fn look(&mut self, up_ms: u64, unix_ms: u64) -> Option<i64> {
        let now = offset(up_ms, unix_ms);
        let by = now - std::mem::replace(&mut self.offset_ms, now);
        (by.unsigned_abs() > JUMP_MS.into())
            .then(|| i64::try_from(by).unwrap_or(if by < 0 { i64::MIN } else { i64::MAX }))
    }
}

fn offset(up_ms: u64, unix_ms: u64) -> i128 {
    i128::from(unix_ms) - i128::from(up_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_clock_is_a_jump_once() {
        let mut watch = JumpWatch::new(1_000, 1_000_000);
        assert_eq!(watch.look(2_000, 1_001_000), None);
        assert_eq!(watch.look(3_000, 3_602_000), Some(2_600_000));
        assert_eq!(watch.look(4_000, 3_603_000), None);
        assert_eq!(watch.look(5_000, 4_000), Some(-3_600_000));
    }

    #[test]
    fn drift_is_no_jump() {
        let mut watch = JumpWatch::new(0, 1_000_000);
        for minute in 1..1_000_u64 {
            assert_eq!(watch.look(minute * 60_000, 1_000_000 + minute * 60_030), None);
        }
    }

    #[test]
    fn time_goes_forward() {
        let before = up_ms();
        assert!(up_ms() >= before && unix_ms() > 1_700_000_000_000);
    }
}
