//! The imaging hardware's side: one frame at a time, repeated until its result has come.
//!
//! Stop and wait: one message is outstanding. That keeps a microcontroller's memory to one packet and makes every
//! retransmission harmless; a window would be a change of this file only, since chunks carry their offset.

use crate::{
    DecodeError, Deframer, ErrorCode, FrameHeader, MAX_CHUNK, Message, NakReason, Outcome, PROTOCOL_VERSION, Packet,
    Step, decode, encode,
};

/// Chunks are not cut smaller than this, however noisy the line is.
const MIN_CHUNK: usize = 64;

/// How long the sender waits, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For an acknowledgement before a message is sent again. At least the time of two packets on the line.
    pub ack_ms: u64,
    /// For a result before the device is asked for it again.
    pub result_ms: u64,
    /// Between pings while there is nothing to send.
    pub keepalive_ms: u64,
    /// Unanswered repetitions after which the device counts as gone and is greeted anew.
    pub retries: u32,
}

/// What the bytes brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Every byte given was taken and there is nothing to tell.
    Nothing,
    /// The device opened the session.
    Connected {
        /// Who it is.
        device_id: u64,
    },
    /// The frame is answered, durably: it may be forgotten.
    Answered(Outcome),
    /// The device will never take this frame; it was given up.
    Refused {
        /// The frame.
        frame_id: u64,
        /// Why.
        reason: NakReason,
        /// As the reason says.
        detail: u32,
    },
    /// The device complains about something that is no message of this sender.
    Fault {
        /// What.
        code: ErrorCode,
        /// As the code says.
        detail: u32,
    },
}

/// What happened on the link since the sender was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounters {
    /// Packets sent, repetitions included.
    pub packets: u64,
    /// Packets sent again.
    pub retransmissions: u64,
    /// Refusals heard.
    pub naks: u64,
    /// Packets thrown away: noise or damage, after each the sender resynchronised.
    pub corrupt: u64,
    /// Good packets that were no message of this version.
    pub malformed: u64,
    /// Times the device stopped answering and was greeted anew.
    pub lost_sessions: u64,
}

/// The imaging hardware's end of the link. `S` holds one image: a slice of flash, a `Vec`, whatever gives bytes.
pub struct Sender<S> {
    deframer: Deframer,
    desk: Desk<S>,
}

struct Desk<S> {
    timing: Timing,
    session: u32,
    state: State,
    frame: Option<(FrameHeader, S)>,
    sequence: u16,
    /// How often the message of this state was sent, and when it is due (again).
    tries: u32,
    due_ms: u64,
    /// The largest chunk both sides take, and the one the line bears now.
    max_chunk: usize,
    chunk: usize,
    result_ack: Option<u64>,
    counters: SenderCounters,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Ready,
    Starting,
    /// The bytes before `offset` are acknowledged, the next `length` are on their way.
    Sending {
        offset: u32,
        length: u32,
    },
    Ending,
    Awaiting,
}

impl<S: AsRef<[u8]>> Sender<S> {
    /// A sender that greets the device first. `session` should differ from the last run's: a clock or a boot counter.
    pub fn new(session: u32, timing: Timing) -> Self {
        let desk = Desk {
            timing,
            session,
            state: State::Greeting,
            frame: None,
            sequence: session.to_le_bytes().first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes)),
            tries: 0,
            due_ms: 0,
            max_chunk: MAX_CHUNK,
            chunk: MAX_CHUNK,
            result_ack: None,
            counters: SenderCounters::default(),
        };
        Sender { deframer: Deframer::new(), desk }
    }

    /// Whether a frame may be given.
    pub fn is_free(&self) -> bool {
        self.desk.frame.is_none()
    }

    /// Takes a frame to send, or hands it back while another is under way.
    ///
    /// # Errors
    /// The image itself, when the sender is not free.
    pub fn send(&mut self, now_ms: u64, header: FrameHeader, image: S) -> Result<(), S> {
        if self.desk.frame.is_some() {
            return Err(image);
        }
        self.desk.frame = Some((header, image));
        if self.desk.state == State::Ready {
            self.desk.enter(State::Starting, now_ms);
        }
        Ok(())
    }

    /// Takes bytes from the front of `bytes` until there is something to tell or none are left.
    ///
    /// Call until it returns [`Heard::Nothing`], then [`Sender::poll`] until that has nothing to send.
    pub fn receive(&mut self, now_ms: u64, bytes: &mut &[u8]) -> Heard {
        loop {
            match self.deframer.next(bytes) {
                Step::NeedMore => return Heard::Nothing,
                Step::Corrupt { .. } => self.desk.counters.corrupt += 1,
                Step::Frame { body } => {
                    let heard = match decode(body) {
                        Ok((_, message)) => self.desk.take(now_ms, message),
                        Err(error) => self.desk.malformed(error),
                    };
                    if heard != Heard::Nothing {
                        return heard;
                    }
                }
            }
        }
    }

    /// Puts the next packet that is due into `packet`; `false` when there is none. Call again after the time moved on.
    pub fn poll(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        self.desk.poll(now_ms, packet)
    }

    /// When [`Sender::poll`] next has something to send, in the caller's milliseconds.
    pub fn due_ms(&self) -> u64 {
        if self.desk.result_ack.is_some() { 0 } else { self.desk.due_ms }
    }

    /// Whether the device has answered the greeting and is not given up.
    pub fn is_connected(&self) -> bool {
        self.desk.state != State::Greeting
    }

    /// What happened on the link so far.
    pub fn counters(&self) -> SenderCounters {
        self.desk.counters
    }
}

impl<S: AsRef<[u8]>> Desk<S> {
    /// Goes to `state`; its message is due at once.
    fn enter(&mut self, state: State, now_ms: u64) {
        self.state = state;
        self.sequence = self.sequence.wrapping_add(1);
        self.tries = 0;
        self.due_ms = match state {
            State::Ready => now_ms.saturating_add(self.timing.keepalive_ms),
            State::Awaiting => now_ms.saturating_add(self.timing.result_ms),
            _ => now_ms,
        };
    }

    fn poll(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        if let Some(frame_id) = self.result_ack.take() {
            self.counters.packets += 1;
            return encode(self.sequence, &Message::ResultAck { frame_id }, packet).is_ok();
        }
        if now_ms < self.due_ms {
            return false;
        }
        if self.tries > self.timing.retries && self.state != State::Greeting {
            self.counters.lost_sessions += 1;
            self.enter(State::Greeting, now_ms);
        }
        if self.tries > 0 && matches!(self.state, State::Sending { .. }) {
            self.chunk = (self.chunk / 2).max(MIN_CHUNK);
        }
        let chunk = self.chunk;
        let message = match (&mut self.state, &self.frame) {
            (State::Greeting, _) => self.greeting(),
            (State::Starting, Some((header, _))) => Message::FrameStart(*header),
            (State::Sending { offset, length }, Some((header, image))) => {
                let rest = image.as_ref().get(*offset as usize..).unwrap_or_default();
                let bytes = rest.get(..chunk.min(rest.len())).unwrap_or_default();
                *length = u32::try_from(bytes.len()).unwrap_or(0);
                Message::FrameChunk { frame_id: header.id, offset: *offset, bytes }
            }
            (State::Ending | State::Awaiting, Some((header, _))) => Message::FrameEnd { frame_id: header.id },
            _ => Message::Ping { token: self.session },
        };
        let is_encoded = encode(self.sequence, &message, packet).is_ok();
        self.counters.packets += 1;
        self.counters.retransmissions += u64::from(self.tries > 0);
        self.tries = self.tries.saturating_add(1);
        let wait_ms = if self.state == State::Awaiting { self.timing.result_ms } else { self.timing.ack_ms };
        self.due_ms = now_ms.saturating_add(wait_ms);
        is_encoded
    }

    fn greeting(&self) -> Message<'static> {
        Message::Hello {
            min_version: PROTOCOL_VERSION,
            max_version: PROTOCOL_VERSION,
            max_chunk: u16::try_from(MAX_CHUNK).unwrap_or(u16::MAX),
            session: self.session,
        }
    }

    fn take(&mut self, now_ms: u64, message: Message<'_>) -> Heard {
        match message {
            Message::HelloAck { session, device_id, max_chunk, .. } if session == self.session => {
                if self.state != State::Greeting {
                    return Heard::Nothing;
                }
                self.max_chunk = usize::from(max_chunk).clamp(1, MAX_CHUNK);
                self.chunk = self.max_chunk;
                self.enter(if self.frame.is_some() { State::Starting } else { State::Ready }, now_ms);
                Heard::Connected { device_id }
            }
            Message::Ack { sequence } => {
                if sequence == self.sequence && self.tries > 0 {
                    self.acknowledged(now_ms);
                }
                Heard::Nothing
            }
            Message::Nak { sequence, reason, detail } => self.refused(now_ms, sequence, reason, detail),
            Message::Result(outcome) => self.result(now_ms, outcome),
            Message::Pong { token } if token == self.session => {
                if self.state == State::Ready {
                    self.enter(State::Ready, now_ms);
                }
                Heard::Nothing
            }
            Message::Error { code, detail } => Heard::Fault { code, detail },
            _ => Heard::Nothing,
        }
    }

    fn acknowledged(&mut self, now_ms: u64) {
        let length = self.frame.as_ref().map_or(0, |(header, _)| header.length);
        match self.state {
            State::Starting => self.enter(State::Sending { offset: 0, length: 0 }, now_ms),
            State::Sending { offset, length: sent } => {
                if self.tries == 1 {
                    self.chunk = (self.chunk + self.chunk / 4).min(self.max_chunk);
                }
                let offset = offset.saturating_add(sent);
                let next = if offset < length { State::Sending { offset, length: 0 } } else { State::Ending };
                self.enter(next, now_ms);
            }
            // The device has the whole image, or still works on it.
            State::Ending | State::Awaiting => self.enter(State::Awaiting, now_ms),
            State::Greeting | State::Ready => {}
        }
    }

    fn refused(&mut self, now_ms: u64, sequence: u16, reason: NakReason, detail: u32) -> Heard {
        self.counters.naks += 1;
        if self.tries == 0 || matches!(self.state, State::Greeting | State::Ready) {
            return Heard::Nothing;
        }
        if reason == NakReason::Damaged {
            if self.state != State::Awaiting {
                self.due_ms = now_ms;
            }
            return Heard::Nothing;
        }
        let Some(&(FrameHeader { id: frame_id, length, .. }, _)) = self.frame.as_ref() else { return Heard::Nothing };
        if sequence != self.sequence {
            return Heard::Nothing;
        }
        match reason {
            _ if reason.is_final() => {
                self.frame = None;
                self.enter(State::Ready, now_ms);
                return Heard::Refused { frame_id, reason, detail };
            }
            NakReason::OutOfOrder if detail < length => {
                self.enter(State::Sending { offset: detail, length: 0 }, now_ms)
            }
            NakReason::OutOfOrder => self.enter(State::Starting, now_ms),
            NakReason::UnknownFrame | NakReason::ImageDamaged => self.enter(State::Starting, now_ms),
            // Busy: the device is there, and the message is due again when its time is up.
            _ => self.tries = 1,
        }
        Heard::Nothing
    }

    /// A result is always acknowledged, so that the device stops repeating it; it counts only for the present frame.
    fn result(&mut self, now_ms: u64, outcome: Outcome) -> Heard {
        self.result_ack = Some(outcome.frame_id);
        match &self.frame {
            Some((header, _)) if header.id == outcome.frame_id => {
                self.frame = None;
                self.enter(State::Ready, now_ms);
                Heard::Answered(outcome)
            }
            _ => Heard::Nothing,
        }
    }

    fn malformed(&mut self, _: DecodeError) -> Heard {
        self.counters.malformed += 1;
        Heard::Nothing
    }
}
