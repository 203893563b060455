//! Whether each part of the device still gets on with its work.
//!
//! systemd's watchdog is fed only while every vital pulse beats, and a pulse beats where work is done or found not to be there: a thread
//! that hangs, in a model or in a driver, starves it. A part that waits for another host's disk is not vital: a new start would only
//! make it wait again, and cost the other parts' work.

use super::clock::up_ms;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One part's sign of life.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    name: &'static str,
    longest_ms: u64,
    is_vital: bool,
    /// When it last beat; `u64::MAX` once the part has ended as it should.
    last_ms: AtomicU64,
}

impl Pulse {
    /// The part is getting on.
    pub fn beat(&self) {
        self.0.last_ms.store(up_ms(), Ordering::Relaxed);
    }

    /// The part has ended as it should.
    pub fn end(&self) {
        self.0.last_ms.store(u64::MAX, Ordering::Relaxed);
    }
}

/// A part that has been silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Which.
    pub part: &'static str,
    /// For how long, in milliseconds.
    pub silent_ms: u64,
    /// Whether a new start of the device would help it.
    pub is_vital: bool,
}

/// All pulses of a device.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<Vec<Pulse>>>);

impl Pulses {
    /// A pulse for the part `name`, which may be silent for `longest_ms` and no longer.
    pub fn part(&self, name: &'static str, longest_ms: u64) -> Pulse {
        self.add(name, longest_ms, true)
    }

    /// As [`part`](Self::part), but a new start of the device would not help it.
    pub fn guest(&self, name: &'static str, longest_ms: u64) -> Pulse {
        self.add(name, longest_ms, false)
    }

    fn add(&self, name: &'static str, longest_ms: u64, is_vital: bool) -> Pulse {
        let pulse = Pulse(Arc::new(Beat { name, longest_ms, is_vital, last_ms: AtomicU64::new(up_ms()) }));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pulse.clone());
        pulse
    }

    /// A part that has been silent for too long, a vital one first.
    pub fn overdue(&self, now_ms: u64) -> Option<Overdue> {
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let late = pulses.iter().filter_map(|Pulse(beat)| {
            let silent_ms = now_ms.saturating_sub(beat.last_ms.load(Ordering::Relaxed));
            let overdue = Overdue { part: beat.name, silent_ms, is_vital: beat.is_vital };
            (silent_ms > beat.longest_ms).then_some(overdue)
        });
        late.min_by_key(|overdue| !overdue.is_vital)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_part_is_named() {
        let pulses = Pulses::default();
        let (model, link) = (pulses.part("model", 60_000), pulses.part("link", 1_000));
        let now_ms = up_ms();
        assert_eq!(pulses.overdue(now_ms), None);
        assert!(matches!(pulses.overdue(now_ms + 5_000), Some(Overdue { part: "link", silent_ms: 4_990..=5_010, .. })));
        link.end();
        assert_eq!(pulses.overdue(now_ms + 5_000), None);
        model.beat();
        assert!(matches!(pulses.overdue(up_ms() + 61_000), Some(Overdue { part: "model", is_vital: true, .. })));
    }

    #[test]
    fn a_guest_is_named_when_nothing_worse_is() {
        let pulses = Pulses::default();
        let (_folder, _judge) = (pulses.guest("folder", 1_000), pulses.part("judge", 60_000));
        let overdue = |by_ms| pulses.overdue(up_ms() + by_ms).map(|overdue| (overdue.part, overdue.is_vital));
        assert_eq!(overdue(5_000), Some(("folder", false)));
        assert_eq!(overdue(65_000), Some(("judge", true)));
    }
}
