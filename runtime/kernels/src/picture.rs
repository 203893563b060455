//! How values lie in memory: rows of pixels with margins, channels together.

use bytemuck::Pod;
use serde::{Deserialize, Serialize};

use crate::{Family, Shape};

/// Bytes behind every picture that kernels may read (never use) beyond its end: they read whole vectors.
pub const SLACK: usize = 64;

/// Output channels that inner loops compute at once; pixels hold a multiple of it.
pub(crate) const BLOCK: usize = 16;

/// A stored value: always one of 256, in one or two bytes.
pub(crate) trait Value: Pod + Ord + Default {
    /// Of a number from -128 to 127.
    fn of(stored: i32) -> Self;
    /// The number.
    fn number(self) -> i32;
}

impl Value for i8 {
    #[inline(always)]
    fn of(stored: i32) -> Self {
        stored as Self
    }

    #[inline(always)]
    fn number(self) -> i32 {
        self.into()
    }
}

/// What `pmaddwd` reads: kept so between layers, values are never widened.
impl Value for i16 {
    #[inline(always)]
    fn of(stored: i32) -> Self {
        stored as Self
    }

    #[inline(always)]
    fn number(self) -> i32 {
        self.into()
    }
}

/// Where the pixels of a value lie. Around the image there are margins, which stand for the padding of whatever window reads it.
///
/// A pixel takes `step` values: its channels rounded up to 16, which is what kernels write, or up to four in a thin picture, which
/// only dense convolutions read. A layout with fewer rows than the image with its margins is a ring: row `r` lies where row
/// `r - rows` lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Of the image.
    pub shape: Shape,
    /// Columns to the left and right, rows above and below.
    pub margin: usize,
    /// Rows in memory.
    pub rows: usize,
    /// Values from one pixel to the next.
    pub step: usize,
    /// Bytes of a value: 2 where the processor multiplies no smaller ones, 1 elsewhere.
    pub value_bytes: usize,
}

impl Layout {
    /// All rows of an image in memory.
    #[must_use]
    pub const fn whole(shape: Shape, margin: usize, family: Family) -> Self {
        let (rows, step) = (shape.height + 2 * margin, shape.channels.next_multiple_of(BLOCK));
        Self { shape, margin, rows, step, value_bytes: family.value_bytes() }
    }

    /// The same for few channels, as a network's input has; `step` is [`Conv::thin_step`](crate::Conv::thin_step).
    #[must_use]
    pub const fn thin(shape: Shape, margin: usize, step: usize, family: Family) -> Self {
        Self { step, ..Self::whole(shape, margin, family) }
    }

    /// Values from one row to the next.
    pub(crate) const fn row_step(&self) -> usize {
        (self.shape.width + 2 * self.margin) * self.step
    }

    /// Bytes of all rows and the slack behind them.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.rows * self.row_step() * self.value_bytes + SLACK
    }

    /// Where the pixel at `row` and `column` of the image begins, both from minus the margin, in values.
    #[inline]
    pub(crate) fn offset(&self, row: isize, column: isize) -> usize {
        let margin = self.margin as isize;
        let slot = (row + margin) as usize % self.rows;
        slot * self.row_step() + (column + margin) as usize * self.step
    }
}

/// A picture to read.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    pub(crate) layout: Layout,
}

impl<'a> View<'a> {
    /// # Panics
    /// If `bytes` are fewer than the layout's, or do not begin where values can.
    #[must_use]
    pub fn new(bytes: &'a [u8], layout: Layout) -> Self {
        assert!(bytes.len() >= layout.length(), "{} bytes for {layout:?}", bytes.len());
        Self { bytes: &bytes[..layout.length()], layout }
    }

    /// All values.
    ///
    /// # Panics
    /// If they have another size.
    #[inline]
    pub(crate) fn values<T: Value>(&self) -> &'a [T] {
        assert_eq!(self.layout.value_bytes, size_of::<T>(), "bytes of a value");
        bytemuck::cast_slice(self.bytes)
    }

    /// The pixels of an image row, without its margins.
    #[inline]
    pub(crate) fn row<T: Value>(&self, row: usize) -> &'a [T] {
        &self.values()[self.layout.offset(row as isize, 0)..][..self.layout.shape.width * self.layout.step]
    }

    /// The stored value of a channel of a pixel.
    #[must_use]
    pub fn value(&self, row: usize, column: usize, channel: usize) -> i8 {
        let at = self.layout.offset(row as isize, column as isize) + channel;
        if self.layout.value_bytes == 1 { self.values::<i8>()[at] } else { self.values::<i16>()[at] as i8 }
    }
}

/// Some rows of a picture to write. The pixels of other rows belong to someone else.
#[derive(Debug)]
pub struct ViewMut<'a> {
    bytes: &'a mut [u8],
    pub(crate) layout: Layout,
    /// Which value of the whole picture is the first here.
    first: usize,
}

impl<'a> ViewMut<'a> {
    /// A whole picture, or a whole ring.
    ///
    /// # Panics
    /// If `bytes` are fewer than the layout's.
    #[must_use]
    pub fn new(bytes: &'a mut [u8], layout: Layout) -> Self {
        assert!(bytes.len() >= layout.length(), "{} bytes for {layout:?}", bytes.len());
        Self { bytes: &mut bytes[..layout.length()], layout, first: 0 }
    }

    /// Cuts a whole picture before image row `row`: what lies before, and the rest.
    ///
    /// # Panics
    /// If the row lies before this part.
    #[must_use]
    pub fn split(self, row: usize) -> (Self, Self) {
        let Self { bytes, layout, first } = self;
        let cut = (row + layout.margin) * layout.row_step();
        let (before, after) = bytes.split_at_mut((cut - first) * layout.value_bytes);
        (Self { bytes: before, layout, first }, Self { bytes: after, layout, first: cut })
    }

    /// Where a pixel begins among the values of this part.
    #[inline]
    pub(crate) fn offset(&self, row: usize, column: usize) -> usize {
        self.layout.offset(row as isize, column as isize) - self.first
    }

    /// All values of this part.
    ///
    /// # Panics
    /// If they have another size.
    #[inline]
    pub(crate) fn values<T: Value>(&mut self) -> &mut [T] {
        assert_eq!(self.layout.value_bytes, size_of::<T>(), "bytes of a value");
        bytemuck::cast_slice_mut(self.bytes)
    }

    /// The pixels of an image row, without its margins.
    #[inline]
    pub(crate) fn row<T: Value>(&mut self, row: usize) -> &mut [T] {
        let (first, length) = (self.offset(row, 0), self.layout.shape.width * self.layout.step);
        &mut self.values()[first..][..length]
    }

    /// Changes the stored value of a channel of a pixel; for tests and tools.
    ///
    /// # Panics
    /// If it is not there.
    pub fn set(&mut self, row: usize, column: usize, channel: usize, value: i8) {
        let at = self.offset(row, column) + channel;
        if self.layout.value_bytes == 1 {
            self.values::<i8>()[at] = value;
        } else {
            self.values::<i16>()[at] = value.into();
        }
    }

    /// Sets the margins to the left and right of all rows in this part.
    pub fn fill_sides(&mut self, zero: i8) {
        if self.layout.value_bytes == 1 { self.fill_sides_with(zero) } else { self.fill_sides_with(i16::from(zero)) }
    }

    fn fill_sides_with<T: Value>(&mut self, zero: T) {
        let (side, row_step) = (self.layout.margin * self.layout.step, self.layout.row_step());
        if side == 0 {
            return;
        }
        for row in self.values::<T>().chunks_exact_mut(row_step) {
            row[..side].fill(zero);
            row[row_step - side..].fill(zero);
        }
    }

    /// Sets a whole row, margins and all; `row` counts from minus the margin.
    pub fn fill_row(&mut self, row: isize, zero: i8) {
        let first = self.layout.offset(row, -(self.layout.margin as isize)) - self.first;
        let length = self.layout.row_step();
        if self.layout.value_bytes == 1 {
            self.values::<i8>()[first..][..length].fill(zero);
        } else {
            self.values::<i16>()[first..][..length].fill(zero.into());
        }
    }
}
