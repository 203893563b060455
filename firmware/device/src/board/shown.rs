//! A result as people see it.

use crate::pipeline::HeatMap;
use remedis_imaging::{Depth, Image};
use remedis_store::Answer;
use std::sync::Arc;

/// A result with its picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its number in the journal.
    pub sequence: u64,
    /// Position of its source.
    pub source: usize,
    /// What is kept of it.
    pub answer: Answer,
    /// A code for why it cannot say.
    pub reason: Option<&'static str>,
    /// Columns and rows of the image as it came; none when it could not be read.
    pub size: Option<(u32, u32)>,
    /// When the image came, in [`up_ms`](crate::operation::clock::up_ms).
    pub arrived_ms: u64,
    /// The picture, with 8 bits a sample and at most [`Shown::MAX_SIDE`] pixels a side; none when it could not be read.
    pub image: Option<Arc<Image>>,
    /// Where the evidence lies, once it is known.
    pub heat_map: Option<HeatMap>,
}

impl Shown {
    /// Larger pictures are thinned out to this many pixels a side.
    pub const MAX_SIDE: u32 = 640;

    /// Whether it is too old to be taken for the present.
    pub fn is_stale(&self, now_ms: u64, stale_after_ms: u64) -> bool {
        now_ms.saturating_sub(self.arrived_ms) >= stale_after_ms
    }
}

/// The picture for people: 8 bits a sample, every n-th pixel of every n-th row where it is large.
pub fn for_people(image: &Image) -> Image {
    let image = image.to_depth(Depth::Eight);
    let step = image.width.max(image.height).div_ceil(Shown::MAX_SIDE).max(1) as usize;
    if step == 1 {
        return image.into_owned();
    }
    let (n_channels, row) = (image.channels.count(), image.width as usize * image.channels.count());
    let rows = image.as_u8().chunks_exact(row).step_by(step);
    let samples: Vec<u8> = rows.flat_map(|row| row.chunks_exact(n_channels).step_by(step).flatten().copied()).collect();
    let side = |side: u32| side.div_ceil(step as u32);
    Image::new(side(image.width), side(image.height), image.channels, samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::Channels;

    #[test]
    fn a_large_picture_is_thinned_out_and_keeps_its_shape() {
        let samples: Vec<u8> = (0..1300 * 700).map(|at| (at % 1300 / 3 % 256) as u8).collect();
        let seen = for_people(&Image::new(1300, 700, Channels::Grey, samples));
        assert_eq!((seen.width, seen.height), (434, 234));
        assert_eq!(seen.as_u8()[..4], [0, 1, 2, 3]);
    }

    #[test]
    fn a_small_picture_stays() {
        let image = Image::new(2, 1, Channels::Rgb, vec![1_u8, 2, 3, 4, 5, 6]);
        assert_eq!(for_people(&image), image);
    }
}
