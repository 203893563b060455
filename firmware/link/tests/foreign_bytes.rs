//! Bytes nobody vouches for: splits, noise, and plain rubbish.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use proptest::prelude::*;
use remedis_link::*;

fn owned_message() -> impl Strategy<Value = (u16, Owned)> {
    let code = |codes: &'static [u8]| prop::sample::select(codes);
    let message = prop_oneof![
        any::<(u8, u8, u16, u32)>().prop_map(|(a, b, c, d)| Owned::Fixed(Message::Hello {
            min_version: a,
            max_version: b,
            max_chunk: c,
            session: d
        })),
        any::<(u8, u16, u32, u64, u32)>().prop_map(|(version, max_chunk, session, device_id, credit)| Owned::Fixed(
            Message::HelloAck { version, max_chunk, session, device_id, credit }
        )),
        any::<u32>().prop_map(|baud| Owned::Fixed(Message::Rate { baud })),
        any::<u32>().prop_map(|baud| Owned::Fixed(Message::RateAck { baud })),
        (any::<(u64, u16, u16, u32, u32)>(), code(&[1, 2, 3, 4, 5])).prop_map(
            |((id, width, height, length, crc), format)| {
                let format = Format::from_code(format).unwrap();
                Owned::Fixed(Message::FrameStart(FrameHeader { id, format, width, height, length, crc }))
            }
        ),
        (any::<(u64, u32)>(), prop::collection::vec(any::<u8>(), 1..=MAX_CHUNK))
            .prop_map(|((id, offset), bytes)| Owned::Chunk(id, offset, bytes)),
        any::<u64>().prop_map(|frame_id| Owned::Fixed(Message::FrameEnd { frame_id })),
        any::<(u64, u32, u32)>().prop_map(|(frame_id, offset, credit)| Owned::Fixed(Message::Ack {
            frame_id,
            offset,
            credit
        })),
        (any::<(u16, u64, u32)>(), code(&[1, 2, 3, 4, 5, 6, 7, 8, 9])).prop_map(
            |((sequence, frame_id, detail), reason)| {
                let reason = NakReason::from_code(reason).unwrap();
                Owned::Fixed(Message::Nak { sequence, reason, frame_id, detail })
            }
        ),
        (any::<(u64, u16, [u8; 8])>(), 0..=10_000u16, code(&[0, 1, 2])).prop_map(
            |((frame_id, class, model), confidence, decision)| {
                let decision = Decision::from_code(decision).unwrap();
                Owned::Fixed(Message::Result(Outcome { frame_id, decision, class, confidence, model }))
            }
        ),
        any::<u64>().prop_map(|frame_id| Owned::Fixed(Message::ResultAck { frame_id })),
        any::<u32>().prop_map(|token| Owned::Fixed(Message::Ping { token })),
        any::<u32>().prop_map(|token| Owned::Fixed(Message::Pong { token })),
        (code(&[1, 2]), any::<u32>())
            .prop_map(|(c, detail)| Owned::Fixed(Message::Error { code: ErrorCode::from_code(c).unwrap(), detail })),
    ];
    (any::<u16>(), message)
}

#[derive(Clone, Debug)]
enum Owned {
    Fixed(Message<'static>),
    Chunk(u64, u32, Vec<u8>),
}

impl Owned {
    fn as_message(&self) -> Message<'_> {
        match self {
            Owned::Fixed(message) => *message,
            Owned::Chunk(frame_id, offset, bytes) => {
                Message::FrameChunk { frame_id: *frame_id, offset: *offset, bytes }
            }
        }
    }
}

fn wire(messages: &[(u16, Owned)]) -> Vec<Vec<u8>> {
    let mut packet = Packet::new();
    let mut packets = vec![];
    for (sequence, message) in messages {
        encode(*sequence, &message.as_message(), &mut packet).unwrap();
        packets.push(packet.as_bytes().to_vec());
    }
    packets
}

/// Everything the deframer finds in `stream`, given in pieces of the lengths in `cuts`, round and round.
fn bodies(stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::new();
    let mut found = vec![];
    let mut cuts = cuts.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
        rest = after;
        loop {
            match deframer.next(&mut piece) {
                Step::NeedMore => break,
                Step::Frame { body } => found.push(body.to_vec()),
                Step::Corrupt { .. } => {}
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_message_comes_back_however_the_stream_is_cut(
        messages in prop::collection::vec(owned_message(), 1..8), cuts in prop::collection::vec(1usize..300, 1..9),
    ) {
        let stream: Vec<u8> = wire(&messages).concat();
        let found = bodies(&stream, &cuts);
        let decoded: Vec<_> = found.iter().map(|body| decode(body).unwrap()).collect();
        let expected: Vec<_> = messages.iter().map(|(sequence, owned)| (*sequence, owned.as_message())).collect();
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn damage_is_never_accepted_and_costs_no_packet_but_its_own(
        messages in prop::collection::vec(owned_message(), 3..5),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u32..8), 0..6),
        drops in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        // The second packet is damaged, and noise follows it; the others must arrive, and nothing else.
        let mut packets = wire(&messages);
        let intact = packets.clone();
        for (at, bit) in &flips {
            let at = at.index(packets[1].len());
            packets[1][at] ^= 1 << bit;
        }
        for at in &drops {
            let at = at.index(packets[1].len());
            packets[1].remove(at);
        }
        packets[1].extend_from_slice(&noise);
        let found = bodies(&packets.concat(), &[usize::MAX]);
        let whole = bodies(&intact.concat(), &[usize::MAX]);
        let without: Vec<_> = whole.iter().enumerate().filter(|(i, _)| *i != 1).map(|(_, body)| body.clone()).collect();
        prop_assert!(found == whole || found == without, "{} of {} packets", found.len(), whole.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn rubbish_never_panics_a_parser(body in prop::collection::vec(any::<u8>(), 0..64), tag in 0u8..0x80) {
        let _ = decode(&body);
        let mut tagged = vec![PROTOCOL_VERSION, tag];
        tagged.extend_from_slice(&body);
        if let Ok((sequence, message)) = decode(&tagged) {
            // What decodes is canonical: it encodes to the same bytes.
            let mut packet = Packet::new();
            encode(sequence, &message, &mut packet).unwrap();
            prop_assert_eq!(&bodies(packet.as_bytes(), &[7])[0], &tagged);
        }
        drop(bodies(&body, &[3]));
    }

    #[test]
    fn rubbish_never_panics_a_state_machine(
        bodies in prop::collection::vec((0u8..0x80, prop::collection::vec(0u8..4, 0..32)), 0..12),
    ) {
        // Valid packets with invented contents reach deeper than noise does.
        let rates = Rates::new(2, &[1, 2, 3]).unwrap();
        let timing = Timing { ack_ms: 1, result_ms: 1, keepalive_ms: 1, retries: 2 };
        let mut sender = Sender::new(0, timing).with_rates(rates);
        let header = FrameHeader::new(0, Format::Png, 0, 0, &[1; 300]).unwrap();
        sender.send(0, header, [1u8; 300]).unwrap();
        let mut receiver = Receiver::new([0u8; 512], Identity { device_id: 0, result_retry_ms: 1 }).with_rates(rates);
        let mut packet = Packet::new();
        for (now, (tag, fields)) in bodies.iter().enumerate() {
            let now = now as u64;
            let raw = reframe(*tag, fields);
            let mut rest = &raw[..];
            while sender.receive(now, &mut rest) != Heard::Nothing {}
            let mut rest = &raw[..];
            while receiver.receive(now, &mut rest, |_| Known::New) != Received::Nothing {}
            for _ in 0..20 {
                sender.poll(now, &mut packet);
                receiver.poll(now, &mut packet);
            }
            assert!(rates.as_slice().contains(&sender.baud().unwrap()));
            assert!(rates.as_slice().contains(&receiver.baud().unwrap()));
        }
    }
}

/// A packet with a good CRC around a body that need not be a message.
fn reframe(tag: u8, fields: &[u8]) -> Vec<u8> {
    let mut body = vec![PROTOCOL_VERSION, tag];
    body.extend_from_slice(fields);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_AUTOSAR).checksum(&body);
    body.extend_from_slice(&crc.to_le_bytes());
    let mut wire = vec![0; body.len() + 8];
    let len = cobs::try_encode_including_sentinels(&body, &mut wire).unwrap();
    wire.truncate(len);
    wire
}
