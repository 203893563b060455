//! What a camera answers.

use crate::frame::{Frame, PixelFormat};
use crate::packet::{Channel, MAX_PAYLOAD, Opcode, Status};

use super::{Camera, Stats};

pub(super) const LEAST_PAYLOAD: usize = 50;
/// Between two locks of the stream.
const LOCK_MS: u64 = 10;
/// Scripts longer than this are refused.
const MAX_SCRIPT: usize = 1 << 20;

/// Versions of protocol, boot loader and firmware: of the firmware that this camera behaves as.
const VERSIONS: [u8; 9] = [1, 0, 0, 1, 0, 0, 5, 0, 0];
/// Bytes of the answer to [`Opcode::Version`] and to capabilities.
const BLOCK: usize = 16;

/// Number, flags (read 1, write 2, run 4, lock 8, stream 16) and name of each channel.
const CHANNELS: [(Channel, u8, &str); 4] = [
    (Channel::SYSTEM, 0, "transport"),
    (Channel::STDIN, 2 | 4, "stdin"),
    (Channel::STDOUT, 1, "stdout"),
    (Channel::STREAM, 1 | 8 | 16, "stream"),
];

/// What is said to a request.
enum Answer {
    Data(Vec<u8>),
    Status(Status),
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl Camera {
    /// Does what is asked, and says so.
    pub(super) fn answer(&mut self, now_ms: u64, asked: Opcode, channel: Channel, payload: &[u8]) {
        let answer = match (asked, channel) {
            (Opcode::Reset | Opcode::Boot, _) => return self.power_cycle(),
            (Opcode::SetCaps, _) => return self.set_caps(channel, payload),
            (Opcode::GetCaps, _) => Answer::Data(self.caps_block()),
            (Opcode::Stats, _) => Answer::Data(self.stats.block()),
            (Opcode::Version, _) => Answer::Data(block(&VERSIONS)),
            (Opcode::Info, _) => Answer::Data(self.info()),
            (Opcode::ChannelList, _) => Answer::Data(self.channels()),
            (Opcode::ChannelPoll, _) => {
                let ready = u32::from(!self.frame.is_empty()) << Channel::STREAM.0;
                Answer::Data(ready.to_le_bytes().to_vec())
            }
            (Opcode::ChannelLock, Channel::STREAM) => self.lock(now_ms).into(),
            (Opcode::ChannelLock, _) => Status::Busy.into(),
            (Opcode::ChannelUnlock, Channel::STREAM) => {
                self.unlock();
                Status::Success.into()
            }
            (Opcode::ChannelUnlock, _) => Status::Busy.into(),
            (Opcode::ChannelShape, Channel::STREAM) if !self.frame.is_empty() => Answer::Data(words(&self.shape)),
            (Opcode::ChannelSize, Channel::STREAM) => Answer::Data(words(&[self.frame.len() as u32])),
            (Opcode::ChannelSize, Channel::STDOUT) => Answer::Data(words(&[0])),
            (Opcode::ChannelRead, Channel::STREAM) => self.read(payload),
            (Opcode::ChannelWrite, Channel::STDIN) => self.write(payload).into(),
            (Opcode::ChannelIoctl, Channel::STDIN) => self.control_script(payload).into(),
            (Opcode::ChannelIoctl, Channel::STREAM) => self.control_stream(payload).into(),
            _ => Status::Invalid.into(),
        };
        match answer {
            Answer::Data(data) => self.send(now_ms, asked as u8, channel, data),
            Answer::Status(status) => self.say(asked as u8, channel, status),
        }
    }

    fn set_caps(&mut self, channel: Channel, payload: &[u8]) {
        let most = payload.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |two| u16::from_le_bytes(*two));
        let most = usize::from(most);
        let opcode = Opcode::SetCaps as u8;
        if payload.len() != BLOCK || !(LEAST_PAYLOAD..=MAX_PAYLOAD).contains(&most) {
            return self.say(opcode, channel, Status::Invalid);
        }
        // The answer still has the old ones.
        self.say(opcode, channel, Status::Success);
        (self.caps, self.max_payload) = (word(payload, 0).unwrap_or_default(), most);
    }

    fn caps_block(&self) -> Vec<u8> {
        block(&[&self.caps.to_le_bytes()[..], &(self.max_payload as u16).to_le_bytes()].concat())
    }

    fn channels(&self) -> Vec<u8> {
        let is_there = |channel: Channel| channel != Channel::STREAM || self.settings.has_stream;
        CHANNELS.into_iter().filter(|(channel, ..)| is_there(*channel)).flat_map(entry).collect()
    }

    /// As firmware 5 lays it out, which is not as the protocol's text has it.
    fn info(&self) -> Vec<u8> {
        let settings = &self.settings;
        let [a, b, c] = settings.device_id;
        let kilobytes = settings.stream_bytes.div_ceil(1024) as u32;
        // Processor, device, USB, three sensors, two reserved, hardware, memory (flash and RAM are not told), three reserved.
        let sensors = [settings.sensor_id, 0, 0];
        let hardware = [0, 0];
        let memory = [0, 0, kilobytes, kilobytes];
        words(&[&[settings.cpu_id, a, b, c, 0][..], &sensors, &[0; 2], &hardware, &memory, &[0; 3]].concat())
    }

    fn lock(&mut self, now_ms: u64) -> Status {
        let is_late = self.locked_at.is_none_or(|at| now_ms >= at + LOCK_MS);
        if !is_late || self.is_locked || self.frame.is_empty() {
            return Status::Busy;
        }
        (self.is_locked, self.locked_at) = (true, Some(now_ms));
        self.locks += 1;
        Status::Success
    }

    fn read(&self, payload: &[u8]) -> Answer {
        let (offset, length) = (word(payload, 0).unwrap_or_default(), word(payload, 4).unwrap_or_default());
        if length == 0 {
            return Status::Invalid.into();
        }
        let end = (offset as usize).checked_add(length as usize);
        let part = end.and_then(|end| self.frame.get(offset as usize..end));
        part.map_or(Status::Failed.into(), |part| Answer::Data(part.to_vec()))
    }

    fn write(&mut self, payload: &[u8]) -> Status {
        let (Some(offset), Some(data)) = (word(payload, 0), payload.get(8..)) else { return Status::Invalid };
        let offset = offset as usize;
        if offset > self.script.len() || offset + data.len() > MAX_SCRIPT || data.is_empty() {
            return Status::Failed;
        }
        self.script.truncate(offset);
        self.script.extend(data);
        Status::Success
    }

    fn control_script(&mut self, payload: &[u8]) -> Status {
        match word(payload, 0) {
            Some(1) => self.running = None,
            Some(2) => self.running = Some(self.script.clone()),
            Some(3) => self.script.clear(),
            _ => return Status::Invalid,
        }
        Status::Success
    }

    fn control_stream(&mut self, payload: &[u8]) -> Status {
        match (word(payload, 0), word(payload, 4), payload.len()) {
            (Some(0), Some(streams), 8) => {
                self.streams = streams != 0;
                self.is_locked = false;
                self.frame.clear();
            }
            // Raw frames, and their size: all frames here are as they are offered.
            (Some(1), Some(_), 8) | (Some(2), Some(_), 12) => {}
            _ => return Status::Invalid,
        }
        Status::Success
    }
}

impl Stats {
    fn block(&self) -> Vec<u8> {
        let Self { sent, received, checksum, sequence, retransmissions, events } = *self;
        let transport_errors = 0;
        words(&[sent, received, checksum, sequence, retransmissions, transport_errors, events, 0])
    }
}

/// Width, height and bytes a pixel; of a JPEG file, its length.
pub(super) fn shape(frame: &Frame) -> Vec<u32> {
    match frame.format {
        PixelFormat::Grey => vec![frame.width, frame.height, 1],
        PixelFormat::Rgb565 => vec![frame.width, frame.height, 2],
        PixelFormat::Jpeg => vec![frame.bytes.len() as u32],
    }
}

fn entry((number, flags, name): (Channel, u8, &str)) -> Vec<u8> {
    block(&[&[number.0, flags], name.as_bytes()].concat())
}

fn block(bytes: &[u8]) -> Vec<u8> {
    let mut block = bytes.to_vec();
    block.resize(BLOCK, 0);
    block
}

fn word(payload: &[u8], at: usize) -> Option<u32> {
    payload.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
