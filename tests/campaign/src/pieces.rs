//! Work cut into pieces that any number of threads may take; what they saw adds up to the same.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A piece of a row's frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) row: usize,
    pub(crate) number: u64,
    pub(crate) n_frames: u64,
}

impl Piece {
    /// Its own seed, of the campaign's.
    pub(crate) fn seed(self, of: u64) -> u64 {
        of ^ ((self.row as u64) << 48) ^ (self.number << 16)
    }
}

/// Works through `n_frames` of each row, `largest` at a time, and adds up what was seen of each.
pub(crate) fn measure<S: Clone + Default + Send>(
    n_frames: &[u64],
    largest: u64,
    work: impl Fn(Piece) -> S + Sync,
    add: impl Fn(&mut S, &S) + Sync,
) -> Vec<S> {
    let of_row = |(row, &n_frames): (usize, &u64)| {
        (0..n_frames.div_ceil(largest)).map(move |number| {
            let n_frames = largest.min(n_frames - number * largest);
            Piece { row, number, n_frames }
        })
    };
    let pieces: Vec<Piece> = n_frames.iter().enumerate().flat_map(of_row).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        let mut sums = vec![S::default(); n_frames.len()];
        while let Some(&piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            add(&mut sums[piece.row], &work(piece));
        }
        sums
    };
    let mut total = vec![S::default(); n_frames.len()];
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..n_threads).map(|_| scope.spawn(take)).collect();
        for worker in workers {
            let sums = worker.join().expect("a broken assertion ends the campaign");
            total.iter_mut().zip(&sums).for_each(|(total, sum)| add(total, sum));
        }
    });
    total
}
