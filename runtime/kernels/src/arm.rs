//! NEON of 32-bit ARM, which not every ARMv7 has. The standard library's names for it are not stable, so the loops are assembly.

use std::arch::global_asm;
use std::ffi::c_ulong;

use crate::conv::{Job, Matrix};
use crate::depthwise::Row;
use crate::kernels::Kernels;
use crate::picture::BLOCK;
use crate::requantise::Limits;

global_asm!(include_str!("arm/neon.s"), options(raw));

const _: () = assert!(cfg!(target_endian = "little"), "vectors of bytes are read as vectors of pairs");

/// Whether this processor has NEON, by the kernel's word.
pub(crate) fn has_neon() -> bool {
    unsafe extern "C" {
        safe fn getauxval(what: c_ulong) -> c_ulong;
    }
    const CAPABILITIES: c_ulong = 16;
    const NEON: c_ulong = 1 << 12;
    getauxval(CAPABILITIES) & NEON != 0
}

/// What `conv` reads, word by word. Pointers into the constants and the output are those of a block of outputs.
#[repr(C)]
struct Block {
    input: *const i8,
    starts: *const u32,
    kernel_rows: usize,
    run: usize,
    weights: *const i8,
    bias: *const i32,
    multipliers: *const f32,
    targets: *const u32,
    output: *mut i8,
    pixels: usize,
    limits: Bytes,
}

/// What `depthwise` reads, word by word. Pointers are those of sixteen channels.
#[repr(C)]
struct Channels {
    inputs: *const *const i8,
    rows: usize,
    columns: usize,
    stride_bytes: usize,
    step: usize,
    weights: *const i8,
    bias: *const i32,
    multipliers: *const f32,
    output: *mut i8,
    places: usize,
    limits: Bytes,
}

/// [`Limits`] in the order that the loops read.
#[repr(C)]
#[derive(Clone, Copy)]
struct Bytes {
    zero_point: i8,
    low: i8,
    high: i8,
}

impl Bytes {
    fn of(limits: Limits) -> Self {
        Self { zero_point: limits.zero_point, low: limits.low, high: limits.high }
    }
}

unsafe extern "C" {
    fn remedis_kernels_arm_conv(block: &Block);
    fn remedis_kernels_arm_depthwise(channels: &Channels);
}

/// Those of NEON; only for processors that have it.
pub(crate) fn kernels() -> Kernels<i8> {
    // The last layer is one pixel, read once: loops for two at a time have nothing to offer.
    Kernels { conv, depthwise, visits: None, two: None, four: None, ..Kernels::portable() }
}

/// As [`crate::portable::conv`]; only for [`Instructions::Neon`](crate::backend::Instructions).
fn conv(job: Job<'_>) {
    let Matrix { run, kernel_rows, weights, bias, .. } = job.matrix;
    let (depth, pixels) = (run * kernel_rows, job.targets.len());
    job.check(4, BLOCK);
    for first in (0..bias.len()).step_by(BLOCK) {
        // SAFETY: `Backend` carries these instructions only where the processor was seen to have them; the lengths were checked.
        unsafe {
            remedis_kernels_arm_conv(&Block {
                input: job.input.as_ptr(),
                starts: job.starts.as_ptr(),
                kernel_rows,
                run,
                weights: weights.as_ptr().add(first * depth),
                bias: bias.as_ptr().add(first),
                multipliers: job.multipliers.as_ptr().add(first),
                targets: job.targets.as_ptr(),
                output: job.output.as_mut_ptr().add(first),
                pixels,
                limits: Bytes::of(job.limits),
            });
        }
    }
}

/// As [`crate::portable::depthwise`]; only for [`Instructions::Neon`](crate::backend::Instructions).
fn depthwise(row: Row<'_>) {
    let (rows, columns, step) = (row.inputs.len(), row.columns, row.step);
    let places = row.output.len() / step;
    assert!(rows > 0 && columns > 0 && row.output.len() == places * step && step.is_multiple_of(BLOCK));
    assert!(row.weights.len() == rows * columns * step && row.bias.len() == step && row.multipliers.len() == step);
    let needed = (places.max(1) - 1) * row.stride * step + columns * step;
    assert!(row.inputs.iter().all(|values| needed <= values.len()), "a row of values is too short");
    let mut inputs = [std::ptr::null(); crate::conv::MOST_ROWS];
    for first in (0..step).step_by(BLOCK) {
        // SAFETY: as in `conv`.
        unsafe {
            for (pointer, values) in inputs.iter_mut().zip(row.inputs) {
                *pointer = values.as_ptr().add(first);
            }
            remedis_kernels_arm_depthwise(&Channels {
                inputs: inputs[..rows].as_ptr(),
                rows,
                columns,
                stride_bytes: row.stride * step,
                step,
                weights: row.weights.as_ptr().add(first),
                bias: row.bias.as_ptr().add(first),
                multipliers: row.multipliers.as_ptr().add(first),
                output: row.output.as_mut_ptr().add(first),
                places,
                limits: Bytes::of(row.limits),
            });
        }
    }
}
