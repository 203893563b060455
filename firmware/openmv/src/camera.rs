//! The camera's side: answers one request at a time, and sends every packet of an answer until it is acknowledged.
//!
//! As the firmware does it (`protocol/omv_protocol.c`), with its constants: what comes while an acknowledgement is awaited waits
//! its turn, and a camera that nobody acknowledges resets itself.

mod answers;

use std::collections::VecDeque;

use crate::frame::Frame;
use crate::packet::{Channel, Flags, Header, MAX_PAYLOAD, Opcode, Packet, Status, encode};
use crate::parser::{Parser, ParserCounters};

/// Of the firmware, `OMV_PROTOCOL_DEF_RTX_TIMEOUT_MS` and `…_RETRIES`; the wait doubles each time.
const AGAIN_MS: u64 = 500;
const RETRIES: u32 = 3;
/// The firmware's buffer for what is not worked on yet.
const MAX_WAITING: usize = 4096;

const CRC: u32 = 1;
const SEQUENCE: u32 = 1 << 1;
const ACK: u32 = 1 << 2;
const EVENTS: u32 = 1 << 3;

/// What a camera is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraSettings {
    /// Its own number, three words.
    pub device_id: [u32; 3],
    /// The processor's identification register; the default is a Cortex-M7.
    pub cpu_id: u32,
    /// The image sensor's identification; the default is an OV5640.
    pub sensor_id: u32,
    /// Bytes of the buffer that frames are read from, with the 20 bytes of their header; larger ones are not shown.
    pub stream_bytes: usize,
    /// Largest payload, from 50 to [`MAX_PAYLOAD`].
    pub max_payload: usize,
    /// Whether there is a stream of frames; other boards may speak the protocol without.
    pub has_stream: bool,
}

impl Default for CameraSettings {
    fn default() -> Self {
        Self {
            device_id: [0x5245_4D45, 0x4449_5300, 1],
            cpu_id: 0x411F_C272,
            sensor_id: 0x5640,
            stream_bytes: 1 << 20,
            max_payload: MAX_PAYLOAD,
            has_stream: true,
        }
    }
}

/// What a camera tells about the line, since it has power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets sent, retransmissions and events apart.
    pub sent: u32,
    /// Requests understood.
    pub received: u32,
    /// Requests whose payload was damaged.
    pub checksum: u32,
    /// Requests out of the sequence.
    pub sequence: u32,
    /// Packets sent again.
    pub retransmissions: u32,
    /// Events sent.
    pub events: u32,
}

/// A camera that shows what it is given.
#[derive(Debug)]
pub struct Camera {
    settings: CameraSettings,
    parser: Parser,
    out: Vec<u8>,
    sequence: u8,
    caps: u32,
    max_payload: usize,
    sending: Option<Sending>,
    waiting: VecDeque<Packet>,
    /// As the stream channel gives it; empty when there is none.
    frame: Vec<u8>,
    /// What the stream's shape says of it.
    shape: Vec<u32>,
    is_locked: bool,
    streams: bool,
    locked_at: Option<u64>,
    script: Vec<u8>,
    /// The script that runs.
    running: Option<Vec<u8>>,
    stats: Stats,
    locks: u64,
}

/// An answer of which a packet is not acknowledged yet.
#[derive(Debug)]
struct Sending {
    opcode: u8,
    channel: Channel,
    data: Vec<u8>,
    /// Bytes that were acknowledged.
    at: usize,
    tries: u32,
    deadline: u64,
}

impl Default for Camera {
    fn default() -> Self {
        Self::new(CameraSettings::default())
    }
}

impl Camera {
    /// One that has just got power, and is not streaming yet.
    ///
    /// # Panics
    /// If the largest payload is not from 50 to [`MAX_PAYLOAD`].
    #[must_use]
    pub fn new(settings: CameraSettings) -> Self {
        let max_payload = settings.max_payload;
        assert!((answers::LEAST_PAYLOAD..=MAX_PAYLOAD).contains(&max_payload), "a payload of {max_payload} bytes");
        Self {
            settings,
            parser: Parser::default(),
            out: Vec::new(),
            sequence: 0,
            caps: CRC | SEQUENCE | ACK | EVENTS,
            max_payload,
            sending: None,
            waiting: VecDeque::new(),
            frame: Vec::new(),
            shape: Vec::new(),
            is_locked: false,
            streams: false,
            locked_at: None,
            script: Vec::new(),
            running: None,
            stats: Stats::default(),
            locks: 0,
        }
    }

    /// Shows `frame`; `false` while the one before was not read, nobody streams, or it is too large. As the firmware's fair lock has
    /// it, a frame that nobody has read is not replaced.
    pub fn offer(&mut self, frame: &Frame) -> bool {
        self.offer_bytes(frame.to_bytes(), answers::shape(frame))
    }

    /// As [`offer`](Self::offer), a frame that is none to a host, such as one of raw pixels: as the stream channel gives it, and what
    /// the stream's shape says of it.
    pub fn offer_bytes(&mut self, bytes: Vec<u8>, shape: Vec<u32>) -> bool {
        if !self.is_free() || bytes.len() > self.settings.stream_bytes {
            return false;
        }
        (self.frame, self.shape) = (bytes, shape);
        // While an answer is on its way: the maker's client takes every event for a sign of life and would never find that an answer
        // was lost.
        if self.sending.is_none() && self.caps & EVENTS != 0 {
            self.stats.events += 1;
            self.put(Opcode::ChannelEvent as u8, Channel::STREAM, Flags::EVENT, &[]);
        }
        true
    }

    /// Whether a frame would be shown now.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.streams && !self.is_locked && self.frame.is_empty()
    }

    /// Frames that a host has locked to read them, since the camera was made.
    #[must_use]
    pub fn locks(&self) -> u64 {
        self.locks
    }

    /// The script that the host started last.
    #[must_use]
    pub fn script(&self) -> Option<&[u8]> {
        self.running.as_deref()
    }

    /// What it tells about the line.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What its parser has met.
    #[must_use]
    pub fn parser_counters(&self) -> ParserCounters {
        self.parser.counters()
    }

    /// The plug is pulled and put back: all is forgotten, what was being sent and the script too.
    pub fn power_cycle(&mut self) {
        let locks = self.locks;
        *self = Self { locks, ..Self::new(self.settings.clone()) };
    }

    /// Takes bytes off the line.
    pub fn receive(&mut self, now_ms: u64, bytes: &[u8]) {
        self.parser.push(bytes);
        while let Some(packet) = self.parser.next_packet() {
            self.hear(now_ms, packet);
        }
        if let Some(Header { channel, opcode, .. }) = self.parser.take_damaged()
            && self.sending.is_none()
        {
            self.say(opcode, channel, Status::Checksum);
        }
        if self.parser.holds_sync() {
            self.parser.clear();
            self.synchronise();
        }
    }

    /// Sends again what was not acknowledged in time.
    pub fn poll(&mut self, now_ms: u64) {
        if self.sending.as_ref().is_some_and(|sending| now_ms >= sending.deadline) {
            self.send_again(now_ms);
        }
    }

    /// When [`poll`](Self::poll) has something to do next, if nothing is received before.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        self.sending.as_ref().map(|sending| sending.deadline)
    }

    /// The bytes to write to the line since the last call.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn put(&mut self, opcode: u8, channel: Channel, flags: Flags, payload: &[u8]) {
        encode(Header { sequence: self.sequence, channel, flags, opcode }, payload, &mut self.out);
    }

    fn synchronise(&mut self) {
        self.reset();
        self.stats.received += 1;
        self.stats.sent += 1;
        self.put(Opcode::Sync as u8, Channel::SYSTEM, Flags::ACK, &[]);
    }

    /// Back to where a connection begins; scripts stay, and the frame if nobody was reading it.
    fn reset(&mut self) {
        self.unlock();
        self.sequence = 0;
        self.caps = CRC | SEQUENCE | ACK | EVENTS;
        self.max_payload = self.settings.max_payload;
        self.sending = None;
        self.waiting.clear();
    }

    fn unlock(&mut self) {
        if std::mem::take(&mut self.is_locked) {
            self.frame.clear();
        }
    }

    fn hear(&mut self, now_ms: u64, packet: Packet) {
        let Header { sequence, channel, flags, opcode } = packet.header;
        if Opcode::of(opcode) == Some(Opcode::Sync) && channel == Channel::SYSTEM && packet.payload.is_empty() {
            return self.synchronise();
        }
        if flags.any(Flags::ACK.with(Flags::NAK)) {
            let is_ours = |sending: &Sending| sending.opcode == opcode && sequence == self.sequence;
            if self.sending.as_ref().is_some_and(is_ours) {
                if flags.any(Flags::NAK) { self.send_again(now_ms) } else { self.acknowledged(now_ms) }
            }
        } else if self.sending.is_none() {
            self.work_on(now_ms, &packet);
        } else if self.waiting.iter().chain([&packet]).map(|packet| packet.payload.len() + 14).sum::<usize>()
            <= MAX_WAITING
        {
            self.waiting.push_back(packet);
        }
        while self.sending.is_none()
            && let Some(packet) = self.waiting.pop_front()
        {
            self.work_on(now_ms, &packet);
        }
    }

    fn work_on(&mut self, now_ms: u64, packet: &Packet) {
        let Header { sequence, channel, opcode, .. } = packet.header;
        if self.caps & SEQUENCE != 0 && sequence != self.sequence {
            return self.say(opcode, channel, Status::Sequence);
        }
        self.stats.received += 1;
        match Opcode::of(opcode) {
            Some(asked) => self.answer(now_ms, asked, channel, &packet.payload),
            None => self.say(opcode, channel, Status::Invalid),
        }
    }

    /// Yes, or why not.
    fn say(&mut self, opcode: u8, channel: Channel, status: Status) {
        self.stats.sequence += u32::from(status == Status::Sequence);
        self.stats.checksum += u32::from(status == Status::Checksum);
        match status {
            Status::Success => self.put(opcode, channel, Flags::ACK, &[]),
            no => self.put(opcode, channel, Flags::NAK, &(no as u16).to_le_bytes()),
        }
        self.count_packet();
    }

    fn count_packet(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.stats.sent += 1;
    }

    /// Begins to send `data`.
    fn send(&mut self, now_ms: u64, opcode: u8, channel: Channel, data: Vec<u8>) {
        self.sending = Some(Sending { opcode, channel, data, at: 0, tries: 0, deadline: 0 });
        self.send_part(now_ms);
    }

    /// The next packet of the answer; all of them where nobody acknowledges.
    fn send_part(&mut self, now_ms: u64) {
        while let Some(mut sending) = self.sending.take() {
            let rest = sending.data.get(sending.at..).unwrap_or_default();
            let part = rest.get(..self.max_payload).unwrap_or(rest).to_vec();
            let wants = self.caps & ACK != 0;
            let flags = [
                (sending.at + part.len() < sending.data.len(), Flags::FRAGMENT),
                (wants, Flags::WANTS_ACK),
                (sending.tries > 0, Flags::RETRANSMISSION),
            ];
            let flags = flags.iter().filter(|(is, _)| *is).fold(Flags::default(), |all, (_, flag)| all.with(*flag));
            self.put(sending.opcode, sending.channel, flags, &part);
            if wants {
                sending.deadline = now_ms + (AGAIN_MS << sending.tries);
                self.sending = Some(sending);
                return;
            }
            self.count_packet();
            sending.at += part.len();
            self.sending = (sending.at < sending.data.len()).then_some(sending);
        }
    }

    fn acknowledged(&mut self, now_ms: u64) {
        let Some(mut sending) = self.sending.take() else { return };
        self.count_packet();
        sending.at = (sending.at + self.max_payload).min(sending.data.len());
        sending.tries = 0;
        self.sending = (sending.at < sending.data.len()).then_some(sending);
        self.send_part(now_ms);
    }

    fn send_again(&mut self, now_ms: u64) {
        let Some(sending) = &mut self.sending else { return };
        sending.tries += 1;
        if sending.tries > RETRIES {
            return self.reset();
        }
        self.stats.retransmissions += 1;
        self.send_part(now_ms);
    }
}
