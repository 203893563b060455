//! The inner loops of a back end, in one table.

use crate::conv::taps::{self, Visits};
use crate::conv::{Job, Matrix, Tiles};
use crate::depthwise::Row;
use crate::picture::Value;
use crate::winograd::{Four, Two};
use crate::{Add, Quantise, add, border, portable};

type ByTap<T> = fn(Visits<'_, T>, &mut [i32]);
type ByTile<const IN: usize, const OUT: usize, T> = fn(Tiles<'_, IN, OUT, T>, &mut [i16], &mut [i32]);

/// For values of one size in memory. Forms that a family has not are absent.
pub(crate) struct Kernels<T> {
    pub(crate) conv: fn(Job<'_, T>),
    /// The last layer's.
    pub(crate) sums: fn(&[T], Matrix<'_>, &mut [i32]),
    pub(crate) depthwise: fn(Row<'_, T>),
    pub(crate) add: fn(&Add, &[T], &[T], &mut [T]),
    pub(crate) quantise: fn(&Quantise, &[f32], &mut [T]),
    /// Four planes, values a pixel, and the pixels.
    pub(crate) interleave: fn([&[T]; 4], usize, &mut [T]),
    /// Small pictures, tap by tap, with room for the sums of two blocks.
    pub(crate) visits: Option<ByTap<T>>,
    /// Winograd's tiles of 2x2 and of 4x4, with room for what is transformed and for products.
    pub(crate) two: Option<ByTile<4, 2, T>>,
    pub(crate) four: Option<ByTile<6, 4, T>>,
}

/// Those of a back end.
pub(crate) enum Loops {
    /// Values are kept as 8 bits.
    Bytes(Kernels<i8>),
    /// Values are kept as 16 bits.
    Words(Kernels<i16>),
}

impl<T: Value> Kernels<T> {
    /// Plain Rust, on the weights of any family.
    pub(crate) fn portable() -> Self {
        Self {
            conv: portable::conv,
            sums: portable::sums,
            depthwise: portable::depthwise,
            add: add::add,
            quantise: border::quantise,
            interleave: border::interleave,
            visits: Some(|visits, _| taps::portable(visits)),
            two: Some(|tiles, _, _| portable::winograd::<Two, 4, 2, T>(tiles)),
            four: Some(|tiles, _, _| portable::winograd::<Four, 6, 4, T>(tiles)),
        }
    }
}
