//! Hardware, line and device in simulated time: what happens next is looked up, and the clock put there.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use remedis_link::{
    Decision, Format, FrameHeader, Heard, Identity, Known, Outcome, Packet, Received, Receiver, ReceiverCounters,
    Sender, SenderCounters, Timing,
};

use crate::line::{Lane, Line, NS_PER_MS, NS_PER_S, Parcel, Trouble};

/// What was seen from outside.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) n_frames: u64,
    pub(super) n_answered: u64,
    /// Images that the device took and that were not what was sent.
    pub(super) n_wrong: u64,
    pub(super) n_computed_again: u64,
    pub(super) n_packets: u64,
    pub(super) n_hit: u64,
    /// Packets that arrived whole and were not taken, because of what came before them.
    pub(super) n_collateral: u64,
    pub(super) worst_resync_bytes: u64,
    pub(super) sender: SenderCounters,
    pub(super) receiver: ReceiverCounters,
}

/// Hardware and device on a line.
pub(super) struct Bench {
    now_ns: u64,
    line: Line,
    trouble: Trouble,
    rng: ChaCha8Rng,
    down: Lane,
    up: Lane,
    sender: Sender<Vec<u8>>,
    receiver: Receiver<Vec<u8>>,
    /// The frame under way, how often the device has computed it, and its answer.
    frame: Vec<u8>,
    frame_id: u64,
    n_computed: u64,
    journal: Option<Outcome>,
    seen: Seen,
}

impl Bench {
    pub(super) fn new(line: Line, trouble: Trouble, largest_image: usize, seed: u64) -> Self {
        let packets_ms = 2 * line.duration_ns(remedis_link::MAX_WIRE).div_ceil(NS_PER_MS);
        let ack_ms = packets_ms + 2 * line.latency_ns / NS_PER_MS + 10;
        let timing = Timing { ack_ms, result_ms: 2 * ack_ms, keepalive_ms: 1000, retries: 8 };
        Bench {
            now_ns: 0,
            line,
            trouble,
            rng: ChaCha8Rng::seed_from_u64(seed),
            down: Lane::default(),
            up: Lane::default(),
            sender: Sender::new(seed as u32, timing),
            receiver: Receiver::new(vec![0; largest_image], Identity { device_id: 1, result_retry_ms: ack_ms }),
            frame: vec![],
            frame_id: 0,
            n_computed: 0,
            journal: None,
            seen: Seen::default(),
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub(super) fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// Greets the device.
    pub(super) fn connect(&mut self) {
        while !self.sender.is_connected() {
            self.step();
        }
    }

    /// Sends one frame until it is answered; whether that was within `limit_s` simulated seconds.
    pub(super) fn deliver(&mut self, image: Vec<u8>, limit_s: u64) -> bool {
        self.frame_id += 1;
        (self.n_computed, self.journal) = (0, None);
        self.seen.n_frames += 1;
        let end_ns = self.now_ns + limit_s * NS_PER_S;
        let header = FrameHeader::new(self.frame_id, Format::Png, 0, 0, &image).expect("images here are small");
        self.frame.clone_from(&image);
        let given = self.sender.send(self.now_ms(), header, image);
        assert_eq!(given, Ok(()), "the last frame was answered");
        while !self.sender.is_free() && self.now_ns < end_ns {
            self.step();
        }
        self.seen.n_computed_again += self.n_computed.saturating_sub(1);
        self.sender.is_free()
    }

    pub(super) fn seen(&self) -> Seen {
        let receiver = self.receiver.counters();
        Seen {
            n_packets: self.down.n_sent + self.up.n_sent,
            n_hit: self.down.n_hit + self.up.n_hit,
            worst_resync_bytes: receiver.worst_resync_bytes.max(self.sender.counters().worst_resync_bytes),
            sender: self.sender.counters(),
            receiver,
            ..self.seen
        }
    }

    fn now_ms(&self) -> u64 {
        self.now_ns / NS_PER_MS
    }

    /// Everything that happens now, and then the clock goes to the next event.
    fn step(&mut self) {
        while let Some(parcel) = self.down.arrived(self.now_ns) {
            self.serve(&parcel);
        }
        while let Some(parcel) = self.up.arrived(self.now_ns) {
            self.listen(&parcel);
        }
        let (now_ms, mut packet) = (self.now_ms(), Packet::new());
        if self.down.free_ns <= self.now_ns && self.sender.poll(now_ms, &mut packet) {
            self.down.send(self.now_ns, packet.as_bytes(), self.line, &self.trouble, &mut self.rng);
        }
        if self.up.free_ns <= self.now_ns && self.receiver.poll(now_ms, &mut packet) {
            self.up.send(self.now_ns, packet.as_bytes(), self.line, &self.trouble, &mut self.rng);
        }
        self.now_ns = self.next_ns();
    }

    fn next_ns(&self) -> u64 {
        // A side whose port is busy acts when that is free; else when it says.
        let hardware_ns = (self.sender.due_ms() * NS_PER_MS).max(self.down.free_ns);
        let device_ns = self.receiver.due_ms().map(|due_ms| (due_ms * NS_PER_MS).max(self.up.free_ns));
        let events = [Some(hardware_ns), device_ns, self.down.next_ns(), self.up.next_ns()];
        events.into_iter().flatten().min().unwrap_or(0).max(self.now_ns + 1)
    }

    fn serve(&mut self, parcel: &Parcel) {
        let n_good = self.receiver.counters().packets;
        let mut rest = &parcel.bytes[..];
        loop {
            let (now_ms, journal) = (self.now_ms(), self.journal);
            let known = |header: &FrameHeader| match journal {
                Some(outcome) if outcome.frame_id == header.id => Known::Answered(outcome),
                _ => Known::New,
            };
            match self.receiver.receive(now_ms, &mut rest, known) {
                Received::Nothing => break,
                Received::Complete(header) => self.answer(header),
                _ => {}
            }
        }
        let is_lost = parcel.is_whole && self.receiver.counters().packets == n_good;
        self.seen.n_collateral += u64::from(is_lost);
    }

    fn answer(&mut self, header: FrameHeader) {
        let (_, image) = self.receiver.image().expect("a complete frame has an image");
        self.seen.n_wrong += u64::from(header.id != self.frame_id || image != self.frame);
        self.n_computed += 1;
        let (decision, class, model) = (Decision::Class, image[0].into(), [1; 8]);
        let outcome = Outcome { frame_id: header.id, decision, class, confidence: 9000, model };
        self.journal = Some(outcome);
        let is_taken = self.receiver.answer(self.now_ms(), outcome);
        assert!(is_taken, "the receiver holds frame {} until it is answered", header.id);
    }

    fn listen(&mut self, parcel: &Parcel) {
        let mut rest = &parcel.bytes[..];
        loop {
            match self.sender.receive(self.now_ms(), &mut rest) {
                Heard::Nothing => return,
                Heard::Answered(outcome) => {
                    let is_right = outcome.frame_id == self.frame_id && outcome.class == u16::from(self.frame[0]);
                    self.seen.n_answered += u64::from(is_right);
                }
                _ => {}
            }
        }
    }
}
