//! Whether each part of the device still gets on with its work.
//!
//! systemd's watchdog is fed only while every pulse beats, and a pulse beats where work is done or found not to be there: a thread
//! that hangs, in a model or in a driver, starves it.

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

/// All pulses of a device.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<Vec<Pulse>>>);

impl Pulses {
    /// A pulse for the part `name`, which may be silent for `longest_ms` and no longer.
    pub fn part(&self, name: &'static str, longest_ms: u64) -> Pulse {
        let pulse = Pulse(Arc::new(Beat { name, longest_ms, last_ms: AtomicU64::new(up_ms()) }));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pulse.clone());
        pulse
    }

    /// The first part that has been silent for too long, and for how long.
    pub fn overdue(&self, now_ms: u64) -> Option<(&'static str, u64)> {
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.iter().find_map(|Pulse(beat)| {
            let silent_ms = now_ms.saturating_sub(beat.last_ms.load(Ordering::Relaxed));
            (silent_ms > beat.longest_ms).then_some((beat.name, silent_ms))
        })
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
        assert!(matches!(pulses.overdue(now_ms + 5_000), Some(("link", 4_990..=5_010))));
        link.end();
        assert_eq!(pulses.overdue(now_ms + 5_000), None);
        model.beat();
        assert!(matches!(pulses.overdue(up_ms() + 61_000), Some(("model", _))));
    }
}
