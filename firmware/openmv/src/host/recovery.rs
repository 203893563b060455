//! What a host does about silence, about numbers out of the sequence, and when nothing else helps.
//!
//! From cheap to dear: the camera is told once more that its last packet came, and to send again what it may be sending (neither
//! does anything where it does not apply); then the request is repeated; then the connection is begun again, which costs the frame.

use crate::packet::{Flags, Header, Status};

use super::ask::Ask;
use super::{Host, Pending, Trouble};

/// Wait before a connection is tried again: doubled each time.
pub(super) const AGAIN_MS: [u64; 2] = [50, 5_000];
/// Silences in a row, the last of which ends the connection.
const MAX_TRIES: u32 = 7;
/// The wait is doubled so often.
const MAX_DOUBLINGS: u32 = 2;
/// Times the camera is told to send a packet again: firmware resets itself, and lets go of the frame, at the fourth.
const MAX_PRODS: u32 = 2;
/// Least wait for the answer to a greeting; a camera may be busy with a script.
const SYNC_MS: u64 = 500;
/// What a slow line carries: a request is not answered before it has left the port. 115,200 baud are 11 bytes a millisecond.
const BYTES_A_MS: u64 = 10;
/// Nothing that comes so long after the packet before is used. Firmware that nobody acknowledges lets go of the frame after 7.5 s, or
/// after 6 s where [`MAX_PRODS`] hurried it.
const GIVE_UP_MS: u64 = 4_500;
/// Requests refused for their number in a row: so many are repeated at once, so many at all.
const MAX_CHASES: u32 = 2;
const MAX_STRAYS: u32 = 8;
/// Answers that may have been lost beside those of our own requests, which a line may have doubled.
const SLACK: u8 = 2;
/// A packet that is behind by no more than this is an old one.
const BEHIND: u8 = 16;
/// Starting a script restarts the camera's interpreter, and with it the sequence.
const START_MS: u64 = 3_000;

impl Pending {
    /// How much silence is borne now.
    fn patience(&self, answer_ms: u64) -> u64 {
        answer_ms << self.tries.min(MAX_DOUBLINGS)
    }

    /// A packet of the answer came: what follows has all the time again.
    pub(super) fn progress(&mut self, now_ms: u64, answer_ms: u64) {
        (self.tries, self.prods) = (0, 0);
        (self.deadline, self.give_up) = (now_ms + answer_ms, now_ms + GIVE_UP_MS);
    }
}

impl Host {
    /// Asks what is next.
    pub(super) fn ask(&mut self, now_ms: u64) {
        if self.next == Ask::Lock && now_ms.saturating_sub(self.quiet_since) >= self.settings.quiet_ms {
            self.script_runs = false;
            self.is_stopped = false;
            return self.begin_again(now_ms, Trouble::Quiet { quiet_ms: self.settings.quiet_ms });
        }
        let ask = self.next;
        if ask == Ask::Sync {
            // Whatever was half received belongs to before.
            self.parser.clear();
            self.sequence = 0;
            self.unanswered = 0;
        }
        let wait = if ask == Ask::Sync { self.settings.answer_ms.max(SYNC_MS) } else { self.settings.answer_ms };
        let leaving_ms = self.request(ask).1.len() as u64 / BYTES_A_MS;
        self.answer.clear();
        self.pending = Some(Pending {
            ask,
            since: now_ms,
            copies: 0,
            tries: 0,
            prods: 0,
            leaving_ms,
            deadline: now_ms + wait + leaving_ms,
            give_up: now_ms + GIVE_UP_MS,
        });
        self.send_request(ask);
    }

    fn send_request(&mut self, ask: Ask) {
        let (channel, payload) = self.request(ask);
        let header = Header { sequence: self.sequence, channel, flags: Flags::default(), opcode: ask.opcode() as u8 };
        self.send_with(header, &payload);
        self.unanswered = self.unanswered.saturating_add(1);
        self.pending.iter_mut().for_each(|pending| pending.copies += 1);
    }

    /// Bytes have come: the line is not silent, but what is too late is too late.
    pub(super) fn notice_bytes(&mut self, now_ms: u64, bytes: &[u8]) {
        let Some(pending) = &mut self.pending else { return };
        if now_ms >= pending.give_up {
            let (request, waited_ms) = (pending.ask.name(), now_ms - pending.since);
            self.begin_again(now_ms, Trouble::Silent { request, waited_ms });
        } else if !bytes.is_empty() {
            pending.deadline = pending.deadline.max(now_ms + pending.patience(self.settings.answer_ms));
        }
    }

    /// No byte came for too long.
    pub(super) fn silence(&mut self, now_ms: u64) {
        // What was cut off swallowed what came after it.
        while self.parser.give_up() {
            self.hear_all(now_ms);
        }
        let Some(mut pending) = self.pending.filter(|pending| now_ms >= pending.deadline.min(pending.give_up)) else {
            return;
        };
        self.counters.timeouts += 1;
        pending.tries += 1;
        if pending.ask == Ask::Sync || pending.tries == MAX_TRIES || now_ms >= pending.give_up {
            let (request, waited_ms) = (pending.ask.name(), now_ms - pending.since);
            return self.begin_again(now_ms, Trouble::Silent { request, waited_ms });
        }
        pending.deadline = now_ms + pending.patience(self.settings.answer_ms) + pending.leaving_ms;
        self.pending = Some(pending);
        let acknowledged = self.acknowledged.is_some();
        if let Some(Header { sequence, channel, opcode, .. }) = self.acknowledged {
            self.send(opcode, channel, Flags::ACK, sequence);
        }
        let prodded = self.prod();
        // A camera that is in the middle of an answer does not listen to requests.
        if self.answer.is_empty() && (pending.tries > 1 || !(acknowledged || prodded)) {
            self.lock_is_doubtful |= pending.ask == Ask::Lock;
            self.counters.repeats += 1;
            self.send_request(pending.ask);
        }
    }

    /// Tells the camera to send its answer again, if it has one that it keeps.
    pub(super) fn prod(&mut self) -> bool {
        let Some(pending) = &mut self.pending else { return false };
        let ask = pending.ask;
        if !ask.brings_data() || pending.prods == MAX_PRODS {
            return false;
        }
        pending.prods += 1;
        let (channel, _) = self.request(ask);
        self.send(ask.opcode() as u8, channel, Flags::NAK, self.sequence);
        true
    }

    /// The camera refused a request for its number, or because it came damaged; that answer tells the next number.
    pub(super) fn out_of_step(&mut self, now_ms: u64, header: Header, status: Status) {
        if status == Status::Sequence {
            self.counters.sequence += 1;
        } else {
            self.counters.damaged_requests += 1;
        }
        if self.pending.map_or(self.next, |pending| pending.ask) == Ask::Sync {
            // Of what was before.
            return;
        }
        let ahead = header.sequence.wrapping_sub(self.sequence);
        if ahead.wrapping_neg() <= BEHIND && ahead != 0 {
            self.counters.unexpected += 1;
            return;
        }
        if ahead > self.unanswered.saturating_add(SLACK) {
            self.counters.restarts_seen += 1;
            self.script_runs &= now_ms < self.started_at + START_MS;
            let (expected, found) = (self.sequence, header.sequence);
            return self.begin_again(now_ms, Trouble::Restarted { expected, found });
        }
        self.unanswered = self.unanswered.saturating_sub(ahead + 1);
        self.sequence = header.sequence.wrapping_add(1);
        self.strays += 1;
        let Some(Pending { ask, .. }) = self.pending.filter(|pending| pending.ask.opcode() as u8 == header.opcode)
        else {
            return;
        };
        // An answer was lost, and it may have been the grant.
        self.lock_is_doubtful |= ask == Ask::Lock;
        if self.strays > MAX_STRAYS {
            return self.begin_again(now_ms, Trouble::OutOfStep);
        }
        // Another copy is still under way, or the line doubles requests and this answers the one before: the silence decides.
        if self.unanswered == 0 && self.strays <= MAX_CHASES {
            self.pending = None;
            self.answer.clear();
            self.counters.repeats += 1;
            self.then_at(if matches!(ask, Ask::Read { .. }) { Ask::Size } else { ask }, now_ms);
        }
    }

    /// Greets the camera anew. It lets go of the frame.
    pub(super) fn begin_again(&mut self, now_ms: u64, why: Trouble) {
        self.counters.resyncs += 1;
        self.abandon();
        self.trouble = Some(why);
        self.is_connected = false;
        self.pending = None;
        self.acknowledged = None;
        self.lock_is_doubtful = false;
        self.strays = 0;
        self.answer.clear();
        self.then_at(Ask::Sync, now_ms + self.again_ms);
        self.again_ms = (2 * self.again_ms).min(AGAIN_MS[1]);
    }

    /// The frame that the camera holds, if it does, will not be read.
    pub(super) fn abandon(&mut self) {
        self.counters.abandoned_frames += u64::from(std::mem::take(&mut self.holds_frame));
    }
}
