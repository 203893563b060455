//! What changed from one page to the next, so that only that is written to a slow panel or a shared framebuffer.

use embedded_graphics::{prelude::*, primitives::Rectangle};

/// The rectangles in which two pages differ, from top to bottom, none overlapping another.
///
/// `before` and `after` hold rows of `width` pixels of `bytes_per_pixel` bytes with nothing between rows. Neighbouring
/// rows that differ make one rectangle, as wide as the widest of them needs; equal pages make none. When the two are
/// not of the same size, all of `after` has changed.
pub fn damage<'a>(
    before: &'a [u8],
    after: &'a [u8],
    width: u32,
    bytes_per_pixel: u32,
) -> impl Iterator<Item = Rectangle> + 'a {
    let pixel = (bytes_per_pixel as usize).max(1);
    let stride = (width as usize * pixel).max(1);
    let n_rows = after.len() / stride;
    let is_comparable = before.len() == after.len();
    let changed_in = move |row: usize| {
        let span = row * stride..(row + 1) * stride;
        let (old, new) = (before.get(span.clone())?, after.get(span)?);
        changed_pixels(old, new, pixel)
    };
    let mut row = 0;
    let mut is_whole_due = !is_comparable && n_rows > 0;
    core::iter::from_fn(move || {
        if core::mem::take(&mut is_whole_due) {
            return Some(Rectangle::new(Point::zero(), Size::new(width, n_rows as u32)));
        }
        if !is_comparable {
            return None;
        }
        while row < n_rows && changed_in(row).is_none() {
            row += 1;
        }
        let (top, (mut left, mut right)) = (row, changed_in(row)?);
        while let Some((first, end)) = changed_in(row) {
            (left, right) = (left.min(first), right.max(end));
            row += 1;
        }
        let corner = Point::new(left as i32, top as i32);
        Some(Rectangle::new(corner, Size::new((right - left) as u32, (row - top) as u32)))
    })
}

/// The first differing pixel of a row and the one after the last.
fn changed_pixels(old: &[u8], new: &[u8], pixel: usize) -> Option<(usize, usize)> {
    // Most rows are equal, and this comparison is the fast one.
    if old == new {
        return None;
    }
    let differs = |(a, b): (&[u8], &[u8])| a != b;
    let pairs = || old.chunks(pixel).zip(new.chunks(pixel));
    let first = pairs().position(differs)?;
    let last = pairs().rposition(differs)?;
    Some((first, last + 1))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    fn changed(before: &[u8], after: &[u8], width: u32) -> Vec<Rectangle> {
        damage(before, after, width, 1).collect()
    }

    #[test]
    fn equal_pages_are_not_written() {
        assert_eq!(changed(&[1, 2, 3, 4], &[1, 2, 3, 4], 2), []);
    }

    #[test]
    fn neighbouring_rows_make_one_rectangle_and_distant_ones_two() {
        let after = [
            0, 1, 0, 0, //
            0, 0, 1, 0, //
            0, 0, 0, 0, //
            1, 0, 0, 0, //
        ];
        let expected = [
            Rectangle::new(Point::new(1, 0), Size::new(2, 2)), //
            Rectangle::new(Point::new(0, 3), Size::new(1, 1)),
        ];
        assert_eq!(changed(&[0; 16], &after, 4), expected);
    }

    #[test]
    fn another_size_is_written_whole() {
        assert_eq!(changed(&[], &[0; 6], 3), [Rectangle::new(Point::zero(), Size::new(3, 2))]);
    }

    #[test]
    fn pixels_of_several_bytes_count_as_one() {
        let found: Vec<_> = damage(&[0; 12], &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0], 4, 3).collect();
        assert_eq!(found, [Rectangle::new(Point::new(2, 0), Size::new(1, 1))]);
    }

    proptest! {
        #[test]
        fn copying_the_damage_makes_the_pages_equal(
            before in prop::collection::vec(0..3u8, 60),
            flips in prop::collection::vec((0..60usize, 0..3u8), 0..12),
        ) {
            let (width, mut after) = (10, before.clone());
            for (index, value) in flips {
                after[index] = value;
            }
            let mut shown = before.clone();
            let mut written = vec![0; 60];
            for area in damage(&before, &after, width, 1) {
                for point in area.points() {
                    let index = (point.y * 10 + point.x) as usize;
                    shown[index] = after[index];
                    written[index] += 1;
                }
            }
            prop_assert_eq!(shown, after);
            prop_assert!(written.iter().all(|&n| n <= 1));
        }
    }
}
