//! The computer's side: one command at a time, each answer awaited, and a new beginning after whatever went wrong.

use crate::frame::Frame;
use crate::packet::{Channel, Flags, Header, MAX_PAYLOAD, Opcode, Packet, Parser, ParserCounters, Status, encode};

/// Payload that every firmware takes before it was asked for more.
const LEAST_PAYLOAD: usize = 50;
/// CRCs, sequence numbers, acknowledgements and events.
const CAPS: u32 = 0b1111;
/// An entry of the list of channels: number, flags, name.
const ENTRY_LEN: usize = 16;
/// Longest answer of a command that reads no frame: a list of 32 channels.
const MAX_ANSWER: usize = 32 * ENTRY_LEN;
/// How long a stopped script may take to end (openmv 1.0.7 waits as long).
const STOP_MS: u64 = 500;
/// Wait before a connection is tried again: doubled each time.
const AGAIN_MS: [u64; 2] = [50, 5_000];

/// Requests of stdin and of the stream, section 5.4.
const STDIN_STOP: u32 = 1;
const STDIN_EXEC: u32 = 2;
const STDIN_RESET: u32 = 3;
const STREAM_CTRL: u32 = 0;
const STREAM_RAW_CTRL: u32 = 1;

/// What a host does and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// MicroPython for the camera to run; `None` leaves it what it runs.
    pub script: Option<String>,
    /// Longest wait for the next packet of an answer.
    pub answer_ms: u64,
    /// Between looks for a new frame; firmware grants one every 10 ms at most.
    pub look_ms: u64,
    /// Without a frame for so long, the script is started again.
    pub quiet_ms: u64,
    /// Bytes; a longer frame is not read.
    pub max_frame: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { script: None, answer_ms: 1_000, look_ms: 10, quiet_ms: 5_000, max_frame: 16 << 20 }
    }
}

/// What a host has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounters {
    /// Whole frames.
    pub frames: u64,
    /// Frames that a newer one replaced before they were taken.
    pub skipped_frames: u64,
    /// Frames that contradict themselves, or are longer than allowed.
    pub bad_frames: u64,
    /// Times the connection was begun again.
    pub resyncs: u64,
    /// Answers that did not come in time.
    pub timeouts: u64,
    /// Commands refused other than for want of a frame.
    pub refusals: u64,
    /// Packets that nobody waited for: repeated or late ones.
    pub unexpected: u64,
    /// Times the script was started.
    pub script_starts: u64,
}

/// A command, and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
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
    const fn opcode(self) -> Opcode {
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
}

/// A host of one camera.
#[derive(Debug)]
pub struct Host {
    settings: Settings,
    parser: Parser,
    out: Vec<u8>,
    sequence: u8,
    /// What an answer is awaited for.
    asked: Option<Ask>,
    /// Until when.
    deadline: u64,
    answer: Vec<u8>,
    /// What is asked next, and when.
    next: Ask,
    next_at: u64,
    again_ms: u64,
    max_payload: usize,
    stdin: Channel,
    stream: Channel,
    script_runs: bool,
    /// Since when there was no frame.
    quiet_since: u64,
    frame: Option<Frame>,
    trouble: Option<String>,
    counters: HostCounters,
}

impl Host {
    /// One that begins to connect at the next [`poll`](Self::poll).
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            parser: Parser::default(),
            out: Vec::new(),
            sequence: 0,
            asked: None,
            deadline: 0,
            answer: Vec::new(),
            next: Ask::Sync,
            next_at: 0,
            again_ms: AGAIN_MS[0],
            max_payload: LEAST_PAYLOAD,
            stdin: Channel::STDIN,
            stream: Channel::STREAM,
            script_runs: false,
            quiet_since: 0,
            frame: None,
            trouble: None,
            counters: HostCounters::default(),
        }
    }

    /// Does what is due; call it at [`wake_at`](Self::wake_at) and after every [`receive`](Self::receive).
    pub fn poll(&mut self, now_ms: u64) {
        match self.asked {
            Some(asked) if now_ms >= self.deadline => {
                self.counters.timeouts += 1;
                self.begin_again(now_ms, format!("no answer to {asked:?} for {} ms", self.settings.answer_ms));
            }
            None if now_ms >= self.next_at => self.ask(now_ms),
            _ => {}
        }
    }

    /// When [`poll`](Self::poll) has something to do next, if nothing is received before.
    #[must_use]
    pub fn wake_at(&self) -> u64 {
        if self.asked.is_some() { self.deadline } else { self.next_at }
    }

    /// Takes bytes off the line.
    pub fn receive(&mut self, now_ms: u64, bytes: &[u8]) {
        self.parser.push(bytes);
        while let Some(packet) = self.parser.next_packet() {
            self.hear(now_ms, packet);
        }
    }

    /// The bytes to write to the line since the last call.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The newest frame that was not taken yet.
    #[must_use]
    pub fn take_frame(&mut self) -> Option<Frame> {
        self.frame.take()
    }

    /// Why there is no connection, or why the last frame was none; `None` after a good frame.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What was met so far.
    #[must_use]
    pub fn counters(&self) -> (HostCounters, ParserCounters) {
        (self.counters, self.parser.counters())
    }

    /// The line was opened anew: connects from the beginning, script and all.
    pub fn restart(&mut self, now_ms: u64) {
        self.script_runs = false;
        self.begin_again(now_ms, "the line was opened anew".to_owned());
    }

    fn ask(&mut self, now_ms: u64) {
        if self.next == Ask::Lock && now_ms.saturating_sub(self.quiet_since) >= self.settings.quiet_ms {
            self.quiet_since = now_ms;
            self.trouble = Some(format!("no frame for {} ms", self.settings.quiet_ms));
            if self.settings.script.is_some() {
                self.script_runs = false;
                self.next = Ask::Stop;
            }
        }
        let ask = self.next;
        let (channel, payload) = self.command(ask);
        if ask == Ask::Sync {
            // Whatever was half received belongs to before.
            self.parser.clear();
        }
        self.send(ask.opcode() as u8, channel, Flags::default(), self.sequence, &payload);
        self.answer.clear();
        self.asked = Some(ask);
        self.deadline = now_ms + self.settings.answer_ms;
    }

    /// Where a command goes, and its payload.
    fn command(&self, ask: Ask) -> (Channel, Vec<u8>) {
        let request = |request: u32, argument: Option<u32>| {
            [Some(request), argument].into_iter().flatten().flat_map(u32::to_le_bytes).collect::<Vec<u8>>()
        };
        let span = |offset: usize, length: usize| request(offset as u32, Some(length as u32));
        match ask {
            Ask::Sync | Ask::GetCaps | Ask::List => (Channel::SYSTEM, vec![]),
            Ask::SetCaps => {
                let mut caps = CAPS.to_le_bytes().to_vec();
                caps.extend((self.max_payload as u16).to_le_bytes());
                caps.resize(16, 0);
                (Channel::SYSTEM, caps)
            }
            Ask::Stop => (self.stdin, request(STDIN_STOP, None)),
            Ask::Clear => (self.stdin, request(STDIN_RESET, None)),
            Ask::Write { at } => {
                let part = self.script_from(at);
                (self.stdin, [&span(at, part.len()), part].concat())
            }
            Ask::Run => (self.stdin, request(STDIN_EXEC, None)),
            Ask::NotRaw => (self.stream, request(STREAM_RAW_CTRL, Some(0))),
            Ask::Stream => (self.stream, request(STREAM_CTRL, Some(1))),
            Ask::Read { size } => (self.stream, span(0, size)),
            Ask::Lock | Ask::Size | Ask::Unlock => (self.stream, vec![]),
        }
    }

    /// As much of the script as one command carries.
    fn script_from(&self, at: usize) -> &[u8] {
        let script = self.settings.script.as_deref().unwrap_or_default().as_bytes();
        let rest = script.get(at..).unwrap_or_default();
        rest.get(..self.max_payload - 8).unwrap_or(rest)
    }

    fn send(&mut self, opcode: u8, channel: Channel, flags: Flags, sequence: u8, payload: &[u8]) {
        encode(Header { sequence, channel, flags, opcode }, payload, &mut self.out);
    }

    fn hear(&mut self, now_ms: u64, packet: Packet) {
        let Header { sequence, channel, flags, opcode } = packet.header;
        if flags.any(Flags::EVENT) {
            if flags.any(Flags::WANTS_ACK) {
                self.send(opcode, channel, Flags::ACK, sequence, &[]);
            }
            if channel == self.stream && self.asked.is_none() && self.next == Ask::Lock {
                self.next_at = now_ms;
            }
            return;
        }
        let asked = self.asked.filter(|ask| ask.opcode() as u8 == opcode);
        let Some(asked) = asked.filter(|ask| *ask == Ask::Sync || sequence == self.sequence) else {
            self.counters.unexpected += 1;
            // Sent again because our acknowledgement was lost: the camera waits for it.
            if flags.any(Flags::RETRANSMISSION) && flags.any(Flags::WANTS_ACK) {
                self.send(opcode, channel, Flags::ACK, sequence, &[]);
            }
            return;
        };
        if flags.any(Flags::WANTS_ACK) {
            self.send(opcode, channel, Flags::ACK, sequence, &[]);
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.deadline = now_ms + self.settings.answer_ms;
        if flags.any(Flags::NAK) {
            return self.refused(now_ms, asked, Status::of(&packet.payload));
        }
        let most = if let Ask::Read { size } = asked { size } else { MAX_ANSWER };
        if self.answer.len() + packet.payload.len() > most {
            return self.begin_again(now_ms, format!("the answer to {asked:?} is longer than {most} bytes"));
        }
        self.answer.extend(packet.payload);
        if !flags.any(Flags::FRAGMENT) {
            self.asked = None;
            let answer = std::mem::take(&mut self.answer);
            self.answered(now_ms, asked, &answer);
        }
    }

    fn refused(&mut self, now_ms: u64, asked: Ask, status: Status) {
        self.asked = None;
        if (asked, status) == (Ask::Lock, Status::Busy) {
            return self.then_at(Ask::Lock, now_ms + self.settings.look_ms);
        }
        self.counters.refusals += 1;
        self.begin_again(now_ms, format!("the camera refused {asked:?}: {status:?}"));
    }

    fn then_at(&mut self, next: Ask, at: u64) {
        (self.next, self.next_at) = (next, at);
    }

    fn answered(&mut self, now_ms: u64, asked: Ask, answer: &[u8]) {
        let next = match asked {
            Ask::Sync => {
                self.sequence = 0;
                self.max_payload = LEAST_PAYLOAD;
                Ask::GetCaps
            }
            Ask::GetCaps => {
                let most =
                    answer.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |two| u16::from_le_bytes(*two));
                self.max_payload = usize::from(most).clamp(LEAST_PAYLOAD, MAX_PAYLOAD);
                Ask::SetCaps
            }
            Ask::SetCaps => Ask::List,
            Ask::List => {
                let (Some(stdin), Some(stream)) = (channel(answer, "stdin"), channel(answer, "stream")) else {
                    return self.begin_again(now_ms, "the camera has no channels stdin and stream".to_owned());
                };
                (self.stdin, self.stream) = (stdin, stream);
                if self.settings.script.is_some() && !self.script_runs { Ask::Stop } else { Ask::NotRaw }
            }
            Ask::Stop => return self.then_at(Ask::Clear, now_ms + STOP_MS),
            Ask::Clear => Ask::Write { at: 0 },
            Ask::Write { at } => {
                let at = at + self.script_from(at).len();
                if self.script_from(at).is_empty() { Ask::Run } else { Ask::Write { at } }
            }
            Ask::Run => {
                self.script_runs = true;
                self.counters.script_starts += 1;
                Ask::NotRaw
            }
            Ask::NotRaw => Ask::Stream,
            Ask::Stream => {
                self.quiet_since = now_ms;
                self.again_ms = AGAIN_MS[0];
                Ask::Lock
            }
            Ask::Lock => Ask::Size,
            Ask::Size => match answer.first_chunk().map_or(0, |four| u32::from_le_bytes(*four)) as usize {
                0 => Ask::Unlock,
                size if size <= self.settings.max_frame => Ask::Read { size },
                size => {
                    self.counters.bad_frames += 1;
                    let most = self.settings.max_frame;
                    self.trouble = Some(format!("a frame of {size} bytes, of which at most {most} are read"));
                    Ask::Unlock
                }
            },
            Ask::Read { size } => {
                self.quiet_since = now_ms;
                self.read(size, answer);
                Ask::Unlock
            }
            Ask::Unlock => return self.then_at(Ask::Lock, now_ms + self.settings.look_ms),
        };
        self.then_at(next, now_ms);
    }

    fn read(&mut self, size: usize, answer: &[u8]) {
        let frame = if answer.len() == size {
            Frame::read(answer).map_err(|error| error.to_string())
        } else {
            Err(format!("{} of a frame's {size} bytes came", answer.len()))
        };
        match frame {
            Ok(frame) => {
                self.counters.frames += 1;
                self.counters.skipped_frames += u64::from(self.frame.is_some());
                self.frame = Some(frame);
                self.trouble = None;
            }
            Err(trouble) => {
                self.counters.bad_frames += 1;
                self.trouble = Some(trouble);
            }
        }
    }

    fn begin_again(&mut self, now_ms: u64, why: String) {
        self.counters.resyncs += 1;
        self.trouble = Some(why);
        self.asked = None;
        self.answer.clear();
        self.sequence = 0;
        self.then_at(Ask::Sync, now_ms + self.again_ms);
        self.again_ms = (2 * self.again_ms).min(AGAIN_MS[1]);
    }
}

/// The number of the channel with this name, in the answer to a list.
fn channel(list: &[u8], name: &str) -> Option<Channel> {
    let mut entries = list.as_chunks::<ENTRY_LEN>().0.iter();
    entries.find_map(|[number, _flags, found @ ..]| {
        let found = found.split(|byte| *byte == 0).next()?;
        (found == name.as_bytes()).then_some(Channel(*number))
    })
}
