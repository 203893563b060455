//! One file of prepared pictures: read by position, believed only after it was checked. `SHARDS.md` specifies it.
//!
//! Places and sizes of pictures are not in the file: they follow from the sizes of the decoded files, so a file cannot lie about
//! memory.

mod encode;
mod error;
mod record;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use remedis_imaging::{Depth, Image, MAX_PIXELS, Samples};

use crate::geometry::{Detail, Geometry};

pub(crate) use encode::{Encoder, prepared};
pub use error::ShardError;
pub use record::{Content, Digest, Key, Record};

/// How a shard begins.
pub const MAGIC: [u8; 8] = *b"REMESHRD";
/// The newest version of the form that is read; what is written has the oldest that holds its samples.
pub const VERSION: u32 = 2;
/// Bytes before the key.
const HEAD: u64 = 64;
/// The largest side of an input.
const MAX_SIDE: u32 = 8192;

/// A shard whose head and index are right; pixels are checked when they are read.
///
/// The file is opened again for each picture, which takes microseconds: a large set has more shards than a process may have files.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    name: String,
    key: Key,
    records: Vec<Record>,
    /// Where the pixels of each record begin.
    places: Vec<u64>,
}

/// The version of a shard of this depth: 1 for 8 bits, 2 for 16, so that a program from before them refuses those as newer.
pub(crate) fn version(depth: Depth) -> u32 {
    match depth {
        Depth::Eight => 1,
        Depth::Sixteen => 2,
    }
}

/// The fixed numbers at the front.
struct Head {
    version: u32,
    crc32: u32,
    key_bytes: u64,
    index_at: u64,
    index_bytes: u64,
}

impl Shard {
    /// Reads the file and checks everything but its pixels.
    ///
    /// # Errors
    /// [`ShardError`] if it cannot be read, is no shard of this version, is damaged or contradicts itself.
    pub fn open(path: &Path) -> Result<Self, ShardError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let refuse = |source| ShardError::Read { file: name.clone(), source };
        let file = File::open(path).map_err(refuse)?;
        let length = file.metadata().map_err(refuse)?.len();
        let head = Head::read(&file, &name, length)?;
        let part = |at, bytes| read_at(&file, at, bytes).map_err(refuse);
        let (front, index) = (part(16, HEAD - 16 + head.key_bytes)?, part(head.index_at, head.index_bytes)?);
        let found = head_crc32(&front, &index);
        if found != head.crc32 {
            let what = "head and index".to_owned();
            return Err(ShardError::Checksum { file: name, what, expected: head.crc32, found });
        }
        let key: Key = serde_json::from_slice(&front[(HEAD - 16) as usize..])
            .map_err(|error| ShardError::form(&name, "the key", &error))?;
        let records: Vec<Record> =
            serde_json::from_slice(&index).map_err(|error| ShardError::form(&name, "the index", &error))?;
        let expected = version(key.geometry.depth_bits);
        if head.version != expected {
            return Err(ShardError::contradiction(
                &name,
                "its version, by the bits of a sample,",
                expected,
                head.version,
            ));
        }
        check(&name, &key, &records)?;
        let mut at = HEAD + head.key_bytes;
        let mut places = Vec::with_capacity(records.len());
        for record in &records {
            places.push(at);
            at += record.content.sizes(&key.geometry).into_iter().map(|size| key.geometry.bytes(size)).sum::<u64>();
        }
        if at != head.index_at {
            return Err(ShardError::contradiction(&name, "the end of the pixels", at, head.index_at));
        }
        Ok(Self { path: path.to_owned(), name, key, records, places })
    }

    /// What it was made of and for.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// One record a row, from the key's first on.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The picture of record `at` (from 0); `None` where there is none.
    ///
    /// # Errors
    /// If the file cannot be read or the pixels are damaged.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn image(&self, at: usize, detail: Detail) -> Result<Option<Image>, ShardError> {
        let content = &self.records[at].content;
        let Content::Picture { input_crc32, twice_crc32, .. } = *content else { return Ok(None) };
        let sizes = content.sizes(&self.key.geometry);
        let (size, place, expected) = match (detail, twice_crc32) {
            (Detail::Twice, Some(crc32)) => (sizes[1], self.places[at] + self.key.geometry.bytes(sizes[0]), crc32),
            _ => (sizes[0], self.places[at], input_crc32),
        };
        let bytes = self.key.geometry.bytes(size);
        let stored = File::open(&self.path)
            .and_then(|file| read_at(&file, place, bytes))
            .map_err(|source| ShardError::Read { file: self.name.clone(), source })?;
        let found = crc32fast::hash(&stored);
        if found != expected {
            let what = format!("the picture of row {}", self.key.first_row + at + 1);
            return Err(ShardError::Checksum { file: self.name.clone(), what, expected, found });
        }
        let Geometry { channels, depth_bits, .. } = self.key.geometry;
        Ok(Some(Image::new(size[0], size[1], channels, Samples::from_le_bytes(stored, depth_bits))))
    }
}

impl Head {
    fn read(file: &File, name: &str, length: u64) -> Result<Self, ShardError> {
        let bytes =
            read_at(file, 0, length.min(HEAD)).map_err(|source| ShardError::Read { file: name.to_owned(), source })?;
        if !bytes.starts_with(&MAGIC) {
            let found = bytes.into_iter().take(MAGIC.len()).collect();
            return Err(ShardError::Magic { file: name.to_owned(), found });
        }
        let Some(bytes) = bytes.first_chunk::<{ HEAD as usize }>() else {
            return Err(ShardError::contradiction(name, "its length", format!("at least {HEAD}"), length));
        };
        let short = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 4)) << 32;
        let version = short(8);
        if !(1..=VERSION).contains(&version) {
            return Err(ShardError::Version { file: name.to_owned(), found: version });
        }
        let (key_bytes, index_at, index_bytes) = (short(16).into(), long(24), long(32));
        let head = Self { version, crc32: short(12), key_bytes, index_at, index_bytes };
        if head.index_at < HEAD + head.key_bytes {
            return Err(ShardError::contradiction(
                name,
                "the place of the index",
                format!("{} or more", HEAD + head.key_bytes),
                head.index_at,
            ));
        }
        if head.index_at.checked_add(head.index_bytes) != Some(length) {
            let expected = format!("{} and then {}", head.index_at, head.index_bytes);
            return Err(ShardError::contradiction(name, "its length", expected, length));
        }
        Ok(head)
    }
}

/// The checksum that the head carries: of bytes 16 to the end of the key, then the index.
fn head_crc32(front: &[u8], index: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(front);
    hasher.update(index);
    hasher.finalize()
}

/// Checks what sizes and places follow from.
fn check(name: &str, key: &Key, records: &[Record]) -> Result<(), ShardError> {
    let geometry = &key.geometry;
    if ![geometry.width, geometry.height].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
        let expected = format!("1 to {MAX_SIDE} pixels a side");
        return Err(ShardError::contradiction(name, "the input's size", expected, geometry));
    }
    if records.len() != key.n_rows {
        return Err(ShardError::contradiction(name, "the number of records", key.n_rows, records.len()));
    }
    for record in records {
        let Content::Picture { width, height, twice_crc32, .. } = record.content else { continue };
        if !(1..=MAX_PIXELS).contains(&(u64::from(width) * u64::from(height))) {
            let expected = format!("1 to {MAX_PIXELS} pixels");
            return Err(ShardError::contradiction(
                name,
                "the size of a decoded file",
                expected,
                format!("{width} x {height}"),
            ));
        }
        let is_larger = geometry.size([width, height], Detail::Twice) != [geometry.width, geometry.height];
        if twice_crc32.is_some() != is_larger {
            let what = "whether a picture is kept at more than the input's size";
            return Err(ShardError::contradiction(name, what, is_larger, twice_crc32.is_some()));
        }
    }
    Ok(())
}

/// Bytes that are known to be in the file, so that no more memory is taken than it has.
fn read_at(file: &File, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; bytes as usize];
    file.read_exact_at(&mut buffer, at)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests;
