//! The inner loops in plain Rust, over the packed weights of any family.
//!
//! Sums wrap around, as they do in processors' vectors: constructors refuse layers whose sums could, but a file may hold any weights.

use std::array::from_fn;

use crate::Family;
use crate::conv::{Job, Matrix, Tiles, group, slot};
use crate::depthwise::Row;
use crate::picture::{BLOCK, Value};
use crate::winograd::POSITIONS;

/// As the specification of every `conv` of a processor.
pub(crate) fn conv<T: Value>(job: Job<'_, T>, family: Family) {
    let Matrix { run, kernel_rows, weights, bias } = job.matrix;
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
pub(crate) fn sums<T: Value>(values: &[T], matrix: Matrix<'_>, family: Family, sums: &mut [i32]) {
    sums.copy_from_slice(matrix.bias);
    let (sums, _) = sums.as_chunks_mut::<BLOCK>();
    for (sums, weights) in sums.iter_mut().zip(matrix.weights.chunks_exact(matrix.run * BLOCK)) {
        add_products(&values[..matrix.run], weights, family, sums);
    }
}

pub(crate) fn add_products<T: Value>(values: &[T], weights: &[i8], family: Family, sums: &mut [i32; BLOCK]) {
    let group = group(family);
    for (values, weights) in values.chunks_exact(group).zip(weights.chunks_exact(group * BLOCK)) {
        for (at, weights) in weights.chunks_exact(group).enumerate() {
            let sum = &mut sums[slot(family, at)];
            for (value, weight) in values.iter().zip(weights) {
                *sum = sum.wrapping_add(value.number() * i32::from(*weight));
            }
        }
    }
}

/// As the specification of every `winograd` of a processor.
pub(crate) fn winograd(tiles: Tiles<'_>) {
    let forward = |[a, b, c, d]: [i32; 4]| [a - c, b + c, c - b, b - d];
    let back = |[a, b, c, d]: [i32; 4]| [a.wrapping_add(b).wrapping_add(c), b.wrapping_sub(c).wrapping_sub(d)];
    for (starts, targets) in tiles.starts.iter().zip(tiles.targets) {
        for output in 0..tiles.bias.len() {
            let mut sums = [[0_i32; 4]; 4];
            for channel in 0..tiles.channels {
                let value = |row: usize, column: usize| {
                    tiles.input[starts[row] as usize + column * tiles.step + channel].number()
                };
                let columns: [[i32; 4]; 4] =
                    from_fn(|at| forward([value(0, at), value(1, at), value(2, at), value(3, at)]));
                for row in 0..4 {
                    let transformed = forward(from_fn(|at| columns[at][row]));
                    for (column, value) in transformed.into_iter().enumerate() {
                        let position =
                            (output / BLOCK * POSITIONS + 4 * row + column) * tiles.channels + channel / 2 * 2;
                        let slot = slot(Family::Avx2, output % BLOCK);
                        let weight = tiles.weights[position * BLOCK + slot * 2 + channel % 2];
                        sums[row][column] = sums[row][column].wrapping_add(value.wrapping_mul(weight.into()));
                    }
                }
            }
            let columns: [[i32; 2]; 4] = from_fn(|at| back(from_fn(|row| sums[row][at])));
            for (at, target) in targets.iter().flatten().enumerate() {
                let found = back(from_fn(|column| columns[column][at / 2]))[at % 2] >> 2;
                if let Some(target) = target {
                    let steps = found.wrapping_add(tiles.bias[output]) as f32 * tiles.multipliers[output];
                    tiles.output[*target as usize + output] = tiles.limits.store(steps).into();
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
                    sum = sum.wrapping_add(value.number() * weight(tap, channel));
                    tap += 1;
                }
            }
            *output = T::of(row.limits.store(sum as f32 * row.multipliers[channel]).into());
        }
    }
}
