//! The examples of `WIRE.md`: the table is read, and each line must be what the code sends and understands.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use remedis_link::*;

const WIRE: &str = include_str!("../WIRE.md");

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// The wire bytes that `WIRE.md` gives for the example `name`.
fn documented(name: &str) -> Vec<u8> {
    let row = WIRE.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect(name);
    hex(row.split('`').nth(1).unwrap())
}

fn check(name: &str, sequence: u16, message: Message<'_>) {
    let mut packet = Packet::new();
    encode(sequence, &message, &mut packet).unwrap();
    let found: Vec<String> = packet.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(packet.as_bytes(), documented(name), "{name} is sent as {}", found.join(" "));
    let mut deframer = Deframer::new();
    let mut rest = &documented(name)[..];
    let Step::Frame { body } = deframer.next(&mut rest) else { panic!("{name} is no packet") };
    assert_eq!(decode(body), Ok((sequence, message)), "{name}");
}

#[test]
fn every_example_is_what_is_sent() {
    let header = FrameHeader::new(7, Format::RawGrey8, 3, 1, b"abc").unwrap();
    check("Hello", 1, Message::Hello { min_version: 1, max_version: 1, max_chunk: 1024, session: 0x0403_0201 });
    check("HelloAck", 1, Message::HelloAck { version: 1, max_chunk: 1024, session: 0x0403_0201, device_id: 0xD0 });
    check("FrameStart", 2, Message::FrameStart(header));
    check("FrameChunk", 3, Message::FrameChunk { frame_id: 7, offset: 0, bytes: b"abc" });
    check("FrameEnd", 4, Message::FrameEnd { frame_id: 7 });
    check("Ack", 2, Message::Ack { sequence: 2 });
    check("Nak", 3, Message::Nak { sequence: 3, reason: NakReason::OutOfOrder, detail: 512 });
    let model = [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7];
    let outcome = Outcome { frame_id: 7, decision: Decision::Class, class: 2, confidence: 9876, model };
    check("Result", 5, Message::Result(outcome));
    check("ResultAck", 5, Message::ResultAck { frame_id: 7 });
    check("Ping", 6, Message::Ping { token: 0x0403_0201 });
    check("Pong", 6, Message::Pong { token: 0x0403_0201 });
    check("Error", 7, Message::Error { code: ErrorCode::Version, detail: 1 });
}

#[test]
fn a_chunk_that_is_too_long_is_not_sent() {
    let bytes = [0; MAX_CHUNK + 1];
    let message = Message::FrameChunk { frame_id: 0, offset: 0, bytes: &bytes };
    assert_eq!(encode(0, &message, &mut Packet::new()), Err(EncodeError::ChunkTooLong { found: 1025 }));
}

#[test]
fn foreign_bodies_are_named() {
    assert_eq!(decode(&[1, 0x40, 0]), Err(DecodeError::NoHeader));
    assert_eq!(decode(&[2, 0x40, 0, 0, 0, 0, 0, 0]), Err(DecodeError::Version { found: 2 }));
    assert_eq!(decode(&[1, 0x55, 0, 0]), Err(DecodeError::UnknownType { found: 0x55 }));
    // One byte short, one byte long, a code without a meaning, a confidence above one.
    assert_eq!(decode(&[1, 0x40, 0, 0, 0, 0, 0]), Err(DecodeError::Malformed { message_type: 0x40 }));
    assert_eq!(decode(&[1, 0x40, 0, 0, 0, 0, 0, 0, 0]), Err(DecodeError::Malformed { message_type: 0x40 }));
    assert_eq!(decode(&[1, 0x7F, 0, 0, 9, 0, 0, 0, 0]), Err(DecodeError::Malformed { message_type: 0x7F }));
    let mut result = [0; 25];
    (result[0], result[1], result[15], result[16]) = (1, 0x30, 0x11, 0x27);
    assert_eq!(decode(&result), Err(DecodeError::Malformed { message_type: 0x30 }));
}
