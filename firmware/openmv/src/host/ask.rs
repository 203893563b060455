//! The requests of a host, and what they carry.

use crate::packet::{Channel, Opcode};

use super::Host;

/// CRCs, sequence numbers, acknowledgements and events.
const CAPS: u32 = 0b1111;

/// Requests of stdin and of the stream, section 5.4.
const STDIN_STOP: u32 = 1;
const STDIN_EXEC: u32 = 2;
const STDIN_RESET: u32 = 3;
const STREAM_CTRL: u32 = 0;
const STREAM_RAW_CTRL: u32 = 1;

/// A request. Each may be repeated: done twice, it does what it does once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Sync,
    GetCaps,
    SetCaps,
    List,
    Stop,
    Clear,
    Write { at: usize },
    Run,
    NotRaw,
    Stream,
    Lock,
    Size,
    Read { size: usize },
    Unlock,
}

impl Ask {
    pub(super) const fn opcode(self) -> Opcode {
        match self {
            Self::Sync => Opcode::Sync,
            Self::GetCaps => Opcode::GetCaps,
            Self::SetCaps => Opcode::SetCaps,
            Self::List => Opcode::ChannelList,
            Self::Stop | Self::Clear | Self::Run | Self::NotRaw | Self::Stream => Opcode::ChannelIoctl,
            Self::Write { .. } => Opcode::ChannelWrite,
            Self::Lock => Opcode::ChannelLock,
            Self::Size => Opcode::ChannelSize,
            Self::Read { .. } => Opcode::ChannelRead,
            Self::Unlock => Opcode::ChannelUnlock,
        }
    }

    /// Whether the answer carries data: the camera keeps it until it is acknowledged, and sends it again when told to.
    pub(super) const fn brings_data(self) -> bool {
        matches!(self, Self::GetCaps | Self::List | Self::Size | Self::Read { .. })
    }

    /// For people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sync => "the greeting",
            Self::GetCaps | Self::SetCaps => "the choice of capabilities",
            Self::List => "the list of channels",
            Self::Stop => "the end of the script",
            Self::Clear | Self::Write { .. } => "the new script",
            Self::Run => "the start of the script",
            Self::NotRaw | Self::Stream => "the start of the stream",
            Self::Lock => "the lock of a frame",
            Self::Size => "a frame's size",
            Self::Read { .. } => "a frame",
            Self::Unlock => "a frame's release",
        }
    }
}

impl Host {
    /// Where a request goes, and its payload.
    pub(super) fn request(&self, ask: Ask) -> (Channel, Vec<u8>) {
        match ask {
            Ask::Sync | Ask::GetCaps | Ask::List => (Channel::SYSTEM, vec![]),
            Ask::SetCaps => {
                let mut caps = CAPS.to_le_bytes().to_vec();
                caps.extend((self.max_payload as u16).to_le_bytes());
                caps.resize(16, 0);
                (Channel::SYSTEM, caps)
            }
            Ask::Stop => (self.stdin, words(&[STDIN_STOP])),
            Ask::Clear => (self.stdin, words(&[STDIN_RESET])),
            Ask::Write { at } => {
                let part = self.script_from(at);
                (self.stdin, [&words(&[at as u32, part.len() as u32]), part].concat())
            }
            Ask::Run => (self.stdin, words(&[STDIN_EXEC])),
            Ask::NotRaw => (self.stream, words(&[STREAM_RAW_CTRL, 0])),
            Ask::Stream => (self.stream, words(&[STREAM_CTRL, 1])),
            Ask::Read { size } => (self.stream, words(&[0, size as u32])),
            Ask::Lock | Ask::Size | Ask::Unlock => (self.stream, vec![]),
        }
    }

    /// As much of the script as one request carries.
    pub(super) fn script_from(&self, at: usize) -> &[u8] {
        let script = self.settings.script.as_deref().unwrap_or_default().as_bytes();
        let rest = script.get(at..).unwrap_or_default();
        rest.get(..self.max_payload - 8).unwrap_or(rest)
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
