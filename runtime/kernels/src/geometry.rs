//! Shapes of values and windows.

use serde::{Deserialize, Serialize};

/// Size of one value, stored `[row, column, channel]`. One image: there is no batch axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels, next to each other in memory.
    pub channels: usize,
}

impl Shape {
    /// Number of stored values.
    #[must_use]
    pub fn volume(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The same, `None` where it does not fit: for shapes from a file.
    #[must_use]
    pub fn checked_volume(&self) -> Option<usize> {
        self.height.checked_mul(self.width)?.checked_mul(self.channels)
    }
}

/// The window that a convolution slides over a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Rows and columns under it.
    pub kernel: [usize; 2],
    /// Rows and columns from one place to the next.
    pub stride: [usize; 2],
    /// Rows above and columns to the left of the image that the first place covers; they count as real zeros.
    pub before: [usize; 2],
    /// The same below and to the right.
    pub after: [usize; 2],
}

impl Window {
    /// One pixel at a time.
    pub const POINT: Self = Self { kernel: [1, 1], stride: [1, 1], before: [0, 0], after: [0, 0] };

    /// A square window with the same padding on every side.
    #[must_use]
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], before: [padding; 2], after: [padding; 2] }
    }

    /// Rows and columns of the result; `None` if the window does not fit or does not move.
    #[must_use]
    pub fn places(&self, input: Shape) -> Option<[usize; 2]> {
        let along = |axis: usize, size: usize| {
            let padded = size.checked_add(self.before[axis])?.checked_add(self.after[axis])?;
            let room = padded.checked_sub(self.kernel[axis])?;
            (self.kernel[axis] > 0 && self.stride[axis] > 0).then(|| room / self.stride[axis] + 1)
        };
        Some([along(0, input.height)?, along(1, input.width)?])
    }

    /// Input rows `from..to` that output rows `rows` read, in the padding too.
    #[must_use]
    pub fn reads(&self, rows: &std::ops::Range<usize>) -> std::ops::Range<isize> {
        let first = (rows.start * self.stride[0]) as isize - self.before[0] as isize;
        let length = (rows.len().max(1) - 1) * self.stride[0] + self.kernel[0];
        first..first + if rows.is_empty() { 0 } else { length as isize }
    }

    /// The margin that an image of this shape needs, so that every place lies within it.
    #[must_use]
    pub fn margin(&self, input: Shape) -> usize {
        let Some(places) = self.places(input) else { return 0 };
        let beyond = |axis: usize, size: usize| {
            let end = (places[axis] - 1) * self.stride[axis] + self.kernel[axis];
            end.saturating_sub(size + self.before[axis])
        };
        self.before[0].max(self.before[1]).max(beyond(0, input.height)).max(beyond(1, input.width))
    }

    /// The input pixel under tap `[row, column]` of the window at `[row, column]`, as its position; `None` in the padding.
    pub(crate) fn pixel(&self, input: Shape, place: [usize; 2], tap: [usize; 2]) -> Option<usize> {
        let row = self.under(0, place[0], tap[0], input.height)?;
        let column = self.under(1, place[1], tap[1], input.width)?;
        Some(row * input.width + column)
    }

    /// The same along one axis, of so many rows or columns.
    #[inline]
    pub(crate) fn under(&self, axis: usize, place: usize, tap: usize, size: usize) -> Option<usize> {
        (place * self.stride[axis] + tap).checked_sub(self.before[axis]).filter(|at| *at < size)
    }

    /// Taps in the order of the weights.
    pub(crate) fn taps(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let [rows, columns] = self.kernel;
        (0..rows).flat_map(move |row| (0..columns).map(move |column| [row, column]))
    }
}
