//! Events on their way to the log: counted every one, written at a bounded rate, so that a stranger cannot fill the disk.

use crate::{Counters, Event, View};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Events of one kind that are written in each span.
const PER_SPAN: u64 = 20;
const SPAN: Duration = Duration::from_secs(60);

/// Takes every event.
pub(crate) struct Reporter {
    view: Arc<dyn View>,
    state: Mutex<State>,
    started: Instant,
}

#[derive(Default)]
struct State {
    counters: Counters,
    spans: BTreeMap<&'static str, Span>,
}

impl Reporter {
    pub(crate) fn new(view: Arc<dyn View>) -> Self {
        Self { view, state: Mutex::default(), started: Instant::now() }
    }

    /// Counts an event and writes it, unless too many of its kind came lately.
    pub(crate) fn report(&self, event: &Event) {
        let now = self.started.elapsed();
        let (missed, is_written) = {
            let mut state = self.lock();
            count(&mut state.counters, event);
            state.spans.entry(event.kind()).or_default().admit(now)
        };
        if missed > 0 {
            self.view.log(&Event::Suppressed { of: event.kind(), count: missed });
        }
        if is_written {
            self.view.log(event);
        }
    }

    /// Tells what was left out and not told yet.
    pub(crate) fn finish(&self) {
        let missed: Vec<_> = self.lock().spans.iter_mut().map(|(kind, span)| (*kind, span.take_missed())).collect();
        for (of, count) in missed.into_iter().filter(|(_, count)| *count > 0) {
            self.view.log(&Event::Suppressed { of, count });
        }
    }

    /// Counts what is no event.
    pub(crate) fn tally(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.lock().counters);
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().counters
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counters: &mut Counters, event: &Event) {
    match event {
        Event::LoginAccepted { .. } => counters.logins += 1,
        Event::LoginRefused { .. } | Event::LoginLimited { .. } => counters.logins_refused += 1,
        Event::ConnectionRefused { .. } => counters.connections_refused += 1,
        Event::ConnectionEvicted { .. } => counters.connections_evicted += 1,
        Event::ConnectionDropped { .. } => counters.connections_dropped += 1,
        Event::RequestRefused { .. } => counters.requests_refused += 1,
        Event::ViewFailed { .. } => counters.views_failed += 1,
        _ => {}
    }
}

/// How many events of one kind were written in the present span, and how many were not.
#[derive(Default)]
struct Span {
    began: Duration,
    written: u64,
    missed: u64,
}

impl Span {
    /// How many were missed in the span before, and whether this one is to be written.
    fn admit(&mut self, now: Duration) -> (u64, bool) {
        let mut missed = 0;
        if now >= self.began + SPAN {
            missed = self.take_missed();
            *self = Self { began: now, ..Self::default() };
        }
        let is_written = self.written < PER_SPAN;
        if is_written {
            self.written += 1;
        } else {
            self.missed += 1;
        }
        (missed, is_written)
    }

    fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_written_at_its_start_and_told_as_a_number() {
        let mut span = Span::default();
        let at = Duration::from_secs;
        let written = (0..1000).filter(|_| span.admit(at(1)).1).count();
        assert_eq!(written, 20);
        assert_eq!(span.admit(at(59)), (0, false));
        assert_eq!(span.admit(at(60)), (981, true));
        assert_eq!(span.admit(at(61)), (0, true));
    }
}
