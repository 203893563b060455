//! What happens to one frame when the line is cut, the device pauses, or either side starts again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod bench;
mod common;

use bench::{Bench, Line, TIMING, device};
use remedis_link::*;
use std::cell::Cell;
use std::rc::Rc;

fn image() -> Vec<u8> {
    (0..40_000u32).map(|i| ((i * i) >> 7) as u8).collect()
}

/// A bench on which a frame of 40 000 bytes has been under way for 20 packets.
fn under_way() -> Bench {
    let mut bench = Bench::new(Line::default(), 1);
    bench.give(1, &image());
    bench.run_for(22);
    let (_, received) = bench.receiver.progress().unwrap();
    assert!((15_000..22_000).contains(&received), "{received} bytes");
    bench
}

fn cut_for(bench: &mut Bench, milliseconds: u64) {
    bench.lose = Box::new(|_, _| true);
    bench.run_for(milliseconds);
    bench.lose = Box::new(|_, _| false);
}

fn offset_resumed(bench: &Bench) -> Option<u32> {
    bench.received.iter().find_map(|received| match received {
        Received::Resumed { offset, .. } => Some(*offset),
        _ => None,
    })
}

#[test]
fn a_cut_frame_goes_on_where_it_stopped() {
    let mut bench = under_way();
    let (_, received) = bench.receiver.progress().unwrap();
    cut_for(&mut bench, 2000);
    assert_eq!(bench.sender.counters().lost_sessions, 1);
    assert!(bench.finish(1000));
    assert_eq!(offset_resumed(&bench), Some(received));
    assert_eq!((bench.wrong, bench.receiver.counters().resumed_frames), (0, 1));
    assert_eq!(bench.sender.counters().resumed_frames, 1);
    assert_eq!(bench.receiver.counters().repeated_chunks, 0, "nothing that was held came again");
}

#[test]
fn hardware_that_restarts_goes_on_with_the_same_image() {
    let mut bench = under_way();
    let (_, received) = bench.receiver.progress().unwrap();
    bench.sender = Sender::new(2, TIMING);
    bench.give(1, &image());
    assert!(bench.finish(1000));
    // Packets of the first life may still have arrived.
    assert!(offset_resumed(&bench).is_some_and(|offset| offset >= received));
    assert_eq!((bench.wrong, bench.answers.len()), (0, 1));
    assert_eq!(bench.sender.counters().resumed_frames, 1);
}

#[test]
fn another_image_under_way_replaces_the_cut_one() {
    let mut bench = under_way();
    bench.sender = Sender::new(2, TIMING);
    bench.give(2, &image()[..9000]);
    assert!(bench.finish(1000));
    assert_eq!((bench.wrong, offset_resumed(&bench)), (0, None));
    assert_eq!(bench.answers[0].frame_id, 2);
}

#[test]
fn a_device_that_restarts_gets_the_frame_from_the_start() {
    let mut bench = under_way();
    bench.restart_device(device());
    assert!(bench.finish(1000));
    assert_eq!((bench.wrong, bench.answers.len(), offset_resumed(&bench)), (0, 1, None));
    assert_eq!(bench.sender.counters().lost_sessions, 0, "it was there all along");
}

#[test]
fn a_pause_stops_the_chunks_and_no_session_is_lost() {
    let mut bench = under_way();
    bench.receiver.set_credit(0);
    bench.run_for(10);
    let before = bench.receiver.progress().unwrap().1;
    bench.run_for(10_000);
    assert_eq!(bench.receiver.progress().unwrap().1, before);
    assert_eq!((bench.sender.counters().pauses, bench.sender.counters().lost_sessions), (1, 0));
    bench.receiver.set_credit(DEFAULT_CREDIT);
    assert!(bench.finish(100), "it goes on at once");
    assert_eq!((bench.wrong, bench.receiver.counters().pauses), (0, 1));
}

#[test]
fn a_pause_ends_though_its_end_was_not_heard() {
    let mut bench = under_way();
    bench.receiver.set_credit(0);
    bench.run_for(500);
    bench.receiver.set_credit(DEFAULT_CREDIT);
    bench.lose = Box::new({
        let n_lost = Cell::new(0);
        move |_, message| matches!(message, Message::Ack { .. }) && n_lost.replace(n_lost.get() + 1) < 2
    });
    assert!(bench.finish(500));
    assert_eq!(bench.wrong, 0);
}

#[test]
fn a_small_credit_is_kept_to() {
    let mut bench = Bench::new(Line::default(), 1);
    bench.receiver.set_credit(1500);
    bench.give(1, &image());
    let most = Rc::new(Cell::new((0u32, 0u32)));
    let seen = Rc::clone(&most);
    bench.lose = Box::new(move |_, message| {
        let (acked, ahead) = seen.get();
        match *message {
            Message::Ack { offset, .. } => seen.set((offset, ahead)),
            Message::FrameChunk { offset, bytes, .. } => {
                seen.set((acked, ahead.max(offset + bytes.len() as u32 - acked)));
            }
            _ => {}
        }
        false
    });
    assert!(bench.finish(2000));
    assert!((1024..=1500).contains(&most.get().1), "{} bytes under way", most.get().1);
}

#[test]
fn an_answer_may_take_its_time() {
    let mut bench = Bench::new(Line::default(), 1);
    bench.answer_after_ms = 30_000;
    bench.give(1, &image());
    assert!(bench.finish(31_000));
    assert_eq!((bench.computed[&1], bench.sender.counters().lost_sessions), (1, 0));
}

#[test]
fn a_frame_given_up_by_the_device_is_sent_again() {
    let mut bench = Bench::new(Line::default(), 1);
    bench.answer_after_ms = u64::MAX / 2;
    bench.give(1, &image());
    bench.run_for(100);
    assert!(bench.receiver.image().is_some());
    assert!(bench.receiver.forget());
    assert!(!bench.receiver.forget());
    bench.answer_after_ms = 0;
    assert!(bench.finish(1000));
    assert_eq!((bench.computed[&1], bench.wrong), (2, 0));
}

#[test]
fn an_image_that_is_not_what_was_announced_is_given_up() {
    let mut bench = Bench::new(Line::default(), 1);
    let header = FrameHeader { crc: 1, ..FrameHeader::new(1, Format::Png, 0, 0, &image()).unwrap() };
    bench.sender.send(0, header, image()).unwrap();
    assert!(bench.finish(1000));
    let refused = Heard::Refused { frame_id: 1, reason: NakReason::ImageDamaged, detail: 0 };
    assert_eq!(bench.heard.last(), Some(&refused));
    assert_eq!(bench.receiver.counters().damaged_images, 3);
}

#[test]
fn a_frame_too_large_is_refused_once_and_the_next_is_taken() {
    let mut bench = Bench::new(Line::default(), 1);
    bench.give(1, &[7; 70_000]);
    assert!(bench.finish(1000));
    let refused = Heard::Refused { frame_id: 1, reason: NakReason::TooLarge, detail: 1 << 16 };
    assert_eq!(bench.heard.last(), Some(&refused));
    bench.give(2, &[7; 7000]);
    assert!(bench.finish(1000));
    assert_eq!(bench.answers[0].frame_id, 2);
}

#[test]
fn a_header_of_another_image_is_handed_back() {
    let mut sender = Sender::new(1, TIMING);
    let header = FrameHeader::new(1, Format::Png, 0, 0, &[1, 2, 3]).unwrap();
    assert_eq!(sender.send(0, header, vec![1, 2]), Err(vec![1, 2]));
    assert_eq!(sender.send(0, header, vec![1, 2, 3]), Ok(()));
    assert_eq!(sender.send(0, header, vec![1, 2, 3]), Err(vec![1, 2, 3]));
}

#[test]
fn a_journalled_frame_is_answered_without_its_image() {
    let mut bench = Bench::new(Line::default(), 1);
    bench.give(1, &image());
    assert!(bench.finish(1000));
    bench.restart_device(device());
    bench.sender = Sender::new(2, TIMING);
    bench.give(1, &image());
    assert!(bench.finish(20), "the result comes back at once");
    assert_eq!((bench.answers.len(), bench.computed[&1]), (2, 1));
}
