//! The constants of packed layers: one block of bytes, in memory or mapped from a file, and places in it.

use std::fs::File;

use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

/// Where every list begins, in bytes: a cache line, and more than any instruction asks for.
pub const ALIGNMENT: usize = 64;

/// Bytes that begin on a cache line.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; ALIGNMENT]);

/// Memory that begins on a cache line, as bytes.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// Zeros, at least `length` of them.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self(vec![Line([0; ALIGNMENT]); length.div_ceil(ALIGNMENT)])
    }

    /// All of them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }

    /// All of them.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

/// A list among the constants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its first byte, a multiple of [`ALIGNMENT`].
    first: u32,
    /// How many bytes.
    length: u32,
}

/// Bytes of constants.
#[derive(Debug)]
pub enum Constants {
    /// Made here.
    Owned(Lines),
    /// A part of a file.
    Mapped {
        /// The whole file.
        file: Mmap,
        /// Where the constants begin in it, a multiple of [`ALIGNMENT`].
        first: usize,
    },
}

/// Maps a whole file for reading.
///
/// # Errors
/// If the file cannot be mapped.
pub fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is read only and private. Another process that changes the file under us would change bytes that we
    // checked; plans are written under another name and moved into place, never changed in place, and lie in a folder that
    // only the program's user may write. What the bytes are can spoil numbers (which golden vectors catch), not memory:
    // kernels check every place they read.
    unsafe { Mmap::map(file) }
}

impl Constants {
    /// Every byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(lines) => lines.bytes(),
            Self::Mapped { file, first } => file.get(*first..).unwrap_or_default(),
        }
    }

    /// Whether `span` is there and holds exactly `count` numbers of type `T`.
    #[must_use]
    pub fn holds<T: Pod>(&self, span: Span, count: usize) -> bool {
        let end = u64::from(span.first) + u64::from(span.length);
        let expected = count.checked_mul(size_of::<T>());
        expected == Some(span.length as usize)
            && end <= self.bytes().len() as u64
            && (span.first as usize).is_multiple_of(ALIGNMENT)
    }

    /// The numbers in `span`.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn get<T: Pod>(&self, span: Span) -> &[T] {
        bytemuck::cast_slice(&self.bytes()[span.first as usize..][..span.length as usize])
    }
}

/// Constants being collected.
#[derive(Debug, Default)]
pub struct Store(Vec<Line>);

impl Store {
    /// Adds a list.
    ///
    /// # Panics
    /// Beyond 4 GiB of constants.
    pub fn add<T: Pod>(&mut self, list: &[T]) -> Span {
        let (bytes, first) = (bytemuck::cast_slice::<T, u8>(list), self.0.len() * ALIGNMENT);
        for chunk in bytes.chunks(ALIGNMENT) {
            let mut line = Line([0; ALIGNMENT]);
            line.0[..chunk.len()].copy_from_slice(chunk);
            self.0.push(line);
        }
        let small = |number: usize| u32::try_from(number).expect("constants stay below 4 GiB");
        Span { first: small(first), length: small(bytes.len()) }
    }

    /// What was collected.
    #[must_use]
    pub fn finish(self) -> Constants {
        Constants::Owned(Lines(self.0))
    }
}

/// Memory of a worker, handed out piece by piece; what it holds does not matter.
pub(crate) struct Scratch<'a>(&'a mut [u8]);

impl<'a> Scratch<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// `count` numbers.
    ///
    /// # Panics
    /// If there is not so much left.
    pub(crate) fn take<T: Pod>(&mut self, count: usize) -> &'a mut [T] {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut(scratch_bytes::<T>(count));
        self.0 = rest;
        &mut bytemuck::cast_slice_mut(taken)[..count]
    }
}

/// What [`Scratch::take`] uses up.
pub(crate) const fn scratch_bytes<T>(count: usize) -> usize {
    (count * size_of::<T>()).next_multiple_of(ALIGNMENT)
}
