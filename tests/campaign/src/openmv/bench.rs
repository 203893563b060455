//! Camera, line and host in simulated time: what happens next is looked up, and the clock put there.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use remedis_openmv::{Camera, CameraSettings, Counters, Flags, Frame, Heard, Host, Opcode, Settings, Stats};

use crate::line::{Arrival, Lane, Line, NS_PER_MS, NS_PER_S, Parcel, Trouble};

/// Bytes that a port hands over at a time.
const AT_A_TIME: usize = 64;

/// How far behind the reader of a direction is.
#[derive(Default)]
struct Lag {
    /// Whole bytes that arrived since a packet was accepted.
    n_bytes: u64,
    worst: u64,
}

impl Lag {
    fn note(&mut self, parcel: &Parcel, has_accepted: bool) {
        let n_more = parcel.bytes.len() as u64 * u64::from(parcel.is_whole);
        self.n_bytes = if has_accepted { 0 } else { self.n_bytes + n_more };
        self.worst = self.worst.max(self.n_bytes);
    }
}

/// What was seen from outside.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Frames that arrived as they were shown.
    pub(super) n_delivered: u64,
    /// That were not what the camera showed.
    pub(super) n_wrong: u64,
    /// That had been delivered before.
    pub(super) n_twice: u64,
    /// That the camera locked for the host. Each of them is delivered, lost, or one whose grant the line spoiled.
    pub(super) n_locked: u64,
    /// Whose grant arrived whole, and which were not delivered all the same.
    pub(super) n_lost: u64,
    /// Of these: whose grant was disturbed. A refusal may have come first and told the host to ask anew.
    pub(super) n_disturbed: u64,
    /// Whose grant the line spoiled: nobody but the camera knew of them, and no request tells whether a lock is held.
    pub(super) n_unheard: u64,
    pub(super) n_packets: u64,
    pub(super) n_hit: u64,
    /// Longest wait for a frame, between the one before and it.
    pub(super) worst_gap_ms: u64,
    pub(super) worst_resync_bytes: u64,
    pub(super) host: Counters,
    pub(super) camera: Stats,
}

/// What the camera shows, and how its word came to the host that the frame is locked for it.
struct Shown {
    frame: Frame,
    grant: Option<Arrival>,
}

impl Seen {
    /// A frame that will not be delivered any more.
    fn give_up(&mut self, shown: Option<&Shown>) {
        let Some(grant) = shown.and_then(|shown| shown.grant) else { return };
        self.n_lost += u64::from(grant != Arrival::Spoiled);
        self.n_disturbed += u64::from(grant == Arrival::Disturbed);
        self.n_unheard += u64::from(grant == Arrival::Spoiled);
    }
}

/// An end of the line.
#[derive(Clone, Copy)]
enum Side {
    Host,
    Camera,
}

/// A camera and a host on a line.
pub(super) struct Bench {
    now_ns: u64,
    line: Line,
    trouble: Trouble,
    rng: ChaCha8Rng,
    to_camera: Lane,
    to_host: Lane,
    camera_lag: Lag,
    host_lag: Lag,
    host: Host,
    camera: Camera,
    /// Until it was delivered.
    shown: Option<Shown>,
    /// What it showed before and was not delivered: its last packet may still be on the line.
    passed: Option<Shown>,
    delivered_ns: u64,
    seen: Seen,
}

impl Bench {
    pub(super) fn new(line: Line, trouble: Trouble, max_payload: usize, seed: u64) -> Self {
        Bench {
            now_ns: 0,
            line,
            trouble,
            rng: ChaCha8Rng::seed_from_u64(seed),
            to_camera: Lane::default(),
            to_host: Lane::default(),
            camera_lag: Lag::default(),
            host_lag: Lag::default(),
            // Long enough for every payload: requests that are cut swallow what comes after them.
            host: Host::new(Settings { script: Some("csi0.snapshot()\n".repeat(400)), ..Settings::default() }),
            camera: Camera::new(CameraSettings { max_payload, ..CameraSettings::default() }),
            shown: None,
            passed: None,
            delivered_ns: 0,
            seen: Seen::default(),
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Until `n` frames have been delivered, of those that `next` makes; whether each came within `limit_s` simulated seconds.
    pub(super) fn run(&mut self, n: u64, limit_s: u64, mut next: impl FnMut(&mut ChaCha8Rng) -> Frame) -> bool {
        self.delivered_ns = self.now_ns;
        let n = self.seen.n_delivered + n;
        while self.seen.n_delivered < n && self.now_ns < self.delivered_ns + limit_s * NS_PER_S {
            self.show(&mut next);
            self.step();
        }
        self.seen.n_delivered == n
    }

    /// The next frame, if the camera has room for it.
    fn show(&mut self, mut next: impl FnMut(&mut ChaCha8Rng) -> Frame) {
        if !self.camera.is_free() {
            return;
        }
        self.seen.give_up(self.passed.as_ref());
        self.passed = self.shown.take();
        let frame = next(&mut self.rng);
        assert!(self.camera.offer(&frame), "a camera that is free shows a frame");
        self.shown = Some(Shown { frame, grant: None });
    }

    pub(super) fn seen(&self) -> Seen {
        let mut seen = self.seen;
        seen.give_up(self.passed.as_ref());
        Seen {
            n_locked: self.camera.locks(),
            n_packets: self.to_camera.n_sent + self.to_host.n_sent,
            n_hit: self.to_camera.n_hit + self.to_host.n_hit,
            worst_resync_bytes: self.camera_lag.worst.max(self.host_lag.worst),
            host: self.host.counters(),
            camera: self.camera.stats(),
            ..seen
        }
    }

    fn now_ms(&self) -> u64 {
        self.now_ns / NS_PER_MS
    }

    /// Everything that happens now, and then the clock goes to the next event.
    fn step(&mut self) {
        while let Some(parcel) = self.to_camera.arrived(self.now_ns) {
            let n_packets = self.camera.parser_counters().packets;
            self.camera.receive(self.now_ms(), &parcel.bytes);
            self.camera_lag.note(&parcel, self.camera.parser_counters().packets > n_packets);
        }
        while let Some(parcel) = self.to_host.arrived(self.now_ns) {
            self.listen(&parcel);
        }
        let (now_ms, n_packets) = (self.now_ms(), self.host.counters().packets);
        self.camera.poll(now_ms);
        for packet in packets(&self.camera.take_output()) {
            self.send(Side::Host, &packet);
        }
        let mut packet = Vec::new();
        while self.host.poll(now_ms, &mut packet) {
            self.send(Side::Camera, &packet);
        }
        if self.host.counters().packets > n_packets {
            // Out of a packet that was given up.
            self.host_lag.n_bytes = 0;
        }
        self.take();
        self.now_ns = self.next_ns();
    }

    /// Without errors as a port hands bytes over, a few at a time: a packet takes longer on a slow line than silence is borne.
    fn send(&mut self, to: Side, packet: &[u8]) {
        let lane = match to {
            Side::Host => &mut self.to_host,
            Side::Camera => &mut self.to_camera,
        };
        let arrival = if self.trouble.faults.is_empty() {
            lane.send_in_pieces(self.now_ns, packet, self.line, AT_A_TIME);
            Arrival::Undisturbed
        } else {
            lane.send(self.now_ns, packet, self.line, &self.trouble, &mut self.rng)
        };
        if let (Side::Host, true, Some(shown)) = (to, is_grant(packet), &mut self.shown) {
            shown.grant = Some(arrival);
        }
    }

    fn next_ns(&self) -> u64 {
        let due_ns = [Some(self.host.due_ms()), self.camera.due_ms()].map(|due_ms| due_ms.map(|ms| ms * NS_PER_MS));
        let events = due_ns.into_iter().chain([self.to_camera.next_ns(), self.to_host.next_ns()]);
        events.flatten().min().unwrap_or(0).max(self.now_ns + 1)
    }

    fn listen(&mut self, parcel: &Parcel) {
        let n_packets = self.host.counters().packets;
        let mut rest = &parcel.bytes[..];
        while self.host.receive(self.now_ms(), &mut rest) == Heard::Frame {
            self.take();
        }
        self.host_lag.note(parcel, self.host.counters().packets > n_packets);
    }

    fn take(&mut self) {
        let Some(frame) = self.host.take_frame() else { return };
        let is_this = |shown: &mut Shown| shown.frame == frame;
        if self.shown.take_if(is_this).or_else(|| self.passed.take_if(is_this)).is_some() {
            self.seen.n_delivered += 1;
        } else if self.shown.is_some() {
            self.seen.n_wrong += 1;
        } else {
            self.seen.n_twice += 1;
        }
        self.seen.worst_gap_ms = self.seen.worst_gap_ms.max((self.now_ns - self.delivered_ns) / NS_PER_MS);
        self.delivered_ns = self.now_ns;
    }
}

/// Whether a packet of the camera says yes to a lock.
fn is_grant(packet: &[u8]) -> bool {
    packet.get(4..6) == Some(&[Flags::ACK.0, Opcode::ChannelLock as u8])
}

/// What a camera wrote, packet by packet.
fn packets(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = vec![];
    while !bytes.is_empty() {
        let length = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
        let (packet, rest) = bytes.split_at(10 + length + 4 * usize::from(length > 0));
        packets.push(packet.to_vec());
        bytes = rest;
    }
    packets
}

#[cfg(test)]
mod tests;
