//! How rows of channels are cut and walked.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

/// Runs `work` compiled for the widest vectors of this processor. The closure itself and what it calls must be `#[inline(always)]`: what
/// stays a function of its own is compiled for the oldest processor, where a fused multiply-add is a call, and the loop ten times slower.
#[inline]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Values of a piece worth a thread's while, whole rows of `width` out of `len` values; shapes alone decide.
pub(crate) fn piece(len: usize, width: usize) -> usize {
    const VALUES: usize = 1 << 15;
    const PIECES: usize = 64;
    let rows = len / width;
    (VALUES / width).max(rows.div_ceil(PIECES)).clamp(1, rows.max(1)) * width
}

/// A vector of `len` values made by threads, piece after piece of `size`, and what each piece gave besides.
///
/// `each` is given the number of its piece and zeros to write over. They are written just before, into the core's cache: one pass over
/// the whole vector beforehand, as `vec![0.0; len]` makes, took a tenth of a step of ResNet-18, and the other threads waited for it.
pub(crate) fn made<R: Send>(
    len: usize,
    size: usize,
    each: impl Fn(usize, &mut [f32]) -> R + Send + Sync,
) -> (Vec<f32>, Vec<R>) {
    let mut values = Vec::with_capacity(len);
    let fresh: &mut [MaybeUninit<f32>] = &mut values.spare_capacity_mut()[..len];
    let found = fresh
        .par_chunks_mut(size.max(1))
        .enumerate()
        .map(|(i, piece)| {
            for value in &mut *piece {
                value.write(0.0);
            }
            // SAFETY: the loop above has written every value of the piece.
            each(i, unsafe { piece.assume_init_mut() })
        })
        .collect();
    // SAFETY: the pieces are the whole of the first `len` values, and each was written; had one panicked, we would not be here.
    unsafe { values.set_len(len) };
    (values, found)
}

/// [`made`] of a map of the same pieces of `x`.
pub(crate) fn mapped(x: &[f32], size: usize, each: impl Fn(&[f32], &mut [f32]) + Send + Sync) -> Vec<f32> {
    made(x.len(), size, |i, y| each(&x[i * size..][..y.len()], y)).0
}

/// [`made`] of a map of the same pieces of `a` and `b`.
///
/// # Panics
/// If they are not of one length.
pub(crate) fn zipped(
    [a, b]: [&[f32]; 2],
    size: usize,
    each: impl Fn([&[f32]; 2], &mut [f32]) + Send + Sync,
) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "two maps of one shape");
    made(a.len(), size, |i, y| each([a, b].map(|x| &x[i * size..][..y.len()]), y)).0
}

/// `count` split into pieces of `size`, the last one shorter.
pub(crate) fn pieces(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..count).step_by(size.max(1)).map(move |start| start..(start + size).min(count))
}

/// Adds `from` to `to`.
#[inline(always)]
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// Rows whose sum is taken in 32 bits before it is added to one of 64: sums that cancel keep their digits, at the price of a
/// sixteenth of them.
pub(crate) const NARROW: usize = 16;

/// Adds `from` to `to` and clears it.
#[inline(always)]
pub(crate) fn widen(to: &mut [f64], from: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += f64::from(*from);
        *from = 0.0;
    }
}

/// The sum of lists of one length.
pub(crate) fn total(parts: &[Vec<f64>], len: usize) -> Vec<f64> {
    let mut sums = vec![0.0; len];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}

/// As 32-bit floats.
pub(crate) fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// Lends `len` values of this thread's scratch memory, whatever they were.
pub(crate) fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });
    // Taken, not borrowed: while it waits, a thread may pick up other work that wants scratch too.
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let found = work(&mut scratch[..len]);
    SCRATCH.set(scratch);
    found
}

/// Runs `$call` for blocks of channels, `$n` being the constant length of the block that begins at `$first`: lengths that a
/// loop keeps in registers.
macro_rules! by_channels {
    ($channels:expr, $first:ident, $n:ident => $call:expr) => {
        let mut $first = 0;
        macro_rules! of {
            ($size:literal) => {
                while $channels - $first >= $size {
                    const $n: usize = $size;
                    $call;
                    $first += $size;
                }
            };
        }
        of!(32);
        of!(16);
        of!(8);
        of!(1);
    };
}
pub(crate) use by_channels;
