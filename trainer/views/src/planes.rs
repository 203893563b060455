//! A view while it is made.

use remedis_imaging::{Channels, Image, Preprocessing, Sample, Samples, standardise, unit};

use crate::vectorised;

/// Pixels as numbers from 0 to 1, one plane a channel: `[channel, height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f32>,
}

impl Planes {
    /// Samples to numbers.
    #[must_use]
    pub fn from_image(image: &Image) -> Self {
        let (width, height) = (image.width as usize, image.height as usize);
        Self::gather(image, [width, height], Walk::across(width))
    }

    /// Numbers to a picture of 8 bits, rounded: for people to see.
    #[must_use]
    pub fn into_image(self) -> Image {
        let channels = if self.n_channels() == 1 { Channels::Grey } else { Channels::Rgb };
        let mut samples = vec![0_u8; self.values.len()];
        for (c, plane) in self.planes().enumerate() {
            let to = samples.iter_mut().skip(c).step_by(channels.count());
            to.zip(plane).for_each(|(to, value)| *to = (value * 255.0 + 0.5) as u8);
        }
        Image::new(self.width as u32, self.height as u32, channels, samples)
    }

    /// The numbers that a network sees: `[channel, height, width]`.
    ///
    /// # Panics
    /// If means and deviations of `preprocessing` do not fit the channels.
    #[must_use]
    pub fn into_input(mut self, preprocessing: &Preprocessing) -> Vec<f32> {
        vectorised(
            #[inline(always)]
            || standardise(&mut self.values, preprocessing),
        );
        self.values
    }

    /// Takes `[height, width]` pixels out of `image`, in the order of `walk`.
    pub(crate) fn gather(image: &Image, size: [usize; 2], walk: Walk) -> Self {
        let n = image.channels.count();
        match &image.samples {
            Samples::Eight(samples) => Self::gathered(samples, size, n, walk),
            Samples::Sixteen(samples) => Self::gathered(samples, size, n, walk),
        }
    }

    /// Of `n` interleaved samples a pixel.
    fn gathered<S: Sample>(samples: &[S], [width, height]: [usize; 2], n: usize, walk: Walk) -> Self {
        let mut values = vec![0.0; width * height * n];
        if values.is_empty() {
            return Self { width, height, values };
        }
        vectorised(
            #[inline(always)]
            || {
                for (c, plane) in values.chunks_exact_mut(width * height).enumerate() {
                    for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                        let start = walk.start + y as isize * walk.down;
                        walk_row(row, &samples[c..], start * n as isize, walk.right * n as isize);
                    }
                }
            },
        );
        Self { width, height, values }
    }

    pub(crate) fn n_channels(&self) -> usize {
        self.values.len() / (self.width * self.height).max(1)
    }

    pub(crate) fn is_colour(&self) -> bool {
        self.n_channels() == 3
    }

    pub(crate) fn planes(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width * self.height)
    }

    pub(crate) fn planes_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.width * self.height)
    }

    /// Red, green and blue.
    ///
    /// # Panics
    /// If there are not three channels.
    pub(crate) fn colours_mut(&mut self) -> [&mut [f32]; 3] {
        let (red, rest) = self.values.split_at_mut(self.width * self.height);
        let (green, blue) = rest.split_at_mut(self.width * self.height);
        assert_eq!(blue.len(), red.len(), "three planes of one size");
        [red, green, blue]
    }
}

/// A walk over the pixels of an image: the first one, and the steps for one pixel to the right and one down in the view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Walk {
    pub(crate) start: isize,
    pub(crate) right: isize,
    pub(crate) down: isize,
}

impl Walk {
    /// Row by row as they lie.
    pub(crate) fn across(width: usize) -> Self {
        Self { start: 0, right: 1, down: width as isize }
    }
}

/// Steps of constants are a loop of their own, which vectorises.
#[inline(always)]
fn walk_row<S: Sample>(row: &mut [f32], samples: &[S], start: isize, step: isize) {
    let len = row.len();
    let first = if step < 0 { start + step * (len as isize - 1) } else { start } as usize;
    match step {
        1 => row.iter_mut().zip(&samples[first..][..len]).for_each(|(to, &from)| *to = unit(from)),
        -1 => row.iter_mut().rev().zip(&samples[first..][..len]).for_each(|(to, &from)| *to = unit(from)),
        3 => row.iter_mut().zip(samples[first..].chunks(3)).for_each(|(to, from)| *to = unit(from[0])),
        -3 => row.iter_mut().rev().zip(samples[first..].chunks(3)).for_each(|(to, from)| *to = unit(from[0])),
        _ => {
            for (x, to) in row.iter_mut().enumerate() {
                *to = unit(samples[(start + x as isize * step) as usize]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_planes_and_come_back() {
        let image = Image::new(2, 1, Channels::Rgb, vec![0_u8, 51, 255, 102, 153, 204]);
        let planes = Planes::from_image(&image);
        assert_eq!(planes.values, [0.0, 0.4, 0.2, 0.6, 1.0, 0.8]);
        assert_eq!(planes.into_image(), image);
    }

    #[test]
    fn an_unchanged_image_has_the_numbers_of_the_one_preprocessing_path() {
        let pixels: Vec<u8> = (0..=255).flat_map(|byte| [byte, byte, 255 - byte]).collect();
        let image = Image::new(16, 16, Channels::Rgb, pixels);
        use remedis_imaging::Depth;
        let preprocessing = Preprocessing {
            width: 16,
            height: 16,
            channels: Channels::Rgb,
            depth_bits: Depth::Eight,
            resize: remedis_imaging::Resize::Stretch,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        };
        assert_eq!(
            Planes::from_image(&image).into_input(&preprocessing),
            remedis_imaging::normalise(&image, &preprocessing)
        );
    }
}
