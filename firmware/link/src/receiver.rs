//! The device's side: assembles frames and answers each exactly once.
//!
//! Idempotent by construction: what was taken before is acknowledged again and changes nothing, and a frame that was
//! answered before is answered again from the caller's journal, never computed again.

use crate::{
    DecodeError, Deframer, ErrorCode, FrameHeader, MAX_CHUNK, MAX_FRAME, Message, NakReason, Outcome, PROTOCOL_VERSION,
    Packet, Step, decode, encode, image_crc,
};

/// A result is repeated this often (and again whenever the hardware asks) until it is acknowledged.
const RESULT_TRIES: u8 = 8;

/// Replies that may wait for the port; one more is dropped, and the hardware asks again.
const MAX_REPLIES: usize = 8;

/// Who the device is, as `HelloAck` says it.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Tells devices apart.
    pub device_id: u64,
    /// How long to wait for a `ResultAck` before the result is sent again, in milliseconds.
    pub result_retry_ms: u64,
}

/// What the caller's journal says about an announced frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not seen before: take it.
    New,
    /// Answered before: send this again.
    Answered(Outcome),
    /// Do not take it.
    Refuse(NakReason),
}

/// What the bytes brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Every byte given was taken and there is nothing to tell.
    Nothing,
    /// The hardware opened a session.
    Connected,
    /// A new frame begins.
    Started(FrameHeader),
    /// A frame is whole and its CRC is right. Read [`Receiver::image`], make the answer durable, then call
    /// [`Receiver::answer`].
    Complete(FrameHeader),
    /// The hardware has the answer to this frame.
    Delivered {
        /// The frame.
        frame_id: u64,
    },
}

/// What happened on the link since the receiver was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Packets with a good CRC.
    pub packets: u64,
    /// Packets thrown away: noise or damage, after each the receiver resynchronised.
    pub corrupt: u64,
    /// Bytes thrown away with them.
    pub skipped_bytes: u64,
    /// Good packets that were no message of this version.
    pub malformed: u64,
    /// Frames whose assembled image did not match its CRC.
    pub damaged_images: u64,
    /// Refusals sent.
    pub naks: u64,
    /// Frames completed.
    pub frames: u64,
    /// Results sent again.
    pub repeated_results: u64,
}

/// The device's end of the link. `B` holds the image: its length is the largest frame the device takes.
pub struct Receiver<B> {
    deframer: Deframer,
    desk: Desk<B>,
}

/// Everything but the deframer, so that a message may borrow from the one while the other changes.
struct Desk<B> {
    buffer: B,
    identity: Identity,
    work: Work,
    replies: [Option<Message<'static>>; MAX_REPLIES],
    sequence: u16,
    is_connected: bool,
    heard_ms: Option<u64>,
    counters: ReceiverCounters,
}

#[derive(Clone, Copy)]
enum Work {
    Idle,
    /// `received` bytes have arrived, without a gap.
    Receiving {
        header: FrameHeader,
        received: u32,
    },
    /// The caller is working out the answer.
    Complete {
        header: FrameHeader,
    },
    /// Durable, and being delivered; `due_ms` is `None` once the hardware has it, or was told often enough.
    Answered {
        header: FrameHeader,
        outcome: Outcome,
        tries: u8,
        due_ms: Option<u64>,
    },
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Receiver<B> {
    /// A receiver that assembles frames in `buffer`.
    pub fn new(buffer: B, identity: Identity) -> Self {
        let desk = Desk {
            buffer,
            identity,
            work: Work::Idle,
            replies: [None; MAX_REPLIES],
            sequence: 0,
            is_connected: false,
            heard_ms: None,
            counters: ReceiverCounters::default(),
        };
        Receiver { deframer: Deframer::new(), desk }
    }

    /// Takes bytes from the front of `bytes` until there is something to tell or none are left.
    ///
    /// Call until it returns [`Received::Nothing`], then [`Receiver::poll`] until that has nothing to send. `journal` is
    /// asked about every frame that begins; it must know every frame that was ever answered.
    pub fn receive(
        &mut self,
        now_ms: u64,
        bytes: &mut &[u8],
        mut journal: impl FnMut(&FrameHeader) -> Known,
    ) -> Received {
        loop {
            match self.deframer.next(bytes) {
                Step::NeedMore => return Received::Nothing,
                Step::Corrupt { skipped } => self.desk.corrupt(skipped),
                Step::Frame { body } => {
                    self.desk.counters.packets += 1;
                    self.desk.heard_ms = Some(now_ms);
                    let received = match decode(body) {
                        Ok((sequence, message)) => self.desk.take(now_ms, sequence, message, &mut journal),
                        Err(error) => self.desk.malformed(error),
                    };
                    if received != Received::Nothing {
                        return received;
                    }
                }
            }
        }
    }

    /// Puts the next packet that is due into `packet`; `false` when there is none. Call again after the time moved on.
    pub fn poll(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        let Some(message) = self.desk.next_reply().or_else(|| self.desk.due_result(now_ms)) else {
            return false;
        };
        self.desk.sequence = self.desk.sequence.wrapping_add(1);
        encode(self.desk.sequence, &message, packet).is_ok()
    }

    /// The frame that is complete and unanswered, and its image.
    pub fn image(&self) -> Option<(FrameHeader, &[u8])> {
        let Work::Complete { header } = self.desk.work else { return None };
        Some((header, self.desk.buffer.as_ref().get(..usize::try_from(header.length).ok()?)?))
    }

    /// Sends the answer to the complete frame. Call only once the answer is durable: the hardware then forgets the image.
    ///
    /// Returns `false`, and does nothing, when `outcome` is not for the complete frame.
    pub fn answer(&mut self, now_ms: u64, outcome: Outcome) -> bool {
        match self.desk.work {
            Work::Complete { header } if header.id == outcome.frame_id => {
                self.desk.work = Work::Answered { header, outcome, tries: 0, due_ms: Some(now_ms) };
                true
            }
            _ => false,
        }
    }

    /// The frame now arriving and how many of its bytes have arrived.
    pub fn progress(&self) -> Option<(FrameHeader, u32)> {
        match self.desk.work {
            Work::Receiving { header, received } => Some((header, received)),
            _ => None,
        }
    }

    /// When the last good packet arrived, in the caller's milliseconds.
    pub fn heard_ms(&self) -> Option<u64> {
        self.desk.heard_ms
    }

    /// When [`Receiver::poll`] next has something to send, in the caller's milliseconds.
    pub fn due_ms(&self) -> Option<u64> {
        match self.desk.work {
            _ if self.desk.replies.iter().any(Option::is_some) => Some(0),
            Work::Answered { due_ms, .. } => due_ms,
            _ => None,
        }
    }

    /// What happened on the link so far.
    pub fn counters(&self) -> ReceiverCounters {
        self.desk.counters
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Desk<B> {
    fn take(
        &mut self,
        now_ms: u64,
        sequence: u16,
        message: Message<'_>,
        journal: &mut impl FnMut(&FrameHeader) -> Known,
    ) -> Received {
        match message {
            Message::Hello { min_version, max_version, session, .. } => self.hello(min_version, max_version, session),
            Message::Ping { token } => self.reply(Message::Pong { token }),
            Message::FrameStart(header) => self.start(now_ms, sequence, header, journal),
            Message::FrameChunk { frame_id, offset, bytes } => self.chunk(now_ms, sequence, frame_id, offset, bytes),
            Message::FrameEnd { frame_id } => self.end(now_ms, sequence, frame_id),
            Message::ResultAck { frame_id } => self.delivered(frame_id),
            // The device's own words, come back over an echoing line.
            Message::HelloAck { .. }
            | Message::Ack { .. }
            | Message::Nak { .. }
            | Message::Result(_)
            | Message::Pong { .. }
            | Message::Error { .. } => Received::Nothing,
        }
    }

    fn hello(&mut self, min_version: u8, max_version: u8, session: u32) -> Received {
        if !(min_version..=max_version).contains(&PROTOCOL_VERSION) {
            return self.reply(Message::Error { code: ErrorCode::Version, detail: PROTOCOL_VERSION.into() });
        }
        if let Work::Receiving { .. } = self.work {
            self.work = Work::Idle;
        }
        self.is_connected = true;
        self.reply(Message::HelloAck {
            version: PROTOCOL_VERSION,
            max_chunk: u16::try_from(MAX_CHUNK).unwrap_or(u16::MAX),
            session,
            device_id: self.identity.device_id,
        });
        Received::Connected
    }

    fn start(
        &mut self,
        now_ms: u64,
        sequence: u16,
        header: FrameHeader,
        journal: &mut impl FnMut(&FrameHeader) -> Known,
    ) -> Received {
        match &mut self.work {
            Work::Receiving { header: current, .. } | Work::Complete { header: current } if *current == header => {
                return self.reply(Message::Ack { sequence });
            }
            Work::Complete { .. } => return self.nak(sequence, NakReason::Busy, 0),
            Work::Answered { header: current, .. } if *current == header => return self.repeat(now_ms),
            _ => {}
        }
        let capacity = u32::try_from(self.buffer.as_ref().len()).unwrap_or(u32::MAX).min(MAX_FRAME);
        if header.length == 0 || !header.is_consistent() {
            return self.nak(sequence, NakReason::BadHeader, 0);
        }
        if header.length > capacity {
            return self.nak(sequence, NakReason::TooLarge, capacity);
        }
        self.is_connected = true;
        match journal(&header) {
            Known::Refuse(reason) => self.nak(sequence, reason, 0),
            Known::Answered(outcome) => {
                self.work = Work::Answered { header, outcome, tries: 0, due_ms: None };
                self.repeat(now_ms)
            }
            Known::New => {
                self.work = Work::Receiving { header, received: 0 };
                self.reply(Message::Ack { sequence });
                Received::Started(header)
            }
        }
    }

    fn chunk(&mut self, now_ms: u64, sequence: u16, frame_id: u64, offset: u32, bytes: &[u8]) -> Received {
        match self.work {
            Work::Receiving { header, received } if header.id == frame_id => {
                if offset > received {
                    return self.nak(sequence, NakReason::OutOfOrder, received);
                }
                let end = u32::try_from(bytes.len()).ok().and_then(|len| offset.checked_add(len));
                let Some(end) = end.filter(|&end| end <= header.length) else {
                    return self.nak(sequence, NakReason::OutOfOrder, received);
                };
                if end > received {
                    // A chunk may overlap what has arrived: the hardware cut a repeated piece elsewhere.
                    let room = self.buffer.as_mut().get_mut(received as usize..end as usize);
                    let fresh = bytes.get((received - offset) as usize..);
                    if let (Some(room), Some(fresh)) = (room, fresh) {
                        room.copy_from_slice(fresh);
                        self.work = Work::Receiving { header, received: end };
                    }
                }
                self.reply(Message::Ack { sequence })
            }
            Work::Complete { header } if header.id == frame_id => self.reply(Message::Ack { sequence }),
            Work::Answered { header, .. } if header.id == frame_id => self.repeat(now_ms),
            _ => self.nak(sequence, NakReason::UnknownFrame, 0),
        }
    }

    fn end(&mut self, now_ms: u64, sequence: u16, frame_id: u64) -> Received {
        match self.work {
            Work::Receiving { header, received } if header.id == frame_id => {
                if received < header.length {
                    return self.nak(sequence, NakReason::OutOfOrder, received);
                }
                let image = self.buffer.as_ref().get(..received as usize).unwrap_or_default();
                if image_crc(image) != header.crc {
                    self.counters.damaged_images += 1;
                    self.work = Work::Idle;
                    return self.nak(sequence, NakReason::ImageDamaged, 0);
                }
                self.counters.frames += 1;
                self.work = Work::Complete { header };
                self.reply(Message::Ack { sequence });
                Received::Complete(header)
            }
            Work::Complete { header } if header.id == frame_id => self.reply(Message::Ack { sequence }),
            Work::Answered { header, .. } if header.id == frame_id => self.repeat(now_ms),
            _ => self.nak(sequence, NakReason::UnknownFrame, 0),
        }
    }

    fn delivered(&mut self, id: u64) -> Received {
        match &mut self.work {
            Work::Answered { header, due_ms, .. } if header.id == id => match due_ms.take() {
                Some(_) => Received::Delivered { frame_id: id },
                None => Received::Nothing,
            },
            _ => Received::Nothing,
        }
    }

    /// The hardware asks about an answered frame: its result is due now, and as often as at first.
    fn repeat(&mut self, now_ms: u64) -> Received {
        if let Work::Answered { tries, due_ms, .. } = &mut self.work {
            self.counters.repeated_results += 1;
            (*tries, *due_ms) = (0, Some(now_ms));
        }
        Received::Nothing
    }

    fn due_result(&mut self, now_ms: u64) -> Option<Message<'static>> {
        let Work::Answered { outcome, tries, due_ms, .. } = &mut self.work else { return None };
        if due_ms.is_none_or(|due_ms| due_ms > now_ms) {
            return None;
        }
        self.counters.repeated_results += u64::from(*tries > 0);
        *tries += 1;
        *due_ms = (*tries < RESULT_TRIES).then(|| now_ms.saturating_add(self.identity.result_retry_ms));
        Some(Message::Result(*outcome))
    }

    /// Asks for what was lost, but only in a session: noise on an idle line is nobody's message.
    fn corrupt(&mut self, skipped: usize) {
        self.counters.corrupt += 1;
        self.counters.skipped_bytes += skipped as u64;
        if self.is_connected {
            self.nak(0, NakReason::Damaged, 0);
        }
    }

    fn malformed(&mut self, error: DecodeError) -> Received {
        self.counters.malformed += 1;
        let (code, detail) = match error {
            DecodeError::Version { .. } => (ErrorCode::Version, PROTOCOL_VERSION.into()),
            DecodeError::UnknownType { found } | DecodeError::Malformed { message_type: found } => {
                (ErrorCode::Malformed, found.into())
            }
            DecodeError::NoHeader => (ErrorCode::Malformed, 0),
        };
        self.reply(Message::Error { code, detail })
    }

    fn nak(&mut self, sequence: u16, reason: NakReason, detail: u32) -> Received {
        self.counters.naks += 1;
        self.reply(Message::Nak { sequence, reason, detail })
    }

    fn reply(&mut self, message: Message<'static>) -> Received {
        if let Some(free) = self.replies.iter_mut().find(|reply| reply.is_none()) {
            *free = Some(message);
        }
        Received::Nothing
    }

    fn next_reply(&mut self) -> Option<Message<'static>> {
        let oldest = self.replies.first_mut()?.take();
        self.replies.rotate_left(1);
        oldest
    }
}
