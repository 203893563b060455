//! The loop of the imaging hardware: bytes and time in, bytes out, until every frame is answered.

use super::images::Picture;
use super::line::Line;
use super::noise::Noisy;
use super::tally::{Journal, Latency, Summary};
use anyhow::{Context, Result};
use remedis_link::{FrameHeader, Heard, Packet, Sender, Timing};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait, so that Ctrl-C is heard even when no signal interrupts it.
const LONGEST_WAIT_MS: u64 = 100;

/// What is sent when.
pub(crate) struct Pace {
    pub(crate) n_frames: u64,
    pub(crate) first_frame: u64,
    /// Frames a second, 0 for no limit.
    pub(crate) rate: f64,
    /// Without an answer for this long, the run is given up.
    pub(crate) timeout: Duration,
    pub(crate) session: u32,
    pub(crate) timing: Timing,
}

/// The simulated hardware on its line.
pub(crate) struct Hardware<'a, L> {
    line: Noisy<L>,
    sender: Sender<&'a [u8]>,
    pace: Pace,
    images: &'a [Picture],
    journal: Option<&'a mut Journal>,
    start: Instant,
    /// When the frame under way was given to the link, or the last one was done.
    since: Instant,
    sent: u64,
    refused: u64,
    latencies_ms: Vec<u64>,
}

impl<'a, L: Line> Hardware<'a, L> {
    pub(crate) fn new(line: Noisy<L>, pace: Pace, images: &'a [Picture], journal: Option<&'a mut Journal>) -> Self {
        let now = Instant::now();
        let sender = Sender::new(pace.session, pace.timing);
        Hardware {
            line,
            sender,
            pace,
            images,
            journal,
            start: now,
            since: now,
            sent: 0,
            refused: 0,
            latencies_ms: vec![],
        }
    }

    /// Sends every frame and waits for its answer, until done, timed out or `stop` is set.
    pub(crate) fn run(mut self, stop: &AtomicBool) -> Result<Summary> {
        while !stop.load(Ordering::Relaxed) && self.open_frames() > 0 {
            self.give_next_frame()?;
            self.transmit()?;
            if !self.sender.is_free() && self.since.elapsed() > self.pace.timeout {
                break;
            }
            let patience_ms = self.sender.due_ms().saturating_sub(self.now_ms()).min(LONGEST_WAIT_MS);
            let patience = Duration::from_millis(patience_ms).min(self.until_next_frame());
            let arrived = self.line.read(patience).context("cannot read from the line")?;
            self.listen(&arrived)?;
        }
        // The last answer's acknowledgement is still to be sent.
        self.transmit()?;
        Ok(self.summary(stop.load(Ordering::Relaxed)))
    }

    fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn open_frames(&self) -> u64 {
        self.pace.n_frames - self.latencies_ms.len() as u64 - self.refused
    }

    /// How long until the rate allows another frame; the longest wait when there is no such moment to watch.
    fn until_next_frame(&self) -> Duration {
        let longest = Duration::from_millis(LONGEST_WAIT_MS);
        if !self.sender.is_free() || self.pace.rate == 0.0 {
            return longest;
        }
        let due = Duration::from_secs_f64(self.sent as f64 / self.pace.rate);
        due.saturating_sub(self.start.elapsed()).clamp(Duration::from_millis(1), longest)
    }

    fn give_next_frame(&mut self) -> Result<()> {
        let is_early = self.pace.rate > 0.0 && self.start.elapsed().as_secs_f64() < self.sent as f64 / self.pace.rate;
        if !self.sender.is_free() || self.sent == self.pace.n_frames || is_early {
            return Ok(());
        }
        let picture = &self.images[self.image_of(self.sent)];
        let id = self.pace.first_frame + self.sent;
        let header =
            FrameHeader::new(id, picture.format, 0, 0, &picture.bytes).context("image is empty or too large")?;
        if self.sender.send(self.now_ms(), header, &picture.bytes).is_ok() {
            self.sent += 1;
            self.since = Instant::now();
        }
        Ok(())
    }

    fn image_of(&self, frame: u64) -> usize {
        (frame % self.images.len() as u64) as usize
    }

    /// Writes one packet, if one is due: what has arrived meanwhile may change what is to be sent next.
    fn transmit(&mut self) -> Result<()> {
        let mut packet = Packet::new();
        if self.sender.poll(self.now_ms(), &mut packet) {
            self.line.write(packet.as_bytes()).context("cannot write to the line")?;
        }
        Ok(())
    }

    fn listen(&mut self, mut arrived: &[u8]) -> Result<()> {
        loop {
            match self.sender.receive(self.now_ms(), &mut arrived) {
                Heard::Nothing => return Ok(()),
                Heard::Answered(outcome) => {
                    let latency = self.since.elapsed();
                    let image = self.image_of(outcome.frame_id - self.pace.first_frame);
                    if let Some(journal) = &mut self.journal {
                        journal.append(&outcome, image, latency)?;
                    }
                    self.latencies_ms.push(latency.as_millis() as u64);
                    self.since = Instant::now();
                }
                Heard::Refused { frame_id, reason, detail } => {
                    eprintln!("the device refuses frame {frame_id}: {reason:?} (detail {detail})");
                    self.refused += 1;
                    self.since = Instant::now();
                }
                Heard::Connected { device_id } => eprintln!("device {device_id:016x} answers"),
                Heard::Rate { baud } => eprintln!("the line goes at {baud} baud"),
                Heard::Fault { code, detail } => eprintln!("the device reports {code:?} (detail {detail})"),
            }
        }
    }

    fn summary(self, interrupted: bool) -> Summary {
        let counters = self.sender.counters();
        Summary {
            frames_sent: self.sent,
            frames_answered: self.latencies_ms.len() as u64,
            frames_refused: self.refused,
            unanswered: self.open_frames(),
            retransmissions: counters.retransmissions,
            naks: counters.naks,
            resyncs: counters.corrupt,
            lost_sessions: counters.lost_sessions,
            bytes_sent: self.line.bytes_sent,
            bytes_received: self.line.bytes_received,
            seconds: self.start.elapsed().as_secs_f64(),
            latency_ms: Latency::of(self.latencies_ms),
            interrupted,
        }
    }
}
