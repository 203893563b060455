//! Which rate the line should have: as fast as it bears.

use crate::Rates;

/// Of the last 64 packets so many may be lost; with more the next lower rate is tried.
const MAX_LOSSES: u32 = 8;

/// A higher rate is tried again after so many answered frames.
const HOLD_FRAMES: u64 = 64;

/// A rate at which fewer packets than this arrived before the device was gone did not bear the line.
const PROVEN_PACKETS: u32 = 64;

/// The present rate, the one to go to, and what speaks for it.
pub(super) struct Ladder {
    rates: Rates,
    current: usize,
    /// The rate that is being tried out.
    trial: Option<usize>,
    target: usize,
    /// The fate of the last 64 packets, the newest in the lowest bit: 1 for one that was lost.
    losses: u64,
    /// Packets that arrived at the present rate.
    n_arrived: u32,
    frames: u64,
    /// Up is tried once this many frames are answered.
    up_at: u64,
}

impl Ladder {
    pub(super) fn new(rates: Rates) -> Self {
        let (current, target) = (rates.base_index(), rates.top_index());
        Ladder { rates, current, trial: None, target, losses: 0, n_arrived: 0, frames: 0, up_at: 0 }
    }

    pub(super) fn baud(&self) -> u32 {
        self.rates.at(self.trial.unwrap_or(self.current))
    }

    /// The rate to propose, when it is not the present one.
    pub(super) fn proposal(&self) -> Option<u32> {
        (self.target != self.current).then(|| self.rates.at(self.target))
    }

    /// Packets arrived; more than 64 are as good as 64.
    pub(super) fn arrived(&mut self, n_packets: u32) {
        self.n_arrived = self.n_arrived.saturating_add(n_packets);
        self.losses = self.losses.checked_shl(n_packets).unwrap_or(0);
    }

    /// A packet was lost or damaged.
    pub(super) fn lost(&mut self) {
        self.losses = (self.losses << 1) | 1;
        if self.losses.count_ones() > MAX_LOSSES && self.current > 0 && self.target >= self.current {
            self.stay_below(self.current);
        }
    }

    /// A frame is answered.
    pub(super) fn answered(&mut self) {
        self.frames += 1;
        let is_below = self.target == self.current && self.current < self.rates.top_index();
        if is_below && self.frames >= self.up_at && self.losses.count_ones() <= MAX_LOSSES / 4 {
            self.target = self.current + 1;
        }
    }

    /// The device has agreed to the proposal: both sides go there to see whether it bears.
    pub(super) fn try_out(&mut self) {
        self.trial = Some(self.target);
    }

    /// The rate that was tried out bears; whether it was a step down.
    pub(super) fn changed(&mut self) -> bool {
        let from = self.current;
        self.current = self.trial.take().unwrap_or(self.target);
        (self.losses, self.n_arrived) = (0, 0);
        self.current < from
    }

    /// The proposal was refused, or the rate tried out bears nothing. A step down is proposed again after as many losses again.
    pub(super) fn failed(&mut self) {
        (self.trial, self.target, self.losses) = (None, self.current, 0);
        self.up_at = self.frames + HOLD_FRAMES;
    }

    /// The device is gone: it will be looked for at the base rate, and a rate that has not proved itself is not tried again soon.
    pub(super) fn restart(&mut self) {
        self.trial = None;
        let base = self.rates.base_index();
        if self.current != base && self.n_arrived < PROVEN_PACKETS {
            self.stay_below(self.current);
        }
        self.current = base;
    }

    fn stay_below(&mut self, index: usize) {
        self.target = index.saturating_sub(1);
        self.up_at = self.frames + HOLD_FRAMES;
        self.losses = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Ladder {
        let mut ladder = Ladder::new(Rates::new(1, &[1, 2, 3]).unwrap());
        assert_eq!(ladder.proposal(), Some(3));
        ladder.changed();
        ladder
    }

    #[test]
    fn more_than_8_losses_in_64_packets_are_a_step_down() {
        let mut ladder = ladder();
        for _ in 0..9 {
            assert_eq!(ladder.proposal(), None);
            ladder.lost();
            ladder.arrived(6);
        }
        assert_eq!(ladder.proposal(), Some(2));
    }

    #[test]
    fn fewer_losses_are_borne() {
        let mut ladder = ladder();
        for _ in 0..1000 {
            ladder.lost();
            ladder.arrived(8);
        }
        assert_eq!(ladder.proposal(), None);
    }

    #[test]
    fn up_again_after_64_frames() {
        let mut ladder = ladder();
        (0..9).for_each(|_| ladder.lost());
        assert!(ladder.changed());
        for _ in 0..HOLD_FRAMES {
            assert_eq!(ladder.proposal(), None);
            ladder.answered();
        }
        assert_eq!(ladder.proposal(), Some(3));
        ladder.failed();
        ladder.answered();
        assert_eq!(ladder.proposal(), None);
    }

    #[test]
    fn a_rate_at_which_the_device_is_gone_at_once_is_not_tried_again_soon() {
        let mut unproven = ladder();
        unproven.restart();
        assert_eq!((unproven.baud(), unproven.proposal()), (1, Some(2)));
        let mut proven = ladder();
        proven.arrived(PROVEN_PACKETS);
        proven.restart();
        assert_eq!((proven.baud(), proven.proposal()), (1, Some(3)));
    }

    #[test]
    fn the_lowest_rate_is_kept_whatever_is_lost() {
        let mut ladder = Ladder::new(Rates::new(1, &[1, 2, 3]).unwrap());
        ladder.failed();
        (0..100).for_each(|_| ladder.lost());
        assert_eq!(ladder.proposal(), None);
    }
}
