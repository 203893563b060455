//! One packet comes to harm, whichever it is: what that costs.

use remedis_openmv::{Counters, Trouble};
use rig::{Harm, Rig};

mod rig;

const SCRIPT: &str = "while True: csi0.snapshot()\n# 12345678901234567890123456789012345678901234567890\n# 123456789012345678901234567890\n";

fn after(n: usize, harm: impl Fn(usize, usize) -> Option<Harm>) -> Rig {
    let mut rig = Rig::new(Some(SCRIPT));
    rig.run(n, harm);
    rig
}

#[test]
fn a_clean_line_brings_every_picture_and_nothing_twice() {
    let rig = after(60, |_, _| None);
    assert_eq!(rig.arrived, (0..60).collect::<Vec<u32>>());
    let packets = rig.n_packets()[1] as u64;
    // Looks for a frame come to nothing now and then; all else is nought.
    let expected = Counters { frames: 60, script_starts: 1, packets, ..Counters::default() };
    assert_eq!(rig.counters(), expected);
    assert_eq!(rig.camera.script(), Some(SCRIPT.as_bytes()));
    let stats = rig.camera.stats();
    assert_eq!((stats.retransmissions, stats.checksum, stats.sequence), (0, 0, 0));
    // The acknowledgement of the last part goes out with the next poll.
    assert_eq!(u64::from(stats.sent + stats.events) + 1, packets);
}

#[test]
fn no_single_harm_costs_the_connection_a_second_or_a_frame_whose_grant_arrived() {
    let clean = after(6, |_, _| None);
    let (mut costs, mut n_let_go) = (Vec::new(), 0);
    for way in [0, 1] {
        for number in 0..clean.n_packets()[way] {
            for harm in Harm::ALL {
                let rig = after(6, |at_way, at| (at_way == way && at == number).then_some(harm));
                let counters = rig.counters();
                let what = format!("{harm:?}, packet {number} of way {way}: {:?}, {counters:?}", rig.arrived);
                assert!(rig.arrived.windows(2).all(|two| two[0] < two[1]), "{what}");
                assert_eq!(
                    (counters.abandoned_frames, counters.bad_frames, counters.script_starts),
                    (0, 0, 1),
                    "{what}"
                );
                let cost = rig.now_ms.saturating_sub(clean.now_ms);
                // A greeting waits half a second for its answer, as a camera may be busy.
                let is_greeting = number == 0;
                assert!(cost < if is_greeting { 1_100 } else { 700 }, "{cost} ms: {what}");
                assert_eq!(counters.resyncs, u64::from(counters.resyncs > 0 && is_greeting), "{what}");
                // Without its grant, nobody knows of a frame: it is let go of.
                let harms_grant = way == 1 && clean.is_grant(number) && !matches!(harm, Harm::Doubled);
                let let_go = rig.camera.locks() - 6;
                assert!(let_go <= u64::from(harms_grant), "{let_go} let go of: {what}");
                // One that was shown and not granted yet may be forgotten with the stream's start.
                assert!(rig.arrived.last().unwrap() - 5 <= 1, "{what}");
                n_let_go += let_go;
                costs.push(cost);
            }
        }
    }
    costs.sort_unstable();
    assert!(n_let_go > 0, "harm to a grant costs its frame, and this test sees that");
    let (median, most) = (costs[costs.len() / 2], costs[costs.len() - 1]);
    println!("{} harms: median {median} ms, most {most} ms, {n_let_go} frames let go of", costs.len());
}

#[test]
fn a_lost_acknowledgement_is_said_again_and_nothing_is_asked_twice() {
    let clean = after(1, |_, _| None);
    // The last packet to the camera before the picture was whole acknowledges the part before the last.
    let number = clean.n_packets()[0] - 1;
    let rig = after(2, |way, at| (way == 0 && at == number).then_some(Harm::Lost));
    let counters = rig.counters();
    assert_eq!((counters.timeouts, counters.repeats, counters.resyncs, rig.arrived), (1, 0, 0, vec![0, 1]));
}

#[test]
fn a_damaged_part_is_asked_for_at_once() {
    let clean = after(1, |_, _| None);
    let number = clean.n_packets()[1] - 1;
    let rig = after(1, |way, at| (way == 1 && at == number).then_some(Harm::Flipped));
    assert_eq!((rig.counters().payload_crc, rig.counters().timeouts), (1, 0));
    assert!(rig.now_ms <= clean.now_ms + 3, "{} ms", rig.now_ms - clean.now_ms);
}

#[test]
fn a_camera_that_was_unplugged_is_found_and_given_its_script_again() {
    let mut rig = Rig::new(Some(SCRIPT));
    for round in 1..=20 {
        rig.run(7 * round, |_, _| None);
        // As far into a frame as the round says.
        rig.now_ms += 4_000;
        rig.camera.power_cycle();
        let began = rig.now_ms;
        rig.run(7 * round + 1, |_, _| None);
        assert!(rig.now_ms - began < 7_000, "{} ms: {:?}", rig.now_ms - began, rig.counters());
    }
    let counters = rig.counters();
    assert_eq!((counters.script_starts, counters.bad_frames), (21, 0), "{counters:?}");
    assert!(counters.restarts_seen >= 15, "{counters:?}");
}

#[test]
fn a_camera_that_is_away_is_looked_for_until_it_is_back() {
    let mut rig = Rig::new(None);
    rig.run(3, |_, _| None);
    let mut packet = Vec::new();
    let gone = rig.now_ms;
    while rig.now_ms < gone + 3_600_000 {
        while rig.host.poll(rig.now_ms, &mut packet) {}
        rig.now_ms = rig.host.due_ms().max(rig.now_ms + 1);
    }
    assert!(matches!(rig.host.trouble(), Some(Trouble::Silent { request: "the greeting", .. })));
    assert!(!rig.host.is_connected() && rig.counters().resyncs > 600);
    rig.camera.power_cycle();
    let back = rig.now_ms;
    rig.run(4, |_, _| None);
    assert!(rig.now_ms - back < 6_000);
    assert!(rig.host.is_connected() && rig.host.trouble().is_none());
}

#[test]
fn what_comes_too_late_is_not_used() {
    let mut rig = Rig::new(None);
    rig.run(2, |_, _| None);
    // The host sleeps in the middle of a frame; the camera, unacknowledged, has let go of it since.
    let (mut packet, mut answer) = (Vec::new(), Vec::new());
    while answer.len() < 100 {
        while rig.host.poll(rig.now_ms, &mut packet) {
            rig.camera.receive(rig.now_ms, &packet);
        }
        rig.camera.offer(&rig::picture(2));
        answer = rig.camera.take_output();
        let mut rest = if answer.len() < 100 { &answer[..] } else { &[] };
        rig.host.receive(rig.now_ms, &mut rest);
        rig.now_ms += 10;
    }
    rig.now_ms += 8_000;
    rig.host.receive(rig.now_ms, &mut &answer[..]);
    assert_eq!((rig.counters().frames, rig.counters().abandoned_frames), (2, 1));
    assert!(matches!(rig.host.trouble(), Some(Trouble::Silent { request: "a frame", .. })));
}

#[test]
fn a_frame_that_is_too_long_is_left_and_the_next_one_read() {
    let mut rig = Rig::new(None);
    let settings = remedis_openmv::Settings { max_frame: 400, ..remedis_openmv::Settings::default() };
    rig.host = remedis_openmv::Host::new(settings);
    // 620 bytes of RGB565 are too many; 320 of grey and at most 180 of JPEG are not.
    rig.run(4, |_, _| None);
    assert_eq!(rig.arrived, [0, 2, 3, 5]);
    assert_eq!((rig.counters().bad_frames, rig.counters().resyncs), (2, 0));
}

#[test]
fn a_camera_whose_frames_are_all_too_long_is_not_begun_again() {
    let mut rig = Rig::new(None);
    rig.host = remedis_openmv::Host::new(remedis_openmv::Settings { max_frame: 20, ..Default::default() });
    rig.show_for(60_000);
    assert!(matches!(rig.host.trouble(), Some(Trouble::LongFrame { expected: 20, .. })), "{:?}", rig.host.trouble());
    let counters = rig.counters();
    assert!(counters.bad_frames > 100 && counters.resyncs == 0, "{counters:?}");
}
