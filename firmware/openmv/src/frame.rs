//! Frames as the stream channel gives them: a header of five words, then the picture.

/// How the picture's bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// A byte a pixel.
    Grey,
    /// Two bytes a pixel, little-endian: five bits of red, six of green, five of blue.
    Rgb565,
    /// A JPEG file.
    Jpeg,
}

/// Words of the firmware for them (`imlib.h`).
const WORDS: [(PixelFormat, u32); 3] =
    [(PixelFormat::Grey, 0x0802_0001), (PixelFormat::Rgb565, 0x0C03_0002), (PixelFormat::Jpeg, 0x0606_0000)];

/// Longest side that is taken for one; cameras of this kind have up to 2,592 pixels.
const MAX_SIDE: u32 = 8192;
const HEADER_LEN: usize = 20;

/// A picture off the camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// What `bytes` are.
    pub format: PixelFormat,
    /// As many bytes as size and format ask for; a JPEG file from its first marker to its last.
    pub bytes: Vec<u8>,
}

/// A picture for image code, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// A byte a pixel.
    Grey(Vec<u8>),
    /// Red, green and blue of a pixel, a byte each.
    Rgb(Vec<u8>),
    /// A JPEG file, to be decoded by whoever decodes pictures.
    Jpeg(Vec<u8>),
}

/// Why bytes of the stream channel are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Header or picture is cut, or longer than the header says.
    #[error("a frame of {expected} bytes was expected, {found} came")]
    Length {
        /// By the header.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// No camera makes such pictures.
    #[error("a frame has from 1 to {MAX_SIDE} pixels a side, found {width} x {height}")]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// A format that is not read.
    #[error("pixels have the format {found:#010x}, expected grey, RGB565 or JPEG; change the camera's script")]
    Format {
        /// The firmware's word for it.
        found: u32,
    },
    /// A JPEG file without its first or last marker.
    #[error("a JPEG file begins with ff d8 and has an ff d9 at its end; this one is cut")]
    Jpeg,
}

impl Frame {
    /// Reads what the stream channel gave.
    ///
    /// # Errors
    /// If it is not one whole frame of a format that is known.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let length = |expected| FrameError::Length { expected, found: bytes.len() };
        let words = bytes.get(..HEADER_LEN).ok_or_else(|| length(HEADER_LEN))?;
        let mut words = words.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let [width, height, format, _depth, offset] = [word(), word(), word(), word(), word()];
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(FrameError::Size { width, height });
        }
        let offset = offset as usize;
        let data = bytes.get(offset.max(HEADER_LEN)..).ok_or_else(|| length(offset))?;
        let format = WORDS
            .iter()
            .find_map(|(known, word)| (*word == format).then_some(*known))
            .ok_or(FrameError::Format { found: format })?;
        let n_pixels = width as usize * height as usize;
        let data = match format {
            PixelFormat::Grey if data.len() == n_pixels => data,
            PixelFormat::Rgb565 if data.len() == 2 * n_pixels => data,
            PixelFormat::Jpeg => whole_jpeg(data).ok_or(FrameError::Jpeg)?,
            PixelFormat::Grey => return Err(length(HEADER_LEN + n_pixels)),
            PixelFormat::Rgb565 => return Err(length(HEADER_LEN + 2 * n_pixels)),
        };
        Ok(Self { width, height, format, bytes: data.to_vec() })
    }

    /// As the stream channel gives it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let format =
            WORDS.iter().find_map(|(known, word)| (*known == self.format).then_some(*word)).unwrap_or_default();
        let words = [self.width, self.height, format, self.bytes.len() as u32, HEADER_LEN as u32];
        words.iter().flat_map(|word| word.to_le_bytes()).chain(self.bytes.iter().copied()).collect()
    }

    /// The picture in the form that image code takes: eight bits a sample, or the JPEG file as it came.
    #[must_use]
    pub fn into_pixels(self) -> Pixels {
        match self.format {
            PixelFormat::Grey => Pixels::Grey(self.bytes),
            PixelFormat::Rgb565 => Pixels::Rgb(self.bytes.as_chunks::<2>().0.iter().flat_map(spread).collect()),
            PixelFormat::Jpeg => Pixels::Jpeg(self.bytes),
        }
    }
}

/// Red, green and blue of an RGB565 pixel, each from 0 to 255, rounded to the nearest.
fn spread(pixel: &[u8; 2]) -> [u8; 3] {
    let word = u16::from_le_bytes(*pixel);
    let spread = |value: u16, most: u16| ((value * 255 + most / 2) / most) as u8;
    [spread(word >> 11, 31), spread(word >> 5 & 63, 63), spread(word & 31, 31)]
}

/// The file without what the camera's buffer holds after it.
fn whole_jpeg(data: &[u8]) -> Option<&[u8]> {
    let end = data.windows(2).rposition(|two| two == [0xff, 0xd9])?;
    data.starts_with(&[0xff, 0xd8]).then(|| data.get(..end + 2))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey() -> Frame {
        Frame { width: 3, height: 2, format: PixelFormat::Grey, bytes: vec![1, 2, 3, 4, 5, 6] }
    }

    #[test]
    fn frames_come_back() {
        let jpeg = Frame { format: PixelFormat::Jpeg, bytes: vec![0xff, 0xd8, 7, 0xff, 0xd9], ..grey() };
        let coloured = Frame { format: PixelFormat::Rgb565, bytes: (0..12).collect(), ..grey() };
        for frame in [grey(), jpeg, coloured] {
            assert_eq!(Frame::read(&frame.to_bytes()), Ok(frame));
        }
    }

    #[test]
    fn what_lies_behind_a_jpeg_file_goes() {
        let padded = Frame { format: PixelFormat::Jpeg, bytes: vec![0xff, 0xd8, 7, 0xff, 0xd9, 0, 0], ..grey() };
        assert_eq!(Frame::read(&padded.to_bytes()).unwrap().bytes, [0xff, 0xd8, 7, 0xff, 0xd9]);
    }

    // The pattern of a picture's left half in the firmware's documentation: pure red, green, blue, white.
    #[test]
    fn colours_are_spread_over_all_levels() {
        let bytes =
            [0xf800_u16, 0x07e0, 0x001f, 0xffff, 0x8410, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        let pixels = Frame { format: PixelFormat::Rgb565, bytes, ..grey() }.into_pixels();
        let expected = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255; 3], [132, 130, 132], [0; 3]];
        assert_eq!(pixels, Pixels::Rgb(expected.concat()));
        assert_eq!(grey().into_pixels(), Pixels::Grey(vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn a_frame_that_contradicts_itself_is_refused() {
        let with = |at: usize, word: u32| {
            let mut bytes = grey().to_bytes();
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            Frame::read(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 0), FrameError::Size { width: 0, height: 2 });
        assert_eq!(with(4, u32::MAX), FrameError::Size { width: 3, height: u32::MAX });
        assert_eq!(with(0, 4), FrameError::Length { expected: 28, found: 26 });
        assert_eq!(with(8, 5), FrameError::Format { found: 5 });
        assert_eq!(with(8, 0x0606_0000), FrameError::Jpeg);
        assert!(matches!(with(16, u32::MAX), FrameError::Length { .. }));
        assert_eq!(Frame::read(&[0; 19]), Err(FrameError::Length { expected: 20, found: 19 }));
    }
}
