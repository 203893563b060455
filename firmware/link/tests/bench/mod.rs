//! Hardware and device on a line in simulated time: a packet a millisecond each way, made as bad as a test wants it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use crate::common::Dice;
use remedis_link::*;
use std::collections::{HashMap, VecDeque};

/// How bad the line is: one byte or packet in so many; 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    pub(crate) drop: u64,
    pub(crate) flip: u64,
    pub(crate) burst: u64,
    pub(crate) drop_packet: u64,
    pub(crate) repeat: u64,
    pub(crate) reorder: u64,
}

impl Line {
    fn carry(self, bytes: &[u8], dice: &mut Dice, line: &mut VecDeque<Vec<u8>>) {
        let mut arrives = vec![];
        let burst = dice.one_in(self.burst).then(|| (dice.next() as usize % bytes.len(), dice.next() as usize % 40));
        for (at, &byte) in bytes.iter().enumerate() {
            if dice.one_in(self.drop) {
                continue;
            }
            let is_burst = burst.is_some_and(|(start, length)| (start..start + length).contains(&at));
            let noise = if is_burst { dice.next() as u8 } else { 0 };
            let flip = if dice.one_in(self.flip) { 1 << (dice.next() % 8) } else { 0 };
            arrives.push(byte ^ flip ^ noise);
        }
        if dice.one_in(self.drop_packet) {
            return;
        }
        if dice.one_in(self.repeat) {
            line.push_back(arrives.clone());
        }
        line.push_back(arrives);
        if dice.one_in(self.reorder) && line.len() > 1 {
            let last = line.len() - 1;
            line.swap(last - 1, last);
        }
    }
}

pub(crate) const TIMING: Timing = Timing { ack_ms: 50, result_ms: 200, keepalive_ms: 1000, retries: 8 };

/// Decides by its message whether a packet is lost on top of what the line does.
pub(crate) type Lose = Box<dyn FnMut(u64, &Message<'_>) -> bool>;

pub(crate) struct Bench {
    pub(crate) now: u64,
    pub(crate) sender: Sender<Vec<u8>>,
    pub(crate) receiver: Receiver<Vec<u8>>,
    pub(crate) line: Line,
    pub(crate) lose: Lose,
    /// Rates above this one garble every packet of more than 40 bytes; above the other, every packet.
    pub(crate) strains_above: u32,
    pub(crate) fails_above: u32,
    pub(crate) answer_after_ms: u64,
    pub(crate) images: HashMap<u64, Vec<u8>>,
    pub(crate) journal: HashMap<u64, Outcome>,
    pub(crate) answers: Vec<Outcome>,
    pub(crate) computed: HashMap<u64, u32>,
    pub(crate) heard: Vec<Heard>,
    pub(crate) received: Vec<Received>,
    pub(crate) wrong: u32,
    dice: Dice,
    down: VecDeque<Vec<u8>>,
    up: VecDeque<Vec<u8>>,
    working: Option<(u64, Outcome)>,
}

pub(crate) fn device() -> Receiver<Vec<u8>> {
    Receiver::new(vec![0; 1 << 16], Identity { device_id: 7, result_retry_ms: 100 })
}

impl Bench {
    pub(crate) fn new(line: Line, seed: u64) -> Self {
        Bench {
            now: 0,
            sender: Sender::new(seed as u32, TIMING),
            receiver: device(),
            line,
            lose: Box::new(|_, _| false),
            strains_above: u32::MAX,
            fails_above: u32::MAX,
            answer_after_ms: 0,
            images: HashMap::new(),
            journal: HashMap::new(),
            answers: vec![],
            computed: HashMap::new(),
            heard: vec![],
            received: vec![],
            wrong: 0,
            dice: Dice(seed),
            down: VecDeque::new(),
            up: VecDeque::new(),
            working: None,
        }
    }

    pub(crate) fn give(&mut self, id: u64, image: &[u8]) {
        let header = FrameHeader::new(id, Format::Png, 0, 0, image).unwrap();
        self.images.insert(id, image.to_vec());
        self.sender.send(self.now, header, image.to_vec()).unwrap();
    }

    /// Runs until the sender has nothing left, or for `limit` milliseconds; whether it is done.
    pub(crate) fn finish(&mut self, limit: u64) -> bool {
        let end = self.now + limit;
        while !self.sender.is_free() && self.now < end {
            self.step();
        }
        self.sender.is_free()
    }

    pub(crate) fn run_for(&mut self, milliseconds: u64) {
        (0..milliseconds).for_each(|_| self.step());
    }

    /// The device loses its memory, not its journal.
    pub(crate) fn restart_device(&mut self, receiver: Receiver<Vec<u8>>) {
        self.receiver = receiver;
        self.working = None;
        self.down.clear();
    }

    pub(crate) fn step(&mut self) {
        self.now += 1;
        let mut packet = Packet::new();
        if self.sender.poll(self.now, &mut packet) {
            self.transmit(&packet, self.sender.baud(), self.receiver.baud(), true);
        }
        self.serve();
        if self.receiver.poll(self.now, &mut packet) {
            let from = self.receiver_baud_of(&packet);
            self.transmit(&packet, from, self.sender.baud(), false);
        }
        self.listen();
    }

    /// The answer to a proposal still goes out at the old rate.
    fn receiver_baud_of(&self, packet: &Packet) -> Option<u32> {
        match described(packet, |message| matches!(message, Message::RateAck { .. })) {
            true => self.sender.baud(),
            false => self.receiver.baud(),
        }
    }

    fn transmit(&mut self, packet: &Packet, from: Option<u32>, to: Option<u32>, is_down: bool) {
        let (now, lose) = (self.now, &mut self.lose);
        if described(packet, |message| lose(now, message)) {
            return;
        }
        let baud = from.unwrap_or(0);
        let is_strained = baud > self.strains_above && packet.as_bytes().len() > 40;
        let mut bytes = packet.as_bytes().to_vec();
        if from != to || is_strained || baud > self.fails_above {
            bytes.iter_mut().for_each(|byte| *byte ^= self.dice.next() as u8);
        }
        let line = if is_down { &mut self.down } else { &mut self.up };
        self.line.carry(&bytes, &mut self.dice, line);
    }

    fn serve(&mut self) {
        let arrived: Vec<u8> = self.down.drain(..).flatten().collect();
        let mut rest = &arrived[..];
        loop {
            let journal = &self.journal;
            let known = |header: &FrameHeader| journal.get(&header.id).map_or(Known::New, |o| Known::Answered(*o));
            let received = self.receiver.receive(self.now, &mut rest, known);
            if received == Received::Nothing {
                break;
            }
            self.received.push(received);
            if let Received::Complete(header) = received {
                let (_, image) = self.receiver.image().unwrap();
                self.wrong += u32::from(image != self.images[&header.id]);
                *self.computed.entry(header.id).or_default() += 1;
                let (decision, class, model) = (Decision::Class, image[0].into(), [1; 8]);
                let outcome = Outcome { frame_id: header.id, decision, class, confidence: 9000, model };
                self.working = Some((self.now + self.answer_after_ms, outcome));
            }
            self.answer();
        }
        self.answer();
    }

    fn answer(&mut self) {
        let now = self.now;
        if let Some((_, outcome)) = self.working.take_if(|(due, _)| *due <= now) {
            self.journal.insert(outcome.frame_id, outcome);
            assert!(self.receiver.answer(now, outcome));
        }
    }

    fn listen(&mut self) {
        let arrived: Vec<u8> = self.up.drain(..).flatten().collect();
        let mut rest = &arrived[..];
        loop {
            let heard = self.sender.receive(self.now, &mut rest);
            match heard {
                Heard::Nothing => break,
                Heard::Answered(outcome) => self.answers.push(outcome),
                _ => {}
            }
            self.heard.push(heard);
        }
    }
}

fn described<T>(packet: &Packet, tell: impl FnOnce(&Message<'_>) -> T) -> T {
    let mut deframer = Deframer::new();
    let mut bytes = packet.as_bytes();
    let Step::Frame { body } = deframer.next(&mut bytes) else { panic!("a packet of our own is whole") };
    tell(&decode(body).unwrap().1)
}
