//! How values lie in memory: rows of pixels with margins, channels together.

use serde::{Deserialize, Serialize};

use crate::Shape;

/// Bytes behind every picture that kernels may read (never use) beyond its end: they read whole vectors.
pub const SLACK: usize = 64;

/// Output channels that inner loops compute at once; pixels hold a multiple of it.
pub(crate) const BLOCK: usize = 16;

/// Where the pixels of a value lie. Around the image there are margins, which stand for the padding of whatever window reads it.
///
/// A pixel takes `step` bytes: its channels rounded up to 16, which is what kernels write, or to 4 in a thin picture, which only
/// dense convolutions read. A layout with fewer rows than the image with its margins is a ring: row `r` lies where row
/// `r - rows` lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Of the image.
    pub shape: Shape,
    /// Columns to the left and right, rows above and below.
    pub margin: usize,
    /// Rows in memory.
    pub rows: usize,
    /// Bytes from one pixel to the next.
    pub step: usize,
}

impl Layout {
    /// All rows of an image in memory.
    #[must_use]
    pub const fn whole(shape: Shape, margin: usize) -> Self {
        Self { shape, margin, rows: shape.height + 2 * margin, step: shape.channels.next_multiple_of(BLOCK) }
    }

    /// The same for few channels, as a network's input has.
    #[must_use]
    pub const fn thin(shape: Shape, margin: usize) -> Self {
        Self { step: shape.channels.next_multiple_of(4), ..Self::whole(shape, margin) }
    }

    /// Bytes from one row to the next.
    #[must_use]
    pub const fn row_bytes(&self) -> usize {
        (self.shape.width + 2 * self.margin) * self.step
    }

    /// Bytes of all rows and the slack behind them.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.rows * self.row_bytes() + SLACK
    }

    /// Where the pixel at `row` and `column` of the image begins, both from minus the margin.
    #[inline]
    pub(crate) fn offset(&self, row: isize, column: isize) -> usize {
        let margin = self.margin as isize;
        let slot = (row + margin) as usize % self.rows;
        slot * self.row_bytes() + (column + margin) as usize * self.step
    }
}

/// A picture to read.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) values: &'a [i8],
    pub(crate) layout: Layout,
}

impl<'a> View<'a> {
    /// # Panics
    /// If `values` is shorter than the layout.
    #[must_use]
    pub fn new(values: &'a [i8], layout: Layout) -> Self {
        assert!(values.len() >= layout.length(), "{} bytes for {layout:?}", values.len());
        Self { values, layout }
    }

    /// The pixels of an image row, without its margins.
    #[inline]
    pub(crate) fn row(&self, row: usize) -> &'a [i8] {
        &self.values[self.layout.offset(row as isize, 0)..][..self.layout.shape.width * self.layout.step]
    }

    /// The channels of a pixel.
    #[must_use]
    pub fn pixel(&self, row: usize, column: usize) -> &'a [i8] {
        &self.values[self.layout.offset(row as isize, column as isize)..][..self.layout.shape.channels]
    }
}

/// Some rows of a picture to write. The pixels of other rows belong to someone else.
#[derive(Debug)]
pub struct ViewMut<'a> {
    pub(crate) values: &'a mut [i8],
    pub(crate) layout: Layout,
    /// Where `values` begins in the whole picture.
    first: usize,
}

impl<'a> ViewMut<'a> {
    /// A whole picture, or a whole ring.
    ///
    /// # Panics
    /// If `values` is shorter than the layout.
    #[must_use]
    pub fn new(values: &'a mut [i8], layout: Layout) -> Self {
        assert!(values.len() >= layout.length(), "{} bytes for {layout:?}", values.len());
        Self { values, layout, first: 0 }
    }

    /// Cuts a whole picture before image row `row`: what lies before, and the rest.
    ///
    /// # Panics
    /// If the row lies before this part.
    #[must_use]
    pub fn split(self, row: usize) -> (Self, Self) {
        let Self { values, layout, first } = self;
        let cut = (row + layout.margin) * layout.row_bytes() - first;
        let (before, after) = values.split_at_mut(cut);
        (Self { values: before, layout, first }, Self { values: after, layout, first: first + cut })
    }

    /// Where a pixel begins in `values`.
    #[inline]
    pub(crate) fn offset(&self, row: usize, column: usize) -> usize {
        self.layout.offset(row as isize, column as isize) - self.first
    }

    /// The pixels of an image row, without its margins.
    #[inline]
    pub(crate) fn row(&mut self, row: usize) -> &mut [i8] {
        let first = self.offset(row, 0);
        &mut self.values[first..][..self.layout.shape.width * self.layout.step]
    }

    /// Reads it.
    ///
    /// # Panics
    /// If this is a part.
    #[must_use]
    pub fn as_view(&self) -> View<'_> {
        View::new(self.values, self.layout)
    }

    /// Sets the margins to the left and right of all rows in this part.
    pub fn fill_sides(&mut self, zero: i8) {
        let side = self.layout.margin * self.layout.step;
        if side == 0 {
            return;
        }
        for row in self.values.chunks_exact_mut(self.layout.row_bytes()) {
            row[..side].fill(zero);
            let end = row.len() - side;
            row[end..].fill(zero);
        }
    }

    /// Sets a whole row, margins and all; `row` counts from minus the margin.
    pub fn fill_row(&mut self, row: isize, zero: i8) {
        let first = self.layout.offset(row, -(self.layout.margin as isize)) - self.first;
        let length = self.layout.row_bytes();
        self.values[first..][..length].fill(zero);
    }
}
