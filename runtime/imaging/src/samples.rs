//! The numbers of a picture, of either depth.

use std::borrow::Cow;

use remedis_bundle::Depth;

/// One sample: a byte or two.
pub trait Sample: bytemuck::Pod + Into<u32> + Into<f32> {
    /// White.
    const TOP: u32;

    /// The sample of this value; white if it is above.
    fn of(value: u32) -> Self;
}

impl Sample for u8 {
    const TOP: u32 = u8::MAX as u32;

    #[inline(always)]
    fn of(value: u32) -> Self {
        value.min(Self::TOP) as u8
    }
}

impl Sample for u16 {
    const TOP: u32 = u16::MAX as u32;

    #[inline(always)]
    fn of(value: u32) -> Self {
        value.min(Self::TOP) as u16
    }
}

/// The samples of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// 0 to 255.
    Eight(Vec<u8>),
    /// 0 to 65,535.
    Sixteen(Vec<u16>),
}

impl Samples {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Eight(samples) => samples.len(),
            Self::Sixteen(samples) => samples.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bits of each.
    #[must_use]
    pub fn depth(&self) -> Depth {
        match self {
            Self::Eight(_) => Depth::Eight,
            Self::Sixteen(_) => Depth::Sixteen,
        }
    }

    /// At another depth, black and white kept: widened without loss (`257 s`), or narrowed to the nearest (`floor(s / 257 + 1/2)`,
    /// which never lies in the middle).
    #[must_use]
    pub fn to_depth(&self, depth: Depth) -> Cow<'_, Self> {
        match (self, depth) {
            (Self::Eight(samples), Depth::Sixteen) => {
                Cow::Owned(Self::Sixteen(samples.iter().map(|&s| widen(s)).collect()))
            }
            (Self::Sixteen(samples), Depth::Eight) => {
                Cow::Owned(Self::Eight(samples.iter().map(|&s| narrow(s)).collect()))
            }
            _ => Cow::Borrowed(self),
        }
    }

    /// As they are kept in a file: 16 bits as two bytes, the lower one first.
    #[must_use]
    pub fn to_le_bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Eight(samples) => Cow::Borrowed(samples),
            Self::Sixteen(samples) => Cow::Owned(samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()),
        }
    }

    /// From a file; what is left over of a sample is dropped.
    #[must_use]
    pub fn from_le_bytes(bytes: Vec<u8>, depth: Depth) -> Self {
        match depth {
            Depth::Eight => Self::Eight(bytes),
            Depth::Sixteen => {
                let (pairs, _rest) = bytes.as_chunks::<2>();
                Self::Sixteen(pairs.iter().map(|&pair| u16::from_le_bytes(pair)).collect())
            }
        }
    }
}

impl From<Vec<u8>> for Samples {
    fn from(samples: Vec<u8>) -> Self {
        Self::Eight(samples)
    }
}

impl From<Vec<u16>> for Samples {
    fn from(samples: Vec<u16>) -> Self {
        Self::Sixteen(samples)
    }
}

fn widen(sample: u8) -> u16 {
    u16::from(sample) * 257
}

fn narrow(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_loses_nothing_and_narrowing_is_what_the_png_reader_does() {
        for sample in 0..=u8::MAX {
            assert_eq!(narrow(widen(sample)), sample);
            assert_eq!(f32::from(widen(sample)) / 65535.0, f32::from(sample) / 255.0, "the same float: {sample}");
        }
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let read = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(256, 256, all.clone()).unwrap();
        let read = image::DynamicImage::ImageLuma16(read).into_luma8().into_raw();
        assert_eq!(*Samples::from(all.clone()).to_depth(Depth::Eight), Samples::from(read));
        let rounded = |sample: u16| ((u32::from(sample) * 255 + 32_767) / 65_535) as u8;
        assert!(all.into_iter().all(|sample| narrow(sample) == rounded(sample)));
    }

    #[test]
    fn the_lower_byte_comes_first_in_a_file() {
        let samples = Samples::from(vec![0x0102_u16, 0xff00]);
        assert_eq!(*samples.to_le_bytes(), [0x02, 0x01, 0x00, 0xff]);
        assert_eq!(Samples::from_le_bytes(samples.to_le_bytes().into_owned(), Depth::Sixteen), samples);
    }
}
