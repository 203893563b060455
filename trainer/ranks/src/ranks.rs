//! A rank among the others.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::JoinError;
use crate::exchange::Exchange;

/// This rank and, through a thread that exchanges, the others. Copies are of one and the same.
#[derive(Clone, Debug)]
pub struct Ranks {
    rank: usize,
    count: usize,
    local_rank: usize,
    /// `None` when alone.
    line: Option<Arc<Line>>,
}

/// The way to the thread that exchanges.
#[derive(Debug)]
struct Line {
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread is asked for, and where the answer goes.
enum Job {
    Sum(Vec<f32>, Sender<Vec<f32>>),
    Gather(Vec<f32>, Sender<Vec<f32>>),
    Broadcast(Vec<u8>, Sender<Vec<u8>>),
    Abort(i32),
}

/// A sum under way.
#[derive(Debug)]
#[must_use]
pub struct Pending(Wait);

#[derive(Debug)]
enum Wait {
    There(Vec<f32>),
    Coming(Receiver<Vec<f32>>),
}

const GONE: &str = "the thread that exchanges with the other ranks has ended";

impl Pending {
    /// The sum, as soon as it is there.
    ///
    /// # Panics
    /// If the exchange ended before.
    #[must_use]
    pub fn wait(self) -> Vec<f32> {
        match self.0 {
            Wait::There(values) => values,
            Wait::Coming(answer) => answer.recv().expect(GONE),
        }
    }
}

impl Ranks {
    /// The only rank there is: sums and gathers what it has.
    #[must_use]
    pub const fn alone() -> Self {
        Self { rank: 0, count: 1, local_rank: 0, line: None }
    }

    /// Ranks that exchange by what `start` starts, on a thread of its own.
    ///
    /// # Errors
    /// If the thread or the engine does not start.
    pub fn over<E: Exchange>(start: impl FnOnce() -> Result<E, JoinError> + Send + 'static) -> Result<Self, JoinError> {
        let (jobs, orders) = channel();
        let (ready, started) = channel();
        let thread = std::thread::Builder::new().name("ranks".to_owned()).spawn(move || match start() {
            Ok(engine) => {
                let place = (engine.rank(), engine.count(), engine.local_rank());
                if ready.send(Ok(place)).is_ok() {
                    serve(&engine, &orders);
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        })?;
        let (rank, count, local_rank) =
            started.recv().map_err(|_ended| JoinError::NotStarted { reason: "its thread ended" })??;
        let line = Line { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) };
        Ok(Self { rank, count, local_rank, line: Some(Arc::new(line)) })
    }

    /// This process's rank, from 0.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// Number of ranks.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// This process's number among those on its host, from 0.
    #[must_use]
    pub const fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// Whether this is rank 0, which alone writes files and speaks.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Whether there are others.
    #[must_use]
    pub const fn are_several(&self) -> bool {
        self.count > 1
    }

    /// Begins to sum `values` over the ranks, number by number. All ranks get the same bits.
    pub fn start_sum(&self, values: Vec<f32>) -> Pending {
        Pending(match &self.line {
            None => Wait::There(values),
            Some(line) => Wait::Coming(line.ask(|answer| Job::Sum(values, answer))),
        })
    }

    /// The sum of `values` over the ranks.
    #[must_use]
    pub fn sum(&self, values: Vec<f32>) -> Vec<f32> {
        self.start_sum(values).wait()
    }

    /// The values of all ranks in the order of the ranks; each must give as many.
    ///
    /// # Panics
    /// If the exchange ended before.
    #[must_use]
    pub fn gather(&self, values: Vec<f32>) -> Vec<f32> {
        match &self.line {
            None => values,
            Some(line) => line.ask(|answer| Job::Gather(values, answer)).recv().expect(GONE),
        }
    }

    /// What rank 0 gives; the others' bytes do not matter.
    ///
    /// # Panics
    /// If the exchange ended before.
    #[must_use]
    pub fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.line {
            None => bytes,
            Some(line) => line.ask(|answer| Job::Broadcast(bytes, answer)).recv().expect(GONE),
        }
    }

    /// Whether any rank says so; all ranks get the same answer.
    #[must_use]
    pub fn any(&self, flag: bool) -> bool {
        if self.are_several() { self.sum(vec![f32::from(u8::from(flag))])[0] > 0.0 } else { flag }
    }

    /// Ends all other ranks, which would wait for this one for ever. Alone, this returns.
    pub fn abort(&self, code: u8) {
        if let Some(line) = &self.line {
            line.send(Job::Abort(i32::from(code)));
            line.end();
        }
    }

    /// Ends the exchange, which all ranks do together; afterwards this process is alone.
    #[must_use]
    pub fn leave(self) -> Self {
        if let Some(line) = &self.line {
            line.end();
        }
        Self::alone()
    }
}

impl Line {
    fn ask<T>(&self, job: impl FnOnce(Sender<T>) -> Job) -> Receiver<T> {
        let (answer, wait) = channel();
        self.send(job(answer));
        wait
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        // Where the thread has ended, the wait for its answer says so.
        drop(jobs.as_ref().map(|jobs| jobs.send(job)));
    }

    /// Has the thread do what it was asked for and end.
    fn end(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(thread.map(JoinHandle::join));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(engine: &impl Exchange, orders: &Receiver<Job>) {
    for job in orders {
        // An answer that nobody waits for any more is no failure.
        match job {
            Job::Sum(mut values, answer) => {
                engine.sum(&mut values);
                drop(answer.send(values));
            }
            Job::Gather(values, answer) => drop(answer.send(engine.gather(&values))),
            Job::Broadcast(mut bytes, answer) => {
                engine.broadcast(&mut bytes);
                drop(answer.send(bytes));
            }
            Job::Abort(code) => engine.abort(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_sums_and_gathers_what_it_has() {
        let ranks = Ranks::alone();
        assert_eq!(ranks.sum(vec![1.0, 2.0]), [1.0, 2.0]);
        assert_eq!(ranks.gather(vec![3.0]), [3.0]);
        assert_eq!(ranks.broadcast(vec![7]), [7]);
        assert!(ranks.any(true) && !ranks.any(false) && ranks.is_first() && !ranks.are_several());
    }

    /// An engine of two ranks, both of which have the same values.
    struct Twin;

    impl Exchange for Twin {
        fn rank(&self) -> usize {
            1
        }
        fn count(&self) -> usize {
            2
        }
        fn local_rank(&self) -> usize {
            1
        }
        fn sum(&self, values: &mut [f32]) {
            values.iter_mut().for_each(|value| *value *= 2.0);
        }
        fn gather(&self, values: &[f32]) -> Vec<f32> {
            values.repeat(2)
        }
        fn broadcast(&self, bytes: &mut Vec<u8>) {
            *bytes = vec![9];
        }
        fn abort(&self, _code: i32) -> ! {
            panic!("aborted")
        }
    }

    #[test]
    fn exchanges_are_answered_in_the_order_in_which_they_were_asked_for() {
        let ranks = Ranks::over(|| Ok(Twin)).unwrap();
        assert_eq!((ranks.rank(), ranks.count(), ranks.local_rank()), (1, 2, 1));
        let first = ranks.start_sum(vec![1.0]);
        let second = ranks.start_sum(vec![2.0, 3.0]);
        assert_eq!(ranks.gather(vec![5.0]), [5.0, 5.0]);
        assert_eq!((first.wait(), second.wait()), (vec![2.0], vec![4.0, 6.0]));
        assert_eq!(ranks.broadcast(vec![]), [9]);
        assert!(ranks.any(true) && !ranks.any(false));
        assert!(!ranks.leave().are_several());
    }

    #[test]
    fn an_engine_that_does_not_start_says_so() {
        let error = Ranks::over::<Twin>(|| Err(JoinError::NotStarted { reason: "no network" })).unwrap_err();
        assert_eq!(error.to_string(), "MPI did not start: no network");
    }
}
