//! Crop, mirror, turn and elastic deformation as one map from the view's pixels to the image's.

use remedis_imaging::{Image, Sample, Samples};

use crate::chance::Chance;
use crate::elastic::Elastic;
use crate::planes::{Planes, Walk};
use crate::policy::Views;
use crate::scale::scale;
use crate::vectorised;

/// An affine map from pixel centres of a view to coordinates of the image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Width and height of the view.
    size: [usize; 2],
    /// Image coordinate of the middle of the view.
    centre: [f32; 2],
    /// Step in the image for one pixel of the view to the right.
    right: [f32; 2],
    /// Step in the image for one pixel of the view down.
    down: [f32; 2],
}

impl Frame {
    /// Shows only `[left, top, width, height]` of the image, stretched over a view of `size` `[width, height]`.
    #[must_use]
    pub fn crop(size: [usize; 2], [left, top, width, height]: [f32; 4]) -> Self {
        Self {
            size,
            centre: [left + width / 2.0, top + height / 2.0],
            right: [width / size[0] as f32, 0.0],
            down: [0.0, height / size[1] as f32],
        }
    }

    /// A random crop, mirror and turn of an image of `[width, height]` within `views`.
    #[must_use]
    pub fn draw(size: [usize; 2], image: [u32; 2], views: &Views, chance: &mut Chance) -> Self {
        let [full_width, full_height] = image.map(|side| side as f32);
        let area = chance.uniform(views.area[0], views.area[1]) * full_width * full_height;
        let aspect = libm::expf(chance.uniform(libm::logf(views.aspect[0]), libm::logf(views.aspect[1])));
        let crop_width = (area * aspect).sqrt().min(full_width);
        let crop_height = (area / aspect).sqrt().min(full_height);
        let left = chance.uniform(0.0, full_width - crop_width);
        let top = chance.uniform(0.0, full_height - crop_height);
        let mut frame = Self::crop(size, [left, top, crop_width, crop_height]);
        if chance.coin(views.flip_horizontal) {
            frame = frame.flip_horizontal();
        }
        if chance.coin(views.flip_vertical) {
            frame = frame.flip_vertical();
        }
        if views.quarter_turns {
            frame = frame.quarter_turns(chance.below(4));
        }
        frame.rotate(chance.uniform(-views.rotation_degrees, views.rotation_degrees))
    }

    /// Mirrors left and right.
    #[must_use]
    pub fn flip_horizontal(self) -> Self {
        Self { right: self.right.map(|step| -step), ..self }
    }

    /// Mirrors up and down.
    #[must_use]
    pub fn flip_vertical(self) -> Self {
        Self { down: self.down.map(|step| -step), ..self }
    }

    /// Turns the picture clockwise by 90 degrees, `n` times. Exact: no pixel of a square view is interpolated.
    #[must_use]
    pub fn quarter_turns(self, n: usize) -> Self {
        (0..n % 4).fold(self, |frame, _| Self { right: frame.down.map(|step| -step), down: frame.right, ..frame })
    }

    /// Turns the picture clockwise.
    #[must_use]
    pub fn rotate(self, degrees: f32) -> Self {
        if degrees == 0.0 {
            return self;
        }
        let (sin, cos) = libm::sincosf(degrees.to_radians());
        let mix = |a: f32, b: f32| [a * self.right[0] + b * self.down[0], a * self.right[1] + b * self.down[1]];
        Self { right: mix(cos, -sin), down: mix(sin, cos), ..self }
    }

    /// Resamples `image`; beyond its edge it is mirrored, for which the middle of the view must lie inside.
    ///
    /// A crop, mirrored or turned by quarters or not, is scaled bicubically with antialiasing. A turned or deformed one is scaled so
    /// where it is larger than the view, then interpolated bilinearly.
    #[must_use]
    pub fn apply(&self, image: &Image, elastic: Option<&Elastic>) -> Planes {
        match self.upright(image) {
            Some((part, size, walk)) if elastic.is_none() => {
                if part == [0.0, 0.0, image.width as f32, image.height as f32]
                    && size == [image.width as usize, image.height as usize]
                {
                    Planes::gather(image, self.size, walk)
                } else {
                    Planes::gather(&scale(image, part, size), self.size, walk)
                }
            }
            _ => self.warp(image, elastic),
        }
    }

    /// For a map of whole quarter turns that stays inside the image: the part that is shown, its size at the view's scale, and the
    /// view's walk over its pixels.
    fn upright(&self, image: &Image) -> Option<([f32; 4], [usize; 2], Walk)> {
        let [width, height] = self.size;
        let is_swapped = self.right[0] == 0.0 && self.down[1] == 0.0;
        if !is_swapped && (self.right[1] != 0.0 || self.down[0] != 0.0) {
            return None;
        }
        // Along x and y of the image: how many pixels of the view, and the step of each.
        let [(count_x, step_x), (count_y, step_y)] = match is_swapped {
            false => [(width, self.right[0]), (height, self.down[1])],
            true => [(height, self.down[0]), (width, self.right[1])],
        };
        let span = |axis: usize, count: usize, step: f32, side: u32| {
            let (side, length) = (side as f32, step.abs() * count as f32);
            let start = self.centre[axis] - length / 2.0;
            // Half a thousandth of a pixel is rounding.
            let is_inside = start > -5e-4 && start + length < side + 5e-4;
            let start = start.clamp(0.0, side);
            is_inside.then_some((start, length.min(side - start)))
        };
        let (left, part_width) = span(0, count_x, step_x, image.width)?;
        let (top, part_height) = span(1, count_y, step_y, image.height)?;
        let stride = count_x as isize;
        let walk_x = if step_x < 0.0 { -1 } else { 1 };
        let walk_y = if step_y < 0.0 { -stride } else { stride };
        let start_x = if step_x < 0.0 { stride - 1 } else { 0 };
        let start_y = if step_y < 0.0 { stride * (count_y as isize - 1) } else { 0 };
        let (right, down) = if is_swapped { (walk_y, walk_x) } else { (walk_x, walk_y) };
        let walk = Walk { start: start_x + start_y, right, down };
        Some(([left, top, part_width, part_height], [count_x, count_y], walk))
    }

    /// Interpolates bilinearly in the part of the image that is seen, scaled down first where its pixels are finer than the view's.
    fn warp(&self, image: &Image, elastic: Option<&Elastic>) -> Planes {
        let [width, height] = self.size;
        let reach = elastic.map_or(0.0, Elastic::reach) + 1.0;
        let half = [width as f32 / 2.0 + reach, height as f32 / 2.0 + reach];
        let bounds = |axis: usize, side: u32| {
            let extent = self.right[axis].abs() * half[0] + self.down[axis].abs() * half[1];
            let low = (self.centre[axis] - extent).floor().clamp(0.0, side as f32 - 1.0);
            let high = (self.centre[axis] + extent).ceil().clamp(low + 1.0, side as f32);
            (low, high - low)
        };
        let ((left, part_width), (top, part_height)) = (bounds(0, image.width), bounds(1, image.height));
        let density = (self.right[0] * self.down[1] - self.right[1] * self.down[0]).abs().sqrt().max(1.0);
        let size = [part_width, part_height].map(|side| (side / density).round().max(1.0) as usize);
        let part = scale(image, [left, top, part_width, part_height], size);

        let window = Window { left, top, zoom: [size[0] as f32 / part_width, size[1] as f32 / part_height] };
        let n = part.channels.count();
        match &part.samples {
            Samples::Eight(samples) => self.sample(&Sampler { samples, size, n }, &window, elastic),
            Samples::Sixteen(samples) => self.sample(&Sampler { samples, size, n }, &window, elastic),
        }
    }

    /// Interpolates every pixel of the view in the part of the image that `sampler` has.
    fn sample<S: Sample>(&self, sampler: &Sampler<'_, S>, window: &Window, elastic: Option<&Elastic>) -> Planes {
        let [width, height] = self.size;
        let mut planes = Planes { width, height, values: vec![0.0; width * height * sampler.n] };
        // Rounding down is one instruction there, and a call elsewhere.
        vectorised(
            #[inline(always)]
            || {
                for y in 0..height {
                    let moves = elastic.map(|elastic| elastic.row(y, self.size));
                    for x in 0..width {
                        let mut at = [x as f32 + 0.5 - width as f32 / 2.0, y as f32 + 0.5 - height as f32 / 2.0];
                        if let Some(moves) = &moves {
                            at = [at[0] + moves[x][0], at[1] + moves[x][1]];
                        }
                        let [source_x, source_y] =
                            [0, 1].map(|axis| self.centre[axis] + at[0] * self.right[axis] + at[1] * self.down[axis]);
                        let [zoom_x, zoom_y] = window.zoom;
                        let at = [(source_x - window.left) * zoom_x - 0.5, (source_y - window.top) * zoom_y - 0.5];
                        sampler.sample(at, &mut planes.values, y * width + x, width * height);
                    }
                }
            },
        );
        planes
    }
}

/// Which part of the image a [`Sampler`] has, and at what scale.
struct Window {
    left: f32,
    top: f32,
    zoom: [f32; 2],
}

/// Bilinear interpolation in interleaved samples.
struct Sampler<'a, S> {
    samples: &'a [S],
    size: [usize; 2],
    n: usize,
}

impl<S: Sample> Sampler<'_, S> {
    /// Writes the channels at `[x, y]` to `values[to]`, `values[to + stride]`, ...
    #[inline(always)]
    fn sample(&self, [x, y]: [f32; 2], values: &mut [f32], to: usize, stride: usize) {
        let ([width, height], n) = (self.size, self.n);
        let (x0, x1, fx) = neighbours(x, width);
        let (y0, y1, fy) = neighbours(y, height);
        let [row0, row1] = [y0, y1].map(|y| &self.samples[y * width * n..][..width * n]);
        for c in 0..n {
            let at = |row: &[S], x: usize| -> f32 { row[x * n + c].into() };
            let upper = at(row0, x0) * (1.0 - fx) + at(row0, x1) * fx;
            let lower = at(row1, x0) * (1.0 - fx) + at(row1, x1) * fx;
            values[to + c * stride] = (upper * (1.0 - fy) + lower * fy) / S::TOP as f32;
        }
    }
}

/// The two pixels around a coordinate, mirrored at the edges, and the weight of the second.
#[inline(always)]
fn neighbours(at: f32, size: usize) -> (usize, usize, f32) {
    let low = at.floor();
    let (first, weight) = (low as isize, at - low);
    if first >= 0 && (first as usize) + 1 < size {
        return (first as usize, first as usize + 1, weight);
    }
    let mirror = |i: isize| {
        let period = 2 * size as isize;
        let i = i.rem_euclid(period);
        (if i < size as isize { i } else { period - 1 - i }) as usize
    };
    (mirror(first), mirror(first + 1), weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::Channels;

    /// 1 2 3
    /// 4 5 6
    /// 7 8 9
    fn nine() -> Image {
        Image::new(3, 3, Channels::Grey, vec![1_u8, 2, 3, 4, 5, 6, 7, 8, 9])
    }

    fn still() -> Frame {
        Frame::crop([3, 3], [0.0, 0.0, 3.0, 3.0])
    }

    fn check(frame: Frame, expected: [u8; 9]) {
        assert_eq!(frame.apply(&nine(), None).into_image().as_u8(), expected);
    }

    #[test]
    fn mirrors_and_quarter_turns_move_pixels_exactly() {
        check(still(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        check(still().flip_horizontal(), [3, 2, 1, 6, 5, 4, 9, 8, 7]);
        check(still().flip_vertical(), [7, 8, 9, 4, 5, 6, 1, 2, 3]);
        check(still().quarter_turns(1), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
        check(still().quarter_turns(2), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
        check(still().quarter_turns(3), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
    }

    #[test]
    fn colours_stay_together_when_pixels_move() {
        let pixels: Vec<u8> = (0..18).collect();
        let image = Image::new(3, 2, Channels::Rgb, pixels);
        let frame = Frame::crop([3, 2], [0.0, 0.0, 3.0, 2.0]).flip_horizontal();
        let seen = frame.apply(&image, None).into_image().as_u8().to_vec();
        assert_eq!(seen, [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11]);
    }

    #[test]
    fn a_rotation_by_90_degrees_is_a_quarter_turn() {
        check(still().rotate(90.0), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
    }

    #[test]
    fn half_the_size_is_the_mean_of_what_it_covers() {
        let pixels: Vec<u8> = (0..64).map(|i| if i % 2 == 0 { 0 } else { 200 }).collect();
        let image = Image::new(8, 8, Channels::Grey, pixels);
        for degrees in [0.0, 0.01] {
            let frame = Frame::crop([2, 2], [0.0, 0.0, 8.0, 8.0]).rotate(degrees);
            let seen = frame.apply(&image, None).into_image().as_u8().to_vec();
            assert!(seen.iter().all(|value| value.abs_diff(100) <= 12), "{degrees}: {seen:?}");
        }
    }

    #[test]
    fn beyond_the_edge_is_the_mirror_image() {
        let two = Image::new(2, 1, Channels::Grey, vec![10_u8, 20]);
        let seen = |left| Frame::crop([2, 1], [left, 0.0, 2.0, 1.0]).apply(&two, None).into_image().as_u8().to_vec();
        assert_eq!(seen(-1.0), [10, 10]);
        assert_eq!(seen(1.0), [20, 20]);
    }
}
