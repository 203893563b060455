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
    check("Hello", 1, Message::Hello { min_version: 2, max_version: 2, max_chunk: 1024, session: 0x0403_0201 });
    let hello_ack =
        Message::HelloAck { version: 2, max_chunk: 1024, session: 0x0403_0201, device_id: 0xD0, credit: 32_768 };
    check("HelloAck", 1, hello_ack);
    check("Rate", 2, Message::Rate { baud: 921_600 });
    check("RateAck", 2, Message::RateAck { baud: 921_600 });
    check("FrameStart", 2, Message::FrameStart(header));
    check("FrameChunk", 3, Message::FrameChunk { frame_id: 7, offset: 0, bytes: b"abc" });
    check("FrameEnd", 4, Message::FrameEnd { frame_id: 7 });
    check("Ack", 2, Message::Ack { frame_id: 7, offset: 3, credit: 32_768 });
    check("Nak", 3, Message::Nak { sequence: 3, reason: NakReason::OutOfOrder, frame_id: 7, detail: 512 });
    let model = [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7];
    let outcome = Outcome { frame_id: 7, decision: Decision::Class, class: 2, confidence: 9876, model };
    check("Result", 5, Message::Result(outcome));
    check("ResultAck", 5, Message::ResultAck { frame_id: 7 });
    check("Ping", 6, Message::Ping { token: 0x0403_0201 });
    check("Pong", 6, Message::Pong { token: 0x0403_0201 });
    check("Error", 7, Message::Error { code: ErrorCode::Version, detail: 2 });
}

#[test]
fn every_code_of_the_table_is_known() {
    for code in 1..=9 {
        assert!(NakReason::from_code(code).is_some_and(|reason| reason.code() == code), "Nak {code}");
        assert!(WIRE.lines().any(|line| line.starts_with(&format!("| {code} | "))), "Nak {code} is documented");
    }
    assert_eq!(NakReason::from_code(10), None);
}

#[test]
fn a_chunk_has_a_length() {
    let bytes = [0; MAX_CHUNK + 1];
    for found in [0, MAX_CHUNK + 1] {
        let message = Message::FrameChunk { frame_id: 0, offset: 0, bytes: &bytes[..found] };
        let mut packet = Packet::new();
        assert_eq!(encode(0, &message, &mut packet), Err(EncodeError::ChunkLength { found }));
        assert_eq!(packet.as_bytes(), []);
    }
}

#[test]
fn the_largest_packets_have_the_stated_length() {
    // No zero anywhere, so that COBS adds the most.
    let bytes = [0xFF; MAX_CHUNK];
    let chunk = Message::FrameChunk { frame_id: u64::MAX, offset: u32::MAX, bytes: &bytes };
    let mut packet = Packet::new();
    encode(u16::MAX, &chunk, &mut packet).unwrap();
    assert_eq!(packet.as_bytes().len(), MAX_WIRE);
    assert!(WIRE.contains("The largest packet is 1051 bytes on\nthe line") && MAX_WIRE == 1051);
    let (device_id, session, credit) = (u64::MAX, u32::MAX, u32::MAX);
    let hello = Message::HelloAck { version: 0xFF, max_chunk: u16::MAX, session, device_id, credit };
    encode(u16::MAX, &hello, &mut packet).unwrap();
    assert!(packet.as_bytes().len() <= MAX_REPLY_WIRE);
    let outcome =
        Outcome { frame_id: u64::MAX, decision: Decision::Class, class: 9999, confidence: 9999, model: [9; 8] };
    encode(u16::MAX, &Message::Result(outcome), &mut packet).unwrap();
    assert!(packet.as_bytes().len() <= MAX_REPLY_WIRE);
}

#[test]
fn foreign_bodies_are_named() {
    assert_eq!(decode(&[2, 0x40, 0]), Err(DecodeError::NoHeader));
    assert_eq!(decode(&[1, 0x40, 0, 0, 0, 0, 0, 0]), Err(DecodeError::Version { found: 1 }));
    assert_eq!(decode(&[2, 0x55, 0, 0]), Err(DecodeError::UnknownType { found: 0x55 }));
    // One byte short, one byte long, a code without a meaning, a confidence above one.
    assert_eq!(decode(&[2, 0x40, 0, 0, 0, 0, 0]), Err(DecodeError::Malformed { message_type: 0x40 }));
    assert_eq!(decode(&[2, 0x40, 0, 0, 0, 0, 0, 0, 0]), Err(DecodeError::Malformed { message_type: 0x40 }));
    assert_eq!(decode(&[2, 0x7F, 0, 0, 9, 0, 0, 0, 0]), Err(DecodeError::Malformed { message_type: 0x7F }));
    let mut result = [0; 25];
    (result[0], result[1]) = (2, 0x30);
    assert!(decode(&result).is_ok());
    (result[15], result[16]) = (0x11, 0x27);
    assert_eq!(decode(&result), Err(DecodeError::Malformed { message_type: 0x30 }));
}

#[test]
fn a_packet_of_version_1_gets_the_version_spoken() {
    // The Hello of version 1, as its specification had it.
    let hello = hex("00 04 01 01 01 03 01 01 0a 04 01 02 03 04 8c 87 5b c8 00");
    let mut receiver = Receiver::new([0; 8], Identity { device_id: 0, result_retry_ms: 1 });
    assert_eq!(receiver.receive(0, &mut &hello[..], |_| Known::New), Received::Nothing);
    let mut packet = Packet::new();
    assert!(receiver.poll(0, &mut packet));
    let mut deframer = Deframer::new();
    let Step::Frame { body } = deframer.next(&mut packet.as_bytes()) else { panic!("no packet") };
    assert_eq!(decode(body).unwrap().1, Message::Error { code: ErrorCode::Version, detail: 2 });
}
