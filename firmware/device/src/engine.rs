//! Turns events into actions, one at a time: the only place where protocol, journal and screen meet.
//!
//! The order is the promise: an answer is durable in the journal, then the hardware hears it, then the screen shows it.

use crate::journal::{AppendError, Entry, Journal, Verdict};
use crate::link::is_passing;
use crate::log::{Log, Note};
use crate::screen::{Page, Shown};
use crate::worker::{Job, Judged, ModelName, Worker, WorkerGone};
use remedis_imaging::Image;
use remedis_link::{FrameHeader, Identity, Known, NakReason, Packet, Received};
use remedis_screen::LinkState;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Something that happened.
pub enum Event {
    /// The port is open; packets go here.
    Opened(Box<dyn Write + Send>),
    /// Bytes arrived.
    Bytes(Vec<u8>),
    /// The port is gone, for this reason.
    Lost(String),
    /// The model has answered.
    Judged(Box<Judged>),
    /// The model's thread died.
    WorkerGone,
    /// It is time to end.
    Stop,
}

/// What the engine is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who the device is on the link.
    pub identity: Identity,
    /// Largest image taken, in bytes.
    pub max_image_bytes: u32,
    /// Silence after which the hardware counts as absent, in milliseconds.
    pub quiet_after_ms: u64,
    /// Age at which a result is marked as old, in milliseconds.
    pub stale_after_ms: u64,
    /// Which model answers.
    pub model: ModelName,
}

/// Why the engine cannot go on. Nothing was said to the hardware that is not durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// An answer could not be made durable.
    #[error("the journal failed")]
    Append(#[from] AppendError),
    /// A journalled answer could not be read back.
    #[error("the journal cannot be read back")]
    Find(#[source] std::io::Error),
    /// The model's thread died.
    #[error(transparent)]
    Worker(#[from] WorkerGone),
}

/// The device between its ports.
pub struct Engine {
    settings: Settings,
    receiver: remedis_link::Receiver<Vec<u8>>,
    port: Option<Box<dyn Write + Send>>,
    journal: Journal,
    worker: Worker,
    show: Box<dyn FnMut(Page) + Send>,
    log: Log,
    started: Instant,
    last: Last,
    shown: Option<Page>,
    n_reopened: u64,
    n_unsent: u64,
}

/// What the screen shows about the last image.
struct Last {
    image: Option<Arc<Image>>,
    verdict: Shown,
    answered_ms: Option<u64>,
}

impl Engine {
    /// An engine that has seen nothing yet; `show` is called with each new page.
    pub fn new(
        settings: Settings,
        journal: Journal,
        worker: Worker,
        show: impl FnMut(Page) + Send + 'static,
        log: Log,
    ) -> Self {
        let receiver = remedis_link::Receiver::new(vec![0; settings.max_image_bytes as usize], settings.identity);
        Self {
            settings,
            receiver,
            port: None,
            journal,
            worker,
            show: Box::new(show),
            log,
            started: Instant::now(),
            last: Last { image: None, verdict: Shown::None, answered_ms: None },
            shown: None,
            n_reopened: 0,
            n_unsent: 0,
        }
    }

    /// Works until [`Event::Stop`], or until nobody can send events any more.
    ///
    /// # Errors
    /// When answers can no longer be made durable or no longer be had: going on would be a lie.
    pub fn run(&mut self, events: &Receiver<Event>) -> Result<(), EngineError> {
        let outcome = self.serve(events);
        self.note_counters();
        self.log.note(&Note::Stopped { answers: self.journal.n_records() });
        outcome
    }

    fn serve(&mut self, events: &Receiver<Event>) -> Result<(), EngineError> {
        loop {
            self.send();
            self.refresh();
            let event = match self.next_due_ms() {
                Some(due_ms) => events.recv_timeout(Duration::from_millis(due_ms.saturating_sub(self.now_ms()).max(1))),
                None => events.recv().map_err(|_closed| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(Event::Opened(port)) => self.opened(port),
                Ok(Event::Bytes(bytes)) => self.receive(&bytes)?,
                Ok(Event::Lost(reason)) => self.lost(&reason),
                Ok(Event::Judged(judged)) => self.answer(*judged)?,
                Ok(Event::WorkerGone) => return Err(WorkerGone.into()),
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn opened(&mut self, port: Box<dyn Write + Send>) {
        self.n_reopened += u64::from(self.n_reopened > 0 || self.receiver.heard_ms().is_some());
        self.port = Some(port);
        self.log.note(&Note::LinkOpen);
    }

    fn lost(&mut self, reason: &str) {
        self.log.note(&Note::LinkLost { reason });
        if self.port.take().is_some() {
            self.note_counters();
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) -> Result<(), EngineError> {
        loop {
            let now_ms = self.now_ms();
            let (journal, log) = (&mut self.journal, &self.log);
            let mut unread = None;
            let received = self.receiver.receive(now_ms, &mut bytes, |header| match journal.find(header.id) {
                Ok(found) => known(found.as_ref(), header, log),
                Err(cause) => {
                    unread = Some(cause);
                    Known::Refuse(NakReason::Busy)
                }
            });
            if let Some(cause) = unread {
                return Err(EngineError::Find(cause));
            }
            match received {
                Received::Nothing => return Ok(()),
                Received::Connected => self.log.note(&Note::Connected),
                Received::Started(header) => {
                    self.log.note(&Note::FrameStarted { frame: header.id, bytes: header.length });
                }
                Received::Complete(_) => self.judge()?,
                Received::Delivered { frame_id } => self.log.note(&Note::Delivered { frame: frame_id }),
            }
            self.send();
        }
    }

    fn judge(&mut self) -> Result<(), EngineError> {
        if let Some((header, image)) = self.receiver.image() {
            self.worker.judge(Job { header, bytes: image.to_vec(), arrived: Instant::now() })?;
            self.last = Last { image: None, verdict: Shown::Working, answered_ms: None };
        }
        Ok(())
    }

    fn answer(&mut self, judged: Judged) -> Result<(), EngineError> {
        let Judged { entry, image } = judged;
        self.journal.append(&entry)?;
        let now_ms = self.now_ms();
        let is_taken = self.receiver.answer(now_ms, entry.outcome());
        assert!(is_taken, "the receiver holds frame {} until it is answered", entry.frame_id);
        self.send();
        note_answer(&self.log, &entry);
        self.last = Last { image, verdict: Shown::from(&entry.verdict), answered_ms: Some(now_ms) };
        Ok(())
    }

    /// Writes every packet that is due. A packet the port does not take is dropped: the protocol repeats what matters.
    fn send(&mut self) {
        let mut packet = Packet::new();
        while let Some(port) = &mut self.port {
            if !self.receiver.poll(self.started.elapsed().as_millis() as u64, &mut packet) {
                return;
            }
            if let Err(cause) = port.write_all(packet.as_bytes()) {
                self.n_unsent += 1;
                if !is_passing(cause.kind()) {
                    // The reading side meets the same fault and opens the port again.
                    self.port = None;
                }
            }
        }
    }

    /// Shows the page when it has changed.
    fn refresh(&mut self) {
        let now_ms = self.now_ms();
        let page = Page {
            image: self.last.image.clone(),
            verdict: self.last.verdict.clone(),
            model: self.settings.model.clone(),
            link: self.link_state(now_ms),
            n_frames: self.journal.n_records(),
            is_stale: self.last.answered_ms.is_some_and(|at_ms| now_ms >= at_ms + self.settings.stale_after_ms),
        };
        if self.shown.as_ref() != Some(&page) {
            self.shown = Some(page.clone());
            (self.show)(page);
        }
    }

    fn link_state(&self, now_ms: u64) -> LinkState {
        let is_heard = self.receiver.heard_ms().is_some_and(|at_ms| now_ms < at_ms + self.settings.quiet_after_ms);
        match (&self.port, self.receiver.progress()) {
            (None, _) => LinkState::Lost,
            (Some(_), _) if !is_heard => LinkState::Waiting,
            (Some(_), None) => LinkState::Connected,
            (Some(_), Some((header, received))) => {
                // In steps of ten, so that the page is drawn ten times an image and not with every packet.
                let tenths = u64::from(received) * 10 / u64::from(header.length.max(1));
                LinkState::Receiving { percent: (tenths * 10).min(100) as u8 }
            }
        }
    }

    /// When something happens by itself: a packet is due, the hardware falls silent, a result grows old.
    fn next_due_ms(&self) -> Option<u64> {
        let now_ms = self.now_ms();
        let packet = self.receiver.due_ms().filter(|_| self.port.is_some());
        let quiet = self.receiver.heard_ms().map(|at_ms| at_ms + self.settings.quiet_after_ms);
        let stale = self.last.answered_ms.map(|at_ms| at_ms + self.settings.stale_after_ms);
        let marks = [quiet, stale].into_iter().flatten().filter(|&at_ms| at_ms > now_ms);
        marks.chain(packet).min()
    }

    fn note_counters(&self) {
        let counters = self.receiver.counters();
        self.log.note(&Note::Link {
            packets: counters.packets,
            corrupt: counters.corrupt,
            naks: counters.naks,
            frames: counters.frames,
            repeated_results: counters.repeated_results,
            reopened: self.n_reopened,
            unsent: self.n_unsent,
        });
    }

    fn now_ms(&self) -> u64 {
        // Past 2^64 milliseconds nobody is waiting.
        self.started.elapsed().as_millis() as u64
    }
}

/// What the journal says about an announced frame.
fn known(found: Option<&Entry>, header: &FrameHeader, log: &Log) -> Known {
    let Some(entry) = found else { return Known::New };
    let known = entry.known(header);
    log.note(&match known {
        Known::Refuse(_) => Note::Refused { frame: header.id, reason: "this frame id was answered for another image" },
        _ => Note::AnsweredBefore { frame: header.id },
    });
    known
}

fn note_answer(log: &Log, entry: &Entry) {
    let (frame, sha256, latency_ms) = (entry.frame_id, entry.image_sha256.as_str(), entry.latency_ms);
    log.note(&match &entry.verdict {
        Verdict::Class { name, confidence, .. } => {
            let (decision, class, confidence) = ("class", Some(name.as_str()), *confidence);
            Note::Answered { frame, sha256, decision, class, confidence, latency_ms }
        }
        Verdict::CannotSay { confidence, .. } => {
            let (decision, class, confidence) = ("cannot_say", None, *confidence);
            Note::Answered { frame, sha256, decision, class, confidence, latency_ms }
        }
        Verdict::Unreadable { reason } => Note::Unreadable { frame, sha256, reason },
    });
}
