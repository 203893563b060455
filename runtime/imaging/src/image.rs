//! The decoded picture.

use std::borrow::Cow;

use remedis_bundle::{Channels, Depth};

use crate::samples::{Sample, Samples};

/// A picture with 8 or 16 bits a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Grey or red-green-blue.
    pub channels: Channels,
    /// Samples `[height, width, channel]`, rows from the top, channels interleaved, nothing between rows.
    pub samples: Samples,
}

impl Image {
    /// Wraps samples that are already in memory: `Vec<u8>` or `Vec<u16>`.
    ///
    /// # Panics
    /// If `samples` does not hold exactly `width * height * channels` samples.
    pub fn new(width: u32, height: u32, channels: Channels, samples: impl Into<Samples>) -> Self {
        let image = Self { width, height, channels, samples: samples.into() };
        image.assert_whole();
        image
    }

    /// The samples of a picture of 8 bits.
    ///
    /// # Panics
    /// If it has 16: [`to_depth`](Self::to_depth) comes before.
    #[must_use]
    pub fn as_u8(&self) -> &[u8] {
        match &self.samples {
            Samples::Eight(samples) => samples,
            Samples::Sixteen(_) => panic!("a picture of 16 bits a sample, where one of 8 was expected"),
        }
    }

    /// The picture at another depth, as [`Samples::to_depth`].
    #[must_use]
    pub fn to_depth(&self, depth: Depth) -> Cow<'_, Self> {
        match self.samples.to_depth(depth) {
            Cow::Borrowed(_) => Cow::Borrowed(self),
            Cow::Owned(samples) => Cow::Owned(Self { samples, ..*self }),
        }
    }

    /// The picture as grey, by the luma weights of ITU-R BT.601 in whole numbers: `(77 R + 150 G + 29 B + 128) / 256`.
    pub fn to_grey(&self) -> Self {
        let samples = match (self.channels, &self.samples) {
            (Channels::Grey, samples) => samples.clone(),
            (Channels::Rgb, Samples::Eight(samples)) => luma(samples).into(),
            (Channels::Rgb, Samples::Sixteen(samples)) => luma(samples).into(),
        };
        Self::new(self.width, self.height, Channels::Grey, samples)
    }

    /// The picture as red-green-blue; grey is repeated.
    pub fn to_rgb(&self) -> Self {
        let samples = match (self.channels, &self.samples) {
            (Channels::Grey, Samples::Eight(samples)) => thrice(samples).into(),
            (Channels::Grey, Samples::Sixteen(samples)) => thrice(samples).into(),
            (Channels::Rgb, samples) => samples.clone(),
        };
        Self::new(self.width, self.height, Channels::Rgb, samples)
    }

    pub(crate) fn assert_whole(&self) {
        let samples = self.width as usize * self.height as usize * self.channels.count();
        assert_eq!(
            self.samples.len(),
            samples,
            "a {} x {} image with {} channels",
            self.width,
            self.height,
            self.channels.count()
        );
    }
}

fn luma<S: Sample>(samples: &[S]) -> Vec<S> {
    let weigh = |[red, green, blue]: [u32; 3]| (77 * red + 150 * green + 29 * blue + 128) >> 8;
    samples.as_chunks().0.iter().map(|&colours: &[S; 3]| S::of(weigh(colours.map(Into::into)))).collect()
}

fn thrice<S: Sample>(samples: &[S]) -> Vec<S> {
    samples.iter().flat_map(|&grey| [grey; 3]).collect()
}

/// The picture as a PNG file of its depth.
///
/// # Panics
/// If the samples do not fit the size, or either side is zero.
pub fn encode_png(image: &Image) -> Vec<u8> {
    use ::image::ExtendedColorType::{L8, L16, Rgb8, Rgb16};
    use ::image::ImageEncoder;
    image.assert_whole();
    let (samples, colours): (&[u8], _) = match &image.samples {
        Samples::Eight(samples) => (samples, [L8, Rgb8]),
        // The encoder takes them in the byte order of this machine.
        Samples::Sixteen(samples) => (bytemuck::cast_slice(samples), [L16, Rgb16]),
    };
    let colour = match image.channels {
        Channels::Grey => colours[0],
        Channels::Rgb => colours[1],
    };
    let mut bytes = Vec::new();
    ::image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(samples, image.width, image.height, colour)
        .expect("writing to memory fails only for an empty image, which is refused in the documentation");
    bytes
}
