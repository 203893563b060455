//! Ranks as threads of one process, which exchange through its memory: one for each GPU of a host.
//!
//! Burn's own sum between devices is not used. It is public (`burn::tensor::distributed::all_reduce`, NCCL on CUDA) but only back ends
//! on CubeCL have it and the CPU ones panic, so that nothing here could test the order of calls on which every rank would hang; its
//! other form, parameters marked as distributed, sums inside `backward` and knows neither the cut at the embedding nor the gathering
//! of embeddings. What memory costs instead is each gradient to the host and back (`SCALING.md`), while earlier layers are computed.

use std::sync::{Arc, Barrier, Mutex, PoisonError, RwLock};

use crate::exchange::Exchange;
use crate::{JoinError, Ranks};

/// As many ranks as `count`, each for a thread of this process. The end of one by [`Ranks::abort`] is the end of the process.
///
/// # Errors
/// If the operating system refuses the threads that exchange.
///
/// # Panics
/// If `count` is 0.
pub fn threads(count: usize) -> Result<Vec<Ranks>, JoinError> {
    assert!(count > 0, "a run has a rank");
    if count == 1 {
        return Ok(vec![Ranks::alone()]);
    }
    let empty = || (0..count).map(|_| RwLock::default()).collect();
    let shared =
        Arc::new(Shared { barrier: Barrier::new(count), given: empty(), sums: empty(), bytes: Mutex::default() });
    (0..count)
        .map(|rank| {
            let shared = Arc::clone(&shared);
            Ranks::over(move || Ok(Thread { rank, shared }))
        })
        .collect()
}

struct Thread {
    rank: usize,
    shared: Arc<Shared>,
}

struct Shared {
    barrier: Barrier,
    /// What each rank gave.
    given: Vec<RwLock<Vec<f32>>>,
    /// A part of the sum each, which one rank adds up for all.
    sums: Vec<RwLock<Vec<f32>>>,
    bytes: Mutex<Vec<u8>>,
}

impl Thread {
    /// Lays `values` open to the other ranks, and waits until all have.
    fn give(&self, values: &[f32]) {
        let mut own = self.shared.given[self.rank].write().unwrap_or_else(PoisonError::into_inner);
        own.clear();
        own.extend_from_slice(values);
        drop(own);
        self.shared.barrier.wait();
    }

    /// Adds up this rank's part of what all gave, in the order of the ranks.
    fn add_up(&self, part: std::ops::Range<usize>) {
        let mut sum = self.shared.sums[self.rank].write().unwrap_or_else(PoisonError::into_inner);
        sum.clear();
        for given in &self.shared.given {
            let given = given.read().unwrap_or_else(PoisonError::into_inner);
            if sum.is_empty() {
                sum.extend_from_slice(&given[part.clone()]);
            } else {
                sum.iter_mut().zip(&given[part.clone()]).for_each(|(sum, value)| *sum += value);
            }
        }
    }
}

impl Exchange for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.shared.given.len()
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn sum(&self, values: &mut [f32]) {
        let (length, count) = (values.len(), self.count());
        self.give(values);
        self.add_up(self.rank * length / count..(self.rank + 1) * length / count);
        // The next exchange writes sums only after a barrier that no rank reaches before it has read these.
        self.shared.barrier.wait();
        let mut rest = values;
        for sum in &self.shared.sums {
            let sum = sum.read().unwrap_or_else(PoisonError::into_inner);
            let (part, after) = rest.split_at_mut(sum.len());
            part.copy_from_slice(&sum);
            rest = after;
        }
    }

    fn gather(&self, values: &[f32]) -> Vec<f32> {
        self.give(values);
        let all =
            self.shared.given.iter().flat_map(|given| given.read().unwrap_or_else(PoisonError::into_inner).clone());
        let all = all.collect();
        self.shared.barrier.wait();
        all
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) {
        let open = || self.shared.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rank == 0 {
            open().clone_from(bytes);
        }
        self.shared.barrier.wait();
        if self.rank > 0 {
            bytes.clone_from(&open());
        }
        self.shared.barrier.wait();
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `work` as each of `count` ranks.
    fn as_ranks(count: usize, work: impl Fn(Ranks) + Sync) {
        std::thread::scope(|scope| {
            for ranks in threads(count).unwrap() {
                scope.spawn(|| work(ranks));
            }
        });
    }

    #[test]
    fn threads_sum_gather_and_broadcast_many_times_over() {
        for count in [2, 3, 5] {
            as_ranks(count, |ranks| {
                let rank = ranks.rank() as f32;
                let all = (count * (count - 1) / 2) as f32;
                for round in 0..50 {
                    // Shorter than the ranks are many, too.
                    let values: Vec<f32> = (0..round % 7).map(|i| rank + i as f32).collect();
                    let expected: Vec<f32> = (0..round % 7).map(|i| all + (count * i) as f32).collect();
                    let pending = ranks.start_sum(values);
                    assert_eq!(ranks.gather(vec![rank; 2]).len(), 2 * count);
                    assert_eq!(pending.wait(), expected);
                    let each: Vec<f32> = (0..count).map(|other| other as f32).collect();
                    assert_eq!(ranks.gather(vec![rank]), each);
                    assert_eq!(ranks.broadcast(vec![ranks.rank() as u8 + round as u8; 3]), vec![round as u8; 3]);
                }
            });
        }
    }

    #[test]
    fn all_threads_get_the_same_bits() {
        let found = Mutex::new(Vec::new());
        as_ranks(4, |ranks| {
            let values = (0..101).map(|i| ((i * 37 + ranks.rank() * 11) % 101) as f32 / 7.3).collect();
            let bits: Vec<u32> = ranks.sum(values).into_iter().map(f32::to_bits).collect();
            found.lock().unwrap().push(bits);
        });
        let found = found.into_inner().unwrap();
        assert!(found.iter().all(|bits| *bits == found[0]) && found[0].len() == 101);
    }

    #[test]
    fn one_rank_is_alone_and_each_of_several_knows_its_place() {
        assert!(!threads(1).unwrap()[0].are_several());
        let places: Vec<_> = threads(3).unwrap().iter().map(|it| (it.rank(), it.count(), it.local_rank())).collect();
        assert_eq!(places, [(0, 3, 0), (1, 3, 1), (2, 3, 2)]);
    }
}
