//! Where a source hands in images and gets its answers: the only door between sources and the rest of the device.

use super::queue::{Job, Queue};
use crate::board::{Board, SourceState, SourceStatus};
use crate::ledger::Ledger;
use crate::log::{Log, Note};
use crate::operation::alarm::Alarm;
use remedis_store::{Answer, ReadError, Record, Request};
use std::sync::Arc;

/// An answer that is durable.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What the source called it.
    pub request: Request,
    /// Its number in the journal.
    pub sequence: u64,
    /// The answer.
    pub answer: Answer,
}

/// What a source does with an answer; it must not wait long.
pub type Reply = Box<dyn Fn(Answered) + Send + Sync>;

/// Makes desks, and keeps what the judge needs of them.
pub struct Desks {
    pub(super) queue: Arc<Queue>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) board: Arc<Board>,
    pub(super) log: Log,
    pub(super) lanes: Vec<(&'static str, Option<Reply>)>,
}

impl Desks {
    /// No desk yet.
    pub fn new(queue: Arc<Queue>, ledger: Arc<Ledger>, board: Arc<Board>, log: Log) -> Self {
        Self { queue, ledger, board, log, lanes: vec![] }
    }

    /// The desk of a source that asks for answers, with room for `places` images that wait.
    pub fn requests(&mut self, name: &'static str, places: usize, reply: Reply) -> Desk {
        self.open(name, places, Some(reply))
    }

    /// The desk of a live source: the newest image wins, and nobody waits for the answer.
    pub fn live(&mut self, name: &'static str) -> Desk {
        self.open(name, 1, None)
    }

    fn open(&mut self, name: &'static str, places: usize, reply: Option<Reply>) -> Desk {
        let lane = self.queue.lane(places);
        self.lanes.push((name, reply));
        self.board.change(|state| state.sources.push(SourceStatus { name, ..SourceStatus::default() }));
        Desk {
            lane,
            name,
            queue: Arc::clone(&self.queue),
            ledger: Arc::clone(&self.ledger),
            board: Arc::clone(&self.board),
            log: self.log.clone(),
        }
    }
}

/// A source's place at the device.
#[derive(Clone)]
pub struct Desk {
    lane: usize,
    name: &'static str,
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    board: Arc<Board>,
    log: Log,
}

impl Desk {
    /// As settings and journal call the source.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What a request was answered before, perhaps by an earlier run of the device.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn find(&self, request: &str) -> Result<Option<Record>, ReadError> {
        self.ledger.find(self.name, request)
    }

    /// Whether there is a place for a request. Only the source takes places, so it is still there when one is handed in.
    pub fn has_room(&self) -> bool {
        self.queue.has_room(self.lane)
    }

    /// Hands in a request.
    ///
    /// # Errors
    /// The job itself, when all places are taken: hold the source back and come again.
    pub fn submit(&self, job: Job) -> Result<(), Box<Job>> {
        self.queue.put(self.lane, job)
    }

    /// Hands in a live image, in place of one that still waits.
    pub fn offer(&self, job: Job) {
        self.queue.replace(self.lane, job);
    }

    /// Whoever asked has the answer.
    pub fn delivered(&self, sequence: u64) {
        if let Err(cause) = self.ledger.delivered(sequence) {
            // The mark only saves a repetition: whoever asked has the answer.
            self.log.note(&Note::JournalFault { reason: &cause.to_string() });
        }
    }

    /// Shows what the source is doing.
    pub fn is(&self, now: SourceState) {
        let is_other = self.board.look(|state| state.sources[self.lane].state != now);
        if is_other {
            self.board.change(|state| {
                let source = &mut state.sources[self.lane];
                source.state = now;
                if now != SourceState::Lost {
                    source.trouble = None;
                }
            });
        }
        if now != SourceState::Lost {
            self.board.clear(Alarm::SourceLost(self.name));
        }
    }

    /// The source is not there, for this reason; said once as long as it is the same.
    pub fn lost(&self, reason: &str) {
        self.is(SourceState::Lost);
        self.board.change(|state| state.sources[self.lane].trouble = Some(reason.to_owned()));
        if self.board.raise(Alarm::SourceLost(self.name), reason) {
            self.log.note(&Note::SourceLost { source: self.name, reason });
        }
    }

    /// Shows what the source's line has met so far, by kind.
    pub fn count(&self, counters: &[(&'static str, u64)]) {
        let is_same = self.board.look(|state| {
            let known = &state.sources[self.lane].counters;
            counters.iter().all(|(kind, n)| known.get(kind).copied().unwrap_or(0) == *n)
        });
        if !is_same {
            self.board.change(|state| state.sources[self.lane].counters.extend(counters.iter().copied()));
        }
    }

    /// The device's log.
    pub fn log(&self) -> &Log {
        &self.log
    }
}
