//! Both ends of the wire: on messages that are whole and mean anything, on noise, and on each other's packets, in any order.
//!
//! The input is a list of pieces. No message is shorter than eight bytes, so the length of a shorter piece says what is done; see [`Step`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_link::{
    DEFAULT_CREDIT, Format, FrameHeader, Heard, Identity, Known, NakReason, Packet, Rates, Received, Receiver, Sender,
    Timing, decode, encode,
};

/// Hardware and device, and the last packet of each.
struct Bench {
    now_ms: u64,
    hardware: Sender<Vec<u8>>,
    device: Receiver<Vec<u8>>,
    rates: Rates,
    to_device: Vec<u8>,
    to_hardware: Vec<u8>,
}

/// What a piece of the input does.
enum Step {
    /// It goes to both sides, with delimiters and checksum if it is a message.
    Foreign,
    /// Each side says something, and the other hears it; the first byte damages a byte of either.
    Talk,
    /// What was said last is heard again.
    Repeat,
    /// The device pauses the hardware or lets it go on.
    Credit,
    /// The device gives up its frame.
    Forget,
    /// A long time passes.
    Wait,
}

impl Step {
    fn of(body: &[u8]) -> Self {
        match body.len() {
            0 => Step::Repeat,
            1 => Step::Talk,
            2 => Step::Credit,
            3 => Step::Forget,
            4 => Step::Wait,
            _ => Step::Foreign,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bench = Bench::new();
    for body in remedis_fuzz::bodies(data) {
        bench.give();
        match Step::of(body) {
            Step::Foreign => bench.hear_foreign(body),
            Step::Talk => bench.talk(body[0]),
            Step::Repeat => bench.deliver(),
            Step::Credit => bench.device.set_credit(if body[0] & 1 == 0 { 0 } else { DEFAULT_CREDIT }),
            Step::Forget => assert_eq!(bench.device.image().is_some(), bench.device.forget()),
            Step::Wait => bench.now_ms += u64::from(body[0]) * 64,
        }
        bench.now_ms += 3;
        bench.check();
    }
});

impl Bench {
    fn new() -> Self {
        let rates = Rates::new(2, &[1, 2, 3]).expect("they ascend and hold the base");
        let timing = Timing { ack_ms: 5, result_ms: 9, keepalive_ms: 20, retries: 3 };
        let device = Receiver::new(vec![0; 1 << 12], Identity { device_id: 1, result_retry_ms: 5 });
        Bench {
            now_ms: 0,
            hardware: Sender::new(7, timing).with_rates(rates),
            device: device.with_rates(rates),
            rates,
            to_device: vec![],
            to_hardware: vec![],
        }
    }

    fn give(&mut self) {
        if self.hardware.is_free() {
            let image = vec![7; 3000];
            let header = FrameHeader::new(3, Format::Png, 0, 0, &image).expect("the image is neither empty nor large");
            self.hardware.send(self.now_ms, header, image).expect("the sender is free");
        }
    }

    /// A body that says something gets its delimiters and checksum; anything else is noise as it is.
    fn hear_foreign(&mut self, body: &[u8]) {
        let mut packet = Packet::new();
        let bytes = match decode(body) {
            Ok((sequence, message)) => {
                encode(sequence, &message, &mut packet).expect("a decoded message can be encoded");
                packet.as_bytes().to_vec()
            }
            Err(_) => body.to_vec(),
        };
        (self.to_device, self.to_hardware) = (bytes.clone(), bytes);
        self.deliver();
    }

    fn talk(&mut self, damage: u8) {
        let mut packet = Packet::new();
        if self.hardware.poll(self.now_ms, &mut packet) {
            self.to_device = damaged(&packet, damage);
        }
        if self.device.poll(self.now_ms, &mut packet) {
            self.to_hardware = damaged(&packet, damage);
        }
        self.deliver();
    }

    fn deliver(&mut self) {
        let mut rest = &self.to_device[..];
        while self.device.receive(self.now_ms, &mut rest, journal) != Received::Nothing {
            if let Some((header, image)) = self.device.image() {
                assert_eq!(header.crc, remedis_link::image_crc(image));
                // Some answers take until a later packet.
                if self.now_ms % 4 == 0 {
                    assert!(self.device.answer(self.now_ms, remedis_fuzz::outcome(header.id)));
                }
            }
        }
        let mut rest = &self.to_hardware[..];
        while self.hardware.receive(self.now_ms, &mut rest) != Heard::Nothing {}
    }

    /// What holds whatever was heard.
    fn check(&mut self) {
        for baud in [self.hardware.baud(), self.device.baud()] {
            assert!(baud.is_some_and(|baud| self.rates.as_slice().contains(&baud)));
        }
        if let Some((header, received)) = self.device.progress() {
            assert!(received < header.length && header.length <= 1 << 12);
        }
    }
}

fn damaged(packet: &Packet, damage: u8) -> Vec<u8> {
    let mut bytes = packet.as_bytes().to_vec();
    let at = usize::from(damage) % bytes.len();
    if damage > 127 {
        bytes[at] ^= damage;
    }
    bytes
}

fn journal(header: &FrameHeader) -> Known {
    match header.id % 4 {
        0 => Known::Answered(remedis_fuzz::outcome(header.id)),
        1 => Known::Refuse(NakReason::Busy),
        _ => Known::New,
    }
}
