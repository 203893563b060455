//! The imaging hardware's side: one frame at a time, kept under way until its result has come.
//!
//! Go back N: as many chunks are under way as the device gives credit for, each acknowledgement stands for all bytes before
//! it, and after a loss everything from the first missing byte is sent again. The image itself is what is sent again from, so
//! that a microcontroller needs no memory but the image and one packet.

mod desk;
mod flight;
mod ladder;
mod replies;

use crate::{
    DecodeError, Deframer, ErrorCode, FrameHeader, MAX_REPLY_WIRE, NakReason, Outcome, Packet, Rates, Step, decode,
};
use desk::Desk;

/// How long the sender waits, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For any sign of the device before what is unacknowledged is sent again. At least the time of two packets on the line, and of
    /// what the port buffers.
    pub ack_ms: u64,
    /// For a result before the device is asked for it again.
    pub result_ms: u64,
    /// Between pings while there is nothing to send. A device that searches for the rate expects one a second.
    pub keepalive_ms: u64,
    /// Unanswered repetitions after which the device counts as gone and is greeted anew.
    pub retries: u32,
}

/// What the bytes brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Every byte given was taken and there is nothing to tell.
    Nothing,
    /// The device opened the session.
    Connected {
        /// Who it is.
        device_id: u64,
    },
    /// The frame is answered, durably: it may be forgotten.
    Answered(Outcome),
    /// The device will never take this frame; it was given up.
    Refused {
        /// The frame.
        frame_id: u64,
        /// Why.
        reason: NakReason,
        /// As the reason says.
        detail: u32,
    },
    /// The line goes at another rate from now on.
    Rate {
        /// Bits a second.
        baud: u32,
    },
    /// The device complains about something that is no message of this sender.
    Fault {
        /// What.
        code: ErrorCode,
        /// As the code says.
        detail: u32,
    },
}

/// What happened on the link since the sender was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounters {
    /// Packets sent, repetitions included.
    pub packets: u64,
    /// Packets sent again.
    pub retransmissions: u64,
    /// Refusals heard.
    pub naks: u64,
    /// Packets thrown away: noise or damage, after each the sender resynchronised.
    pub corrupt: u64,
    /// Bytes thrown away with them.
    pub skipped_bytes: u64,
    /// Most bytes thrown away at once, until the next delimiter let a packet begin.
    pub worst_resync_bytes: u64,
    /// Good packets that were no message of this version.
    pub malformed: u64,
    /// Frames answered.
    pub frames: u64,
    /// Frames of which the device still held a part when they began or went on.
    pub resumed_frames: u64,
    /// Times the device asked for a pause.
    pub pauses: u64,
    /// Times the device stopped answering and was greeted anew.
    pub lost_sessions: u64,
    /// Times the line went to another rate.
    pub rate_changes: u64,
    /// Of these, because of errors.
    pub step_downs: u64,
}

/// The imaging hardware's end of the link. `S` holds one image: a slice of flash, a `Vec`, whatever gives bytes.
pub struct Sender<S> {
    deframer: Deframer<MAX_REPLY_WIRE>,
    desk: Desk<S>,
}

impl<S: AsRef<[u8]>> Sender<S> {
    /// A sender that greets the device first. `session` should differ from the last run's: a clock or a boot counter.
    pub fn new(session: u32, timing: Timing) -> Self {
        Sender { deframer: Deframer::for_replies(), desk: Desk::new(session, timing) }
    }

    /// Lets the link choose among `rates`: from the base up to the highest the device takes, and down again where there are
    /// too many errors. See [`Sender::baud`].
    #[must_use]
    pub fn with_rates(mut self, rates: Rates) -> Self {
        self.desk.tune(rates);
        self
    }

    /// Whether a frame may be given.
    pub fn is_free(&self) -> bool {
        self.desk.is_free()
    }

    /// Takes a frame to send, or hands it back while another is under way.
    ///
    /// # Errors
    /// The image itself, when the sender is not free or `header` has another length.
    pub fn send(&mut self, now_ms: u64, header: FrameHeader, image: S) -> Result<(), S> {
        self.desk.send(now_ms, header, image)
    }

    /// The image of the last frame that was answered or refused, for its memory to be used again. [`Sender::send`] drops it.
    pub fn reclaim(&mut self) -> Option<S> {
        self.desk.reclaim()
    }

    /// Takes bytes from the front of `bytes` until there is something to tell or none are left.
    ///
    /// Call until it returns [`Heard::Nothing`], then [`Sender::poll`].
    pub fn receive(&mut self, now_ms: u64, bytes: &mut &[u8]) -> Heard {
        loop {
            match self.deframer.next(bytes) {
                Step::NeedMore => return Heard::Nothing,
                Step::Corrupt { skipped } => self.desk.corrupt(skipped),
                Step::Frame { body } => {
                    let heard = match decode(body) {
                        Ok((_, message)) => self.desk.take(now_ms, message),
                        Err(error) => self.malformed(error),
                    };
                    if heard != Heard::Nothing {
                        return heard;
                    }
                }
            }
        }
    }

    /// Puts the next packet that is due into `packet`; `false` when there is none. Call again after the time moved on.
    ///
    /// Best called when the port has room for a packet, and after what has arrived was given to [`Sender::receive`]: then little
    /// is sent in vain after a loss.
    pub fn poll(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        self.desk.poll(now_ms, packet)
    }

    /// The rate the port is to run at now, once it has sent what it was given; `None` without [`Sender::with_rates`].
    ///
    /// To be compared with the port's after every [`Sender::receive`] and [`Sender::poll`], before the next packet is written.
    pub fn baud(&self) -> Option<u32> {
        self.desk.baud()
    }

    /// When [`Sender::poll`] next has something to do, in the caller's milliseconds.
    pub fn due_ms(&self) -> u64 {
        self.desk.due_ms()
    }

    /// Whether the device has answered the greeting and is not given up.
    pub fn is_connected(&self) -> bool {
        self.desk.is_connected()
    }

    /// What happened on the link so far.
    pub fn counters(&self) -> SenderCounters {
        self.desk.counters()
    }

    fn malformed(&mut self, _: DecodeError) -> Heard {
        self.desk.malformed();
        Heard::Nothing
    }
}
