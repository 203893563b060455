//! Everything of the sender but the deframer, so that a message may borrow from the one while the other changes.

use super::flight::{Flight, Piece};
use super::ladder::Ladder;
use super::{SenderCounters, Timing};
use crate::{FrameHeader, MAX_CHUNK, Message, PROTOCOL_VERSION, Packet, Rates, encode};

/// Chunks are not cut smaller than this, however noisy the line is.
pub(super) const MIN_CHUNK: u32 = 64;

/// A proposal of a rate is repeated after this long, and given up after the other: by then a device that has heard it, and not been
/// heard, is back at the old rate.
const PROPOSE_MS: u64 = 250;
const PROPOSALS_MS: u64 = 3000;

/// The device has this long to set its port before the first ping, and so long lies between pings.
const SETTLE_MS: u64 = 20;
const CONFIRM_PING_MS: u64 = 200;

pub(super) struct Desk<S> {
    pub(super) timing: Timing,
    pub(super) session: u32,
    pub(super) state: State,
    pub(super) frame: Option<(FrameHeader, S)>,
    done: Option<S>,
    /// The frame was not announced yet, so its first chunks need not wait for an answer.
    is_fresh: bool,
    pub(super) flight: Flight,
    /// Sequence number of the last packet sent, and of the first whose refusal counts: older ones were sent before going back.
    pub(super) sequence: u16,
    pub(super) mark: u16,
    /// How often the message of this state was sent without an answer, and when it is due (again).
    pub(super) tries: u32,
    pub(super) due_ms: u64,
    pub(super) token: u32,
    pub(super) n_damaged_images: u8,
    pub(super) result_ack: Option<u64>,
    pub(super) ladder: Option<Ladder>,
    pub(super) counters: SenderCounters,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Greeting,
    Ready,
    /// Announced; where to begin is what the device says.
    Starting,
    Sending,
    Awaiting,
    Proposing {
        baud: u32,
        until_ms: u64,
    },
    Confirming {
        until_ms: u64,
    },
}

impl<S: AsRef<[u8]>> Desk<S> {
    pub(super) fn new(session: u32, timing: Timing) -> Self {
        let [low, high, ..] = session.to_le_bytes();
        let sequence = u16::from_le_bytes([low, high]);
        Desk {
            timing,
            session,
            state: State::Greeting,
            frame: None,
            done: None,
            is_fresh: false,
            flight: Flight::new(),
            sequence,
            mark: sequence.wrapping_add(1),
            tries: 0,
            due_ms: 0,
            token: session,
            n_damaged_images: 0,
            result_ack: None,
            ladder: None,
            counters: SenderCounters::default(),
        }
    }

    pub(super) fn tune(&mut self, rates: Rates) {
        self.ladder = Some(Ladder::new(rates));
    }

    pub(super) fn baud(&self) -> Option<u32> {
        self.ladder.as_ref().map(Ladder::baud)
    }

    pub(super) fn is_free(&self) -> bool {
        self.frame.is_none()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state != State::Greeting
    }

    pub(super) fn counters(&self) -> SenderCounters {
        self.counters
    }

    pub(super) fn send(&mut self, now_ms: u64, header: FrameHeader, image: S) -> Result<(), S> {
        let is_whole = usize::try_from(header.length).is_ok_and(|length| length == image.as_ref().len());
        if self.frame.is_some() || !is_whole {
            return Err(image);
        }
        self.flight.begin(header.length);
        (self.frame, self.done) = (Some((header, image)), None);
        (self.is_fresh, self.n_damaged_images) = (true, 0);
        if self.state == State::Ready {
            self.enter(State::Starting, now_ms);
        }
        Ok(())
    }

    pub(super) fn reclaim(&mut self) -> Option<S> {
        self.done.take()
    }

    /// The frame is done with.
    pub(super) fn put_aside(&mut self) {
        self.done = self.frame.take().map(|(_, image)| image);
    }

    pub(super) fn due_ms(&self) -> u64 {
        let is_trying = matches!(self.state, State::Confirming { .. });
        let has_piece = self.state == State::Sending && self.tries == 0 && self.flight.piece().is_some();
        if has_piece || self.result_ack.is_some() && !is_trying || self.proposal().is_some() { 0 } else { self.due_ms }
    }

    /// Goes to `state`; its message is due at once, or when it is time to ask.
    pub(super) fn enter(&mut self, state: State, now_ms: u64) {
        self.state = state;
        self.tries = 0;
        self.mark = self.sequence.wrapping_add(1);
        self.due_ms = match state {
            State::Ready => now_ms.saturating_add(self.timing.keepalive_ms),
            State::Awaiting => now_ms.saturating_add(self.timing.result_ms),
            State::Sending => now_ms.saturating_add(self.timing.ack_ms),
            State::Confirming { .. } => now_ms.saturating_add(SETTLE_MS),
            State::Greeting | State::Starting | State::Proposing { .. } => now_ms,
        };
    }

    /// Goes on with the frame, if there is one: the device says from where.
    pub(super) fn go_on(&mut self, now_ms: u64) {
        self.enter(if self.frame.is_some() { State::Starting } else { State::Ready }, now_ms);
    }

    /// The rate to propose now. Not while a result may be on its way: it would be lost in the change.
    fn proposal(&self) -> Option<u32> {
        let is_time = matches!(self.state, State::Ready | State::Starting | State::Sending);
        self.ladder.as_ref().filter(|_| is_time)?.proposal()
    }

    pub(super) fn poll(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        if let State::Confirming { until_ms } | State::Proposing { until_ms, .. } = self.state
            && now_ms >= until_ms
        {
            self.settle_rate(now_ms, Ladder::failed);
        } else if let Some(baud) = self.proposal() {
            self.enter(State::Proposing { baud, until_ms: now_ms.saturating_add(PROPOSALS_MS) }, now_ms);
        }
        if !matches!(self.state, State::Confirming { .. })
            && let Some(frame_id) = self.result_ack.take()
        {
            return self.put(&Message::ResultAck { frame_id }, packet);
        }
        if self.state == State::Sending && self.tries == 0 && self.put_piece(now_ms, packet) {
            return true;
        }
        now_ms >= self.due_ms && self.put_due(now_ms, packet)
    }

    /// Sends the message of the present state, again if it was sent before.
    fn put_due(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        let is_patient = matches!(self.state, State::Greeting | State::Proposing { .. } | State::Confirming { .. });
        if self.tries > self.timing.retries && !is_patient {
            self.lose_session(now_ms);
        }
        self.counters.retransmissions += u64::from(self.tries > 0 && self.state != State::Sending);
        if self.state == State::Sending {
            return self.put_again(now_ms, packet);
        }
        self.tries = self.tries.saturating_add(1);
        let wait_ms = match self.state {
            State::Awaiting => self.timing.result_ms,
            State::Proposing { .. } => PROPOSE_MS,
            State::Confirming { .. } => CONFIRM_PING_MS,
            _ => self.timing.ack_ms,
        };
        self.due_ms = now_ms.saturating_add(wait_ms);
        let header = self.frame.as_ref().map(|(header, _)| *header);
        let message = match (self.state, header) {
            (State::Greeting, _) => Message::Hello {
                min_version: PROTOCOL_VERSION,
                max_version: PROTOCOL_VERSION,
                max_chunk: u16::try_from(MAX_CHUNK).unwrap_or(u16::MAX),
                session: self.session,
            },
            (State::Proposing { baud, .. }, _) => Message::Rate { baud },
            (State::Starting, Some(header)) => return self.put_start(now_ms, header, packet),
            (State::Awaiting, Some(header)) => Message::FrameEnd { frame_id: header.id },
            _ => Message::Ping { token: self.token },
        };
        self.put(&message, packet)
    }

    /// Announces the frame. The first time its chunks follow at once.
    fn put_start(&mut self, now_ms: u64, header: FrameHeader, packet: &mut Packet) -> bool {
        if core::mem::take(&mut self.is_fresh) && !self.flight.is_paused() {
            // The announcement itself may be refused, so refusals count from it on.
            self.enter(State::Sending, now_ms);
        }
        self.put(&Message::FrameStart(header), packet)
    }

    fn put_piece(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        let (Some((header, image)), Some(piece)) = (&self.frame, self.flight.piece()) else { return false };
        let message = match piece {
            Piece::End => Message::FrameEnd { frame_id: header.id },
            Piece::Chunk { offset, length, is_repeated } => {
                self.counters.retransmissions += u64::from(is_repeated);
                let rest = image.as_ref().get(offset as usize..).unwrap_or_default();
                let bytes = rest.get(..length as usize).unwrap_or(rest);
                Message::FrameChunk { frame_id: header.id, offset, bytes }
            }
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.counters.packets += 1;
        let is_put = encode(self.sequence, &message, packet).is_ok();
        self.flight.sent(piece);
        self.due_ms = now_ms.saturating_add(self.timing.ack_ms);
        is_put
    }

    /// Nothing was heard for too long: one piece is sent again, or a paused device asked, and no more until it answers.
    fn put_again(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        if self.tries == 0 && !self.flight.is_paused() {
            self.lose_packet();
        }
        self.tries = self.tries.saturating_add(1);
        self.go_back();
        if self.flight.is_paused() {
            self.due_ms = now_ms.saturating_add(self.timing.ack_ms);
            let Some(&(header, _)) = self.frame.as_ref() else { return false };
            return self.put(&Message::FrameStart(header), packet);
        }
        self.put_piece(now_ms, packet)
    }

    fn put(&mut self, message: &Message<'_>, packet: &mut Packet) -> bool {
        self.sequence = self.sequence.wrapping_add(1);
        self.counters.packets += 1;
        encode(self.sequence, message, packet).is_ok()
    }

    fn go_back(&mut self) {
        self.flight.go_back_to_acknowledged();
        self.mark = self.sequence.wrapping_add(1);
    }

    pub(super) fn lose_packet(&mut self) {
        self.flight.shrink();
        if let Some(ladder) = &mut self.ladder {
            ladder.lost();
        }
    }

    fn lose_session(&mut self, now_ms: u64) {
        self.counters.lost_sessions += 1;
        self.is_fresh = false;
        if let Some(ladder) = &mut self.ladder {
            ladder.restart();
        }
        self.enter(State::Greeting, now_ms);
    }

    /// Ends the change of the rate, one way or the other.
    pub(super) fn settle_rate(&mut self, now_ms: u64, settle: impl FnOnce(&mut Ladder)) {
        self.ladder.as_mut().map(settle);
        self.go_on(now_ms);
    }

    pub(super) fn corrupt(&mut self, skipped: usize) {
        self.counters.corrupt += 1;
        self.counters.skipped_bytes += skipped as u64;
        self.counters.worst_resync_bytes = self.counters.worst_resync_bytes.max(skipped as u64);
        if let (State::Sending | State::Awaiting | State::Ready, Some(ladder)) = (self.state, &mut self.ladder) {
            ladder.lost();
        }
    }

    pub(super) fn malformed(&mut self) {
        self.counters.malformed += 1;
    }
}
