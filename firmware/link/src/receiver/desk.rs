//! Everything of the receiver but the deframer, so that a message may borrow from the one while the other changes.

use super::tuning::Tuning;
use super::{Identity, Known, Received, ReceiverCounters};
use crate::{
    DEFAULT_CREDIT, DecodeError, ErrorCode, FrameHeader, MAX_CHUNK, Message, NakReason, Outcome, PROTOCOL_VERSION,
    Packet, Rates, encode,
};

/// A result is repeated this often (and again whenever the hardware asks) until it is acknowledged.
const RESULT_TRIES: u8 = 8;

/// Replies that may wait for the port; one more is dropped, and the hardware asks again.
const MAX_REPLIES: usize = 8;

/// Chunks are acknowledged once the line is quiet for this long, or a quarter of the credit has arrived.
const ACK_DELAY_MS: u64 = 5;

pub(super) struct Desk<B> {
    pub(super) buffer: B,
    identity: Identity,
    pub(super) work: Work,
    replies: [Option<Message<'static>>; MAX_REPLIES],
    /// When the frame's acknowledgement is due, and the bytes that have arrived since the last.
    pub(super) ack_ms: Option<u64>,
    unacknowledged: u32,
    credit: u32,
    sequence: u16,
    /// Sequence number of the last good packet.
    heard_sequence: u16,
    pub(super) is_connected: bool,
    heard_ms: Option<u64>,
    tuning: Option<Tuning>,
    pub(super) counters: ReceiverCounters,
}

#[derive(Clone, Copy)]
pub(super) enum Work {
    Idle,
    /// `received` bytes have arrived, without a gap; `is_cut` when the session was lost since the last of them.
    Receiving {
        header: FrameHeader,
        received: u32,
        is_cut: bool,
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
        is_delivered: bool,
    },
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Desk<B> {
    pub(super) fn new(buffer: B, identity: Identity) -> Self {
        Desk {
            buffer,
            identity,
            work: Work::Idle,
            replies: [None; MAX_REPLIES],
            ack_ms: None,
            unacknowledged: 0,
            credit: DEFAULT_CREDIT,
            sequence: 0,
            heard_sequence: 0,
            is_connected: false,
            heard_ms: None,
            tuning: None,
            counters: ReceiverCounters::default(),
        }
    }

    pub(super) fn tune(&mut self, rates: Rates) {
        self.tuning = Some(Tuning::new(rates));
    }

    pub(super) fn baud(&self) -> Option<u32> {
        self.tuning.as_ref().map(Tuning::baud)
    }

    pub(super) fn counters(&self) -> ReceiverCounters {
        self.counters
    }

    pub(super) fn heard_ms(&self) -> Option<u64> {
        self.heard_ms
    }

    pub(super) fn progress(&self) -> Option<(FrameHeader, u32)> {
        match self.work {
            Work::Receiving { header, received, .. } => Some((header, received)),
            _ => None,
        }
    }

    pub(super) fn image(&self) -> Option<(FrameHeader, &[u8])> {
        let Work::Complete { header } = self.work else { return None };
        Some((header, self.buffer.as_ref().get(..usize::try_from(header.length).ok()?)?))
    }

    pub(super) fn answer(&mut self, now_ms: u64, outcome: Outcome) -> bool {
        match self.work {
            Work::Complete { header } if header.id == outcome.frame_id => {
                let due_ms = Some(now_ms);
                self.work = Work::Answered { header, outcome, tries: 0, due_ms, is_delivered: false };
                true
            }
            _ => false,
        }
    }

    pub(super) fn forget(&mut self) -> bool {
        let is_held = matches!(self.work, Work::Complete { .. });
        if is_held {
            self.work = Work::Idle;
        }
        is_held
    }

    pub(super) fn set_credit(&mut self, bytes: u32) {
        if bytes == self.credit {
            return;
        }
        self.counters.pauses += u64::from(bytes == 0);
        self.credit = bytes;
        if let Work::Receiving { .. } = self.work {
            self.ack_ms = Some(0);
        }
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        let reply = self.replies.iter().any(Option::is_some).then_some(0);
        let result = if let Work::Answered { due_ms, .. } = self.work { due_ms } else { None };
        let tuning = self.tuning.as_ref().and_then(Tuning::due_ms);
        [reply, self.ack_ms, result, tuning].into_iter().flatten().min()
    }

    pub(super) fn poll(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        if self.tuning.as_mut().is_some_and(|tuning| tuning.poll(now_ms)) {
            self.is_connected = false;
            self.cut();
        }
        let message = self.next_reply().or_else(|| self.due_ack(now_ms)).or_else(|| self.due_result(now_ms));
        let Some(message) = message else { return false };
        if let (Message::RateAck { baud }, Some(tuning)) = (message, &mut self.tuning) {
            self.counters.rate_changes += u64::from(tuning.change(now_ms, baud));
        }
        self.sequence = self.sequence.wrapping_add(1);
        encode(self.sequence, &message, packet).is_ok()
    }

    /// A good packet has arrived, whatever it says.
    pub(super) fn heard(&mut self, now_ms: u64) {
        self.counters.packets += 1;
        self.heard_ms = Some(now_ms);
        if let Some(tuning) = &mut self.tuning {
            tuning.heard(now_ms);
        }
    }

    /// Asks for what was lost, but only in a session: noise on an idle line is nobody's message.
    pub(super) fn corrupt(&mut self, skipped: usize) {
        self.counters.corrupt += 1;
        self.counters.skipped_bytes += skipped as u64;
        self.counters.worst_resync_bytes = self.counters.worst_resync_bytes.max(skipped as u64);
        if self.is_connected {
            let (frame_id, wanted) = self.progress().map_or((0, 0), |(header, received)| (header.id, received));
            self.nak(self.heard_sequence, NakReason::Damaged, frame_id, wanted);
        }
    }

    pub(super) fn malformed(&mut self, error: DecodeError) -> Received {
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

    pub(super) fn take(
        &mut self,
        now_ms: u64,
        sequence: u16,
        message: Message<'_>,
        journal: &mut impl FnMut(&FrameHeader) -> Known,
    ) -> Received {
        self.heard_sequence = sequence;
        match message {
            Message::Hello { min_version, max_version, session, .. } => self.hello(min_version, max_version, session),
            Message::Rate { baud } => self.rate(sequence, baud),
            Message::Ping { token } => self.reply(Message::Pong { token }),
            Message::FrameStart(header) => self.start(now_ms, sequence, header, journal),
            Message::FrameChunk { frame_id, offset, bytes } => self.chunk(now_ms, sequence, frame_id, offset, bytes),
            Message::FrameEnd { frame_id } => self.end(now_ms, sequence, frame_id),
            Message::ResultAck { frame_id } => self.delivered(frame_id),
            // The device's own words, come back over an echoing line.
            Message::HelloAck { .. }
            | Message::RateAck { .. }
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
        self.cut();
        self.is_connected = true;
        self.reply(Message::HelloAck {
            version: PROTOCOL_VERSION,
            max_chunk: u16::try_from(MAX_CHUNK).unwrap_or(u16::MAX),
            session,
            device_id: self.identity.device_id,
            credit: self.credit,
        });
        Received::Connected
    }

    /// The session is lost; what has arrived of a frame stays, for the hardware to go on.
    fn cut(&mut self) {
        if let Work::Receiving { is_cut, .. } = &mut self.work {
            *is_cut = true;
        }
    }

    fn rate(&mut self, sequence: u16, proposed: u32) -> Received {
        match &self.tuning {
            Some(tuning) => self.reply(Message::RateAck { baud: tuning.answer(proposed) }),
            None => self.nak(sequence, NakReason::FixedRate, 0, 0),
        }
    }

    /// So many more bytes are to be acknowledged, now or when the line falls quiet.
    pub(super) fn acknowledge(&mut self, now_ms: u64, more: u32) {
        self.unacknowledged = self.unacknowledged.saturating_add(more);
        let is_much = self.unacknowledged >= self.credit / 4;
        let due_ms = if is_much { now_ms } else { now_ms.saturating_add(ACK_DELAY_MS) };
        let was_urgent = self.ack_ms.is_some_and(|at_ms| at_ms <= now_ms);
        self.ack_ms = Some(if was_urgent { now_ms } else { due_ms });
    }

    fn due_ack(&mut self, now_ms: u64) -> Option<Message<'static>> {
        self.ack_ms.take_if(|due_ms| *due_ms <= now_ms)?;
        self.unacknowledged = 0;
        let (frame_id, offset) = match self.work {
            Work::Receiving { header, received, .. } => (header.id, received),
            Work::Complete { header } => (header.id, header.length),
            Work::Idle | Work::Answered { .. } => return None,
        };
        Some(Message::Ack { frame_id, offset, credit: self.credit })
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

    pub(super) fn nak(&mut self, sequence: u16, reason: NakReason, frame_id: u64, detail: u32) -> Received {
        self.counters.naks += 1;
        self.reply(Message::Nak { sequence, reason, frame_id, detail })
    }

    /// Queues a reply. Of refusals of the same kind that wait, the newest stands for all: many packets may be behind one gap.
    fn reply(&mut self, message: Message<'static>) -> Received {
        let newest = self.replies.iter().rposition(Option::is_some);
        let same = newest.filter(|&at| self.replies.get(at).is_some_and(|reply| is_same_refusal(reply, &message)));
        if let Some(slot) = self.replies.get_mut(same.unwrap_or_else(|| newest.map_or(0, |at| at + 1))) {
            *slot = Some(message);
        }
        Received::Nothing
    }

    fn next_reply(&mut self) -> Option<Message<'static>> {
        let oldest = self.replies.first_mut()?.take();
        self.replies.rotate_left(1);
        oldest
    }
}

fn is_same_refusal(waiting: &Option<Message<'static>>, message: &Message<'static>) -> bool {
    match (waiting, message) {
        (
            Some(Message::Nak { reason: a, frame_id: frame_a, .. }),
            Message::Nak { reason: b, frame_id: frame_b, .. },
        ) => a == b && frame_a == frame_b,
        _ => false,
    }
}
