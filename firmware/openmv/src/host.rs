//! The computer's side: one request at a time, each answer awaited, and whatever goes wrong got over in the cheapest way that is sure.

mod answer;
mod ask;
mod recovery;
mod trouble;

use std::collections::VecDeque;

use crate::frame::Frame;
use crate::packet::{Channel, Flags, Header, encode};
use crate::parser::Parser;
use ask::Ask;
pub use trouble::Trouble;

/// Payload that every firmware takes before it was asked for more.
const LEAST_PAYLOAD: usize = 50;
/// Packets that wait to be written; a camera that provokes more than these gets no answer to the oldest.
const MAX_OUT: usize = 32;

/// What a host does and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// MicroPython for the camera to run; `None` leaves it what it runs.
    pub script: Option<String>,
    /// Silence of the line, in milliseconds, after which an answer counts as lost; doubled up to four times as much.
    pub answer_ms: u64,
    /// Between looks for a new frame that no event announced; firmware grants one every 10 ms at most.
    pub look_ms: u64,
    /// Without a frame for so long, the camera is connected anew and the script started again.
    pub quiet_ms: u64,
    /// Bytes; a longer frame is not read.
    pub max_frame: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { script: None, answer_ms: 150, look_ms: 10, quiet_ms: 5_000, max_frame: 16 << 20 }
    }
}

/// What bytes brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Every byte was taken, and there is no new frame.
    Nothing,
    /// A whole frame lies ready ([`Host::take_frame`]).
    Frame,
}

/// What a host has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Whole frames.
    pub frames: u64,
    /// Frames that a newer one replaced before they were taken.
    pub skipped_frames: u64,
    /// Frames that the camera had locked for us and that were not read to their end.
    pub abandoned_frames: u64,
    /// Frames that contradict themselves, or are longer than allowed.
    pub bad_frames: u64,
    /// Packets whose CRCs were right.
    pub packets: u64,
    /// Headers whose CRC or length was wrong.
    pub header_crc: u64,
    /// Payloads whose CRC was wrong.
    pub payload_crc: u64,
    /// Bytes passed over while looking for a packet.
    pub discarded_bytes: u64,
    /// Requests that the camera refused for their sequence number.
    pub sequence: u64,
    /// Requests that reached the camera damaged.
    pub damaged_requests: u64,
    /// Answers that did not come in time.
    pub timeouts: u64,
    /// Requests sent again.
    pub repeats: u64,
    /// Requests refused other than for want of a frame or for their number.
    pub refusals: u64,
    /// Packets that nobody waited for: repeated or late ones.
    pub unexpected: u64,
    /// Times the connection was begun again.
    pub resyncs: u64,
    /// Times the camera was found to have been restarted.
    pub restarts_seen: u64,
    /// Times the script was started.
    pub script_starts: u64,
}

/// A request whose answer is awaited.
#[derive(Clone, Copy, Debug)]
struct Pending {
    ask: Ask,
    since: u64,
    /// Times it was sent.
    copies: u8,
    /// Silences so far.
    tries: u32,
    /// Times the camera was told to send its answer again.
    prods: u32,
    /// How long it may take to leave the port.
    leaving_ms: u64,
    /// When the silence is too long.
    deadline: u64,
    /// When whatever comes comes too late: the camera may have let go of the frame.
    give_up: u64,
}

/// A host of one camera.
#[derive(Debug)]
pub struct Host {
    settings: Settings,
    parser: Parser,
    out: VecDeque<Vec<u8>>,
    /// That the camera gives its next answer, and expects of our next request.
    sequence: u8,
    pending: Option<Pending>,
    /// Requests on their way, repetitions included, that the camera may still answer.
    unanswered: u8,
    /// The last packet that was acknowledged, while the camera may wait for that acknowledgement.
    acknowledged: Option<Header>,
    /// Requests refused for their number since the last answer.
    strays: u32,
    answer: Vec<u8>,
    /// What is asked next, and when.
    next: Ask,
    next_at: u64,
    again_ms: u64,
    max_payload: usize,
    stdin: Channel,
    stream: Channel,
    is_connected: bool,
    script_runs: bool,
    /// The script before ours was told to end.
    is_stopped: bool,
    /// When our script was started.
    started_at: u64,
    /// Whether the camera holds a frame for us that is not read yet.
    holds_frame: bool,
    /// Whether a lock may have been granted without our hearing of it.
    lock_is_doubtful: bool,
    locked_at: u64,
    /// Since when there was no frame.
    quiet_since: u64,
    frame: Option<Frame>,
    trouble: Option<Trouble>,
    counters: Counters,
}

impl Host {
    /// One that begins to connect at the next [`poll`](Self::poll).
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            parser: Parser::default(),
            out: VecDeque::new(),
            sequence: 0,
            pending: None,
            unanswered: 0,
            acknowledged: None,
            strays: 0,
            answer: Vec::new(),
            next: Ask::Sync,
            next_at: 0,
            again_ms: recovery::AGAIN_MS[0],
            max_payload: LEAST_PAYLOAD,
            stdin: Channel::STDIN,
            stream: Channel::STREAM,
            is_connected: false,
            script_runs: false,
            is_stopped: false,
            started_at: 0,
            holds_frame: false,
            lock_is_doubtful: false,
            locked_at: 0,
            quiet_since: 0,
            frame: None,
            trouble: None,
            counters: Counters::default(),
        }
    }

    /// Takes bytes off the line; `bytes` is empty afterwards. Call it as soon as they come, and [`poll`](Self::poll) after it.
    pub fn receive(&mut self, now_ms: u64, bytes: &mut &[u8]) -> Heard {
        let frames = self.counters.frames;
        let bytes = std::mem::take(bytes);
        self.notice_bytes(now_ms, bytes);
        self.parser.push(bytes);
        self.hear_all(now_ms);
        // A request brings one frame at most, and the next request goes out after the next poll.
        if self.counters.frames > frames { Heard::Frame } else { Heard::Nothing }
    }

    /// Does what is due, and gives the next packet to write in `packet`; `false` when there is none. Call it until there is none:
    /// at [`due_ms`](Self::due_ms) and after every [`receive`](Self::receive).
    pub fn poll(&mut self, now_ms: u64, packet: &mut Vec<u8>) -> bool {
        if self.pending.is_some() && now_ms >= self.due_ms() {
            self.silence(now_ms);
        }
        if self.pending.is_none() && now_ms >= self.next_at {
            self.ask(now_ms);
        }
        packet.clear();
        self.out.pop_front().map(|bytes| *packet = bytes).is_some()
    }

    /// When [`poll`](Self::poll) has something to do next, if nothing is received before.
    #[must_use]
    pub fn due_ms(&self) -> u64 {
        self.pending.map_or(self.next_at, |pending| pending.deadline.min(pending.give_up))
    }

    /// Whether the camera answers and streams.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// The newest whole frame that was not taken yet.
    #[must_use]
    pub fn take_frame(&mut self) -> Option<Frame> {
        self.frame.take()
    }

    /// Why there is no connection, or why the last frame was none; `None` after a good frame.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// What was met so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let parser = self.parser.counters();
        Counters {
            packets: parser.packets,
            header_crc: parser.bad_headers,
            payload_crc: parser.bad_payloads,
            discarded_bytes: parser.skipped_bytes,
            ..self.counters
        }
    }

    /// The line was opened anew, to this camera or another: connects from the beginning, script and all.
    pub fn restart(&mut self, now_ms: u64) {
        self.script_runs = false;
        self.is_stopped = false;
        self.out.clear();
        self.begin_again(now_ms, Trouble::Reopened);
        self.again_ms = recovery::AGAIN_MS[0];
        self.next_at = now_ms;
    }

    fn send(&mut self, opcode: u8, channel: Channel, flags: Flags, sequence: u8) {
        self.send_with(Header { sequence, channel, flags, opcode }, &[]);
    }

    fn send_with(&mut self, header: Header, payload: &[u8]) {
        let mut bytes = Vec::new();
        encode(header, payload, &mut bytes);
        if self.out.len() == MAX_OUT {
            self.out.pop_front();
        }
        self.out.push_back(bytes);
    }

    fn then_at(&mut self, next: Ask, at: u64) {
        (self.next, self.next_at) = (next, at);
    }
}
