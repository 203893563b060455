//! A camera that speaks OpenMV's protocol: a live source, whose newest frame is the one that counts.

use super::port::{self, PortEvent, Writer, is_passing};
use super::{BEAT_EVERY, Room, Source};
use crate::board::SourceState;
use crate::log::Note;
use crate::operation::clock::up_ms;
use crate::pipeline::{Desk, Job, Picture};
use remedis_bundle::Channels;
use remedis_openmv::{Counters, Frame, Heard, Host, Pixels, Settings};
use remedis_settings::OpenMvConfig;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// A camera on a serial line or on USB.
pub struct OpenMvSource {
    config: OpenMvConfig,
    script: Option<String>,
}

impl OpenMvSource {
    /// A source with these settings.
    ///
    /// # Errors
    /// When the camera's script cannot be read.
    pub fn new(config: OpenMvConfig) -> std::io::Result<Self> {
        let script = config.script.as_deref().map(std::fs::read_to_string).transpose()?;
        Ok(Self { config, script })
    }
}

/// What wakes it.
pub enum Event {
    /// Something about the port.
    Port(PortEvent),
    /// It is time to end.
    End,
}

impl Source for OpenMvSource {
    const NAME: &'static str = "openmv";
    const PLACES: Option<usize> = None;
    type Event = Event;
    const END: Event = Event::End;

    fn run(self, room: Room<Event>) {
        let Room { desk, inbox, events, pulse, stop } = room;
        if let Err(cause) = port::spawn(self.config.port.clone(), self.config.baud, Event::Port, events, stop) {
            desk.lost(&format!("no thread for the port: {cause}"));
        }
        let mut line = Line::new(self.config, self.script, desk);
        loop {
            pulse.beat();
            line.send();
            line.show();
            match inbox.recv_timeout(line.until_due()) {
                Ok(Event::Port(event)) => line.port(event),
                Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        pulse.end();
    }
}

/// The line and its protocol.
struct Line {
    config: OpenMvConfig,
    desk: Desk,
    host: Host,
    port: Option<Writer>,
    /// When the last frame came.
    frame_ms: Option<u64>,
    n_opened: u64,
}

impl Line {
    fn new(config: OpenMvConfig, script: Option<String>, desk: Desk) -> Self {
        let (max_frame, quiet_ms) = (config.max_image_bytes as usize, config.quiet_after_ms);
        let host = Host::new(Settings { script, max_frame, quiet_ms, ..Settings::default() });
        Self { config, desk, host, port: None, frame_ms: None, n_opened: 0 }
    }

    fn port(&mut self, event: PortEvent) {
        match event {
            PortEvent::Opened(port) => {
                self.n_opened += 1;
                self.port = Some(port);
                self.host.restart(up_ms());
                self.desk.log().note(&Note::SourceOpen { source: OpenMvSource::NAME });
            }
            PortEvent::Slow { latency_ms } => port::note_slow(&self.desk, latency_ms),
            PortEvent::Bytes(bytes) => {
                let mut rest = &bytes[..];
                while self.host.receive(up_ms(), &mut rest) == Heard::Frame {
                    if let Some(frame) = self.host.take_frame() {
                        self.hand_in(frame);
                    }
                }
            }
            PortEvent::Lost(reason) => {
                self.desk.lost(&reason);
                self.port = None;
            }
        }
    }

    fn hand_in(&mut self, frame: Frame) {
        let now_ms = up_ms();
        self.frame_ms = Some(now_ms);
        let picture = picture(frame);
        let link = serde_json::to_value(met(&self.host.counters()).collect::<std::collections::BTreeMap<_, _>>()).ok();
        self.desk.offer(Job { request: None, picture, arrived_ms: now_ms, n_skipped: 0, link });
    }

    fn send(&mut self) {
        let mut packet = Vec::new();
        while self.port.is_some() && self.host.poll(up_ms(), &mut packet) {
            let Some(port) = &mut self.port else { return };
            if let Err(cause) = port.write(&packet)
                && !is_passing(cause.kind())
            {
                // The reading side meets the same fault and opens the port again.
                self.port = None;
            }
        }
    }

    fn show(&self) {
        let now_ms = up_ms();
        let is_seen = self.frame_ms.is_some_and(|at_ms| now_ms < at_ms.saturating_add(self.config.quiet_after_ms));
        match (&self.port, is_seen) {
            // Said when it happened, with the reason.
            (None, _) => {}
            (Some(_), true) => self.desk.is(SourceState::Connected),
            (Some(_), false) => self.desk.is(SourceState::Waiting),
        }
        let met: Vec<_> = met(&self.host.counters()).chain([("opened", self.n_opened)]).collect();
        self.desk.count(&met);
    }

    fn until_due(&self) -> Duration {
        match self.port {
            None => BEAT_EVERY,
            Some(_) => Duration::from_millis(self.host.due_ms().saturating_sub(up_ms()).max(1)).min(BEAT_EVERY),
        }
    }
}

fn picture(frame: Frame) -> Picture {
    let (width, height) = (frame.width, frame.height);
    match frame.into_pixels() {
        Pixels::Grey(samples) => Picture::Raw { width, height, channels: Channels::Grey, samples },
        Pixels::Rgb(samples) => Picture::Raw { width, height, channels: Channels::Rgb, samples },
        Pixels::Jpeg(file) => Picture::File(file),
    }
}

/// What the line has met. Frames and packets change with every frame, and are shown as answers; the rest tells of trouble.
fn met(counters: &Counters) -> impl Iterator<Item = (&'static str, u64)> + use<> {
    [
        ("frames", counters.frames),
        ("skipped_frames", counters.skipped_frames),
        ("abandoned_frames", counters.abandoned_frames),
        ("damaged_images", counters.bad_frames),
        ("corrupt", counters.header_crc + counters.payload_crc),
        ("sequence", counters.sequence),
        ("timeouts", counters.timeouts),
        ("repeats", counters.repeats),
        ("refusals", counters.refusals),
        ("unexpected", counters.unexpected),
        ("resyncs", counters.resyncs),
        ("camera_restarts", counters.restarts_seen),
        ("script_starts", counters.script_starts),
        ("discarded_bytes", counters.discarded_bytes),
    ]
    .into_iter()
}
