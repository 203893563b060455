//! Sender and receiver over a line that drops, flips and repeats bytes, in simulated time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::Dice;
use proptest::prelude::*;
use remedis_link::{
    Decision, Format, FrameHeader, Heard, Identity, Known, Outcome, Packet, Received, Receiver, Sender, Timing,
};
use std::collections::{HashMap, VecDeque};

/// How bad the line is: one byte in so many is dropped or flipped, one packet in so many sent twice.
#[derive(Clone, Copy, Debug)]
struct Line {
    drop: u64,
    flip: u64,
    repeat: u64,
}

impl Line {
    fn carry(self, packet: &Packet, dice: &mut Dice, line: &mut VecDeque<u8>) {
        let times = if dice.one_in(self.repeat) { 2 } else { 1 };
        for byte in (0..times).flat_map(|_| packet.as_bytes()) {
            if dice.one_in(self.drop) {
                continue;
            }
            let flip = if dice.one_in(self.flip) { 1 << (dice.next() % 8) } else { 0 };
            line.push_back(byte ^ flip);
        }
    }
}

const TIMING: Timing = Timing { ack_ms: 50, result_ms: 200, keepalive_ms: 1000, retries: 8 };

struct Seen {
    answers: Vec<Outcome>,
    computed: HashMap<u64, u32>,
    wrong: u32,
    retransmissions: u64,
}

/// Sends `images`, restarting the device (its memory lost, its journal kept) one time in `restart` milliseconds.
fn run(images: &[Vec<u8>], line: Line, seed: u64, restart: u64) -> Seen {
    let mut dice = Dice(seed);
    let new_receiver = || Receiver::new(vec![0; 1 << 16], Identity { device_id: 7, result_retry_ms: 100 });
    let (mut sender, mut receiver) = (Sender::<Vec<u8>>::new(seed as u32, TIMING), new_receiver());
    let (mut down, mut up) = (VecDeque::new(), VecDeque::new());
    let mut journal: HashMap<u64, Outcome> = HashMap::new();
    let mut seen = Seen { answers: vec![], computed: HashMap::new(), wrong: 0, retransmissions: 0 };
    let mut waiting = images.iter().enumerate();
    let mut packet = Packet::new();
    for now in 0..2_000_000 {
        if sender.is_free() {
            let Some((index, image)) = waiting.next() else { break };
            let header = FrameHeader::new(index as u64, Format::Png, 0, 0, image).unwrap();
            sender.send(now, header, image.clone()).unwrap();
        }
        while sender.poll(now, &mut packet) {
            line.carry(&packet, &mut dice, &mut down);
        }
        if dice.one_in(restart) {
            receiver = new_receiver();
            down.clear();
        }
        let arrived: Vec<u8> = down.drain(..).collect();
        let mut rest = &arrived[..];
        loop {
            let known = |header: &FrameHeader| journal.get(&header.id).map_or(Known::New, |o| Known::Answered(*o));
            match receiver.receive(now, &mut rest, known) {
                Received::Nothing => break,
                Received::Complete(header) => {
                    let (_, image) = receiver.image().unwrap();
                    seen.wrong += u32::from(image != images[header.id as usize]);
                    *seen.computed.entry(header.id).or_default() += 1;
                    let outcome = Outcome {
                        frame_id: header.id,
                        decision: Decision::Class,
                        class: image[0].into(),
                        confidence: 9000,
                        model: [1; 8],
                    };
                    journal.insert(header.id, outcome);
                    assert!(receiver.answer(now, outcome));
                }
                _ => {}
            }
        }
        while receiver.poll(now, &mut packet) {
            line.carry(&packet, &mut dice, &mut up);
        }
        let arrived: Vec<u8> = up.drain(..).collect();
        let mut rest = &arrived[..];
        loop {
            match sender.receive(now, &mut rest) {
                Heard::Nothing => break,
                Heard::Answered(outcome) => seen.answers.push(outcome),
                Heard::Refused { reason, .. } => panic!("refused: {reason:?}"),
                _ => {}
            }
        }
    }
    seen.retransmissions = sender.counters().retransmissions;
    seen
}

fn images(n: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    (0..n).map(|_| (0..1 + dice.next() % 6000).map(|_| dice.next() as u8).collect()).collect()
}

fn check(line: Line, seed: u64, restart: u64, n_frames: usize) -> Seen {
    let images = images(n_frames, &mut Dice(!seed));
    let seen = run(&images, line, seed, restart);
    let ids: Vec<u64> = seen.answers.iter().map(|outcome| outcome.frame_id).collect();
    assert_eq!(ids, (0..n_frames as u64).collect::<Vec<_>>(), "{line:?} seed {seed}: every frame answered once");
    assert_eq!(seen.wrong, 0, "{line:?} seed {seed}: a wrong image was accepted");
    assert!(seen.computed.values().all(|&times| times == 1), "{line:?} seed {seed}: a frame was computed twice");
    for outcome in &seen.answers {
        assert_eq!(outcome.class, u16::from(images[outcome.frame_id as usize][0]));
    }
    seen
}

#[test]
fn a_clean_line_needs_no_retransmission() {
    assert_eq!(check(Line { drop: 0, flip: 0, repeat: 0 }, 1, 0, 20).retransmissions, 0);
}

#[test]
fn a_bad_line_delivers_every_frame_once() {
    assert!(check(Line { drop: 2000, flip: 2000, repeat: 10 }, 2, 0, 100).retransmissions > 0);
}

#[test]
fn an_awful_line_delivers_every_frame_once() {
    check(Line { drop: 200, flip: 200, repeat: 3 }, 3, 0, 20);
}

#[test]
fn a_device_that_keeps_restarting_computes_nothing_twice() {
    check(Line { drop: 5000, flip: 5000, repeat: 20 }, 4, 30, 100);
}

#[test]
fn packets_sent_twice_change_nothing() {
    check(Line { drop: 0, flip: 0, repeat: 1 }, 5, 0, 30);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_line_delivers_every_frame_once(
        seed: u64, drop in 250u64..5000, flip in 250u64..5000, repeat in 0u64..20, restart in 40u64..2000,
    ) {
        check(Line { drop, flip, repeat }, seed, restart, 5);
    }
}
