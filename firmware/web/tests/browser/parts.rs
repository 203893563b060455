//! Whether two pictures show the same, part by part: a word is next to nothing of a page, and much of its part.

use image::{Rgb, RgbImage};

/// Height and width of a part in pixels: two lines of text, some seven letters.
const PART: u32 = 64;
/// A difference of one channel that the eye sees as another colour.
const FAINT: u8 = 64;
/// Pixels that the edge of a letter may lie beside where it was.
const BESIDE: i64 = 1;
/// Pixels that a whole part may lie beside where it was: heights of lines differ by fractions, which add up down a page.
const MOVED: i64 = 3;

/// A part that shows something else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    /// Its left upper corner.
    pub(crate) at: (u32, u32),
    /// Pixels that the other picture has nothing like beside, where the part fits best.
    pub(crate) n_pixels: usize,
}

/// The parts of `before` that `now` shows otherwise; all of it when their sizes do not match.
pub(crate) fn changed<'a>(now: &'a RgbImage, before: &'a RgbImage) -> impl Iterator<Item = Changed> + 'a {
    let corners = |length: u32| (0..length).step_by(PART as usize);
    let is_same_size = now.width() == before.width() && i64::from(now.height().abs_diff(before.height())) <= MOVED;
    let all = corners(before.height()).flat_map(move |y| corners(before.width()).map(move |x| (x, y)));
    all.filter_map(move |at| {
        let n_pixels = if is_same_size { n_unlike(now, before, at) } else { (PART * PART) as usize };
        (n_pixels > 0).then_some(Changed { at, n_pixels })
    })
}

/// The pixels of a part that have nothing like them in the other picture, where it fits best.
fn n_unlike(now: &RgbImage, before: &RgbImage, at: (u32, u32)) -> usize {
    let unmoved = n_unlike_at(now, before, at, (0, 0), usize::MAX);
    let moves = (-MOVED..=MOVED).flat_map(|down| (-MOVED..=MOVED).map(move |right| (right, down)));
    moves.fold(unmoved, |least, by| least.min(n_unlike_at(now, before, at, by, least)))
}

/// The same where the part has moved `by`; it is not counted beyond `enough`.
fn n_unlike_at(now: &RgbImage, before: &RgbImage, (x, y): (u32, u32), by: (i64, i64), enough: usize) -> usize {
    let (mut n, there) = (0, |(x, y): (i64, i64)| (x + by.0, y + by.1));
    for y in y..(y + PART).min(before.height()) {
        for x in x..(x + PART).min(before.width()) {
            let here = (i64::from(x), i64::from(y));
            let (was, is) = (pixel(before, here), pixel(now, there(here)));
            if is_other(was, is) {
                n += usize::from(!is_beside(now, there(here), was)) + usize::from(!is_beside(before, here, is));
            }
        }
        if n >= enough {
            break;
        }
    }
    n
}

/// Whether there is anything like `colour` at a place or beside it.
fn is_beside(picture: &RgbImage, (x, y): (i64, i64), colour: &Rgb<u8>) -> bool {
    let mut places = (-BESIDE..=BESIDE).flat_map(|down| (-BESIDE..=BESIDE).map(move |right| (x + right, y + down)));
    places.any(|place| !is_other(pixel(picture, place), colour))
}

/// A pixel; beyond an edge, the nearest one on it.
fn pixel(picture: &RgbImage, (x, y): (i64, i64)) -> &Rgb<u8> {
    let within = |place: i64, length: u32| place.clamp(0, i64::from(length) - 1) as u32;
    picture.get_pixel(within(x, picture.width()), within(y, picture.height()))
}

fn is_other(a: &Rgb<u8>, b: &Rgb<u8>) -> bool {
    a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > FAINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb<u8> = Rgb([255; 3]);
    const GREY: Rgb<u8> = Rgb([200; 3]);
    const BLACK: Rgb<u8> = Rgb([0; 3]);

    /// Two uprights, two pixels wide, in the second part of a picture of two.
    fn uprights(places: [u32; 2], paper: Rgb<u8>) -> RgbImage {
        let is_ink =
            |x: u32, y: u32| (10..24).contains(&y) && places.iter().any(|place| (*place..place + 2).contains(&x));
        RgbImage::from_fn(128, 64, |x, y| if is_ink(x, y) { BLACK } else { paper })
    }

    fn n_pixels(now: &RgbImage) -> Vec<((u32, u32), usize)> {
        changed(now, &uprights([80, 100], WHITE)).map(|part| (part.at, part.n_pixels)).collect()
    }

    #[test]
    fn what_is_the_same_or_nearly_so_has_not_changed() {
        assert_eq!(n_pixels(&uprights([80, 100], WHITE)), []);
        assert_eq!(n_pixels(&uprights([80, 100], GREY)), [], "too faint to see");
        assert_eq!(n_pixels(&uprights([81, 100], WHITE)), [], "a letter is drawn a pixel beside");
        assert_eq!(n_pixels(&uprights([83, 103], WHITE)), [], "the whole part is");
    }

    #[test]
    fn what_is_missing_new_or_elsewhere_is_counted_in_its_part() {
        assert_eq!(n_pixels(&uprights([80, 80], WHITE)), [((64, 0), 28)], "missing: two pixels in each of 14 lines");
        assert_eq!(n_pixels(&uprights([80, 107], WHITE)), [((64, 0), 56)], "one letter elsewhere");
        let mut larger = uprights([80, 100], WHITE);
        larger.put_pixel(30, 30, BLACK);
        assert_eq!(n_pixels(&larger), [((0, 0), 1)]);
        assert_eq!(n_pixels(&RgbImage::new(128, 68)), [((0, 0), 4096), ((64, 0), 4096)]);
    }
}
