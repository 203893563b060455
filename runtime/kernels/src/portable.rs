//! The inner loops in plain Rust, over the packed weights of any family.
//!
//! Sums wrap around, as they do in processors' vectors: constructors refuse layers whose sums could, but a file may hold any weights.

use std::array::from_fn;

use crate::Family;
use crate::conv::{Job, Matrix, Tiles, group, slot};
use crate::depthwise::Row;
use crate::picture::{BLOCK, Value};
use crate::winograd::{Tile, both, place};

/// As the specification of every `conv` of a processor.
pub(crate) fn conv<T: Value>(job: Job<'_, T>) {
    let Matrix { family, run, kernel_rows, weights, bias } = job.matrix;
    let depth = kernel_rows * run;
    for (starts, &target) in job.starts.chunks_exact(kernel_rows).zip(job.targets) {
        for (block, weights) in weights.chunks_exact(depth * BLOCK).enumerate() {
            let mut sums = [0; BLOCK];
            sums.copy_from_slice(&bias[block * BLOCK..][..BLOCK]);
            for (start, weights) in starts.iter().zip(weights.chunks_exact(run * BLOCK)) {
                add_products(&job.input[*start as usize..][..run], weights, family, &mut sums);
            }
            let output = &mut job.output[target as usize + block * BLOCK..][..BLOCK];
            for ((output, sum), multiplier) in output.iter_mut().zip(sums).zip(&job.multipliers[block * BLOCK..]) {
                *output = T::of(job.limits.store(sum as f32 * multiplier).into());
            }
        }
    }
}

/// One run times all weights, as sums.
pub(crate) fn sums<T: Value>(values: &[T], matrix: Matrix<'_>, sums: &mut [i32]) {
    sums.copy_from_slice(matrix.bias);
    let (sums, _) = sums.as_chunks_mut::<BLOCK>();
    for (sums, weights) in sums.iter_mut().zip(matrix.weights.chunks_exact(matrix.run * BLOCK)) {
        add_products(&values[..matrix.run], weights, matrix.family, sums);
    }
}

pub(crate) fn add_products<T: Value>(values: &[T], weights: &[i8], family: Family, sums: &mut [i32; BLOCK]) {
    let group = group(family);
    for (values, weights) in values.chunks_exact(group).zip(weights.chunks_exact(group * BLOCK)) {
        for (at, weights) in weights.chunks_exact(group).enumerate() {
            let sum = &mut sums[slot(family, at)];
            for (value, weight) in values.iter().zip(weights) {
                *sum = sum.wrapping_add((value.number() + family.offset()) * i32::from(*weight));
            }
        }
    }
}

/// As the specification of every `winograd` of a processor.
pub(crate) fn winograd<T: Tile<IN, OUT>, const IN: usize, const OUT: usize, V: Value>(tiles: Tiles<'_, IN, OUT, V>) {
    for (starts, target) in tiles.starts.iter().zip(tiles.targets) {
        for output in 0..tiles.bias.len() {
            let mut sums = [[0_i32; IN]; IN];
            for channel in 0..tiles.channels {
                let value = |row: usize, column: usize| {
                    tiles.input[starts[row] as usize + column * tiles.step + channel].number()
                };
                let transformed = both(from_fn(|row| from_fn(|column| value(row, column))), T::forward);
                for (position, value) in transformed.into_iter().flatten().enumerate() {
                    let first = (output / BLOCK * IN * IN + position) * tiles.channels * BLOCK;
                    let weight = tiles.weights[first + place(tiles.family, output % BLOCK, channel)];
                    let sum = &mut sums[position / IN][position % IN];
                    *sum = sum.wrapping_add(value.wrapping_mul(weight.into()));
                }
            }
            let found = both(sums, T::back);
            for (at, found) in found.into_iter().flatten().enumerate() {
                if let Some(target) = target.pixel(at / OUT, at % OUT, tiles.output_step) {
                    let sum = T::sum(found).wrapping_add(tiles.bias[output]);
                    let steps = sum as f32 * tiles.multipliers[output];
                    tiles.output[target + output] = V::of(tiles.limits.store(steps).into());
                }
            }
        }
    }
}

/// As the specification of every `depthwise` of a processor.
pub(crate) fn depthwise<T: Value>(row: Row<'_, T>) {
    let weight = |tap: usize, channel: usize| i32::from(row.weights[tap * row.step + channel]);
    for (place, output) in row.output.chunks_exact_mut(row.step).enumerate() {
        for (channel, output) in output.iter_mut().enumerate() {
            let mut sum = row.bias[channel];
            let mut tap = 0;
            for values in row.inputs {
                for column in 0..row.columns {
                    let value = values[(place * row.stride + column) * row.step + channel];
                    sum = sum.wrapping_add((value.number() + row.offset) * weight(tap, channel));
                    tap += 1;
                }
            }
            *output = T::of(row.limits.store(sum as f32 * row.multipliers[channel]).into());
        }
    }
}
