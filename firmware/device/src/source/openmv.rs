//! A camera that speaks OpenMV's protocol: a live source, whose newest frame is the one that counts.

use super::port::{self, PortEvent, Writer, is_passing};
use super::{BEAT_EVERY, Room, Source};
use crate::board::SourceState;
use crate::log::Note;
use crate::operation::clock::up_ms;
use crate::pipeline::{Desk, Job, Picture};
use anyhow::Context;
use remedis_bundle::Channels;
use remedis_openmv::{Counters, Frame, Heard, Host, Pixels, Settings, Trouble};
use remedis_settings::OpenMvConfig;
use std::path::Path;
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
    pub fn new(config: OpenMvConfig) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("reading the camera's script {}", path.display()))
        };
        let script = config.script.as_deref().map(read).transpose()?;
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
    /// When the port was opened.
    opened_ms: Option<u64>,
    /// When the last frame came.
    frame_ms: Option<u64>,
    /// Why there are no frames, as people were told.
    told: Option<Trouble>,
    n_opened: u64,
}

impl Line {
    fn new(config: OpenMvConfig, script: Option<String>, desk: Desk) -> Self {
        let (max_frame, quiet_ms) = (config.max_image_bytes as usize, config.quiet_after_ms);
        let host = Host::new(Settings { script, max_frame, quiet_ms, ..Settings::default() });
        Self { config, desk, host, port: None, opened_ms: None, frame_ms: None, told: None, n_opened: 0 }
    }

    fn port(&mut self, event: PortEvent) {
        match event {
            PortEvent::Opened(port) => {
                self.n_opened += 1;
                self.port = Some(port);
                self.opened_ms = Some(up_ms());
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
                self.told = None;
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

    fn show(&mut self) {
        // Of a port that is gone, the reason was said when it went.
        if self.port.is_some() {
            self.show_camera();
        }
        let met: Vec<_> = met(&self.host.counters()).chain([("opened", self.n_opened)]).collect();
        self.desk.count(&met);
    }

    /// A camera without frames is lost after a while, for the reason that the protocol gives.
    fn show_camera(&mut self) {
        let now_ms = up_ms();
        let quiet_ms = self.config.quiet_after_ms;
        let is_past = |at_ms: Option<u64>| at_ms.is_none_or(|at_ms| now_ms >= at_ms.saturating_add(quiet_ms));
        let is_quiet = is_past(self.frame_ms.max(self.opened_ms));
        // That the line was opened is no trouble.
        match self.host.trouble().filter(|trouble| is_quiet && **trouble != Trouble::Reopened) {
            Some(trouble) => {
                if !self.told.as_ref().is_some_and(|told| told.is_like(trouble)) {
                    self.desk.lost(&trouble.to_string());
                    self.told = Some(trouble.clone());
                }
            }
            None if is_past(self.frame_ms) => self.desk.is(SourceState::Waiting),
            None => {
                if self.told.take().is_some() {
                    self.desk.log().note(&Note::Connected { source: OpenMvSource::NAME });
                }
                self.desk.is(SourceState::Connected);
            }
        }
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
