//! The matrix product, with lengths checked.

use std::mem::MaybeUninit;

use gemm::Parallelism;

/// A matrix in a slice: element `(i, j)` is `values[i * row + j * column]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// A view that begins at the slice's first value.
    ///
    /// # Panics
    /// If the last element lies outside of `values`.
    pub(crate) fn new(values: &'a [f32], [rows, columns]: [usize; 2], [row, column]: [usize; 2]) -> Self {
        let last = rows.saturating_sub(1) * row + columns.saturating_sub(1) * column;
        assert!(rows == 0 || columns == 0 || last < values.len(), "a matrix reaches outside of its values");
        Self { values, rows, columns, row, column }
    }

    /// The same numbers with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        let Self { values, rows, columns, row, column } = self;
        Self { values, rows: columns, columns: rows, row: column, column: row }
    }

    /// Some of the columns.
    ///
    /// # Panics
    /// If there are not as many.
    pub(crate) fn columns(self, range: std::ops::Range<usize>) -> Self {
        assert!(range.end <= self.columns, "columns outside of a matrix");
        Self { values: &self.values[range.start * self.column..], columns: range.len(), ..self }
    }
}

/// Where a product goes: row `i` begins at `i * stride`, its values stand side by side.
///
/// Several threads fill different columns of the same rows; [`part`](Self::part) hands each its own.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    values: *mut f32,
    len: usize,
    stride: usize,
    borrowed: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is to `f32`, which may be written from any thread; `part` is unsafe and asks for disjoint parts.
unsafe impl Send for Target<'_> {}
// SAFETY: as above.
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    /// All of `values`, in rows of `stride`.
    pub(crate) fn new(values: &'a mut [MaybeUninit<f32>], stride: usize) -> Self {
        Self { values: values.as_mut_ptr().cast(), len: values.len(), stride, borrowed: std::marker::PhantomData }
    }

    /// The same rows from `row` and columns from `column` on.
    ///
    /// # Safety
    /// While copies are alive, the elements written through them must not overlap.
    pub(crate) unsafe fn part(self, row: usize, column: usize) -> Self {
        let skip = row * self.stride + column;
        assert!(skip <= self.len, "a part begins outside of its target");
        // SAFETY: `skip` was just checked to lie inside or one past the end.
        Self { values: unsafe { self.values.add(skip) }, len: self.len - skip, ..self }
    }

    /// Writes `a * b` here, or adds it to what is here.
    ///
    /// # Safety
    /// What is added to must have been written before.
    ///
    /// # Panics
    /// If the shapes do not fit each other or the target, or the inner size is 0.
    pub(crate) unsafe fn product(&mut self, a: Matrix<'_>, b: Matrix<'_>, accumulate: bool) {
        assert_eq!(a.columns, b.rows, "inner sizes of a product");
        assert!(a.columns > 0, "a product of nothing");
        if a.rows == 0 || b.columns == 0 {
            return;
        }
        assert!((a.rows - 1) * self.stride + b.columns <= self.len, "a product reaches outside of its target");
        assert!(b.columns <= self.stride || a.rows == 1, "rows of a product overlap");
        // SAFETY: `Matrix::new` checked that every element of `a` and `b` lies in its slice, the assertions above that every
        // element written lies in the target; the target is borrowed mutably, or a part that nobody else writes. It is read only
        // where it is added to, and the caller has written that.
        unsafe {
            gemm::gemm(
                a.rows,
                b.columns,
                a.columns,
                self.values,
                1,
                self.stride as isize,
                accumulate,
                a.values.as_ptr(),
                a.column as isize,
                a.row as isize,
                b.values.as_ptr(),
                b.column as isize,
                b.row as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}
