//! Both sides of OpenMV's protocol and the parser between: on noise, on packets that are whole and mean anything, and on each other's,
//! damaged and repeated, in any order.
//!
//! The input is a list of pieces, of which the first byte says what is done; see [`Step`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_openmv::{
    Camera, CameraSettings, Channel, Flags, Frame, Header, Heard, Host, Packet, Parser, PixelFormat, Settings, encode,
};

const MAX_FRAME: usize = 1 << 14;

/// What a piece of the input does.
enum Step<'a> {
    /// Both sides hear these bytes.
    Noise(&'a [u8]),
    /// One side hears a packet of this number (counted from the one it expects), channel, flags, opcode and payload.
    Packet { is_for_host: bool, fields: [u8; 4], payload: &'a [u8] },
    /// Each side says something, and the other hears it; the byte damages or repeats it.
    Talk(u8),
    /// Time passes.
    Wait(u8),
    /// The camera shows a picture.
    Show(u8),
    /// The camera loses power.
    Restart,
}

impl<'a> Step<'a> {
    fn of(piece: &'a [u8]) -> Option<Self> {
        Some(match *piece {
            [0, ref bytes @ ..] => Step::Noise(bytes),
            [to @ (1 | 2), a, b, c, d, ref payload @ ..] => {
                Step::Packet { is_for_host: to == 1, fields: [a, b, c, d], payload }
            }
            [3, damage, ..] => Step::Talk(damage),
            [4, units, ..] => Step::Wait(units),
            [5, number, ..] => Step::Show(number),
            [6, ..] => Step::Restart,
            _ => return None,
        })
    }
}

struct Bench {
    now_ms: u64,
    host: Host,
    camera: Camera,
    /// Whatever was heard, for a parser of its own.
    parser: Parser,
    /// Number of the last packet to either side.
    last: [u8; 2],
}

fuzz_target!(|data: &[u8]| {
    let settings = Settings { script: Some("snapshot".to_owned()), max_frame: MAX_FRAME, ..Settings::default() };
    let camera = CameraSettings { max_payload: 60, ..CameraSettings::default() };
    let mut bench = Bench {
        now_ms: 0,
        host: Host::new(settings),
        camera: Camera::new(camera),
        parser: Parser::default(),
        last: [0; 2],
    };
    for step in remedis_fuzz::bodies(data).filter_map(Step::of) {
        match step {
            Step::Noise(bytes) => bench.hear([Some(bytes), Some(bytes)]),
            Step::Packet { is_for_host, fields, payload } => bench.hear_packet(is_for_host, fields, payload),
            Step::Talk(damage) => bench.talk(damage),
            Step::Wait(units) => bench.now_ms += u64::from(units) * 16,
            Step::Show(number) => drop(bench.camera.offer(&picture(number))),
            Step::Restart => bench.camera.power_cycle(),
        }
        bench.now_ms += 1;
    }
});

impl Bench {
    fn talk(&mut self, damage: u8) {
        let (mut requests, mut packet) = (Vec::new(), Vec::new());
        while self.host.poll(self.now_ms, &mut packet) {
            requests.extend_from_slice(&packet);
        }
        assert!(self.host.due_ms() > self.now_ms, "what is due was done");
        self.camera.poll(self.now_ms);
        let answers = self.camera.take_output();
        let [requests, answers] = [requests, answers].map(|bytes| damaged(bytes, damage));
        self.hear([Some(&answers), Some(&requests)]);
    }

    fn hear_packet(&mut self, is_for_host: bool, [ahead, channel, flags, opcode]: [u8; 4], payload: &[u8]) {
        let sequence = self.last[usize::from(is_for_host)].wrapping_add(ahead);
        let mut bytes = Vec::new();
        encode(Header { sequence, channel: Channel(channel), flags: Flags(flags), opcode }, payload, &mut bytes);
        self.hear(if is_for_host { [Some(&bytes), None] } else { [None, Some(&bytes)] });
    }

    /// What the host and what the camera hears.
    fn hear(&mut self, [to_host, to_camera]: [Option<&[u8]>; 2]) {
        for (bytes, side) in [(to_host, 1), (to_camera, 0)] {
            let packets = bytes.map_or(vec![], |bytes| self.parse(bytes));
            self.last[side] = packets.last().map_or(self.last[side], |packet| packet.header.sequence);
        }
        if let Some(mut bytes) = to_host {
            while self.host.receive(self.now_ms, &mut bytes) == Heard::Frame {
                check(self.host.take_frame().expect("a frame was announced"));
            }
            assert!(bytes.is_empty());
        }
        to_camera.into_iter().for_each(|bytes| self.camera.receive(self.now_ms, bytes));
    }

    /// Packets come out as they went in, byte by byte.
    fn parse(&mut self, bytes: &[u8]) -> Vec<Packet> {
        self.parser.clear();
        self.parser.push(bytes);
        let packets: Vec<Packet> = std::iter::from_fn(|| self.parser.next_packet()).collect();
        let mut written = Vec::new();
        for packet in &packets {
            written.clear();
            encode(packet.header, &packet.payload, &mut written);
            assert!(bytes.windows(written.len()).any(|window| window == written));
        }
        packets
    }
}

/// A frame is as long as it says, and is read again from what it writes.
fn check(frame: Frame) {
    let n_pixels = frame.width as usize * frame.height as usize;
    match frame.format {
        PixelFormat::Grey => assert_eq!(frame.bytes.len(), n_pixels),
        PixelFormat::Rgb565 => assert_eq!(frame.bytes.len(), 2 * n_pixels),
        PixelFormat::Jpeg => assert!(frame.bytes.starts_with(&[0xff, 0xd8]) && frame.bytes.ends_with(&[0xff, 0xd9])),
    }
    assert!(frame.bytes.len() <= MAX_FRAME);
    assert_eq!(Frame::read(&frame.to_bytes()).as_ref(), Ok(&frame));
    drop(frame.into_pixels());
}

fn damaged(mut bytes: Vec<u8>, damage: u8) -> Vec<u8> {
    let at = usize::from(damage) % bytes.len().max(1);
    match damage {
        0..64 => {}
        64..128 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= damage),
        128..192 => bytes.truncate(at),
        192.. => bytes.extend_from_within(..),
    }
    bytes
}

fn picture(number: u8) -> Frame {
    let (width, height) = (9, 7);
    let grey: Vec<u8> = (0..width * height).map(|at| (at as u8).wrapping_mul(number)).collect();
    let (format, bytes) = match number % 3 {
        0 => (PixelFormat::Grey, grey),
        1 => (PixelFormat::Rgb565, grey.repeat(2)),
        _ => (PixelFormat::Jpeg, [&[0xff, 0xd8][..], &grey, &[0xff, 0xd9]].concat()),
    };
    Frame { width, height, format, bytes }
}
