//! The traffic of the maker's client (openmv 1.0.7) with our camera, as it was recorded by `tools/peers/openmv_captures.sh`: once on a
//! clean line, once while the client threw away a tenth of what it heard and said.

use std::collections::BTreeSet;

use pictures::picture;
use remedis_openmv::{Camera, Channel, Flags, Header, Heard, Host, Opcode, Packet, Parser, Settings, encode};

mod pictures;

const SIZE: (u32, u32) = (48, 40);
const CAPTURES: [(&str, &[u8]); 2] =
    [("clean", include_bytes!("captures/clean.bin")), ("drops", include_bytes!("captures/drops.bin"))];

/// What was recorded: `>` to the camera, `<` from it, `f` the number of a frame that it was offered.
struct Record<'a> {
    kind: u8,
    at_ms: u64,
    bytes: &'a [u8],
}

fn records(mut capture: &[u8]) -> Vec<Record<'_>> {
    let mut records = vec![];
    while let [kind, a, b, c, d, e, f, g, h, rest @ ..] = capture {
        let word = |bytes: [&u8; 4]| u32::from_le_bytes(bytes.map(|byte| *byte));
        let (bytes, rest) = rest.split_at(word([e, f, g, h]) as usize);
        records.push(Record { kind: *kind, at_ms: word([a, b, c, d]).into(), bytes });
        capture = rest;
    }
    assert!(capture.is_empty(), "a capture ends with a whole record");
    records
}

fn direction(records: &[Record<'_>], kind: u8) -> Vec<u8> {
    records.iter().filter(|record| record.kind == kind).flat_map(|record| record.bytes).copied().collect()
}

fn parsed(bytes: &[u8]) -> (Vec<Packet>, Parser) {
    let mut parser = Parser::default();
    parser.push(bytes);
    (std::iter::from_fn(|| parser.next_packet()).collect(), parser)
}

#[test]
fn every_packet_of_both_directions_is_read_and_written_alike() {
    for (name, capture) in CAPTURES {
        for kind in [b'>', b'<'] {
            let bytes = direction(&records(capture), kind);
            let (packets, parser) = parsed(&bytes);
            let counters = parser.counters();
            assert_eq!((counters.bad_headers, counters.bad_payloads, counters.skipped_bytes), (0, 0, 0), "{name}");
            assert!(packets.len() > 60, "{name}: {} packets", packets.len());
            let mut written = Vec::new();
            packets.iter().for_each(|packet| encode(packet.header, &packet.payload, &mut written));
            assert!(written == bytes, "{name}, direction {}", char::from(kind));
        }
    }
}

#[test]
fn the_camera_answers_the_client_as_it_did() {
    for (name, capture) in CAPTURES {
        let (mut camera, mut n_answers) = (Camera::default(), 0);
        for Record { kind, at_ms, bytes } in records(capture) {
            camera.poll(at_ms);
            match kind {
                b'>' => camera.receive(at_ms, bytes),
                b'f' => assert!(camera.offer(&picture(u32::from_le_bytes(bytes.try_into().unwrap()), SIZE)), "{name}"),
                _ => {
                    assert!(camera.take_output() == bytes, "{name}: answer {n_answers} is another after {at_ms} ms");
                    n_answers += 1;
                }
            }
        }
        assert!(n_answers > 60, "{name}");
        let stats = camera.stats();
        assert_eq!(
            (stats.retransmissions > 0, camera.parser_counters().bad_headers),
            (name == "drops", 0),
            "{stats:?}"
        );
    }
}

/// A request without its number: the client's and ours count differently where they ask differently often.
fn requests(bytes: &[u8]) -> BTreeSet<(u8, u8, u8, Vec<u8>)> {
    let (packets, _) = parsed(bytes);
    let request = |Packet { header: Header { channel: Channel(channel), flags, opcode, .. }, payload }: Packet| {
        (opcode, channel, flags.0, payload)
    };
    packets.into_iter().map(request).collect()
}

#[test]
fn our_host_asks_and_acknowledges_with_the_bytes_of_the_client() {
    let records = records(CAPTURES[0].1);
    let clients = requests(&direction(&records, b'>'));
    // The script that the client uploaded, put together again from its requests.
    let mut parts: Vec<&Vec<u8>> = clients
        .iter()
        .filter_map(|(opcode, _, _, payload)| (*opcode == Opcode::ChannelWrite as u8).then_some(payload))
        .collect();
    parts.sort_by_key(|payload| u32::from_le_bytes(payload[..4].try_into().unwrap()));
    let script: Vec<u8> = parts.iter().flat_map(|payload| &payload[8..]).copied().collect();
    let script = String::from_utf8(script).unwrap();
    let (mut host, mut camera) =
        (Host::new(Settings { script: Some(script), ..Settings::default() }), Camera::default());
    let (mut said, mut packet, mut now_ms, mut n_frames) = (vec![], vec![], 0, 0);
    while n_frames < 9 {
        while host.poll(now_ms, &mut packet) {
            said.extend_from_slice(&packet);
            camera.receive(now_ms, &packet);
        }
        if camera.script().is_some() {
            camera.offer(&picture(n_frames, SIZE));
        }
        let answer = camera.take_output();
        n_frames += u32::from(host.receive(now_ms, &mut &answer[..]) == Heard::Frame);
        now_ms = if answer.is_empty() { host.due_ms().max(now_ms + 1) } else { now_ms + 1 };
        assert!(now_ms < 60_000, "{:?}", host.counters());
    }
    let ours = requests(&said);
    let strange: Vec<_> = ours.difference(&clients).collect();
    assert!(strange.is_empty(), "the client never said {strange:?}");
    let kinds = ours.iter().map(|(opcode, ..)| *opcode).collect::<BTreeSet<u8>>();
    assert!(kinds.len() >= 10 && ours.iter().any(|(_, _, flags, _)| *flags == Flags::ACK.0), "{kinds:?}");
}
