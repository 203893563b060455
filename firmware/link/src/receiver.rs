//! The device's side: assembles frames and answers each exactly once.
//!
//! Idempotent by construction: what was taken before is acknowledged again and changes nothing, and a frame that was
//! answered before is answered again from the caller's journal, never computed again.

mod desk;
mod frames;
mod tuning;

use crate::{Deframer, FrameHeader, NakReason, Outcome, Packet, Rates, Step, decode};
use desk::Desk;

/// Who the device is, as `HelloAck` says it.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Tells devices apart.
    pub device_id: u64,
    /// How long to wait for a `ResultAck` before the result is sent again, in milliseconds.
    pub result_retry_ms: u64,
}

/// What the caller's journal says about an announced frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not seen before: take it.
    New,
    /// Answered before: send this again.
    Answered(Outcome),
    /// Do not take it; [`NakReason::Busy`] when it may be tried later.
    Refuse(NakReason),
}

/// What the bytes brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Every byte given was taken and there is nothing to tell.
    Nothing,
    /// The hardware opened a session.
    Connected,
    /// A new frame begins.
    Started(FrameHeader),
    /// A frame that was cut by a lost session goes on.
    Resumed {
        /// The frame.
        header: FrameHeader,
        /// The bytes before this one are held and need not be sent again.
        offset: u32,
    },
    /// A frame is whole and its CRC is right. Read [`Receiver::image`], make the answer durable, then call
    /// [`Receiver::answer`], however much later.
    Complete(FrameHeader),
    /// The hardware has the answer to this frame.
    Delivered {
        /// The frame.
        frame_id: u64,
    },
}

/// What happened on the link since the receiver was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Packets with a good CRC.
    pub packets: u64,
    /// Packets thrown away: noise or damage, after each the receiver resynchronised.
    pub corrupt: u64,
    /// Bytes thrown away with them.
    pub skipped_bytes: u64,
    /// Most bytes thrown away at once, until the next delimiter let a packet begin.
    pub worst_resync_bytes: u64,
    /// Good packets that were no message of this version.
    pub malformed: u64,
    /// Frames whose assembled image did not match its CRC.
    pub damaged_images: u64,
    /// Refusals sent.
    pub naks: u64,
    /// Frames completed.
    pub frames: u64,
    /// Frames that went on after a lost session.
    pub resumed_frames: u64,
    /// Results sent again.
    pub repeated_results: u64,
    /// Chunks that had arrived before.
    pub repeated_chunks: u64,
    /// Times the hardware was paused.
    pub pauses: u64,
    /// Times the line went to another rate, searching not counted.
    pub rate_changes: u64,
}

/// The device's end of the link. `B` holds the image: its length is the largest frame the device takes.
pub struct Receiver<B> {
    deframer: Deframer,
    desk: Desk<B>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Receiver<B> {
    /// A receiver that assembles frames in `buffer`, on a line whose rate is no business of the link.
    pub fn new(buffer: B, identity: Identity) -> Self {
        Receiver { deframer: Deframer::new(), desk: Desk::new(buffer, identity) }
    }

    /// Lets the link choose among `rates`: it searches for the hardware's and follows its proposals. See [`Receiver::baud`].
    #[must_use]
    pub fn with_rates(mut self, rates: Rates) -> Self {
        self.desk.tune(rates);
        self
    }

    /// Takes bytes from the front of `bytes` until there is something to tell or none are left.
    ///
    /// Call until it returns [`Received::Nothing`], then [`Receiver::poll`] until that has nothing to send. `journal` is
    /// asked about every frame that begins; it must know every frame that was ever answered.
    pub fn receive(
        &mut self,
        now_ms: u64,
        bytes: &mut &[u8],
        mut journal: impl FnMut(&FrameHeader) -> Known,
    ) -> Received {
        loop {
            match self.deframer.next(bytes) {
                Step::NeedMore => return Received::Nothing,
                Step::Corrupt { skipped } => self.desk.corrupt(skipped),
                Step::Frame { body } => {
                    self.desk.heard(now_ms);
                    let received = match decode(body) {
                        Ok((sequence, message)) => self.desk.take(now_ms, sequence, message, &mut journal),
                        Err(error) => self.desk.malformed(error),
                    };
                    if received != Received::Nothing {
                        return received;
                    }
                }
            }
        }
    }

    /// Puts the next packet that is due into `packet`; `false` when there is none. Call again after the time moved on.
    pub fn poll(&mut self, now_ms: u64, packet: &mut Packet) -> bool {
        self.desk.poll(now_ms, packet)
    }

    /// The rate the port is to run at now, once it has sent what it was given; `None` without [`Receiver::with_rates`].
    ///
    /// To be compared with the port's after every [`Receiver::poll`], whatever that returned, before the next packet is written.
    pub fn baud(&self) -> Option<u32> {
        self.desk.baud()
    }

    /// The frame that is complete and unanswered, and its image.
    pub fn image(&self) -> Option<(FrameHeader, &[u8])> {
        self.desk.image()
    }

    /// Sends the answer to the complete frame. Call only once the answer is durable: the hardware then forgets the image.
    ///
    /// Returns `false`, and does nothing, when `outcome` is not for the complete frame.
    pub fn answer(&mut self, now_ms: u64, outcome: Outcome) -> bool {
        self.desk.answer(now_ms, outcome)
    }

    /// Gives up the complete frame without an answer; the hardware will send it again. `false` when there is none.
    pub fn forget(&mut self) -> bool {
        self.desk.forget()
    }

    /// Lets the hardware have up to `bytes` of a frame under way; 0 pauses it until another call, for as long as it takes.
    pub fn set_credit(&mut self, bytes: u32) {
        self.desk.set_credit(bytes);
    }

    /// The frame now arriving and how many of its bytes have arrived.
    pub fn progress(&self) -> Option<(FrameHeader, u32)> {
        self.desk.progress()
    }

    /// When the last good packet arrived, in the caller's milliseconds.
    pub fn heard_ms(&self) -> Option<u64> {
        self.desk.heard_ms()
    }

    /// When [`Receiver::poll`] is to be called next, in the caller's milliseconds, if nothing arrives before.
    pub fn due_ms(&self) -> Option<u64> {
        self.desk.due_ms()
    }

    /// What happened on the link so far.
    pub fn counters(&self) -> ReceiverCounters {
        self.desk.counters()
    }
}
