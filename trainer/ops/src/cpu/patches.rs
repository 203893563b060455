//! What a convolution reads, laid out as rows of a matrix.

use std::ops::Range;

use crate::Window;

/// Neighbouring taps of one row of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TapRow {
    /// Source row less `step` times the output row.
    pub(crate) down: isize,
    /// Source column of the first tap less `step` times the output column; the others follow one by one.
    pub(crate) right: isize,
    /// The kernel's taps in this order, each as `row * width + column`.
    pub(crate) taps: Vec<usize>,
}

/// For every output pixel the source pixels under the kernel: the matrix `[image * row * column, tap * channel]`.
#[derive(Clone, Debug)]
pub(crate) struct Gather {
    /// Images, source rows, columns and channels.
    pub(crate) source: [usize; 4],
    /// Rows and columns of the output.
    pub(crate) output: [usize; 2],
    /// Source pixels between neighbours of the output.
    pub(crate) step: usize,
    /// The kernel, row by row.
    pub(crate) rows: Vec<TapRow>,
}

impl Gather {
    /// What the convolution `window` of a `source` reads.
    pub(crate) fn forward(source: [usize; 4], window: &Window) -> Self {
        let [height, width] = window.kernel;
        let row = |y: usize| TapRow {
            down: y as isize - window.before[0] as isize,
            right: -(window.before[1] as isize),
            taps: (0..width).map(|x| y * width + x).collect(),
        };
        let output = window.output([source[1], source[2]]);
        Self { source, output, step: window.stride, rows: (0..height).map(row).collect() }
    }

    /// What the gradient of the input's pixels `phase + stride * (row, column)` reads from the gradient of the output.
    ///
    /// Input pixel `i` meets output pixel `o` under tap `k` where `i + before = stride * o + k`.
    pub(crate) fn backward(gradient: [usize; 4], input: [usize; 2], phase: [usize; 2], window: &Window) -> Self {
        let stride = window.stride as isize;
        // Offsets into the gradient with their tap, ascending.
        let along = |axis: usize| -> Vec<(isize, usize)> {
            let mut found: Vec<_> = (0..window.kernel[axis])
                .map(|tap| ((phase[axis] + window.before[axis]) as isize - tap as isize, tap))
                .filter(|(distance, _)| distance.rem_euclid(stride) == 0)
                .map(|(distance, tap)| (distance.div_euclid(stride), tap))
                .collect();
            found.sort_unstable();
            found
        };
        let columns = along(1);
        let rows = along(0)
            .into_iter()
            .filter(|_| !columns.is_empty())
            .map(|(down, y)| TapRow {
                down,
                right: columns[0].0,
                taps: columns.iter().map(|&(_, x)| y * window.kernel[1] + x).collect(),
            })
            .collect();
        let output = [0, 1].map(|axis| input[axis].saturating_sub(phase[axis]).div_ceil(window.stride));
        Self { source: gradient, output, step: 1, rows }
    }

    /// Rows of the matrix.
    pub(crate) fn pixels(&self) -> usize {
        self.source[0] * self.output[0] * self.output[1]
    }

    /// Columns of the matrix.
    pub(crate) fn depth(&self) -> usize {
        self.taps() * self.source[3]
    }

    /// Taps of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.rows.iter().map(|row| row.taps.len()).sum()
    }

    /// Columns of the output for which `count` taps of a row, the first of them `right` of the column times `step`, all lie inside.
    pub(crate) fn columns(&self, right: isize, count: usize) -> Range<usize> {
        let width = self.source[2] as isize;
        let begin = (-right).max(0).cast_unsigned().div_ceil(self.step);
        // The last tap's column must be less than the width.
        let end = (width - right - count as isize + 1).max(0).cast_unsigned().div_ceil(self.step);
        begin.min(self.output[1])..end.min(self.output[1]).max(begin.min(self.output[1]))
    }

    /// Whether the matrix is the source itself.
    pub(crate) fn is_identity(&self) -> bool {
        let [_, height, width, _] = self.source;
        self.step == 1
            && self.output == [height, width]
            && matches!(&self.rows[..], [row] if row.taps.len() == 1 && row.down == 0 && row.right == 0)
    }

    /// Rows `pixels` of the matrix, restricted to the taps of `rows` and the channels `channels`, one after the other.
    pub(crate) fn fill(
        &self,
        source: &[f32],
        pixels: Range<usize>,
        rows: &[TapRow],
        channels: Range<usize>,
        into: &mut [f32],
    ) {
        let [_, height, width, depth] = self.source;
        let [out_height, out_width] = self.output;
        let n = channels.len();
        let line: usize = rows.iter().map(|row| row.taps.len() * n).sum();
        let mut image = pixels.start / (out_height * out_width);
        let mut y = pixels.start / out_width % out_height;
        let mut x = pixels.start % out_width;
        for into in into[..pixels.len() * line].chunks_exact_mut(line) {
            let mut rest = into;
            for row in rows {
                let (to, after) = rest.split_at_mut(row.taps.len() * n);
                rest = after;
                let from_y = (y * self.step) as isize + row.down;
                if from_y < 0 || from_y >= height as isize {
                    to.fill(0.0);
                    continue;
                }
                let first = (x * self.step) as isize + row.right;
                let outside_left = (-first).clamp(0, row.taps.len() as isize) as usize;
                let inside = (width as isize - first).clamp(outside_left as isize, row.taps.len() as isize) as usize;
                let begin = (image * height + from_y as usize) * width;
                to[..outside_left * n].fill(0.0);
                to[inside * n..].fill(0.0);
                if inside == outside_left {
                    continue;
                }
                let from = begin + (first + outside_left as isize) as usize;
                let pixels = inside - outside_left;
                let to = &mut to[outside_left * n..inside * n];
                if n == depth {
                    to.copy_from_slice(&source[from * depth..(from + pixels) * depth]);
                } else {
                    let from = source[from * depth..(from + pixels) * depth].chunks_exact(depth);
                    for (to, from) in to.chunks_exact_mut(n).zip(from) {
                        to.copy_from_slice(&from[channels.clone()]);
                    }
                }
            }
            x += 1;
            if x == out_width {
                (x, y) = (0, y + 1);
            }
            if y == out_height {
                (y, image) = (0, image + 1);
            }
        }
    }
}
