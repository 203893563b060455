//! A watched folder: a file is picked up when it is whole, answered, and moved away with its answer beside it.
//!
//! A file is whole when whoever wrote it closed it or moved it in; where the kernel does not tell (it is a folder of another host, or
//! the file was there before the device), when it has not changed for a while. The answer is written before the file is moved, so a
//! device that dies between finds the file again, and the answer in its journal.

mod archive;
mod batch;
mod hand_back;
mod look;

use super::{BEAT_EVERY, Room, Source};
use crate::board::SourceState;
use crate::log::Note;
use crate::operation::clock::up_ms;
use crate::pipeline::{Answered, Desk, Job, Picture};
use batch::{Batch, Member, ReadFault};
use hand_back::{HandBack, Outcome, Told};
use look::{Ready, Watch};
use remedis_settings::FolderConfig;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// A folder where others put images.
pub struct FolderSource {
    config: FolderConfig,
}

impl FolderSource {
    /// A source with these settings.
    pub fn new(config: FolderConfig) -> Self {
        Self { config }
    }
}

/// What wakes it.
pub enum Event {
    /// A file was closed or moved in, so it is whole.
    Whole(OsString),
    /// An answer is durable.
    Answered(Box<Answered>),
    /// It is time to end.
    End,
}

impl Source for FolderSource {
    const NAME: &'static str = "folder";
    // Images of a zip file are unpacked one ahead of the judge, or several of the largest would be in memory at a time.
    const PLACES: Option<usize> = Some(1);
    // It hangs where another host's disk does, and would again.
    const IS_VITAL: bool = false;
    type Event = Event;
    const END: Event = Event::End;

    fn hears(answered: Answered) -> Option<Event> {
        Some(Event::Answered(Box::new(answered)))
    }

    fn run(self, room: Room<Event>) {
        let Room { desk, inbox, events, pulse, stop } = room;
        let mut tray = Tray::new(self.config, desk);
        let mut watch = Watch::new(events, stop);
        loop {
            pulse.beat();
            let found = watch.look(&tray.config, up_ms());
            if tray.take(found) {
                tray.work();
            }
            match inbox.recv_timeout(BEAT_EVERY.min(Duration::from_secs(tray.config.look_every_s))) {
                Ok(Event::Whole(name)) => watch.is_whole(name),
                Ok(Event::Answered(answered)) => tray.answer(*answered),
                Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        pulse.end();
    }
}

/// The files that are being dealt with, one after the other.
struct Tray {
    config: FolderConfig,
    desk: Desk,
    /// Whole files, in the order in which they were found.
    waiting: VecDeque<OsString>,
    known: BTreeSet<OsString>,
    /// The file whose images are at the judge.
    present: Option<Batch>,
    /// Whether the folder is there and takes answers, as far as is known.
    is_open: bool,
    /// Whether the present file could not be handed back.
    is_stuck: bool,
    /// What is in the folder and no plain file.
    things: BTreeMap<&'static str, u64>,
    n_files: u64,
    n_failed: u64,
    n_unwritable: u64,
}

impl Tray {
    fn new(config: FolderConfig, desk: Desk) -> Self {
        Self {
            config,
            desk,
            waiting: VecDeque::new(),
            known: BTreeSet::new(),
            present: None,
            is_open: false,
            is_stuck: false,
            things: BTreeMap::new(),
            n_files: 0,
            n_failed: 0,
            n_unwritable: 0,
        }
    }

    /// Takes over what was found, or says why there is no folder to look in. Whether it is there.
    fn take(&mut self, found: std::io::Result<Ready>) -> bool {
        let is_there = found.is_ok();
        match found {
            Ok(Ready { names, things }) => {
                for name in names {
                    if self.known.insert(name.clone()) {
                        self.waiting.push_back(name);
                    }
                }
                if let Some(things) = things {
                    self.looked(things);
                }
            }
            Err(cause) => self.lose(&format!("cannot look into {}: {cause}", self.config.path.display())),
        }
        self.desk.count(&[
            ("files", self.n_files),
            ("failed", self.n_failed),
            ("unwritable", self.n_unwritable),
            ("left_alone", self.things.values().sum()),
        ]);
        is_there
    }

    /// The folder was looked through, and these things in it are no plain files.
    fn looked(&mut self, things: BTreeMap<&'static str, u64>) {
        match HandBack::of(&self.config.path).make() {
            Err(cause) => self.cannot_hand_back(&cause),
            Ok(()) if self.is_stuck => {}
            Ok(()) => self.open(),
        }
        if self.things != things && !things.is_empty() {
            self.desk.log().note(&Note::LeftAlone { source: FolderSource::NAME, things: &things });
        }
        self.things = things;
    }

    fn open(&mut self) {
        if !self.is_open {
            self.desk.log().note(&Note::SourceOpen { source: FolderSource::NAME });
        }
        self.is_open = true;
        self.desk.is(SourceState::Connected);
    }

    fn lose(&mut self, reason: &str) {
        self.is_open = false;
        self.desk.lost(reason);
    }

    fn cannot_hand_back(&mut self, cause: &std::io::Error) {
        self.lose(&format!("cannot hand back into {}: {cause}", self.config.path.display()));
    }

    /// Hands in what there is a place for, and hands back what is done.
    fn work(&mut self) {
        loop {
            if self.present.is_none() {
                let Some(name) = self.waiting.pop_front() else { return };
                self.begin(name);
            }
            let Some(batch) = &mut self.present else { continue };
            hand_in(&self.desk, batch);
            if !batch.is_done() || !self.finish() {
                return;
            }
        }
    }

    /// Reads a file; one that cannot be read is handed back at once.
    fn begin(&mut self, name: OsString) {
        match Batch::read(&self.config, &name) {
            Ok(batch) => self.present = Some(batch),
            // Taken away again before we came.
            Err(ReadFault::Gone) => {
                self.known.remove(&name);
            }
            Err(ReadFault::Refused { reason }) => self.present = Some(Batch::refused(name, reason)),
        }
    }

    /// Hands the present file back. Whether that could be done; if not it is tried again.
    fn finish(&mut self) -> bool {
        let Some(batch) = self.present.take() else { return true };
        let outcome = batch.outcome();
        match HandBack::of(&self.config.path).put(batch.name(), batch.identity(), &outcome) {
            Ok(()) => {
                self.n_files += 1;
                self.n_failed += u64::from(!outcome.is_good());
                batch.sequences().for_each(|sequence| self.desk.delivered(sequence));
                self.known.remove(batch.name());
                self.note(&outcome);
                self.is_stuck = false;
                self.open();
                true
            }
            Err(cause) => {
                self.n_unwritable += 1;
                self.is_stuck = true;
                self.cannot_hand_back(&cause);
                self.present = Some(batch);
                false
            }
        }
    }

    fn note(&self, outcome: &Outcome) {
        let source = FolderSource::NAME;
        match outcome {
            Outcome::Refused { reason } => self.desk.log().note(&Note::Refused { source, reason }),
            Outcome::Answers(told) => {
                for answer in told.iter().filter_map(Told::sequence) {
                    self.desk.log().note(&Note::Delivered { source, answer });
                }
            }
        }
    }

    fn answer(&mut self, answered: Answered) {
        if let Some(batch) = &mut self.present {
            batch.answer(&answered.request.id, answered.sequence, answered.answer);
        }
    }
}

/// Hands in images until all places are taken. What was answered before is not judged again.
fn hand_in(desk: &Desk, batch: &mut Batch) {
    // A place first: an image is unpacked when there is one for it.
    while desk.has_room()
        && let Some(Member { request, bytes }) = batch.next()
    {
        match desk.find(&request.id) {
            Ok(Some(record)) => {
                desk.log().note(&Note::AnsweredBefore { source: desk.name(), answer: record.sequence });
                batch.answer(&request.id, record.sequence, record.answer);
                continue;
            }
            Ok(None) => {}
            Err(cause) => {
                desk.log().note(&Note::JournalFault { reason: &cause.to_string() });
                batch.put_back(Member { request, bytes });
                return;
            }
        }
        let picture = Picture::File(bytes);
        let job = Job { request: Some(request), picture, arrived_ms: up_ms(), n_skipped: 0, link: None };
        if let Err(job) = desk.submit(job) {
            batch.put_back(Member::from(*job));
            return;
        }
    }
}

impl From<Job> for Member {
    fn from(job: Job) -> Self {
        let Job { request, picture, .. } = job;
        let request = request.expect("this source hands in requests only");
        let bytes = match picture {
            Picture::File(bytes) | Picture::Raw { samples: bytes, .. } => bytes,
        };
        Self { request, bytes }
    }
}
