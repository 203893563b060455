//! What a host makes of the answers.

use crate::frame::Frame;
use crate::packet::{Channel, Flags, Header, MAX_PAYLOAD, Packet, Status};

use super::ask::Ask;
use super::{Host, LEAST_PAYLOAD, Pending, Trouble, recovery};

/// An entry of the list of channels: number, flags, name.
const ENTRY_LEN: usize = 16;
/// Longest answer of a request that reads no frame: a list of 32 channels.
const MAX_ANSWER: usize = 32 * ENTRY_LEN;
/// How long a stopped script may take to end (openmv 1.0.7 waits as long).
const STOP_MS: u64 = 500;
/// Between two locks of the stream, of the firmware.
const LOCK_MS: u64 = 10;

impl Host {
    /// All packets that have come whole.
    pub(super) fn hear_all(&mut self, now_ms: u64) {
        while let Some(packet) = self.parser.next_packet() {
            self.hear(now_ms, packet);
        }
        if self.parser.take_damaged().is_some_and(|header| self.is_awaited(&header)) {
            self.prod();
        }
    }

    /// Whether a packet is the answer that is waited for, or a part of it.
    fn is_awaited(&self, header: &Header) -> bool {
        let Some(ask) = self.pending.map(|pending| pending.ask) else { return false };
        ask.opcode() as u8 == header.opcode && (ask == Ask::Sync || header.sequence == self.sequence)
    }

    fn hear(&mut self, now_ms: u64, packet: Packet) {
        let header @ Header { sequence, channel, flags, opcode } = packet.header;
        if flags.any(Flags::EVENT) {
            return self.hear_event(now_ms, header);
        }
        let status = flags.any(Flags::NAK).then(|| Status::of(&packet.payload));
        if let Some(status @ (Status::Sequence | Status::Checksum)) = status {
            return self.out_of_step(now_ms, header, status);
        }
        if !self.is_awaited(&header) {
            self.counters.unexpected += 1;
            // Sent again because our acknowledgement was lost: the camera waits for it.
            if flags.any(Flags::RETRANSMISSION) && flags.any(Flags::WANTS_ACK) {
                self.send(opcode, channel, Flags::ACK, sequence);
            }
            return;
        }
        self.acknowledged = flags.any(Flags::WANTS_ACK).then_some(header);
        if flags.any(Flags::WANTS_ACK) {
            self.send(opcode, channel, Flags::ACK, sequence);
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.strays = 0;
        self.take_part(now_ms, flags, status, &packet.payload);
    }

    fn hear_event(&mut self, now_ms: u64, Header { sequence, channel, flags, opcode }: Header) {
        if flags.any(Flags::WANTS_ACK) {
            self.send(opcode, channel, Flags::ACK, sequence);
        }
        if channel == self.stream && self.pending.is_none() && self.next == Ask::Lock {
            self.next_at = now_ms.max(self.locked_at + LOCK_MS);
        }
    }

    /// A packet of the answer that is awaited.
    fn take_part(&mut self, now_ms: u64, flags: Flags, refused: Option<Status>, payload: &[u8]) {
        let Some(pending) = &mut self.pending else { return };
        pending.progress(now_ms, self.settings.answer_ms);
        let Pending { ask, copies, .. } = *pending;
        if refused.is_none() {
            let expected = if let Ask::Read { size } = ask { size } else { MAX_ANSWER };
            if self.answer.len() + payload.len() > expected {
                return self.begin_again(now_ms, Trouble::LongAnswer { request: ask.name(), expected });
            }
            self.answer.extend_from_slice(payload);
            if flags.any(Flags::FRAGMENT) {
                return;
            }
        }
        self.pending = None;
        // The camera answers in order: of requests before this one there is nothing to come.
        self.unanswered = self.unanswered.min(copies).saturating_sub(1);
        let answer = std::mem::take(&mut self.answer);
        match refused {
            Some(status) => self.refused(now_ms, ask, status),
            None => self.answered(now_ms, ask, &answer),
        }
    }

    fn refused(&mut self, now_ms: u64, ask: Ask, status: Status) {
        if (ask, status) == (Ask::Lock, Status::Busy) {
            // There is no frame; or there is one that is locked for us already, and which of the two cannot be told.
            let next = if std::mem::take(&mut self.lock_is_doubtful) { Ask::Unlock } else { Ask::Lock };
            return self.then_at(next, now_ms + if next == Ask::Lock { self.settings.look_ms } else { 0 });
        }
        self.counters.refusals += 1;
        match ask {
            Ask::Size | Ask::Read { .. } | Ask::Unlock => {
                self.abandon();
                self.trouble = Some(Trouble::Refused { request: ask.name(), status });
                let next = if ask == Ask::Unlock { Ask::Lock } else { Ask::Unlock };
                self.then_at(next, now_ms + self.settings.look_ms);
            }
            _ => self.begin_again(now_ms, Trouble::Refused { request: ask.name(), status }),
        }
    }

    fn answered(&mut self, now_ms: u64, ask: Ask, answer: &[u8]) {
        let next = match ask {
            Ask::Sync => {
                self.sequence = 0;
                self.unanswered = 0;
                self.max_payload = LEAST_PAYLOAD;
                Ask::GetCaps
            }
            Ask::GetCaps => {
                let most = answer.get(4..).and_then(|rest| rest.first_chunk());
                let most = most.map_or(0, |two| u16::from_le_bytes(*two));
                self.max_payload = usize::from(most).clamp(LEAST_PAYLOAD, MAX_PAYLOAD);
                Ask::SetCaps
            }
            Ask::SetCaps => Ask::List,
            Ask::List => {
                let (Some(stdin), Some(stream)) = (channel(answer, "stdin"), channel(answer, "stream")) else {
                    return self.begin_again(now_ms, Trouble::NoStream);
                };
                (self.stdin, self.stream) = (stdin, stream);
                match (self.settings.script.is_some() && !self.script_runs, self.is_stopped) {
                    (false, _) => Ask::NotRaw,
                    (true, false) => Ask::Stop,
                    (true, true) => Ask::Clear,
                }
            }
            Ask::Stop => {
                self.is_stopped = true;
                return self.then_at(Ask::Clear, now_ms + STOP_MS);
            }
            Ask::Clear => Ask::Write { at: 0 },
            Ask::Write { at } => {
                let at = at + self.script_from(at).len();
                if self.script_from(at).is_empty() { Ask::Run } else { Ask::Write { at } }
            }
            Ask::Run => {
                (self.script_runs, self.is_stopped, self.started_at) = (true, false, now_ms);
                self.counters.script_starts += 1;
                Ask::NotRaw
            }
            Ask::NotRaw => Ask::Stream,
            Ask::Stream => {
                self.is_connected = true;
                self.quiet_since = now_ms;
                self.again_ms = recovery::AGAIN_MS[0];
                Ask::Lock
            }
            Ask::Lock => {
                (self.holds_frame, self.lock_is_doubtful, self.locked_at) = (true, false, now_ms);
                Ask::Size
            }
            Ask::Size => self.sized(now_ms, answer),
            Ask::Read { size } => {
                self.quiet_since = now_ms;
                self.holds_frame = false;
                self.read(size, answer);
                Ask::Unlock
            }
            Ask::Unlock => return self.then_at(Ask::Lock, now_ms.max(self.locked_at + LOCK_MS)),
        };
        self.then_at(next, now_ms);
    }

    /// What is done about a frame of the size that the camera says.
    fn sized(&mut self, now_ms: u64, answer: &[u8]) -> Ask {
        let found = answer.first_chunk().map_or(0, |four| u32::from_le_bytes(*four)) as usize;
        let expected = self.settings.max_frame;
        if (1..=expected).contains(&found) {
            return Ask::Read { size: found };
        }
        if found > expected {
            // A camera that shows frames is not quiet: beginning again would not make them shorter.
            self.quiet_since = now_ms;
            self.holds_frame = false;
            self.counters.bad_frames += 1;
            self.trouble = Some(Trouble::LongFrame { expected, found });
        }
        self.abandon();
        Ask::Unlock
    }

    fn read(&mut self, expected: usize, answer: &[u8]) {
        let frame = match answer.len() {
            found if found == expected => Frame::read(answer).map_err(Trouble::from),
            found => Err(Trouble::ShortFrame { expected, found }),
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
}

/// The number of the channel with this name, in the answer to a list.
fn channel(list: &[u8], name: &str) -> Option<Channel> {
    let mut entries = list.as_chunks::<ENTRY_LEN>().0.iter();
    entries.find_map(|[number, _flags, found @ ..]| {
        let found = found.split(|byte| *byte == 0).next()?;
        (found == name.as_bytes()).then_some(Channel(*number))
    })
}
