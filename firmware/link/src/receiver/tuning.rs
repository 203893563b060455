//! The device's part in choosing the rate of the line: it searches, follows proposals, and comes back by itself.

use crate::{BaudProbe, Rates};

/// Stay at one rate of the search: the hardware greets at least twice in this time.
const DWELL_MS: u64 = 1000;

/// After a change, something good must arrive at the new rate within this time, or the old one is taken again.
const CONFIRM_MS: u64 = 1000;

/// Without a good packet for this long, the hardware is searched for. It sends at least a `Ping` every second.
const SILENCE_MS: u64 = 5000;

/// Which rate the port is to have, and why.
pub(super) struct Tuning {
    probe: BaudProbe,
    trial: Option<Trial>,
    heard_ms: u64,
}

/// A rate that was agreed on and at which nothing has arrived yet.
#[derive(Clone, Copy)]
struct Trial {
    from: u32,
    until_ms: u64,
}

impl Tuning {
    pub(super) fn new(rates: Rates) -> Self {
        Tuning { probe: BaudProbe::new(rates, DWELL_MS), trial: None, heard_ms: 0 }
    }

    pub(super) fn baud(&self) -> u32 {
        self.probe.baud()
    }

    /// A good packet has arrived at the present rate.
    pub(super) fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        self.trial = None;
        self.probe.found();
    }

    /// What to answer to a proposal: the rate to be used from then on.
    pub(super) fn answer(&self, proposed: u32) -> u32 {
        if self.probe.rates().index_of(proposed).is_some() { proposed } else { self.baud() }
    }

    /// The answer is out; whether that changes the rate.
    pub(super) fn change(&mut self, now_ms: u64, baud: u32) -> bool {
        let from = self.baud();
        if from == baud {
            return false;
        }
        self.probe.go_to(baud);
        self.trial = Some(Trial { from, until_ms: now_ms.saturating_add(CONFIRM_MS) });
        true
    }

    /// Ends a trial that failed and a silence that lasts too long. Says whether the session is lost.
    pub(super) fn poll(&mut self, now_ms: u64) -> bool {
        if let Some(Trial { from, .. }) = self.trial.take_if(|trial| now_ms >= trial.until_ms) {
            self.probe.go_to(from);
            self.heard_ms = now_ms;
        }
        let is_lost = self.can_be_lost() && now_ms >= self.heard_ms.saturating_add(SILENCE_MS);
        if is_lost {
            self.probe.lost(now_ms);
        }
        self.probe.poll(now_ms);
        is_lost
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        let silence_ms = self.can_be_lost().then(|| self.heard_ms.saturating_add(SILENCE_MS));
        let trial_ms = self.trial.map(|trial| trial.until_ms);
        [silence_ms, trial_ms, self.probe.until_ms()].into_iter().flatten().min()
    }

    fn can_be_lost(&self) -> bool {
        self.probe.is_found() && self.trial.is_none() && self.probe.rates().top_index() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected() -> Tuning {
        let mut tuning = Tuning::new(Rates::new(115_200, &[115_200, 921_600]).unwrap());
        tuning.heard(0);
        tuning
    }

    #[test]
    fn a_rate_without_a_good_packet_is_left_again() {
        let mut tuning = connected();
        assert!(tuning.change(0, 921_600));
        assert_eq!((tuning.baud(), tuning.due_ms()), (921_600, Some(CONFIRM_MS)));
        tuning.poll(CONFIRM_MS);
        assert_eq!(tuning.baud(), 115_200);
    }

    #[test]
    fn a_rate_with_a_good_packet_is_kept() {
        let mut tuning = connected();
        tuning.change(0, 921_600);
        tuning.heard(900);
        tuning.poll(CONFIRM_MS);
        assert_eq!(tuning.baud(), 921_600);
    }

    #[test]
    fn silence_begins_the_search_at_the_base() {
        let mut tuning = connected();
        tuning.change(0, 921_600);
        tuning.heard(10);
        assert!(!tuning.poll(10 + SILENCE_MS - 1));
        assert!(tuning.poll(10 + SILENCE_MS));
        assert_eq!(tuning.baud(), 115_200);
        tuning.poll(10 + SILENCE_MS + DWELL_MS);
        assert_eq!(tuning.baud(), 921_600);
    }

    #[test]
    fn a_foreign_rate_is_not_taken() {
        assert_eq!(connected().answer(19_200), 115_200);
        assert_eq!(connected().answer(921_600), 921_600);
    }
}
