//! The camera's side: answers one command at a time, and sends every packet of an answer until it is acknowledged.

use crate::frame::Frame;
use crate::packet::{Channel, Flags, Header, MAX_PAYLOAD, Opcode, Packet, Parser, Status, encode};

/// Of the firmware, `OMV_PROTOCOL_DEF_RTX_TIMEOUT_MS` and `…_RETRIES`; the wait doubles each time.
const AGAIN_MS: u64 = 500;
const RETRIES: u32 = 3;
/// Between two locks of the stream.
const LOCK_MS: u64 = 10;
const LEAST_PAYLOAD: usize = 50;
/// Scripts longer than this are refused.
const MAX_SCRIPT: usize = 1 << 20;

const CRC: u32 = 1;
const SEQUENCE: u32 = 1 << 1;
const ACK: u32 = 1 << 2;
const EVENTS: u32 = 1 << 3;

/// Number, flags (read 1, write 2, run 4, lock 8, stream 16) and name of each channel.
const CHANNELS: [(Channel, u8, &str); 4] = [
    (Channel::SYSTEM, 0, "transport"),
    (Channel::STDIN, 2 | 4, "stdin"),
    (Channel::STDOUT, 1, "stdout"),
    (Channel::STREAM, 1 | 8 | 16, "stream"),
];

/// A camera that shows what it is given.
#[derive(Debug)]
pub struct Camera {
    parser: Parser,
    out: Vec<u8>,
    sequence: u8,
    caps: u32,
    max_payload: usize,
    sending: Option<Sending>,
    /// As the stream channel gives it.
    frame: Vec<u8>,
    is_locked: bool,
    streams: bool,
    locked_at: Option<u64>,
    script: Vec<u8>,
    /// The script that runs.
    running: Option<Vec<u8>>,
    retransmissions: u64,
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
        Self {
            parser: Parser::default(),
            out: Vec::new(),
            sequence: 0,
            caps: CRC | SEQUENCE | ACK | EVENTS,
            max_payload: MAX_PAYLOAD,
            sending: None,
            frame: Vec::new(),
            is_locked: false,
            streams: false,
            locked_at: None,
            script: Vec::new(),
            running: None,
            retransmissions: 0,
        }
    }
}

impl Camera {
    /// Shows `frame` in the place of the one before; `false` while that is being read or nobody streams.
    pub fn offer(&mut self, frame: &Frame) -> bool {
        if self.is_locked || !self.streams {
            return false;
        }
        let was_empty = self.frame.is_empty();
        self.frame = frame.to_bytes();
        // Once for each wait: the maker's client takes every event for a sign of life and would never find that an answer was lost.
        if was_empty && self.sending.is_none() && self.caps & EVENTS != 0 {
            self.put(Opcode::ChannelEvent as u8, Channel::STREAM, Flags::EVENT, &[]);
        }
        true
    }

    /// The script that the host started last.
    #[must_use]
    pub fn script(&self) -> Option<&[u8]> {
        self.running.as_deref()
    }

    /// Packets that were sent again.
    #[must_use]
    pub fn retransmissions(&self) -> u64 {
        self.retransmissions
    }

    /// Takes bytes off the line.
    pub fn receive(&mut self, now_ms: u64, bytes: &[u8]) {
        self.parser.push(bytes);
        while let Some(packet) = self.parser.next_packet() {
            self.hear(now_ms, &packet);
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
    pub fn wake_at(&self) -> Option<u64> {
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
        self.put(Opcode::Sync as u8, Channel::SYSTEM, Flags::ACK, &[]);
    }

    /// Back to where a connection begins; scripts stay, and the frame if nobody was reading it.
    fn reset(&mut self) {
        if self.is_locked {
            self.frame.clear();
        }
        *self = Self {
            parser: std::mem::take(&mut self.parser),
            out: std::mem::take(&mut self.out),
            frame: std::mem::take(&mut self.frame),
            streams: self.streams,
            script: std::mem::take(&mut self.script),
            running: self.running.take(),
            retransmissions: self.retransmissions,
            ..Self::default()
        };
    }

    fn hear(&mut self, now_ms: u64, packet: &Packet) {
        let Header { sequence, channel, flags, opcode } = packet.header;
        let known = Opcode::of(opcode);
        if known == Some(Opcode::Sync) && channel == Channel::SYSTEM && packet.payload.is_empty() {
            return self.synchronise();
        }
        if flags.any(Flags::ACK.with(Flags::NAK)) {
            let is_ours = |sending: &Sending| sending.opcode == opcode && sequence == self.sequence;
            if self.sending.as_ref().is_some_and(is_ours) {
                if flags.any(Flags::NAK) { self.send_again(now_ms) } else { self.acknowledged(now_ms) }
            }
            return;
        }
        if self.sending.is_some() {
            return;
        }
        let Some(asked) = known else {
            return self.say(opcode, channel, Status::Invalid);
        };
        if self.caps & SEQUENCE != 0 && sequence != self.sequence {
            return self.say(opcode, channel, Status::Sequence);
        }
        self.answer(now_ms, asked, channel, &packet.payload);
    }

    /// Yes, or why not.
    fn say(&mut self, opcode: u8, channel: Channel, status: Status) {
        match status {
            Status::Success => self.put(opcode, channel, Flags::ACK, &[]),
            no => self.put(opcode, channel, Flags::NAK, &(no as u16).to_le_bytes()),
        }
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn answer(&mut self, now_ms: u64, asked: Opcode, channel: Channel, payload: &[u8]) {
        let opcode = asked as u8;
        let word =
            |at: usize| payload.get(at..).and_then(|rest| rest.first_chunk()).map(|four| u32::from_le_bytes(*four));
        let is_stream = channel == Channel::STREAM;
        let status = match asked {
            Opcode::GetCaps => return self.send(now_ms, opcode, channel, self.caps_bytes()),
            Opcode::SetCaps => {
                let most =
                    payload.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |two| u16::from_le_bytes(*two));
                let most = usize::from(most);
                if payload.len() != 16 || !(LEAST_PAYLOAD..=MAX_PAYLOAD).contains(&most) {
                    return self.say(opcode, channel, Status::Invalid);
                }
                // The answer still has the old ones.
                self.say(opcode, channel, Status::Success);
                (self.caps, self.max_payload) = (word(0).unwrap_or_default(), most);
                return;
            }
            Opcode::Stats => return self.send(now_ms, opcode, channel, vec![0; 32]),
            Opcode::Version => {
                let mut versions = vec![1, 0, 0, 1, 0, 0, 5, 0, 0];
                versions.resize(16, 0);
                return self.send(now_ms, opcode, channel, versions);
            }
            Opcode::Info => return self.send(now_ms, opcode, channel, vec![0; 76]),
            Opcode::ChannelList => {
                let entry = |(number, flags, name): (Channel, u8, &str)| {
                    let mut entry = vec![number.0, flags];
                    entry.extend(name.bytes());
                    entry.resize(16, 0);
                    entry
                };
                return self.send(now_ms, opcode, channel, CHANNELS.into_iter().flat_map(entry).collect());
            }
            Opcode::ChannelPoll => {
                let ready = u32::from(!self.frame.is_empty()) << Channel::STREAM.0;
                return self.send(now_ms, opcode, channel, ready.to_le_bytes().to_vec());
            }
            Opcode::ChannelLock => {
                let is_late = self.locked_at.is_none_or(|at| now_ms >= at + LOCK_MS);
                if is_stream && is_late && !self.is_locked && !self.frame.is_empty() {
                    (self.is_locked, self.locked_at) = (true, Some(now_ms));
                    Status::Success
                } else {
                    Status::Busy
                }
            }
            Opcode::ChannelUnlock => {
                if self.is_locked {
                    self.frame.clear();
                }
                self.is_locked = false;
                if is_stream { Status::Success } else { Status::Busy }
            }
            Opcode::ChannelSize if is_stream => {
                return self.send(now_ms, opcode, channel, (self.frame.len() as u32).to_le_bytes().to_vec());
            }
            Opcode::ChannelSize if channel == Channel::STDOUT => {
                return self.send(now_ms, opcode, channel, vec![0; 4]);
            }
            Opcode::ChannelRead if is_stream => {
                let (offset, length) = (word(0).unwrap_or_default() as usize, word(4).unwrap_or_default() as usize);
                let part = offset.checked_add(length).and_then(|end| self.frame.get(offset..end));
                match part {
                    Some(part) if !part.is_empty() => {
                        let part = part.to_vec();
                        return self.send(now_ms, opcode, channel, part);
                    }
                    _ => Status::Failed,
                }
            }
            Opcode::ChannelWrite if channel == Channel::STDIN => self.write(word(0), payload.get(8..)),
            Opcode::ChannelIoctl if channel == Channel::STDIN => match word(0) {
                Some(1) => {
                    self.running = None;
                    Status::Success
                }
                Some(2) => {
                    self.running = Some(self.script.clone());
                    Status::Success
                }
                Some(3) => {
                    self.script.clear();
                    Status::Success
                }
                _ => Status::Invalid,
            },
            Opcode::ChannelIoctl if is_stream => match (word(0), word(4)) {
                (Some(0), Some(streams)) => {
                    self.streams = streams != 0;
                    self.is_locked = false;
                    self.frame.clear();
                    Status::Success
                }
                (Some(1), Some(_)) => Status::Success,
                (Some(2), Some(_)) if payload.len() == 12 => Status::Success,
                _ => Status::Invalid,
            },
            _ => Status::Invalid,
        };
        self.say(opcode, channel, status);
    }

    fn caps_bytes(&self) -> Vec<u8> {
        let mut bytes = self.caps.to_le_bytes().to_vec();
        bytes.extend((self.max_payload as u16).to_le_bytes());
        bytes.resize(16, 0);
        bytes
    }

    fn write(&mut self, offset: Option<u32>, data: Option<&[u8]>) -> Status {
        let (Some(offset), Some(data)) = (offset, data) else { return Status::Invalid };
        let offset = offset as usize;
        if offset > self.script.len() || offset + data.len() > MAX_SCRIPT || data.is_empty() {
            return Status::Failed;
        }
        self.script.truncate(offset);
        self.script.extend(data);
        Status::Success
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
            self.sequence = self.sequence.wrapping_add(1);
            sending.at += part.len();
            self.sending = (sending.at < sending.data.len()).then_some(sending);
        }
    }

    fn acknowledged(&mut self, now_ms: u64) {
        let Some(mut sending) = self.sending.take() else { return };
        self.sequence = self.sequence.wrapping_add(1);
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
        self.retransmissions += 1;
        self.send_part(now_ms);
    }
}
