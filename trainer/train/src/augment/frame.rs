//! Crop, mirror and turn as one map from output pixels to source coordinates, resampled once.

use remedis_imaging::Image;

use super::policy::Views;
use crate::chance::Chance;

/// An affine map from output pixel centres to source coordinates, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Source coordinate of the middle of the output.
    centre: [f32; 2],
    /// Source step for one output pixel to the right.
    right: [f32; 2],
    /// Source step for one output pixel down.
    down: [f32; 2],
}

impl Frame {
    /// The map that changes nothing.
    #[must_use]
    pub fn identity(width: u32, height: u32) -> Self {
        Self { centre: [width as f32 / 2.0, height as f32 / 2.0], right: [1.0, 0.0], down: [0.0, 1.0] }
    }

    /// A random crop, mirror and turn within `views`.
    #[must_use]
    pub fn draw(width: u32, height: u32, views: &Views, chance: &mut Chance) -> Self {
        let (full_width, full_height) = (width as f32, height as f32);
        let area = chance.uniform(views.area[0], views.area[1]) * full_width * full_height;
        let log_aspect = chance.uniform(views.aspect[0].ln(), views.aspect[1].ln());
        let crop_width = (area * log_aspect.exp()).sqrt().min(full_width);
        let crop_height = (area / log_aspect.exp()).sqrt().min(full_height);
        let left = chance.uniform(0.0, full_width - crop_width);
        let top = chance.uniform(0.0, full_height - crop_height);
        let mut frame = Self::crop(width, height, [left, top, crop_width, crop_height]);
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

    /// Shows only `[left, top, width, height]` of the source, stretched over the whole output.
    #[must_use]
    pub fn crop(width: u32, height: u32, [left, top, crop_width, crop_height]: [f32; 4]) -> Self {
        Self {
            centre: [left + crop_width / 2.0, top + crop_height / 2.0],
            right: [crop_width / width as f32, 0.0],
            down: [0.0, crop_height / height as f32],
        }
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

    /// Turns the picture clockwise by 90 degrees, `n` times. Exact: no pixel of a square image is interpolated.
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
        let (sin, cos) = degrees.to_radians().sin_cos();
        let mix = |a: f32, b: f32| [a * self.right[0] + b * self.down[0], a * self.right[1] + b * self.down[1]];
        Self { right: mix(cos, -sin), down: mix(sin, cos), ..self }
    }

    /// Resamples `image` bilinearly; beyond the edge it is mirrored.
    #[must_use]
    pub fn apply(&self, image: &Image) -> Image {
        if *self == Self::identity(image.width, image.height) {
            return image.clone();
        }
        let (width, height, n) = (image.width as usize, image.height as usize, image.channels.count());
        let mut pixels = Vec::with_capacity(image.pixels.len());
        for y in 0..height {
            let dy = y as f32 + 0.5 - height as f32 / 2.0;
            for x in 0..width {
                let dx = x as f32 + 0.5 - width as f32 / 2.0;
                let source_x = self.centre[0] + dx * self.right[0] + dy * self.down[0] - 0.5;
                let source_y = self.centre[1] + dx * self.right[1] + dy * self.down[1] - 0.5;
                let (x0, x1, fx) = neighbours(source_x, width);
                let (y0, y1, fy) = neighbours(source_y, height);
                let at = |x: usize, y: usize, c: usize| f32::from(image.pixels[(y * width + x) * n + c]);
                for c in 0..n {
                    let upper = at(x0, y0, c) * (1.0 - fx) + at(x1, y0, c) * fx;
                    let lower = at(x0, y1, c) * (1.0 - fx) + at(x1, y1, c) * fx;
                    pixels.push((upper * (1.0 - fy) + lower * fy + 0.5) as u8);
                }
            }
        }
        Image { pixels, ..*image }
    }
}

/// The two pixels around a coordinate, mirrored at the edges, and the weight of the second.
fn neighbours(at: f32, size: usize) -> (usize, usize, f32) {
    let low = at.floor();
    let mirror = |i: isize| {
        let period = 2 * size as isize;
        let i = i.rem_euclid(period);
        (if i < size as isize { i } else { period - 1 - i }) as usize
    };
    (mirror(low as isize), mirror(low as isize + 1), at - low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::Channels;

    /// 1 2 3
    /// 4 5 6
    /// 7 8 9
    fn nine() -> Image {
        Image { width: 3, height: 3, channels: Channels::Grey, pixels: vec![1, 2, 3, 4, 5, 6, 7, 8, 9] }
    }

    fn check(frame: Frame, expected: [u8; 9]) {
        assert_eq!(frame.apply(&nine()).pixels, expected);
    }

    #[test]
    fn mirrors_and_quarter_turns_move_pixels_exactly() {
        let still = Frame::identity(3, 3);
        check(still, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        check(still.flip_horizontal(), [3, 2, 1, 6, 5, 4, 9, 8, 7]);
        check(still.flip_vertical(), [7, 8, 9, 4, 5, 6, 1, 2, 3]);
        check(still.quarter_turns(1), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
        check(still.quarter_turns(2), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
        check(still.quarter_turns(3), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
    }

    #[test]
    fn a_rotation_by_90_degrees_is_a_quarter_turn() {
        check(Frame::identity(3, 3).rotate(90.0), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
    }

    #[test]
    fn a_crop_of_one_pixel_fills_the_picture_with_its_surroundings() {
        // Output centres fall at 2/3, 1 and 4/3 of each axis: 5 in the middle, a third less or more a column, one a row.
        check(Frame::crop(3, 3, [1.0, 1.0, 1.0, 1.0]), [4, 4, 4, 5, 5, 5, 6, 6, 6]);
    }

    #[test]
    fn beyond_the_edge_is_the_mirror_image() {
        let two = Image { width: 2, height: 1, channels: Channels::Grey, pixels: vec![10, 20] };
        assert_eq!(Frame::crop(2, 1, [-2.0, 0.0, 2.0, 1.0]).apply(&two).pixels, [20, 10]);
        assert_eq!(Frame::crop(2, 1, [2.0, 0.0, 2.0, 1.0]).apply(&two).pixels, [20, 10]);
    }
}
