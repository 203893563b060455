//! What the device's words change: acknowledged, refused, paused, answered.

use super::Heard;
use super::desk::{Desk, MIN_CHUNK, State};
use super::ladder::Ladder;
use crate::{MAX_CHUNK, Message, NakReason, Outcome};

/// A frame whose image arrives damaged, though every packet was good, so many times is given up: its CRC is wrong.
const MAX_DAMAGED_IMAGES: u8 = 3;

/// Both sides have this long to hear each other at a new rate, and go back to the old one if they do not.
const CONFIRM_MS: u64 = 1000;

impl<S: AsRef<[u8]>> Desk<S> {
    pub(super) fn take(&mut self, now_ms: u64, message: Message<'_>) -> Heard {
        match message {
            Message::HelloAck { session, device_id, max_chunk, credit, .. } if session == self.session => {
                if self.state != State::Greeting {
                    return Heard::Nothing;
                }
                let max_chunk = usize::from(max_chunk).clamp(1, MAX_CHUNK);
                self.flight.connect(u32::try_from(max_chunk).unwrap_or(MIN_CHUNK), credit);
                self.go_on(now_ms);
                Heard::Connected { device_id }
            }
            Message::RateAck { baud } => self.rate(now_ms, baud),
            Message::Ack { frame_id, offset, credit } => self.acknowledged(now_ms, frame_id, offset, credit),
            Message::Nak { sequence, reason, frame_id, detail } => {
                self.refused(now_ms, sequence, reason, frame_id, detail)
            }
            Message::Result(outcome) => self.result(now_ms, outcome),
            Message::Pong { token } if token == self.token => self.pong(now_ms),
            Message::Error { code, detail } => Heard::Fault { code, detail },
            _ => Heard::Nothing,
        }
    }

    fn rate(&mut self, now_ms: u64, answered: u32) -> Heard {
        let State::Proposing { baud, .. } = self.state else { return Heard::Nothing };
        if self.tries > 0 && answered == baud {
            self.token = self.token.wrapping_add(1);
            self.ladder.as_mut().map(Ladder::try_out);
            self.enter(State::Confirming { until_ms: now_ms.saturating_add(CONFIRM_MS) }, now_ms);
        } else if self.tries > 0 {
            self.settle_rate(now_ms, Ladder::failed);
        }
        Heard::Nothing
    }

    fn pong(&mut self, now_ms: u64) -> Heard {
        match self.state {
            State::Ready => self.enter(State::Ready, now_ms),
            State::Confirming { .. } => {
                let is_down = self.ladder.as_mut().is_some_and(Ladder::changed);
                self.counters.rate_changes += 1;
                self.counters.step_downs += u64::from(is_down);
                self.go_on(now_ms);
                return Heard::Rate { baud: self.baud().unwrap_or_default() };
            }
            _ => {}
        }
        Heard::Nothing
    }

    fn acknowledged(&mut self, now_ms: u64, frame_id: u64, offset: u32, credit: u32) -> Heard {
        if self.frame.as_ref().is_none_or(|(header, _)| header.id != frame_id) {
            return Heard::Nothing;
        }
        match self.state {
            State::Starting if self.tries > 0 && offset <= self.flight.length() => {
                self.counters.resumed_frames += u64::from(offset > 0);
                self.flight.go_back(offset);
                self.enter(State::Sending, now_ms);
            }
            State::Sending => {
                self.counters.resumed_frames += u64::from(self.flight.is_ahead(offset));
                let Some(n_packets) = self.flight.acknowledge(offset) else { return Heard::Nothing };
                if n_packets > 0 {
                    self.flight.grow();
                }
                if let Some(ladder) = &mut self.ladder {
                    ladder.arrived(n_packets);
                }
                self.alive(now_ms);
            }
            // The device still works on it.
            State::Awaiting => self.enter(State::Awaiting, now_ms),
            _ => return Heard::Nothing,
        }
        self.counters.pauses += u64::from(self.flight.set_credit(credit));
        if self.state == State::Sending && self.flight.is_acknowledged() {
            self.enter(State::Awaiting, now_ms);
        }
        Heard::Nothing
    }

    /// The device has said something about the frame.
    fn alive(&mut self, now_ms: u64) {
        self.tries = 0;
        self.due_ms = now_ms.saturating_add(self.timing.ack_ms);
    }

    fn refused(&mut self, now_ms: u64, sequence: u16, reason: NakReason, frame_id: u64, detail: u32) -> Heard {
        self.counters.naks += 1;
        match reason {
            NakReason::Damaged => self.damaged(now_ms, sequence, frame_id, detail),
            NakReason::FixedRate => {
                if matches!(self.state, State::Proposing { .. }) {
                    self.settle_rate(now_ms, Ladder::failed);
                }
            }
            _ => return self.frame_refused(now_ms, sequence, reason, frame_id, detail),
        }
        Heard::Nothing
    }

    /// Whether the packet with this sequence number was sent since the sender last went back.
    fn is_recent(&self, sequence: u16) -> bool {
        sequence.wrapping_sub(self.mark) < 0x8000 && self.sequence.wrapping_sub(sequence) < 0x8000
    }

    /// Something after the packet `last_good` arrived damaged.
    fn damaged(&mut self, now_ms: u64, last_good: u16, frame_id: u64, wanted: u32) {
        if last_good == self.sequence || !self.is_recent(last_good.wrapping_add(1)) {
            return;
        }
        let is_current = self.frame.as_ref().is_some_and(|(header, _)| header.id == frame_id);
        match self.state {
            State::Sending if is_current => self.resend(now_ms, wanted),
            State::Starting | State::Proposing { .. } if self.tries > 0 => {
                (self.tries, self.due_ms) = (1, now_ms);
                self.mark = self.sequence.wrapping_add(1);
            }
            _ => {}
        }
    }

    fn frame_refused(&mut self, now_ms: u64, sequence: u16, reason: NakReason, frame_id: u64, detail: u32) -> Heard {
        let is_current = self.frame.as_ref().is_some_and(|(header, _)| header.id == frame_id);
        if !is_current || !matches!(self.state, State::Starting | State::Sending | State::Awaiting) {
            return Heard::Nothing;
        }
        if !self.is_recent(sequence) {
            if self.state == State::Sending {
                // It is there, and what was sent before going back is still arriving.
                self.due_ms = now_ms.saturating_add(self.timing.ack_ms);
            }
            return Heard::Nothing;
        }
        self.n_damaged_images += u8::from(reason == NakReason::ImageDamaged);
        if reason.is_final() || self.n_damaged_images >= MAX_DAMAGED_IMAGES {
            self.put_aside();
            self.enter(State::Ready, now_ms);
            return Heard::Refused { frame_id, reason, detail };
        }
        match reason {
            NakReason::OutOfOrder if self.state == State::Sending && detail < self.flight.length() => {
                self.resend(now_ms, detail);
            }
            NakReason::Busy => {
                self.enter(State::Starting, now_ms);
                (self.tries, self.due_ms) = (1, now_ms.saturating_add(self.timing.ack_ms));
            }
            // The device wants it from the start, or has another idea of where it stands.
            _ => self.enter(State::Starting, now_ms),
        }
        Heard::Nothing
    }

    /// Goes back to the byte the device wants.
    fn resend(&mut self, now_ms: u64, wanted: u32) {
        self.lose_packet();
        self.flight.go_back(wanted);
        self.mark = self.sequence.wrapping_add(1);
        self.alive(now_ms);
    }

    /// A result is always acknowledged, so that the device stops repeating it; it counts only for the present frame.
    fn result(&mut self, now_ms: u64, outcome: Outcome) -> Heard {
        self.result_ack = Some(outcome.frame_id);
        match &self.frame {
            Some((header, _)) if header.id == outcome.frame_id => {
                self.put_aside();
                self.counters.frames += 1;
                if let Some(ladder) = &mut self.ladder {
                    ladder.answered();
                }
                if matches!(self.state, State::Starting | State::Sending | State::Awaiting) {
                    self.enter(State::Ready, now_ms);
                }
                Heard::Answered(outcome)
            }
            _ => Heard::Nothing,
        }
    }
}
