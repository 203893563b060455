//! Images that wait for the judge: a lane for each source, taken in turn.
//!
//! A lane of requests has a bounded number of places, and the source waits when they are taken: nothing is dropped. A lane of a live
//! source has one, and the newest image has it: what it replaced is counted.

use super::predictor::Predictor;
use remedis_bundle::Channels;
use remedis_store::Request;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An image as a source has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// A PNG, JPEG or DICOM file.
    File(Vec<u8>),
    /// Pixels of 8 bits a sample, rows from the top, channels interleaved.
    Raw {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Grey or colour.
        channels: Channels,
        /// `width * height * channels` samples.
        samples: Vec<u8>,
    },
}

impl Picture {
    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::File(bytes) | Self::Raw { samples: bytes, .. } => bytes,
        }
    }
}

/// An image to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What the source calls it, if it asks for an answer; a live image is shown and kept, and nobody asks.
    pub request: Option<Request>,
    /// The image.
    pub picture: Picture,
    /// When its last byte came, in [`up_ms`](crate::operation::clock::up_ms).
    pub arrived_ms: u64,
    /// Live images that were passed over since the last one that was judged.
    pub n_skipped: u64,
    /// What the source knows of how the image came, for the trace.
    pub link: Option<serde_json::Value>,
}

/// What the judge is to do next.
pub enum Next {
    /// Judge this image of this lane.
    Job(usize, Job),
    /// Go on with this model.
    Model(Box<dyn Predictor>),
    /// Nothing waited for as long as asked.
    Idle,
    /// There will be no more.
    Over,
}

/// The lanes.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lanes: Vec<Lane>,
    /// The lane whose turn it is.
    turn: usize,
    model: Option<Box<dyn Predictor>>,
    is_over: bool,
}

struct Lane {
    jobs: VecDeque<Job>,
    places: usize,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new lane with room for `places` images that wait.
    pub fn lane(&self, places: usize) -> usize {
        let mut waiting = self.lock();
        waiting.lanes.push(Lane { jobs: VecDeque::new(), places });
        waiting.lanes.len() - 1
    }

    /// Whether a lane has a free place.
    pub fn has_room(&self, lane: usize) -> bool {
        let lane = &self.lock().lanes[lane];
        lane.jobs.len() < lane.places
    }

    /// Puts a request in its lane.
    ///
    /// # Errors
    /// The job itself, when all places are taken.
    pub fn put(&self, lane: usize, job: Job) -> Result<(), Box<Job>> {
        let mut waiting = self.lock();
        let lane = &mut waiting.lanes[lane];
        if lane.jobs.len() >= lane.places {
            return Err(Box::new(job));
        }
        lane.jobs.push_back(job);
        drop(waiting);
        self.changed.notify_all();
        Ok(())
    }

    /// Puts a live image in place of one that still waits.
    pub fn replace(&self, lane: usize, mut job: Job) {
        let mut waiting = self.lock();
        let jobs = &mut waiting.lanes[lane].jobs;
        job.n_skipped += jobs.drain(..).map(|passed_over| passed_over.n_skipped + 1).sum::<u64>();
        jobs.push_back(job);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Has the judge go on with another model after its present image.
    pub fn install(&self, model: Box<dyn Predictor>) {
        self.lock().model = Some(model);
        self.changed.notify_all();
    }

    /// Ends the work: what waits is not judged any more, and was not promised.
    pub fn close(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Whether an image waits.
    pub fn is_waiting(&self) -> bool {
        let waiting = self.lock();
        waiting.is_over || waiting.model.is_some() || waiting.lanes.iter().any(|lane| !lane.jobs.is_empty())
    }

    /// How many images wait in a lane.
    pub fn depth(&self, lane: usize) -> usize {
        self.lock().lanes[lane].jobs.len()
    }

    /// What is next; waits for it, at most `patience`.
    pub fn next(&self, patience: Duration) -> Next {
        let is_idle = |waiting: &mut Waiting| {
            !waiting.is_over && waiting.model.is_none() && waiting.lanes.iter().all(|lane| lane.jobs.is_empty())
        };
        let waited = self.changed.wait_timeout_while(self.lock(), patience, is_idle);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.next()
    }
}

impl Waiting {
    fn next(&mut self) -> Next {
        if self.is_over {
            return Next::Over;
        }
        if let Some(model) = self.model.take() {
            return Next::Model(model);
        }
        let n_lanes = self.lanes.len();
        for step in 0..n_lanes {
            let lane = (self.turn + step) % n_lanes;
            if let Some(job) = self.lanes[lane].jobs.pop_front() {
                self.turn = (lane + 1) % n_lanes;
                return Next::Job(lane, job);
            }
        }
        Next::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: u8) -> Job {
        Job { request: None, picture: Picture::File(vec![name]), arrived_ms: 0, n_skipped: 0, link: None }
    }

    fn taken(queue: &Queue) -> Option<(usize, u8, u64)> {
        match queue.next(Duration::ZERO) {
            Next::Job(lane, job) => Some((lane, job.picture.bytes()[0], job.n_skipped)),
            _ => None,
        }
    }

    #[test]
    fn requests_wait_in_order_and_are_not_dropped() {
        let queue = Queue::default();
        let lane = queue.lane(2);
        queue.put(lane, job(1)).unwrap();
        queue.put(lane, job(2)).unwrap();
        assert_eq!(*queue.put(lane, job(3)).unwrap_err(), job(3), "the source keeps it");
        assert_eq!([taken(&queue), taken(&queue), taken(&queue)], [Some((0, 1, 0)), Some((0, 2, 0)), None]);
    }

    #[test]
    fn of_live_images_the_newest_is_judged_and_the_others_are_counted() {
        let queue = Queue::default();
        let lane = queue.lane(1);
        for name in 1..=4 {
            queue.replace(lane, job(name));
        }
        assert_eq!([taken(&queue), taken(&queue)], [Some((0, 4, 3)), None]);
    }

    #[test]
    fn sources_take_turns() {
        let queue = Queue::default();
        let (busy, rare) = (queue.lane(9), queue.lane(9));
        for name in 1..=3 {
            queue.put(busy, job(name)).unwrap();
        }
        queue.put(rare, job(9)).unwrap();
        let order: Vec<u8> = std::iter::from_fn(|| taken(&queue)).map(|(_, name, _)| name).collect();
        assert_eq!(order, [1, 9, 2, 3]);
    }

    #[test]
    fn a_closed_queue_is_over_at_once() {
        let queue = Queue::default();
        let lane = queue.lane(1);
        queue.put(lane, job(1)).unwrap();
        queue.close();
        assert!(matches!(queue.next(Duration::from_secs(60)), Next::Over));
    }
}
