//! Host and camera over a line that does what lines do.

use std::collections::VecDeque;

use common::Dice;
use remedis_openmv::{Camera, Frame, Host, PixelFormat, Settings};

#[path = "../../link/tests/common/mod.rs"]
mod common;

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// One write in so many is damaged so.
#[derive(Clone, Copy, Default)]
struct Faults {
    flip: u64,
    burst: u64,
    drop: u64,
    duplicate: u64,
    cut: u64,
    reorder: u64,
}

/// What one side wrote, on its way to the other.
#[derive(Default)]
struct Line {
    writes: VecDeque<Vec<u8>>,
    /// Overtaken by what is written next.
    held: Option<Vec<u8>>,
    damaged: u64,
}

impl Line {
    fn write(&mut self, mut bytes: Vec<u8>, faults: Faults, dice: &mut Dice) {
        if bytes.is_empty() {
            return;
        }
        if dice.one_in(faults.flip) {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            self.damaged += 1;
        }
        if dice.one_in(faults.burst) {
            let at = dice.below(bytes.len());
            bytes.iter_mut().skip(at).take(1 + dice.below(40)).for_each(|byte| *byte = dice.next() as u8);
            self.damaged += 1;
        }
        if dice.one_in(faults.cut) {
            bytes.truncate(dice.below(bytes.len()));
            self.damaged += 1;
        }
        if dice.one_in(faults.drop) {
            self.damaged += 1;
            return;
        }
        if dice.one_in(faults.duplicate) {
            self.writes.push_back(bytes.clone());
            self.damaged += 1;
        }
        if self.held.is_none() && dice.one_in(faults.reorder) {
            self.held = Some(bytes);
            self.damaged += 1;
            return;
        }
        self.writes.push_back(bytes);
        self.writes.extend(self.held.take());
    }
}

fn picture(number: u64) -> Frame {
    let mut dice = Dice(number);
    let data = (0..64 * 48).map(|_| dice.next() as u8).collect();
    Frame { width: 64, height: 48, format: PixelFormat::Grey, data }
}

struct Outcome {
    /// Numbers of the pictures that arrived, in order.
    arrived: Vec<u64>,
    host: Host,
    camera: Camera,
    damaged: u64,
    now_ms: u64,
}

/// Shows picture after picture, each as soon as the camera takes it, until `n` have arrived.
fn run(seed: u64, faults: Faults, n: usize) -> Outcome {
    let settings = Settings { script: Some("while True: csi0.snapshot()\n".repeat(300)), ..Settings::default() };
    let (mut host, mut camera) = (Host::new(settings), Camera::default());
    let (mut up, mut down, mut dice) = (Line::default(), Line::default(), Dice(seed));
    let (mut shown, mut next_shown, mut arrived, mut now_ms) = (0, 0, Vec::new(), 0);
    while arrived.len() < n {
        assert!(
            now_ms < 10_000 * n as u64,
            "{} of {n} pictures after {now_ms} ms: {:?}, {:?}",
            arrived.len(),
            host.counters(),
            host.trouble()
        );
        host.poll(now_ms);
        camera.poll(now_ms);
        if now_ms >= next_shown && camera.script().is_some() && camera.offer(&picture(shown)) {
            (shown, next_shown) = (shown + 1, now_ms + 25);
        }
        up.write(host.take_output(), faults, &mut dice);
        down.write(camera.take_output(), faults, &mut dice);
        let moved = !up.writes.is_empty() || !down.writes.is_empty();
        if let Some(bytes) = up.writes.pop_front() {
            camera.receive(now_ms, &bytes);
        }
        if let Some(bytes) = down.writes.pop_front() {
            host.receive(now_ms, &bytes);
        }
        if let Some(frame) = host.take_frame() {
            let newest = shown.saturating_sub(3);
            let number = (newest..shown).find(|number| picture(*number) == frame);
            arrived.push(number.unwrap_or_else(|| panic!("a picture that was never shown, after {newest}")));
        }
        // A millisecond for every write; else on to what happens next.
        now_ms =
            if moved { now_ms + 1 } else { host.wake_at().min(camera.wake_at().unwrap_or(u64::MAX)).max(now_ms + 1) };
    }
    Outcome { arrived, host, camera, damaged: up.damaged + down.damaged, now_ms }
}

#[test]
fn a_clean_line_brings_every_picture_once() {
    let Outcome { arrived, host, camera, now_ms, .. } = run(1, Faults::default(), 50);
    let (host, parser) = host.counters();
    assert!(arrived.windows(2).all(|two| two[0] < two[1]), "{arrived:?}");
    assert_eq!((host.frames, host.resyncs, host.timeouts, host.bad_frames, host.script_starts), (50, 0, 0, 0, 1));
    assert_eq!((parser.bad_headers, parser.bad_payloads, parser.skipped_bytes, camera.retransmissions()), (0, 0, 0, 0));
    assert_eq!(camera.script().unwrap().len(), 300 * "while True: csi0.snapshot()\n".len());
    assert!(now_ms < 5_000, "{now_ms}");
}

#[test]
fn no_fault_shows_a_picture_that_was_not_taken_and_all_are_recovered_from() {
    let kinds = [
        ("flips", Faults { flip: 20, ..Faults::default() }),
        ("bursts", Faults { burst: 20, ..Faults::default() }),
        ("drops", Faults { drop: 20, ..Faults::default() }),
        ("duplicates", Faults { duplicate: 20, ..Faults::default() }),
        ("cuts", Faults { cut: 20, ..Faults::default() }),
        ("reordering", Faults { reorder: 20, ..Faults::default() }),
        ("all", Faults { flip: 60, burst: 60, drop: 60, duplicate: 60, cut: 60, reorder: 60 }),
    ];
    for (name, faults) in kinds {
        for seed in 0..5 {
            let Outcome { arrived, host, damaged, now_ms, .. } = run(seed, faults, 60);
            assert!(arrived.windows(2).all(|two| two[0] < two[1]), "{name}: {arrived:?}");
            let (host, parser) = host.counters();
            println!(
                "{name:10} {damaged:4} damaged writes, {} ms a picture, {} resyncs, {} bad headers, {} bad payloads, {} bytes passed over",
                now_ms / 60,
                host.resyncs,
                parser.bad_headers,
                parser.bad_payloads,
                parser.skipped_bytes
            );
            assert!(damaged > 0 && host.bad_frames == 0, "{name}: {host:?}");
        }
    }
}
