//! Threads that do parts of one piece of work together.
//!
//! A network on a small picture is some fifty pieces of work of 10 to 100 µs each, so whoever waits for the next one looks for it
//! a while before it sleeps: waking a sleeping thread takes as long as a piece.

use std::cell::UnsafeCell;
use std::fmt;
use std::hint::spin_loop;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long to look for work, or for others to finish, before the processor is given away.
const PATIENCE: Duration = Duration::from_micros(200);
/// Looks between two looks at the clock.
const LOOKS: usize = 64;

/// The calling thread and its helpers, which live as long as the team. Nothing is allocated after [`Team::new`].
pub struct Team {
    common: Arc<Common>,
    helpers: Vec<JoinHandle<()>>,
}

/// A piece of work: told which part, from 0.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

struct Common {
    /// Counts pieces of work.
    round: AtomicUsize,
    /// The newest piece.
    work: UnsafeCell<Option<*const Work<'static>>>,
    /// Helpers that have not finished it.
    busy: AtomicUsize,
    has_failed: AtomicBool,
    has_ended: AtomicBool,
    n_asleep: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `work` is written only by `Team::run` while no helper is busy, and read by helpers only while they are: `round` and `busy`
// order the two. What it points to is `Sync`.
unsafe impl Send for Common {}
// SAFETY: as above.
unsafe impl Sync for Common {}

impl Team {
    /// Starts `size - 1` helpers.
    ///
    /// # Errors
    /// If the operating system starts no more threads.
    pub fn new(size: usize) -> io::Result<Self> {
        let common = Arc::new(Common {
            round: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            busy: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            n_asleep: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut team = Self { common, helpers: Vec::new() };
        for part in 1..size {
            let common = Arc::clone(&team.common);
            let builder = thread::Builder::new().name(format!("remedis-{part}"));
            team.helpers.push(builder.spawn(move || common.help(part))?);
        }
        Ok(team)
    }

    /// How many work together, the caller included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `work` with 0 to `size - 1`, each on a thread of its own, and returns when all are done.
    ///
    /// # Panics
    /// If one of them does.
    pub fn run(&mut self, work: &Work<'_>) {
        if self.helpers.is_empty() {
            return work(0);
        }
        let common = &*self.common;
        // SAFETY: only the lifetime changes, and `Waiting` keeps this function from ending, by return or panic, before every
        // helper has finished with the reference. No helper is busy, so nobody reads the cell.
        unsafe {
            let work = std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work);
            *common.work.get() = Some(work);
        }
        common.busy.store(self.helpers.len(), Ordering::Relaxed);
        common.next_round();
        let waiting = Waiting(common);
        work(0);
        drop(waiting);
        assert!(!common.has_failed.load(Ordering::Relaxed), "a part of the work failed on another thread");
    }
}

/// Waits for the helpers when it goes out of scope.
struct Waiting<'a>(&'a Common);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let is_done = || self.0.busy.load(Ordering::Acquire) == 0;
        while !look(is_done) {
            // They are at work, on processors that others may need too.
            thread::yield_now();
        }
    }
}

/// Looks for `what` for a while.
fn look(what: impl Fn() -> bool) -> bool {
    let mut start = None;
    loop {
        for _ in 0..LOOKS {
            if what() {
                return true;
            }
            spin_loop();
        }
        if start.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return false;
        }
    }
}

impl Common {
    fn next_round(&self) {
        self.round.fetch_add(1, Ordering::SeqCst);
        // Whoever counts itself asleep after this looks at the round again and finds it new.
        if self.n_asleep.load(Ordering::SeqCst) > 0 {
            drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }

    fn help(&self, part: usize) {
        let mut seen = 0;
        loop {
            if !look(|| self.round.load(Ordering::Acquire) != seen) {
                self.sleep_through(seen);
            }
            seen = seen.wrapping_add(1);
            if self.has_ended.load(Ordering::Acquire) {
                return;
            }
            // SAFETY: the round is new, so the cell was written before it, and is not written again, nor what it points to
            // dropped, before `busy` falls.
            let work = unsafe { (*self.work.get()).map(|work| &*work) };
            if catch_unwind(AssertUnwindSafe(|| work.map(|work| work(part)))).is_err() {
                self.has_failed.store(true, Ordering::Relaxed);
            }
            self.busy.fetch_sub(1, Ordering::Release);
        }
    }

    fn sleep_through(&self, round: usize) {
        self.n_asleep.fetch_add(1, Ordering::SeqCst);
        let mut lock = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        while self.round.load(Ordering::SeqCst) == round {
            lock = self.wake.wait(lock).unwrap_or_else(PoisonError::into_inner);
        }
        drop(lock);
        self.n_asleep.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.common.has_ended.store(true, Ordering::Release);
        self.common.next_round();
        for helper in self.helpers.drain(..) {
            // It catches panics of the work and does nothing else that could.
            drop(helper.join());
        }
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Team").field("size", &self.size()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_in_every_round() {
        let mut team = Team::new(3).unwrap();
        let counts: [AtomicUsize; 3] = std::array::from_fn(|_| AtomicUsize::new(0));
        for round in 1..=2000 {
            team.run(&|part| {
                counts[part].fetch_add(1, Ordering::Relaxed);
            });
            // All have finished: nobody's count is behind.
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == round));
        }
    }

    #[test]
    fn helpers_that_went_to_sleep_are_woken() {
        let mut team = Team::new(2).unwrap();
        for round in 1..=5 {
            while team.common.n_asleep.load(Ordering::SeqCst) < 1 {
                thread::yield_now();
            }
            let sum = AtomicUsize::new(0);
            team.run(&|part| {
                sum.fetch_add(part * round, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), round);
        }
    }

    #[test]
    fn a_failing_part_fails_the_work_and_ends_it_first() {
        for failing in 0..2 {
            let mut team = Team::new(2).unwrap();
            let done = AtomicUsize::new(0);
            let failed = catch_unwind(AssertUnwindSafe(|| {
                team.run(&|part| {
                    assert_ne!(part, failing, "on purpose");
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }));
            assert!(failed.is_err());
            assert_eq!(done.into_inner(), 1);
        }
    }
}
