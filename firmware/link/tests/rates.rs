//! The rate of the line: found, agreed on, left again, and never lost for good.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod bench;
mod common;

use bench::{Bench, Line, TIMING, device};
use proptest::prelude::*;
use remedis_link::*;
use std::mem::discriminant;

const SLOW: u32 = 115_200;
const MIDDLE: u32 = 460_800;
const FAST: u32 = 921_600;

fn rates(base: u32) -> Rates {
    Rates::new(base, &[SLOW, MIDDLE, FAST]).unwrap()
}

fn bench() -> Bench {
    let mut bench = Bench::new(Line::default(), 1);
    bench.sender = Sender::new(1, TIMING).with_rates(rates(SLOW));
    bench.receiver = device().with_rates(rates(SLOW));
    bench
}

fn image() -> Vec<u8> {
    (0..20_000u32).map(|i| ((i * i) >> 7) as u8).collect()
}

fn send(bench: &mut Bench, id: u64, limit: u64) {
    bench.give(id, &image());
    let state = |bench: &Bench| format!("{:?}\n{:?}", bench.sender.counters(), bench.receiver.counters());
    assert!(bench.finish(limit), "frame {id} is not answered by {} ms: {}", bench.now, state(bench));
    assert_eq!(bench.wrong, 0);
}

fn rate(bench: &Bench) -> (Option<u32>, Option<u32>) {
    (bench.sender.baud(), bench.receiver.baud())
}

const BOTH_FAST: (Option<u32>, Option<u32>) = (Some(FAST), Some(FAST));

#[test]
fn without_rates_the_line_is_left_alone() {
    let mut bench = Bench::new(Line::default(), 1);
    send(&mut bench, 1, 1000);
    assert_eq!(rate(&bench), (None, None));
}

#[test]
fn the_line_goes_to_the_highest_rate_first() {
    let mut bench = bench();
    send(&mut bench, 1, 1000);
    assert_eq!(rate(&bench), BOTH_FAST);
    assert!(bench.heard.contains(&Heard::Rate { baud: FAST }));
    assert_eq!((bench.sender.counters().rate_changes, bench.receiver.counters().rate_changes), (1, 1));
}

#[test]
fn a_device_with_a_fixed_rate_keeps_it() {
    let mut bench = bench();
    bench.receiver = device().with_rates(Rates::new(SLOW, &[SLOW]).unwrap());
    send(&mut bench, 1, 1000);
    assert_eq!(rate(&bench), (Some(SLOW), Some(SLOW)));
    assert_eq!(bench.sender.counters().rate_changes, 0);
}

/// Loses the first `n` messages of the same kind as `lost`.
fn lose(bench: &mut Bench, lost: Message<'static>, n: u32) {
    let mut n_left = n;
    bench.lose = Box::new(move |_, message| {
        let is_lost = discriminant(message) == discriminant(&lost) && n_left > 0;
        n_left -= u32::from(is_lost);
        is_lost
    });
}

#[test]
fn the_change_survives_the_loss_of_any_of_its_messages() {
    let kinds = [
        Message::Rate { baud: 0 },
        Message::RateAck { baud: 0 },
        Message::Ping { token: 0 },
        Message::Pong { token: 0 },
    ];
    for kind in kinds {
        for n in 1..=4 {
            let mut bench = bench();
            lose(&mut bench, kind, n);
            send(&mut bench, 1, 10_000);
            assert_eq!(rate(&bench), BOTH_FAST, "{kind:?} lost {n} times");
        }
    }
}

#[test]
fn a_change_nobody_confirms_is_taken_back_by_both() {
    // All pings, or all pongs, are lost for the whole time in which they count.
    for kind in [Message::Ping { token: 0 }, Message::Pong { token: 0 }] {
        let mut bench = bench();
        lose(&mut bench, kind, 5);
        send(&mut bench, 1, 20_000);
        let (hardware, device) = rate(&bench);
        assert_eq!(hardware, device, "{kind:?}");
        send(&mut bench, 2, 1000);
    }
}

#[test]
fn a_rate_the_line_does_not_bear_is_left_within_two_seconds() {
    let mut bench = bench();
    bench.fails_above = MIDDLE;
    send(&mut bench, 1, 2000);
    assert_eq!(rate(&bench), (Some(SLOW), Some(SLOW)));
    for id in 2..70 {
        send(&mut bench, id, 3000);
    }
    assert_eq!(rate(&bench), (Some(MIDDLE), Some(MIDDLE)), "after 64 frames a step up was tried");
}

#[test]
fn a_rate_that_bears_pings_but_no_images_is_left() {
    let mut bench = bench();
    bench.strains_above = MIDDLE;
    send(&mut bench, 1, 20_000);
    assert_eq!(rate(&bench), (Some(MIDDLE), Some(MIDDLE)));
}

#[test]
fn errors_make_the_line_step_down_and_quiet_lets_it_up_again() {
    let mut bench = bench();
    send(&mut bench, 1, 1000);
    assert_eq!(rate(&bench), BOTH_FAST);
    bench.line = Line { drop_packet: 4, ..Line::default() };
    for id in 2..12 {
        send(&mut bench, id, 60_000);
    }
    assert!(bench.sender.counters().step_downs > 0, "{:?}", bench.sender.counters());
    assert!(bench.sender.baud() < Some(FAST));
    bench.line = Line::default();
    for id in 12..220 {
        send(&mut bench, id, 20_000);
    }
    assert_eq!(rate(&bench), BOTH_FAST);
}

#[test]
fn a_device_that_restarts_at_its_base_rate_is_found_there() {
    let mut bench = bench();
    for id in 2..7 {
        send(&mut bench, id, 1000);
    }
    bench.restart_device(device().with_rates(rates(SLOW)));
    send(&mut bench, 7, 10_000);
    assert_eq!(rate(&bench), BOTH_FAST);
}

#[test]
fn hardware_that_restarts_at_its_base_rate_is_found_there() {
    let mut bench = bench();
    send(&mut bench, 1, 1000);
    bench.sender = Sender::new(2, TIMING).with_rates(rates(SLOW));
    send(&mut bench, 2, 10_000);
    assert_eq!(rate(&bench), BOTH_FAST);
}

#[test]
fn a_device_that_does_not_know_the_rate_searches_for_it() {
    for base in [MIDDLE, FAST] {
        let mut bench = bench();
        bench.sender = Sender::new(1, TIMING).with_rates(Rates::new(base, &[base]).unwrap());
        send(&mut bench, 1, 5000);
        assert_eq!(rate(&bench), (Some(base), Some(base)));
    }
}

#[test]
fn noise_on_an_idle_line_changes_no_rate_that_pings_confirm() {
    let mut bench = bench();
    send(&mut bench, 1, 1000);
    bench.run_for(60_000);
    assert_eq!(rate(&bench), BOTH_FAST);
    assert_eq!(bench.sender.counters().lost_sessions, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_loss_strands_the_two_sides(seed: u64, drop_packet in 2u64..6, flip in 500u64..5000, cut in 0u64..3000) {
        let mut bench = bench();
        bench.line = Line { drop_packet, flip, ..Line::default() };
        bench.give(1, &image());
        bench.run_for(seed % 5000);
        bench.lose = Box::new(|_, _| true);
        bench.run_for(cut);
        bench.lose = Box::new(|_, _| false);
        prop_assert!(bench.finish(600_000), "{:?}", bench.sender.counters());
        bench.line = Line::default();
        send(&mut bench, 2, 30_000);
    }
}
