//! The decoded picture.

use remedis_bundle::Channels;

/// A picture with 8 bits a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Grey or red-green-blue.
    pub channels: Channels,
    /// Samples `[height, width, channel]`, rows from the top, channels interleaved, nothing between rows.
    pub pixels: Vec<u8>,
}

impl Image {
    /// Wraps samples that are already in memory.
    ///
    /// # Panics
    /// If `pixels` does not hold exactly `width * height * channels` samples.
    pub fn new(width: u32, height: u32, channels: Channels, pixels: Vec<u8>) -> Self {
        let image = Self { width, height, channels, pixels };
        image.assert_whole();
        image
    }

    /// The picture as grey, by the luma weights of ITU-R BT.601 in whole numbers: `(77 R + 150 G + 29 B + 128) / 256`.
    pub fn to_grey(&self) -> Self {
        let pixels = match self.channels {
            Channels::Grey => self.pixels.clone(),
            Channels::Rgb => self.pixels.chunks_exact(3).map(luma).collect(),
        };
        Self::new(self.width, self.height, Channels::Grey, pixels)
    }

    /// The picture as red-green-blue; grey is repeated.
    pub fn to_rgb(&self) -> Self {
        let pixels = match self.channels {
            Channels::Grey => self.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
            Channels::Rgb => self.pixels.clone(),
        };
        Self::new(self.width, self.height, Channels::Rgb, pixels)
    }

    pub(crate) fn assert_whole(&self) {
        let samples = self.width as usize * self.height as usize * channel_count(self.channels);
        assert_eq!(
            self.pixels.len(),
            samples,
            "a {} x {} image with {} channels",
            self.width,
            self.height,
            channel_count(self.channels)
        );
    }
}

/// Samples a pixel.
pub(crate) fn channel_count(channels: Channels) -> usize {
    match channels {
        Channels::Grey => 1,
        Channels::Rgb => 3,
    }
}

fn luma(rgb: &[u8]) -> u8 {
    let weighted = 77 * u32::from(rgb[0]) + 150 * u32::from(rgb[1]) + 29 * u32::from(rgb[2]);
    ((weighted + 128) >> 8) as u8
}

/// The picture as a PNG file.
///
/// # Panics
/// If the samples do not fit the size, or either side is zero.
pub fn encode_png(image: &Image) -> Vec<u8> {
    use ::image::ImageEncoder;
    image.assert_whole();
    let colour = match image.channels {
        Channels::Grey => ::image::ExtendedColorType::L8,
        Channels::Rgb => ::image::ExtendedColorType::Rgb8,
    };
    let mut bytes = Vec::new();
    ::image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(&image.pixels, image.width, image.height, colour)
        .expect("writing to memory fails only for an empty image, which is refused in the documentation");
    bytes
}
