//! Making a shard, in memory: it is small enough.

use remedis_imaging::{Depth, Image, decode};

use super::{Content, Digest, HEAD, Key, MAGIC, Record, head_crc32, version};
use crate::geometry::{Detail, Geometry};
use crate::index::{Index, ReadImageError};
use crate::likeness;

/// A shard that is being put together.
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    version: u32,
    key_bytes: u32,
    records: Vec<Record>,
}

impl Encoder {
    pub(crate) fn new(key: &Key) -> Self {
        let version = version(key.geometry.depth_bits);
        let key = serde_json::to_vec(key).expect("strings and numbers are JSON");
        let mut bytes = vec![0; HEAD as usize];
        bytes.extend(&key);
        Self { bytes, version, key_bytes: key.len() as u32, records: Vec::new() }
    }

    /// Adds the next row.
    pub(crate) fn add(&mut self, record: Record, pixels: &[Image]) {
        pixels.iter().for_each(|image| self.bytes.extend(&*image.samples.to_le_bytes()));
        self.records.push(record);
    }

    /// The whole file.
    pub(crate) fn finish(self) -> Vec<u8> {
        let Self { mut bytes, version, key_bytes, records } = self;
        let index = serde_json::to_vec(&records).expect("strings and numbers are JSON");
        let index_at = bytes.len() as u64;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        bytes[16..20].copy_from_slice(&key_bytes.to_le_bytes());
        bytes[24..32].copy_from_slice(&index_at.to_le_bytes());
        bytes[32..40].copy_from_slice(&(index.len() as u64).to_le_bytes());
        let crc32 = head_crc32(&bytes[16..HEAD as usize + key_bytes as usize], &index);
        bytes[12..16].copy_from_slice(&crc32.to_le_bytes());
        bytes.extend(index);
        bytes
    }
}

/// Reads, decodes and resizes one row: what is said of it, and its pictures in the order of a shard.
pub(crate) fn prepared(index: &Index, row: usize, geometry: &Geometry) -> (Record, Vec<Image>) {
    let bytes = index.read(row);
    let sha256 = bytes.as_ref().ok().map(|bytes| Digest::of(bytes));
    let made = bytes.and_then(|bytes| pictures(&bytes, row, geometry));
    let (content, images) = match made {
        Ok((content, images)) => (content, images),
        Err(error) => (Content::Bad { reason: error.reason() }, Vec::new()),
    };
    (Record { row: index.rows[row].clone(), bytes: index.length(row), sha256, content }, images)
}

fn pictures(bytes: &[u8], row: usize, geometry: &Geometry) -> Result<(Content, Vec<Image>), ReadImageError> {
    let decoded = |depth| decode(bytes, depth).map_err(|source| ReadImageError::Decode { row, source });
    let image = decoded(geometry.depth_bits)?;
    let fit = |detail| geometry.fit(&image, detail).map_err(|source| ReadImageError::Resize { row, source });
    let [width, height] = [image.width, image.height];
    let mut images = vec![fit(Detail::Input)?];
    if geometry.size([width, height], Detail::Twice) != [geometry.width, geometry.height] {
        images.push(fit(Detail::Twice)?);
    }
    let crc32 = |image: &Image| crc32fast::hash(&image.samples.to_le_bytes());
    // The audit knows of no plan and looks at 8 bits; to narrow 16 would round twice, and might find other copies than it does.
    let likeness = match geometry.depth_bits {
        Depth::Eight => likeness::hash(&image),
        Depth::Sixteen => likeness::hash(&decoded(Depth::Eight)?),
    };
    let content = Content::Picture {
        width,
        height,
        likeness,
        input_crc32: crc32(&images[0]),
        twice_crc32: images.get(1).map(crc32),
    };
    Ok((content, images))
}
