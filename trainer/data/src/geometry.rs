//! At what sizes pictures are kept to train on and to measure on.

use std::fmt;

use remedis_imaging::{Channels, Depth, Image, PrepareError, Preprocessing, Resize, resize};
use serde::{Deserialize, Serialize};

/// At what size a picture is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// At the input's size, as the device sees it: to measure on.
    Input,
    /// At up to twice the input's size, never larger than it is: to draw crops from, which would be blurred otherwise.
    Twice,
}

/// What of a [`Preprocessing`] decides pixels. Its mean and deviation come after them and are free to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geometry {
    /// Columns of the input.
    pub width: u32,
    /// Rows of the input.
    pub height: u32,
    /// Channels of the input.
    pub channels: Channels,
    /// Bits of a sample; not written where they are 8.
    #[serde(default, skip_serializing_if = "Depth::is_eight")]
    pub depth_bits: Depth,
    /// What happens to a picture of another shape.
    pub resize: Resize,
}

impl Geometry {
    /// That of `preprocessing`.
    #[must_use]
    pub fn of(preprocessing: &Preprocessing) -> Self {
        let Preprocessing { width, height, channels, depth_bits, resize, .. } = *preprocessing;
        Self { width, height, channels, depth_bits, resize }
    }

    /// Width and height at which a picture of this width and height is kept.
    pub(crate) fn size(&self, [width, height]: [u32; 2], detail: Detail) -> [u32; 2] {
        let own = f64::from(width) / f64::from(self.width);
        let factor = match detail {
            Detail::Input => 1.0,
            Detail::Twice => own.min(f64::from(height) / f64::from(self.height)).clamp(1.0, 2.0),
        };
        [self.width, self.height].map(|side| (f64::from(side) * factor).round() as u32)
    }

    /// Bytes of a picture of this width and height.
    pub(crate) fn bytes(&self, [width, height]: [u32; 2]) -> u64 {
        u64::from(width) * u64::from(height) * (self.channels.count() * self.depth_bits.bytes()) as u64
    }

    /// A decoded picture as it is kept.
    pub(crate) fn fit(&self, image: &Image, detail: Detail) -> Result<Image, PrepareError> {
        let [width, height] = self.size([image.width, image.height], detail);
        let Self { channels, depth_bits, resize: shape, .. } = *self;
        let (mean, std) = (Vec::new(), Vec::new());
        resize(image, &Preprocessing { width, height, channels, depth_bits, resize: shape, mean, std })
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = match self.channels {
            Channels::Grey => "grey",
            Channels::Rgb => "rgb",
        };
        let shape = match self.resize {
            Resize::CentreCrop => "cropped to the centre",
            Resize::Stretch => "stretched",
        };
        let depth = if self.depth_bits.is_eight() { "" } else { "16 bits, " };
        write!(out, "{} x {} pixels, {channels}, {depth}{shape}", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_draw_from_a_picture_keeps_twice_the_input_or_what_there_is() {
        let (channels, depth_bits) = (Channels::Grey, Depth::Eight);
        let input = Geometry { width: 64, height: 32, channels, depth_bits, resize: Resize::Stretch };
        assert_eq!(input.size([400, 400], Detail::Twice), [128, 64]);
        assert_eq!(input.size([96, 400], Detail::Twice), [96, 48]);
        assert_eq!(input.size([20, 20], Detail::Twice), [64, 32]);
        assert_eq!(input.size([400, 400], Detail::Input), [64, 32]);
    }
}
