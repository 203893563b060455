//! Sender and receiver over a line that drops, flips, repeats and reorders, in simulated time.

mod bench;
mod common;

use bench::{Bench, Line, device};
use common::Dice;
use proptest::prelude::*;

/// Sends `images`, restarting the device (its memory lost, its journal kept) one time in `restart` milliseconds.
fn run(images: &[Vec<u8>], line: Line, seed: u64, restart: u64) -> Bench {
    let mut bench = Bench::new(line, seed);
    let mut dice = Dice(seed ^ 0x5555);
    for (index, image) in images.iter().enumerate() {
        bench.give(index as u64, image);
        let end = bench.now + 400_000;
        while !bench.finish(0) && bench.now < end {
            bench.run_for(1);
            if dice.one_in(restart) {
                bench.restart_device(device());
            }
        }
    }
    bench
}

fn images(n: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    (0..n).map(|_| (0..1 + dice.next() % 6000).map(|_| dice.next() as u8).collect()).collect()
}

fn check(line: Line, seed: u64, restart: u64, n_frames: usize) -> Bench {
    let images = images(n_frames, &mut Dice(!seed));
    let bench = run(&images, line, seed, restart);
    let ids: Vec<u64> = bench.answers.iter().map(|outcome| outcome.frame_id).collect();
    assert_eq!(ids, (0..n_frames as u64).collect::<Vec<_>>(), "{line:?} seed {seed}: every frame answered once");
    assert_eq!(bench.wrong, 0, "{line:?} seed {seed}: a wrong image was accepted");
    if restart == 0 {
        assert!(bench.computed.values().all(|&times| times == 1), "{line:?} seed {seed}: a frame was computed twice");
    }
    for outcome in &bench.answers {
        assert_eq!(outcome.class, u16::from(images[outcome.frame_id as usize][0]));
    }
    bench
}

#[test]
fn a_clean_line_needs_no_retransmission() {
    let bench = check(Line::default(), 1, 0, 20);
    assert_eq!((bench.sender.counters().retransmissions, bench.receiver.counters().naks), (0, 0));
}

#[test]
fn a_bad_line_delivers_every_frame_once() {
    let bench = check(Line { drop: 2000, flip: 2000, repeat: 10, ..Line::default() }, 2, 0, 100);
    assert!(bench.sender.counters().retransmissions > 0);
}

#[test]
fn an_awful_line_delivers_every_frame_once() {
    check(Line { drop: 200, flip: 200, repeat: 3, ..Line::default() }, 3, 0, 20);
}

#[test]
fn bursts_and_lost_packets_are_made_good() {
    check(Line { burst: 5, drop_packet: 5, ..Line::default() }, 4, 0, 50);
}

#[test]
fn a_device_that_keeps_restarting_computes_nothing_twice_that_it_answered() {
    check(Line { drop: 5000, flip: 5000, repeat: 20, ..Line::default() }, 4, 60, 100);
}

#[test]
fn packets_sent_twice_change_nothing() {
    check(Line { repeat: 1, ..Line::default() }, 5, 0, 30);
}

#[test]
fn packets_that_overtake_each_other_change_nothing() {
    check(Line { repeat: 2, reorder: 2, ..Line::default() }, 6, 0, 30);
}

#[test]
fn a_loss_costs_little_more_than_what_was_lost() {
    // One packet in 50 is lost; the line takes 1 ms to carry a packet and to tell of the gap, so each loss costs a few packets.
    let bench = check(Line { drop_packet: 50, ..Line::default() }, 7, 0, 100);
    let counters = bench.sender.counters();
    assert!(counters.retransmissions * 8 < counters.packets, "{counters:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_line_delivers_every_frame_once(
        seed: u64, drop in 250u64..5000, flip in 250u64..5000, burst in 4u64..50, drop_packet in 4u64..50,
        repeat in 0u64..20, reorder in 0u64..20, restart in 100u64..2000, restarts: bool,
    ) {
        let line = Line { drop, flip, burst, drop_packet, repeat, reorder };
        check(line, seed, if restarts { restart } else { 0 }, 5);
    }
}
