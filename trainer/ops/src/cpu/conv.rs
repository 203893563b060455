//! Dense convolution as matrix products on patches that stay in a core's cache.

use rayon::prelude::*;

use super::matrix::{Matrix, Target};
use super::patches::Gather;
use super::rows::{made, mapped, pieces, vectorised, with_scratch};
use crate::Window;

/// Values of patches that one core works on: half a megabyte, within a second-level cache.
const PATCHES: usize = 1 << 17;
/// Never fewer rows than this in a product: the weights are packed anew for each.
const ROWS: usize = 128;
/// Parts a layer is cut into at least where it can be: work for eight cores.
const PARTS: usize = 8;

/// Weights `[out, in, row, column]` as `[out, row * column, in]`, the order of the patches.
pub(crate) fn pack(weight: &[f32], [out, channels, taps]: [usize; 3]) -> Vec<f32> {
    assert_eq!(weight.len(), out * channels * taps, "values of weights");
    mapped(weight, channels * taps, |from, to| transpose(from, [channels, taps], to))
}

/// `[rows, columns]` as `[columns, rows]`.
fn transpose(from: &[f32], [rows, columns]: [usize; 2], to: &mut [f32]) {
    // A match for the common kernels: with its stride known, the loop becomes shuffles instead of gathers.
    vectorised(
        #[inline(always)]
        || match columns {
            9 => transpose_by::<9>(from, rows, to),
            25 => transpose_by::<25>(from, rows, to),
            _ => {
                for (column, to) in to.chunks_exact_mut(rows).enumerate() {
                    for (to, from) in to.iter_mut().zip(from[column..].iter().step_by(columns)) {
                        *to = *from;
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn transpose_by<const COLUMNS: usize>(from: &[f32], rows: usize, to: &mut [f32]) {
    let (from, _) = from.as_chunks::<COLUMNS>();
    for (column, to) in to.chunks_exact_mut(rows).enumerate() {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from[column];
        }
    }
}

/// `[rows, columns]` as `[columns, rows]`, for a `columns` that is large and a `rows` that is a kernel's taps.
fn transpose_back(from: &[f32], [taps, channels]: [usize; 2], to: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for (tap, from) in from.chunks_exact(channels).enumerate() {
                for (to, from) in to.chunks_exact_mut(taps).zip(from) {
                    to[tap] = *from;
                }
            }
        },
    );
}

/// The convolution of `x` with weights from [`pack`]: `[image, row, column, out]`.
pub(crate) fn forward(x: &[f32], source: [usize; 4], weight: &[f32], out: usize, window: &Window) -> Vec<f32> {
    let gather = Gather::forward(source, window);
    let depth = gather.depth();
    let weights = [Weights { rows: 0..depth, matrix: Matrix::new(weight, [out, depth], [depth, 1]).transposed() }];
    products(&gather, x, &weights, out)
}

/// The gradient of the input from the gradient of the output `[image, row, column, out]`.
pub(crate) fn backward_input(
    gradient: &[f32],
    shape: [usize; 4],
    weight: &[f32],
    source: [usize; 4],
    window: &Window,
) -> Vec<f32> {
    let [images, height, width, channels] = source;
    let taps = window.kernel[0] * window.kernel[1];
    let out = shape[3];
    let matrices = |gather: &Gather| -> Vec<Weights<'_>> {
        let taps_in_order = gather.rows.iter().flat_map(|row| &row.taps);
        taps_in_order
            .enumerate()
            .map(|(i, tap)| Weights {
                rows: i * out..(i + 1) * out,
                matrix: Matrix::new(&weight[tap * channels..], [out, channels], [taps * channels, 1]),
            })
            .collect()
    };
    if window.stride == 1 {
        let gather = Gather::backward(shape, [height, width], [0, 0], window);
        return products(&gather, gradient, &matrices(&gather), channels);
    }
    let mut dx = vec![0.0; images * height * width * channels];
    for phase in (0..window.stride).flat_map(|y| (0..window.stride).map(move |x| [y, x])) {
        let gather = Gather::backward(shape, [height, width], phase, window);
        if gather.rows.is_empty() || gather.pixels() == 0 {
            continue;
        }
        let part = products(&gather, gradient, &matrices(&gather), channels);
        let [rows, columns] = gather.output;
        let from = part.par_chunks(rows * columns * channels);
        dx.par_chunks_mut(height * width * channels).zip(from).for_each(|(to, from)| {
            for (y, from) in from.chunks_exact(columns * channels).enumerate() {
                let line = (phase[0] + y * window.stride) * width + phase[1];
                for (x, from) in from.chunks_exact(channels).enumerate() {
                    let at = (line + x * window.stride) * channels;
                    to[at..at + channels].copy_from_slice(from);
                }
            }
        });
    }
    dx
}

/// What some columns of the patches are multiplied with.
struct Weights<'a> {
    /// Columns of the patches.
    rows: std::ops::Range<usize>,
    /// `[columns of the patches, out]`
    matrix: Matrix<'a>,
}

/// Patches times weights: `[pixel, out]`.
fn products(gather: &Gather, source: &[f32], weights: &[Weights<'_>], out: usize) -> Vec<f32> {
    assert!(!weights.is_empty(), "a product of nothing");
    let len = gather.pixels() * out;
    let mut y = Vec::with_capacity(len);
    write_products(gather, source, weights, out, Target::new(&mut y.spare_capacity_mut()[..len], out));
    // SAFETY: every row and column is in one of the parts, and the first of the weights, of which there is one, writes it.
    unsafe { y.set_len(len) };
    y
}

fn write_products(gather: &Gather, source: &[f32], weights: &[Weights<'_>], out: usize, target: Target<'_>) {
    let (pixels, depth) = (gather.pixels(), gather.depth());
    let direct = gather.is_identity();
    let rows = if direct { 2 * ROWS } else { (PATCHES / depth).next_multiple_of(16).max(ROWS) }.min(pixels.max(1));
    let row_parts = pixels.div_ceil(rows);
    let column_parts = if row_parts >= PARTS { 1 } else { PARTS.div_ceil(row_parts.max(1)).min(out.div_ceil(64)) };
    let columns = out.div_ceil(column_parts.max(1)).next_multiple_of(16);
    let multiply = |patches: &[f32], pixels: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        // SAFETY: parts differ in their rows or in their columns.
        let mut target = unsafe { target.part(pixels.start, columns.start) };
        for (i, weights) in weights.iter().enumerate() {
            let size = [pixels.len(), weights.rows.len()];
            let patches = Matrix::new(&patches[weights.rows.start..], size, [depth, 1]);
            // SAFETY: the first of the weights writes what the others add to.
            unsafe { target.product(patches, weights.matrix.columns(columns.clone()), i > 0) };
        }
    };
    let row_pieces: Vec<_> = pieces(pixels, rows).collect();
    if column_parts == 1 {
        row_pieces.into_par_iter().for_each(|piece| {
            if direct {
                multiply(&source[piece.start * depth..piece.end * depth], piece, 0..out);
                return;
            }
            with_scratch(piece.len() * depth, |patches| {
                gather.fill(source, piece.clone(), &gather.rows, 0..gather.source[3], patches);
                multiply(patches, piece, 0..out);
            });
        });
        return;
    }
    let by_columns = |patches: &[f32]| {
        let parts: Vec<_> = row_pieces
            .iter()
            .flat_map(|rows| pieces(out, columns).map(move |columns| (rows.clone(), columns)))
            .collect();
        parts.into_par_iter().for_each(|(rows, columns)| {
            multiply(&patches[rows.start * depth..rows.end * depth], rows, columns);
        });
    };
    if direct {
        by_columns(source);
        return;
    }
    with_scratch(pixels * depth, |patches| {
        let size = 16;
        patches.par_chunks_mut(size * depth).enumerate().for_each(|(i, into)| {
            let piece = i * size..(i * size + into.len() / depth);
            gather.fill(source, piece, &gather.rows, 0..gather.source[3], into);
        });
        by_columns(patches);
    });
}

/// The gradient of the weights `[out, in, row, column]` from the gradient of the output `[image, row, column, out]`.
pub(crate) fn backward_weight(
    x: &[f32],
    source: [usize; 4],
    gradient: &[f32],
    out: usize,
    window: &Window,
) -> Vec<f32> {
    /// Up to this many weights every part of the pixels has sums of its own.
    const SMALL: usize = 160 << 10;
    let gather = Gather::forward(source, window);
    let (pixels, depth, channels) = (gather.pixels(), gather.depth(), source[3]);
    let by_pixels = out * depth <= SMALL && pixels >= PARTS * ROWS;
    let mut blocks = Vec::new();
    if by_pixels {
        let size = pixels.div_ceil(PARTS);
        blocks.extend(pieces(pixels, size).map(|pixels| Block {
            pixels,
            rows: &gather.rows[..],
            channels: 0..channels,
        }));
    } else {
        let parts = PARTS.div_ceil(gather.rows.len()).max(if gather.rows.len() > 1 { 4 } else { 1 });
        let size = channels.div_ceil(parts).next_multiple_of(16).max(64);
        for row in gather.rows.chunks(1) {
            blocks.extend(pieces(channels, size).map(|channels| Block { pixels: 0..pixels, rows: row, channels }));
        }
    }
    let mut sums: Vec<Vec<f32>> = blocks.par_iter().map(|block| block.sums(&gather, x, gradient, out)).collect();
    if by_pixels {
        let (first, rest) = sums.split_first_mut().expect("at least one part");
        let size = 1 << 12;
        first.par_chunks_mut(size).enumerate().for_each(|(i, to)| {
            for part in rest.iter() {
                vectorised(
                    #[inline(always)]
                    || super::rows::add(to, &part[i * size..i * size + to.len()]),
                );
            }
        });
        sums.truncate(1);
        blocks.truncate(1);
    }
    let taps = gather.taps();
    if taps == 1 && sums.len() == 1 {
        return sums.swap_remove(0);
    }
    let line = |o: usize, to: &mut [f32]| {
        with_scratch(depth, |line| {
            // As patches have it: tap after tap.
            for (block, sums) in blocks.iter().zip(&sums) {
                let n = block.channels.len();
                let width = block.depth();
                let mut from = sums[o * width..(o + 1) * width].chunks_exact(n);
                for &tap in block.rows.iter().flat_map(|row| &row.taps) {
                    let at = tap * channels + block.channels.start;
                    line[at..at + n].copy_from_slice(from.next().expect("a chunk for each tap"));
                }
            }
            transpose_back(line, [taps, channels], to);
        });
    };
    made(out * depth, depth, line).0
}

/// Some pixels, taps and channels of the patches.
struct Block<'a> {
    pixels: std::ops::Range<usize>,
    rows: &'a [super::patches::TapRow],
    channels: std::ops::Range<usize>,
}

impl Block<'_> {
    fn depth(&self) -> usize {
        self.rows.iter().map(|row| row.taps.len()).sum::<usize>() * self.channels.len()
    }

    /// Gradient times patches, summed over the pixels: `[out, depth]`.
    fn sums(&self, gather: &Gather, x: &[f32], gradient: &[f32], out: usize) -> Vec<f32> {
        let depth = self.depth();
        let channels = gather.source[3];
        let direct = gather.is_identity();
        let len = out * depth;
        let mut sums = Vec::with_capacity(len);
        let mut target = Target::new(&mut sums.spare_capacity_mut()[..len], depth);
        let rows = if direct { 4 * ROWS } else { (PATCHES / depth).next_multiple_of(16).max(ROWS) };
        for (i, piece) in pieces(self.pixels.len(), rows).enumerate() {
            let piece = self.pixels.start + piece.start..self.pixels.start + piece.end;
            let left = Matrix::new(&gradient[piece.start * out..], [piece.len(), out], [out, 1]).transposed();
            // SAFETY: the first pixels write what the others add to.
            let mut multiply = |right: Matrix<'_>| unsafe { target.product(left, right, i > 0) };
            if direct {
                let from = piece.start * channels + self.channels.start;
                multiply(Matrix::new(&x[from..], [piece.len(), depth], [channels, 1]));
                continue;
            }
            with_scratch(piece.len() * depth, |patches| {
                gather.fill(x, piece.clone(), self.rows, self.channels.clone(), patches);
                multiply(Matrix::new(patches, [piece.len(), depth], [depth, 1]));
            });
        }
        assert!(!self.pixels.is_empty(), "sums over no pixel");
        // SAFETY: the product of the first pixels, of which there are some, writes every value.
        unsafe { sums.set_len(len) };
        sums
    }
}
