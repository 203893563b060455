//! A folder of prepared pictures: its shards, and `shards.json`, which is written last and names them.

mod write;

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use remedis_imaging::Image;
use serde::{Deserialize, Serialize};

use crate::geometry::{Detail, Geometry};
use crate::shard::{Digest, Record, Shard, ShardError, VERSION, version};

pub use write::{Prepared, WriteShardsError, write_shards};

/// What a finished folder has.
const MANIFEST: &str = "shards.json";

/// What is in a folder, and what it was made of: for people and programs that do not read shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// As the version of its shards.
    format: u32,
    /// Name of the set's folder or archive.
    name: String,
    /// Of the set, as `Index::sha256`.
    set_sha256: String,
    /// How its pictures were resized.
    geometry: Geometry,
    /// All rows.
    n_images: usize,
    /// Rows whose files could not be used.
    n_bad: usize,
    /// The shards, in the order of rows.
    files: Vec<Entry>,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    n_rows: usize,
    bytes: u64,
    /// Of the whole file, as `sha256sum` prints it. Not checked when a folder is opened: the file's own checksums are.
    sha256: Digest,
}

/// All shards of a folder.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    name: String,
    geometry: Geometry,
    shards: Arc<Vec<Shard>>,
    /// First row of each shard.
    firsts: Arc<Vec<usize>>,
}

impl Shards {
    /// Whether the folder is one of prepared pictures, finished or not.
    pub(crate) fn are_in(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file() || folder.join(file_name(0)).is_file()
    }

    /// Opens every shard and checks all of it but the pixels.
    pub(crate) fn open(folder: &Path) -> Result<Self, ShardError> {
        let manifest = Manifest::read(folder)?;
        let shards: Result<Vec<Shard>, ShardError> =
            manifest.files.par_iter().map(|entry| Shard::open(&folder.join(entry.safe_name()?))).collect();
        let shards = shards?;
        let mut firsts = Vec::with_capacity(shards.len());
        let mut first = 0;
        for (shard, entry) in shards.iter().zip(&manifest.files) {
            let key = shard.key();
            let differ = |what, expected: &dyn ToString, found: &dyn ToString| {
                Err(ShardError::contradiction(&entry.name, what, expected.to_string(), found.to_string()))
            };
            if key.set_sha256 != manifest.set_sha256 {
                return differ("the SHA-256 of its set", &manifest.set_sha256, &key.set_sha256);
            }
            if key.geometry != manifest.geometry {
                return differ("the input it was made for", &manifest.geometry, &key.geometry);
            }
            if (key.first_row, key.n_rows) != (first, entry.n_rows) {
                let [expected, found] = [(first, entry.n_rows), (key.first_row, key.n_rows)]
                    .map(|(first, n)| format!("{n} from {} on", first + 1));
                return differ("which rows it has", &expected, &found);
            }
            firsts.push(first);
            first += key.n_rows;
        }
        if first != manifest.n_images {
            return Err(ShardError::contradiction(MANIFEST, "the number of its rows", manifest.n_images, first));
        }
        let Manifest { name, geometry, .. } = manifest;
        Ok(Self { name, geometry, shards: Arc::new(shards), firsts: Arc::new(firsts) })
    }

    /// Name of the set that the pictures were made of.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the pictures were made for.
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Of the set, as every shard says.
    pub(crate) fn set_sha256(&self) -> Option<&str> {
        self.shards.first().map(|shard| shard.key().set_sha256.as_str())
    }

    /// All records, in the order of rows.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.shards.iter().flat_map(|shard| shard.records())
    }

    pub(crate) fn record(&self, row: usize) -> &Record {
        let (shard, at) = self.place(row);
        &shard.records()[at]
    }

    /// A row's picture; `None` where its file could not be used.
    pub(crate) fn image(&self, row: usize, detail: Detail) -> Result<Option<Image>, ShardError> {
        let (shard, at) = self.place(row);
        shard.image(at, detail)
    }

    fn place(&self, row: usize) -> (&Shard, usize) {
        let at = self.firsts.partition_point(|&first| first <= row) - 1;
        (&self.shards[at], row - self.firsts[at])
    }
}

impl Manifest {
    fn read(folder: &Path) -> Result<Self, ShardError> {
        let file = || MANIFEST.to_owned();
        let text = match std::fs::read(folder.join(MANIFEST)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ShardError::Unfinished { file: file() });
            }
            Err(source) => return Err(ShardError::Read { file: file(), source }),
        };
        /// Read first: another format may have other fields.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let wrong = |error| ShardError::form(MANIFEST, "it", &error);
        let Format { format } = serde_json::from_slice(&text).map_err(wrong)?;
        if !(1..=VERSION).contains(&format) {
            return Err(ShardError::Version { file: file(), found: format });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(wrong)?;
        let expected = version(manifest.geometry.depth_bits);
        if format != expected {
            return Err(ShardError::contradiction(MANIFEST, "its format, by the bits of a sample,", expected, format));
        }
        Ok(manifest)
    }
}

impl Entry {
    /// Its name, if it is one of ours: nothing outside the folder is opened.
    fn safe_name(&self) -> Result<&str, ShardError> {
        if is_shard_name(&self.name) {
            return Ok(&self.name);
        }
        Err(ShardError::contradiction(MANIFEST, "the name of a file", file_name(0), &self.name))
    }
}

/// `shard-00000.shard` and so on.
fn file_name(number: usize) -> String {
    format!("shard-{number:05}.shard")
}

fn is_shard_name(name: &str) -> bool {
    let digits = name.strip_prefix("shard-").and_then(|rest| rest.strip_suffix(".shard"));
    digits.is_some_and(|digits| digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
