//! Matrix products: values read where they lie.

use std::arch::x86_64::*;

use super::{Ends, Work, add_products, all, float_vectors, store, vectors, with_avx512};
use crate::conv::{Job, Matrix};
use crate::picture::BLOCK;

/// As [`crate::portable::conv`].
pub(crate) fn conv(job: Job<'_, i8>) {
    let Matrix { run, kernel_rows, weights, bias, .. } = job.matrix;
    // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths are checked.
    unsafe {
        with_avx512(|| job.check(4, 1));
        let task = Task {
            input: job.input.as_ptr(),
            starts: job.starts.as_ptr(),
            kernel_rows,
            run,
            weights: weights.as_ptr(),
            bias: bias.as_ptr(),
            multipliers: job.multipliers.as_ptr(),
            ends: Ends::of(job.limits),
            targets: job.targets.as_ptr(),
            output: job.output.as_mut_ptr(),
        };
        all(&task, job.targets.len(), bias.len() / BLOCK);
    }
}

/// As [`crate::portable::sums`].
pub(crate) fn sums(values: &[i8], matrix: Matrix<'_>, sums: &mut [i32]) {
    let Matrix { run, bias, kernel_rows, .. } = matrix;
    matrix.check(4);
    assert!(sums.len() == bias.len() && kernel_rows == 1 && run <= values.len());
    let blocks = bias.len() / BLOCK;
    let whole = blocks / TOGETHER * TOGETHER;
    // SAFETY: as in `conv`.
    unsafe {
        (0..whole).step_by(TOGETHER).for_each(|block| some_sums::<TOGETHER>(values, matrix, sums, block));
        (whole..blocks).for_each(|block| some_sums::<1>(values, matrix, sums, block));
    }
}

/// Blocks of the last layer computed at once: enough to have sums ready when they are added to again.
const TOGETHER: usize = 8;

/// The sums of `B` blocks.
///
/// # Safety
/// AVX-512 with VNNI; the lengths fit each other, and there are as many blocks.
#[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
unsafe fn some_sums<const B: usize>(values: &[i8], matrix: Matrix<'_>, sums: &mut [i32], block: usize) {
    let Matrix { run, weights, bias, .. } = matrix;
    // SAFETY: promised; stores need no alignment.
    unsafe {
        let mut found = [vectors::<B>(bias.as_ptr().add(block * BLOCK))];
        let weights = weights.as_ptr().add(block * BLOCK * run);
        add_products([values.as_ptr()], run, weights, BLOCK * run, &mut found);
        for (at, sixteen) in found[0].into_iter().enumerate() {
            _mm512_storeu_si512(sums.as_mut_ptr().add((block + at) * BLOCK).cast(), sixteen);
        }
    }
}

/// A [`Job`] whose lengths were checked.
struct Task {
    input: *const i8,
    starts: *const u32,
    kernel_rows: usize,
    run: usize,
    weights: *const i8,
    bias: *const i32,
    multipliers: *const f32,
    ends: Ends,
    targets: *const u32,
    output: *mut i8,
}

impl Work for Task {
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vl,avx512vnni")]
    unsafe fn tile<const N: usize, const B: usize>(&self, pixel: usize, block: usize) {
        let Self { kernel_rows, run, .. } = *self;
        let depth = kernel_rows * run;
        // SAFETY: promised.
        unsafe {
            let mut sums = [vectors::<B>(self.bias.add(block * BLOCK)); N];
            let weights = self.weights.add(block * BLOCK * depth);
            for row in 0..kernel_rows {
                let values = std::array::from_fn(|at| {
                    self.input.add(*self.starts.add((pixel + at) * kernel_rows + row) as usize)
                });
                add_products(values, run, weights.add(row * run * BLOCK), depth * BLOCK, &mut sums);
            }
            let multipliers = float_vectors(self.multipliers.add(block * BLOCK));
            for (at, sums) in sums.into_iter().enumerate() {
                let target = *self.targets.add(pixel + at) as usize;
                store::<B>(sums, multipliers, self.ends, self.output.add(target + block * BLOCK));
            }
        }
    }
}
