//! Both ends of the wire, on messages that are whole and mean anything, and on noise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_link::{
    Format, FrameHeader, Heard, Identity, Known, NakReason, Packet, Received, Receiver, Sender, Timing, decode, encode,
};

fuzz_target!(|data: &[u8]| {
    let mut device = Receiver::new(vec![0; 1 << 12], Identity { device_id: 1, result_retry_ms: 5 });
    let mut hardware = Sender::new(7, Timing { ack_ms: 5, result_ms: 9, keepalive_ms: 20, retries: 3 });
    let mut packet = Packet::new();
    for (body, now_ms) in remedis_fuzz::bodies(data).zip((0..).step_by(3)) {
        // A body that says something gets its delimiters and checksum; anything else is noise as it is.
        let bytes = match decode(body) {
            Ok((sequence, message)) => {
                encode(sequence, &message, &mut packet).expect("a decoded message can be encoded");
                packet.as_bytes().to_vec()
            }
            Err(_) => body.to_vec(),
        };
        if hardware.is_free() {
            let image = vec![7; 100];
            let header = FrameHeader::new(3, Format::Png, 0, 0, &image).expect("the image is neither empty nor large");
            hardware.send(now_ms, header, image).expect("the sender is free");
        }
        let mut rest = &bytes[..];
        while device.receive(now_ms, &mut rest, journal) != Received::Nothing {
            if let Some((header, image)) = device.image() {
                assert_eq!(header.crc, remedis_link::image_crc(image));
                assert!(device.answer(now_ms, remedis_fuzz::outcome(header.id)));
            }
        }
        while device.poll(now_ms, &mut packet) {}
        let mut rest = &bytes[..];
        while hardware.receive(now_ms, &mut rest) != Heard::Nothing {}
        while hardware.poll(now_ms, &mut packet) {}
    }
});

fn journal(header: &FrameHeader) -> Known {
    match header.id % 4 {
        0 => Known::Answered(remedis_fuzz::outcome(header.id)),
        1 => Known::Refuse(NakReason::Busy),
        _ => Known::New,
    }
}
