//! What the formats have in common: named tensors, and their bytes on demand.

use std::io;

use half::{bf16, f16};

use crate::TensorFileError;

/// Bytes from the start of a file that tell its format: up to the end of tar's signature.
pub(crate) const N_SIGNATURE: u64 = 262;

/// The outermost format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Safetensors,
    /// An `.npz` or a PyTorch file since 1.6.
    Zip,
    /// A PyTorch file before 1.6, or a pickle by itself.
    Pickle,
}

/// A tensor as a file lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Sizes of its axes, as the file says them.
    pub shape: Vec<usize>,
    /// What its numbers are.
    pub kind: Kind,
    /// Whether the first axis runs fastest (Fortran's order).
    pub is_reversed: bool,
}

/// Type of a tensor's numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// Any other, by the file's word for it.
    Other(String),
}

/// A file that gives the bytes of its tensors.
pub(crate) trait Container {
    /// What kind of file it is.
    fn format(&self) -> &'static str;

    /// The `n` bytes of the tensor `name`, little-endian; no more are read or allocated, whatever the file says.
    fn bytes(&mut self, name: &str, n: usize) -> io::Result<Vec<u8>>;

    /// Why `bytes` of `name` failed: the file system's fault or the file's.
    fn refusal(&self, name: &str, error: io::Error) -> TensorFileError {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => {
                TensorFileError::Damaged { format: self.format(), found: format!("{}: {error}", name.escape_debug()) }
            }
            _ => TensorFileError::Read(error),
        }
    }
}

impl Kind {
    /// Bytes of a number, or `None` where it is not one that is read.
    #[must_use]
    pub fn size(&self) -> Option<usize> {
        match self {
            Self::F32 => Some(4),
            Self::F16 | Self::Bf16 => Some(2),
            Self::Other(_) => None,
        }
    }

    /// For a message.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Other(word) => word.clone(),
            known => format!("{known:?}").to_uppercase(),
        }
    }

    /// Little-endian `bytes` as numbers.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        let pairs = || bytes.as_chunks::<2>().0.iter();
        match self {
            Self::F32 => bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
            Self::F16 => pairs().map(|two| f16::from_le_bytes(*two).to_f32()).collect(),
            Self::Bf16 => pairs().map(|two| bf16::from_le_bytes(*two).to_f32()).collect(),
            Self::Other(_) => Vec::new(),
        }
    }
}

/// The format of a file that begins with `start`.
pub(crate) fn format(start: &[u8]) -> Result<Format, TensorFileError> {
    // A safetensors file begins with a length of eight bytes, then JSON.
    if start.get(8) == Some(&b'{') {
        Ok(Format::Safetensors)
    } else if start.starts_with(b"PK\x03\x04") {
        Ok(Format::Zip)
    } else if start.first() == Some(&0x80) || start.get(257..262) == Some(b"ustar") {
        Ok(Format::Pickle)
    } else {
        let found = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        Err(TensorFileError::Format { found: if found.is_empty() { "nothing".to_owned() } else { found } })
    }
}
