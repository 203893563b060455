//! The vendor's example against a device, byte by byte.

#[path = "../examples/vendor/camera.rs"]
mod camera;

use camera::{Board, Camera, PIXELS};
use remedis_link::*;
use std::collections::VecDeque;

/// A board with one picture to take; what it writes and reads is in the open.
#[derive(Default)]
struct Bench {
    now_ms: u64,
    n_pictures: u8,
    baud: u32,
    written: Vec<u8>,
    to_read: VecDeque<u8>,
    shown: Vec<Heard>,
}

impl Board for Bench {
    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn take_picture(&mut self, into: &mut [u8; PIXELS]) -> bool {
        let is_there = self.n_pictures > 0;
        if is_there {
            self.n_pictures -= 1;
            into.fill(77);
        }
        is_there
    }

    fn is_port_free(&self) -> bool {
        self.written.is_empty()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.written.extend(bytes);
    }

    fn read(&mut self, into: &mut [u8]) -> usize {
        let n = into.len().min(self.to_read.len());
        into.iter_mut().zip(self.to_read.drain(..n)).for_each(|(slot, byte)| *slot = byte);
        n
    }

    fn set_baud(&mut self, baud: u32) {
        self.baud = baud;
    }

    fn show(&mut self, answer: &Heard) {
        self.shown.push(*answer);
    }
}

#[test]
fn the_first_frames_arrive_and_are_answered() {
    let mut picture = [0; PIXELS];
    let bench = Bench { n_pictures: 2, baud: 115_200, ..Bench::default() };
    let mut camera = Camera::new(bench, &mut picture, 9);
    let rates = Rates::new(115_200, &[115_200, 921_600]).unwrap();
    let mut device = Receiver::new(vec![0; PIXELS], Identity { device_id: 5, result_retry_ms: 100 }).with_rates(rates);
    let mut packet = Packet::new();
    let mut seen = vec![];
    for now_ms in 0..5000 {
        camera.board.now_ms = now_ms;
        camera.turn();
        let bytes = std::mem::take(&mut camera.board.written);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if let Received::Complete(header) = device.receive(now_ms, &mut rest, |_| Known::New) {
                seen.push(device.image().unwrap().1.to_vec());
                let (frame_id, decision, model) = (header.id, Decision::Class, [1; 8]);
                assert!(device.answer(now_ms, Outcome { frame_id, decision, class: 3, confidence: 8000, model }));
            }
        }
        while device.poll(now_ms, &mut packet) {
            camera.board.to_read.extend(packet.as_bytes());
        }
    }
    assert_eq!(seen, vec![vec![77; PIXELS]; 2]);
    let answered = |heard: &&Heard| matches!(heard, Heard::Answered(outcome) if outcome.frame_id >> 32 == 9);
    assert_eq!(camera.board.shown.iter().filter(answered).count(), 2);
    assert_eq!((camera.board.baud, device.baud()), (921_600, Some(921_600)));
}
