//! A host and a camera, and a line between them on which chosen packets come to harm.

use remedis_openmv::{Camera, CameraSettings, Counters, Flags, Frame, Heard, Host, Opcode, PixelFormat, Settings};

/// What happens to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    Lost,
    /// A bit of the payload, or of the header where there is none.
    Flipped,
    HeaderFlipped,
    /// Its second half is lost.
    Cut,
    Doubled,
    /// The next packet of this direction overtakes it.
    Overtaken,
}

impl Harm {
    pub(crate) const ALL: [Self; 6] =
        [Self::Lost, Self::Flipped, Self::HeaderFlipped, Self::Cut, Self::Doubled, Self::Overtaken];

    fn to(self, mut packet: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Lost => packet.clear(),
            Self::Flipped => packet.last_mut().into_iter().for_each(|byte| *byte ^= 0x10),
            Self::HeaderFlipped => packet.iter_mut().skip(5).take(1).for_each(|byte| *byte ^= 1),
            Self::Cut => packet.truncate(packet.len() / 2),
            Self::Doubled => packet.extend_from_within(..),
            Self::Overtaken => {}
        }
        packet
    }
}

/// A way for packets, which are counted.
#[derive(Default)]
struct Way {
    n_packets: usize,
    /// The numbers of those that say yes to a lock.
    grants: Vec<usize>,
    held: Option<Vec<u8>>,
}

impl Way {
    fn carry(&mut self, packet: Vec<u8>, harm: impl Fn(usize) -> Option<Harm>) -> Vec<u8> {
        let harm = harm(self.n_packets);
        if packet.get(4..6) == Some(&[Flags::ACK.0, Opcode::ChannelLock as u8]) {
            self.grants.push(self.n_packets);
        }
        self.n_packets += 1;
        if harm == Some(Harm::Overtaken) && self.held.is_none() {
            self.held = Some(packet);
            return vec![];
        }
        let mut bytes = harm.map_or(packet.clone(), |harm| harm.to(packet));
        bytes.extend(self.held.take().unwrap_or_default());
        bytes
    }
}

pub(crate) struct Rig {
    pub(crate) host: Host,
    pub(crate) camera: Camera,
    pub(crate) now_ms: u64,
    /// Numbers of the pictures that arrived, in order.
    pub(crate) arrived: Vec<u32>,
    pub(crate) offered: u32,
    to_camera: Way,
    to_host: Way,
}

impl Rig {
    pub(crate) fn new(script: Option<&str>) -> Self {
        let settings = Settings { script: script.map(str::to_owned), ..Settings::default() };
        let camera = Camera::new(CameraSettings { max_payload: 200, ..CameraSettings::default() });
        Self {
            host: Host::new(settings),
            camera,
            now_ms: 0,
            arrived: vec![],
            offered: 0,
            to_camera: Way::default(),
            to_host: Way::default(),
        }
    }

    /// Packets carried so far, to the camera and to the host.
    pub(crate) fn n_packets(&self) -> [usize; 2] {
        [self.to_camera.n_packets, self.to_host.n_packets]
    }

    /// Whether the camera granted a picture by the packet to the host of this number.
    pub(crate) fn is_grant(&self, number: usize) -> bool {
        self.to_host.grants.contains(&number)
    }

    /// Until `n` pictures have arrived, each shown as soon as the camera has room. `harm` says what happens to a packet by its way (0
    /// to the camera, 1 to the host) and number.
    pub(crate) fn run(&mut self, n: usize, harm: impl Fn(usize, usize) -> Option<Harm>) {
        let limit = self.now_ms + 60_000;
        while self.arrived.len() < n {
            assert!(
                self.now_ms < limit,
                "{} of {n}: {:?}, {:?}",
                self.arrived.len(),
                self.counters(),
                self.host.trouble()
            );
            self.go_on(&harm);
        }
    }

    /// As long as this, without harm.
    pub(crate) fn show_for(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.go_on(&|_, _| None);
        }
    }

    fn go_on(&mut self, harm: &impl Fn(usize, usize) -> Option<Harm>) {
        if self.camera.is_free() && self.camera.offer(&picture(self.offered)) {
            self.offered += 1;
        }
        if !self.step(harm) {
            let camera = self.camera.due_ms().unwrap_or(u64::MAX);
            self.now_ms = self.host.due_ms().min(camera).max(self.now_ms + 1);
        }
    }

    /// Carries what there is to carry; a packet takes a millisecond.
    fn step(&mut self, harm: &impl Fn(usize, usize) -> Option<Harm>) -> bool {
        let (mut packet, before) = (Vec::new(), self.n_packets());
        while self.host.poll(self.now_ms, &mut packet) {
            self.now_ms += 1;
            let bytes = self.to_camera.carry(packet.clone(), |number| harm(0, number));
            self.camera.receive(self.now_ms, &bytes);
        }
        self.camera.poll(self.now_ms);
        for packet in packets(&self.camera.take_output()) {
            self.now_ms += 1;
            let bytes = self.to_host.carry(packet, |number| harm(1, number));
            let mut rest = &bytes[..];
            while self.host.receive(self.now_ms, &mut rest) == Heard::Frame {
                let frame = self.host.take_frame().expect("a frame was announced");
                let number = (0..self.offered).rev().find(|number| picture(*number) == frame);
                self.arrived.push(number.expect("a picture that was never shown"));
            }
            assert!(rest.is_empty());
        }
        self.n_packets() != before
    }

    pub(crate) fn counters(&self) -> Counters {
        self.host.counters()
    }
}

/// What a side wrote, packet by packet.
pub(crate) fn packets(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = vec![];
    while !bytes.is_empty() {
        let length = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
        let (packet, rest) = bytes.split_at(10 + if length == 0 { 0 } else { length + 4 });
        packets.push(packet.to_vec());
        bytes = rest;
    }
    packets
}

/// Grey, RGB565 and JPEG in turn; no two are alike.
pub(crate) fn picture(number: u32) -> Frame {
    let (width, height) = (20, 15);
    let bytes = |n: u32| (0..n).map(|at| (number.wrapping_mul(77) + at * (at + number)) as u8).collect::<Vec<u8>>();
    let (format, bytes) = match number % 3 {
        0 => (PixelFormat::Grey, bytes(width * height)),
        1 => (PixelFormat::Rgb565, bytes(2 * width * height)),
        _ => (PixelFormat::Jpeg, [&[0xff, 0xd8][..], &bytes(150 + number), &[0xff, 0xd9]].concat()),
    };
    Frame { width, height, format, bytes }
}
