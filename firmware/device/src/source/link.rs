//! Imaging hardware on our own link ([WIRE.md](../../../link/WIRE.md)): requests, each answered for good.

use super::port::{self, PortEvent, Writer, is_passing};
use super::{BEAT_EVERY, Room, Source};
use crate::board::SourceState;
use crate::log::Note;
use crate::operation::clock::up_ms;
use crate::pipeline::{Answered, Desk, Job, Picture};
use remedis_bundle::Channels;
use remedis_link::{
    Decision, Format, FrameHeader, Identity, Known, NakReason, Outcome, Packet, Received, Receiver, ReceiverCounters,
};
use remedis_settings::LinkConfig;
use remedis_store::{Answer, Record, Request, Verdict};
use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Hardware on a serial line.
pub struct LinkSource {
    config: LinkConfig,
}

impl LinkSource {
    /// A source with these settings.
    pub fn new(config: LinkConfig) -> Self {
        Self { config }
    }
}

/// What wakes it.
pub enum Event {
    /// Something about the port.
    Port(PortEvent),
    /// An answer is durable.
    Answered(Box<Answered>),
    /// It is time to end.
    End,
}

impl Source for LinkSource {
    const NAME: &'static str = "link";
    const PLACES: Option<usize> = Some(1);
    type Event = Event;
    const END: Event = Event::End;

    fn hears(answered: Answered) -> Option<Event> {
        Some(Event::Answered(Box::new(answered)))
    }

    fn run(self, room: Room<Event>) {
        let Room { desk, inbox, events, pulse, stop } = room;
        if let Err(cause) = port::spawn(self.config.port.clone(), self.config.baud, Event::Port, events, stop) {
            desk.lost(&format!("no thread for the port: {cause}"));
        }
        let mut line = Line::new(self.config, desk);
        loop {
            pulse.beat();
            line.send();
            line.show();
            let patience = line.until_due().min(BEAT_EVERY);
            match inbox.recv_timeout(patience) {
                Ok(Event::Port(event)) => line.port(event),
                Ok(Event::Answered(answered)) => line.answer(&answered),
                Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        line.send();
        line.note_counters();
        pulse.end();
    }
}

/// The line and its protocol.
struct Line {
    config: LinkConfig,
    desk: Desk,
    receiver: Receiver<Vec<u8>>,
    port: Option<Writer>,
    n_opened: u64,
    n_unsent: u64,
}

impl Line {
    fn new(config: LinkConfig, desk: Desk) -> Self {
        let identity = Identity { device_id: config.device_id, result_retry_ms: config.result_retry_ms };
        let receiver = Receiver::new(vec![0; config.max_image_bytes as usize], identity);
        let receiver = match config.rates() {
            Some(rates) => receiver.with_rates(rates),
            None => receiver,
        };
        Self { config, desk, receiver, port: None, n_opened: 0, n_unsent: 0 }
    }

    fn port(&mut self, event: PortEvent) {
        match event {
            PortEvent::Opened(port) => {
                self.n_opened += 1;
                self.port = Some(port);
                self.follow_rate();
                self.desk.log().note(&Note::SourceOpen { source: LinkSource::NAME });
            }
            PortEvent::Slow { latency_ms } => port::note_slow(&self.desk, latency_ms),
            PortEvent::Bytes(bytes) => self.receive(&bytes),
            PortEvent::Lost(reason) => {
                self.desk.lost(&reason);
                if self.port.take().is_some() {
                    self.note_counters();
                }
            }
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        loop {
            let desk = &self.desk;
            let received = self.receiver.receive(up_ms(), &mut bytes, |header| known(desk, header));
            let log = self.desk.log();
            match received {
                Received::Nothing => return,
                Received::Connected => log.note(&Note::Connected { source: LinkSource::NAME }),
                Received::Started(header) => log.note(&Note::FrameStarted { frame: header.id, bytes: header.length }),
                Received::Resumed { header, offset } => log.note(&Note::FrameResumed { frame: header.id, at: offset }),
                Received::Complete(_) => self.hand_in(),
                Received::Delivered { frame_id } => self.delivered(frame_id),
            }
            self.send();
        }
    }

    /// The whole frame goes to the judge; with no place for it, the hardware sends it again.
    fn hand_in(&mut self) {
        let Some((header, image)) = self.receiver.image() else { return };
        let job = Job {
            request: Some(request(&header)),
            picture: picture(&header, image.to_vec()),
            arrived_ms: up_ms(),
            n_skipped: 0,
            link: serde_json::to_value(counters(&self.receiver.counters())).ok(),
        };
        if self.desk.submit(job).is_err() {
            self.receiver.forget();
        }
    }

    fn answer(&mut self, answered: &Answered) {
        if let Some(outcome) = outcome(&answered.request, &answered.answer) {
            // Not taken when the hardware gave the frame up meanwhile: it gets the answer when it asks again.
            let _taken = self.receiver.answer(up_ms(), outcome);
        }
    }

    fn delivered(&mut self, frame_id: u64) {
        if let Ok(Some(Record { sequence, .. })) = self.desk.find(&frame_id.to_string()) {
            self.desk.delivered(sequence);
            self.desk.log().note(&Note::Delivered { source: LinkSource::NAME, answer: sequence });
        }
    }

    /// Writes every packet that is due. A packet the port does not take is dropped: the protocol repeats what matters.
    fn send(&mut self) {
        let mut packet = Packet::new();
        while self.port.is_some() && self.receiver.poll(up_ms(), &mut packet) {
            let Some(port) = &mut self.port else { return };
            if let Err(cause) = port.write(packet.as_bytes()) {
                self.n_unsent += 1;
                if !is_passing(cause.kind()) {
                    // The reading side meets the same fault and opens the port again.
                    self.port = None;
                }
            }
            self.follow_rate();
        }
        self.follow_rate();
    }

    /// Sets the port to the rate that the protocol has come to.
    fn follow_rate(&mut self) {
        let (Some(wanted), Some(port)) = (self.receiver.baud(), &mut self.port) else { return };
        if port.baud() != wanted {
            // A port that cannot is asked again; one that is gone is opened again by its reading side.
            let _unchanged = port.set_baud(wanted);
        }
    }

    fn show(&self) {
        let now_ms = up_ms();
        let is_heard = self.receiver.heard_ms().is_some_and(|at_ms| now_ms < at_ms + self.config.quiet_after_ms);
        match (&self.port, self.receiver.progress()) {
            // Said when it happened, with the reason.
            (None, _) => {}
            (Some(_), _) if !is_heard => self.desk.is(SourceState::Waiting),
            (Some(_), None) => self.desk.is(SourceState::Connected),
            (Some(_), Some((header, received))) => {
                // In steps of ten, so that the page is drawn ten times an image and not with every packet.
                let tenths = u64::from(received) * 10 / u64::from(header.length.max(1));
                self.desk.is(SourceState::Receiving { percent: (tenths * 10).min(100) as u8 });
            }
        }
        let mut met: Vec<(&'static str, u64)> = counters(&self.receiver.counters()).into_iter().collect();
        met.extend([("opened", self.n_opened), ("unsent", self.n_unsent)]);
        self.desk.count(&met);
    }

    /// Until a packet is due or the hardware counts as silent.
    fn until_due(&self) -> Duration {
        let now_ms = up_ms();
        let packet = self.receiver.due_ms().filter(|_| self.port.is_some());
        let quiet = self.receiver.heard_ms().map(|at_ms| at_ms + self.config.quiet_after_ms);
        let due_ms = packet.into_iter().chain(quiet.filter(|&at_ms| at_ms > now_ms)).min();
        due_ms.map_or(BEAT_EVERY, |due_ms| Duration::from_millis(due_ms.saturating_sub(now_ms).max(1)))
    }

    fn note_counters(&self) {
        let counters: BTreeMap<&str, u64> = counters(&self.receiver.counters());
        self.desk.log().note(&Note::Line { source: LinkSource::NAME, counters: &counters });
    }
}

fn counters(counters: &ReceiverCounters) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("packets", counters.packets),
        ("corrupt", counters.corrupt),
        ("skipped_bytes", counters.skipped_bytes),
        ("malformed", counters.malformed),
        ("damaged_images", counters.damaged_images),
        ("naks", counters.naks),
        ("frames", counters.frames),
        ("resumed_frames", counters.resumed_frames),
        ("repeated_results", counters.repeated_results),
        ("repeated_chunks", counters.repeated_chunks),
        ("pauses", counters.pauses),
        ("rate_changes", counters.rate_changes),
    ])
}

/// The frame as the journal knows it: its number, and what another image under that number would differ in.
fn request(header: &FrameHeader) -> Request {
    Request { id: header.id.to_string(), fingerprint: format!("{:08x}:{}", header.crc, header.length) }
}

/// What the journal says about an announced frame.
fn known(desk: &Desk, header: &FrameHeader) -> Known {
    let request = request(header);
    let record = match desk.find(&request.id) {
        Ok(None) => return Known::New,
        Ok(Some(record)) => record,
        Err(cause) => {
            desk.log().note(&Note::JournalFault { reason: &cause.to_string() });
            return Known::Refuse(NakReason::Busy);
        }
    };
    let before = record.answer.request.as_ref();
    match before.filter(|before| **before == request).and_then(|before| outcome(before, &record.answer)) {
        Some(outcome) => {
            desk.log().note(&Note::AnsweredBefore { source: LinkSource::NAME, answer: record.sequence });
            Known::Answered(outcome)
        }
        None => {
            let reason = "this frame id was answered for another image";
            desk.log().note(&Note::Refused { source: LinkSource::NAME, reason });
            Known::Refuse(NakReason::IdReused)
        }
    }
}

fn picture(header: &FrameHeader, bytes: Vec<u8>) -> Picture {
    let (width, height) = (header.width.into(), header.height.into());
    match header.format {
        Format::RawGrey8 => Picture::Raw { width, height, channels: Channels::Grey, samples: bytes },
        Format::RawRgb8 => Picture::Raw { width, height, channels: Channels::Rgb, samples: bytes },
        Format::Png | Format::Jpeg | Format::Dicom => Picture::File(bytes),
    }
}

/// What the hardware is told; `None` when the request is none of this link's.
fn outcome(request: &Request, answer: &Answer) -> Option<Outcome> {
    let (decision, class, confidence) = match &answer.verdict {
        Verdict::Class { index, confidence, .. } => (Decision::Class, *index, *confidence),
        Verdict::CannotSay { best: Some(best), .. } => (Decision::CannotSay, best.index, best.confidence),
        Verdict::CannotSay { best: None, .. } => (Decision::CannotSay, Outcome::NO_CLASS, 0.0),
        Verdict::Unreadable { .. } => (Decision::Unreadable, Outcome::NO_CLASS, 0.0),
    };
    let model = first_bytes(&answer.model.digest);
    Some(Outcome { frame_id: request.id.parse().ok()?, decision, class, confidence: of_10000(confidence), model })
}

/// A probability in units of 1/10000, rounded down: only certainty is 10 000.
pub(crate) fn of_10000(probability: f32) -> u16 {
    // Within 0..=10000 after the clamp; a NaN becomes 0.
    (f64::from(probability).clamp(0.0, 1.0) * 10_000.0 + 1e-3) as u16
}

/// The first eight bytes of a hexadecimal digest; zeros where it is not one.
fn first_bytes(digest: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = digest.get(2 * index..2 * index + 2);
        *byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_rounded_down() {
        assert_eq!([0.0, 0.75, 0.99999, 1.0, f32::NAN].map(of_10000), [0, 7500, 9999, 10_000, 0]);
    }

    #[test]
    fn the_hardware_is_told_the_first_bytes_of_the_bundle() {
        assert_eq!(first_bytes("0123456789abcdef00"), [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
        assert_eq!(first_bytes("none"), [0; 8]);
    }
}
