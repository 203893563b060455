//! How many bits a sample has.

use serde::{Deserialize, Serialize};

/// Bits of a sample on the whole way from a decoded file to the float that a network sees; in JSON and TOML the number 8 or 16.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Depth {
    /// 0 to 255. What every bundle had before there was a choice, and has where it names no depth.
    #[default]
    Eight,
    /// 0 to 65,535, for radiographs and other grey pictures of more than 8 bits.
    Sixteen,
}

/// A number of bits that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a depth of {found} bits, expected 8 or 16")]
pub struct DepthError {
    /// The number.
    pub found: u8,
}

impl Depth {
    /// 8 or 16.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }

    /// Bytes that a sample takes: 1 or 2.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::from(self.bits() / 8)
    }

    /// The largest sample, which is white: 255 or 65,535.
    #[must_use]
    pub fn top(self) -> u16 {
        match self {
            Self::Eight => 255,
            Self::Sixteen => u16::MAX,
        }
    }

    /// Whether it is the depth of files that name none: those stay as they were, byte by byte.
    #[must_use]
    pub fn is_eight(&self) -> bool {
        *self == Self::Eight
    }
}

impl From<Depth> for u8 {
    fn from(depth: Depth) -> Self {
        depth.bits()
    }
}

impl TryFrom<u8> for Depth {
    type Error = DepthError;

    fn try_from(found: u8) -> Result<Self, DepthError> {
        match found {
            8 => Ok(Self::Eight),
            16 => Ok(Self::Sixteen),
            _ => Err(DepthError { found }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_is_written_as_its_number_of_bits() {
        assert_eq!(serde_json::to_string(&[Depth::Eight, Depth::Sixteen]).unwrap(), "[8,16]");
        let error = serde_json::from_str::<Depth>("12").unwrap_err().to_string();
        assert!(error.starts_with("a depth of 12 bits, expected 8 or 16"), "{error}");
    }
}
