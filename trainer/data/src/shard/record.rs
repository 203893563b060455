//! What a shard says of each picture.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::geometry::{Detail, Geometry};
use crate::index::{Row, hexadecimal};
use crate::likeness::Hash;

/// What a shard was made of and for; equal keys and equal files behind the rows give equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Of the set, as [`Index::sha256`](crate::Index::sha256).
    pub set_sha256: String,
    /// How its pictures were resized.
    pub geometry: Geometry,
    /// Row of the set that is this shard's first.
    pub first_row: usize,
    /// How many rows it has.
    pub n_rows: usize,
}

/// One row of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The row, as in the set's index.
    pub row: Row,
    /// Length of its file.
    pub bytes: u64,
    /// SHA-256 of its file; none where it could not be read.
    pub sha256: Option<Digest>,
    /// What was in the file.
    pub content: Content,
}

/// What was in a row's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// A picture.
    Picture {
        /// Columns of the decoded file.
        width: u32,
        /// Rows of the decoded file.
        height: u32,
        /// Difference hash of the decoded file, by which near copies are found; none where it is nearly flat.
        likeness: Option<Hash>,
        /// CRC-32 of the pixels at the input's size.
        input_crc32: u32,
        /// CRC-32 of the pixels at up to twice the input's size; none where those are the same.
        twice_crc32: Option<u32>,
    },
    /// Nothing that can be used.
    Bad {
        /// Why, in words that name no file and no patient.
        reason: String,
    },
}

impl Content {
    /// Widths and heights of what is stored, in order.
    pub(crate) fn sizes(&self, geometry: &Geometry) -> Vec<[u32; 2]> {
        let Self::Picture { width, height, twice_crc32, .. } = *self else { return Vec::new() };
        let mut sizes = vec![geometry.size([width, height], Detail::Input)];
        sizes.extend(twice_crc32.map(|_| geometry.size([width, height], Detail::Twice)));
        sizes
    }
}

/// A SHA-256, in hexadecimal where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hexadecimal(&digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = "expected 64 hexadecimal digits";
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(wrong);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or(wrong);
            *byte = (digit(0)? << 4 | digit(1)?) as u8;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_sha256sum_writes_it() {
        // `printf abc | sha256sum`
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(String::from(Digest::of(b"abc")), text);
        assert_eq!(Digest::try_from(text.to_owned()), Ok(Digest::of(b"abc")));
        for wrong in ["", &text[1..], &text.replace('b', "g"), &format!("{text}00"), &"é".repeat(32)] {
            assert!(Digest::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
