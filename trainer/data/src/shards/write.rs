//! Making a folder of prepared pictures, file by file.

use std::io;
use std::path::Path;

use rayon::prelude::*;

use super::{Entry, MANIFEST, Manifest, file_name, is_shard_name};
use crate::geometry::{Detail, Geometry};
use crate::index::Index;
use crate::shard::{Content, Digest, Encoder, Key, Shard, prepared, version};

/// The most bytes of pixels in one file: what a stop loses, and about what memory is taken.
const MAX_PIXEL_BYTES: u64 = 256 << 20;
/// Rows between two questions whether to go on.
const CHUNK: usize = 256;

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Rows of the set.
    pub n_images: usize,
    /// Rows whose files could not be used.
    pub n_bad: usize,
    /// Shards in the folder.
    pub n_files: usize,
    /// Shards that an earlier call had finished.
    pub n_kept: usize,
    /// Rows of those.
    pub n_images_kept: usize,
    /// Bytes of all shards.
    pub bytes: u64,
}

/// Why a folder could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteShardsError {
    /// The set is such a folder itself.
    #[error("these images are prepared already, for {made_for}; name the set that they were made of")]
    PreparedAlready {
        /// What for.
        made_for: Geometry,
    },
    /// The folder has something else in it.
    #[error("the folder is not empty: it has {found}; choose another --out")]
    Foreign {
        /// Name of a file.
        found: String,
    },
    /// The folder has pictures that were prepared from or for something else.
    #[error(
        "the folder has images prepared from {from}, for {found}; wanted is {wanted}; choose another --out, or remove the folder \
         to prepare anew"
    )]
    Other {
        /// This set, as it was or is, or another.
        from: &'static str,
        /// What they were made for.
        found: Geometry,
        /// What was asked for.
        wanted: Geometry,
    },
    /// The folder cannot be read.
    #[error("cannot read the folder")]
    Read(#[source] io::Error),
    /// A file could not be written. Nothing of it is left behind.
    #[error("cannot write {file} of {bytes} bytes")]
    Write {
        /// Which file.
        file: String,
        /// Its length.
        bytes: u64,
        /// The cause.
        source: io::Error,
    },
    /// Asked to stop; finished files are kept.
    #[error("stopped after {done} of {total} images; the same command goes on from there")]
    Stopped {
        /// Rows in finished files.
        done: usize,
        /// All rows.
        total: usize,
    },
}

/// Decodes and resizes every picture of `index` once and keeps the pixels in `out`, a folder that is there. `name` is the set's.
///
/// Files that are whole, made of the same set for the same input, and whose source files still have the digests that they name,
/// are kept; others are made anew. The bytes depend on the set, its files and `geometry`, not on threads or stops. `watch` hears
/// how many rows are through and answers whether to go on.
///
/// # Errors
/// [`WriteShardsError`], also if `watch` says to stop.
pub fn write_shards(
    index: &Index,
    name: &str,
    geometry: &Geometry,
    out: &Path,
    watch: &mut dyn FnMut(usize) -> bool,
) -> Result<Prepared, WriteShardsError> {
    write_files(index, name, geometry, out, rows_a_file(geometry), watch)
}

/// As [`write_shards`], with this many rows in every file but the last.
pub(super) fn write_files(
    index: &Index,
    name: &str,
    geometry: &Geometry,
    out: &Path,
    n_rows: usize,
    watch: &mut dyn FnMut(usize) -> bool,
) -> Result<Prepared, WriteShardsError> {
    if let Some(made_for) = index.geometry() {
        return Err(WriteShardsError::PreparedAlready { made_for: made_for.clone() });
    }
    refuse_foreign(out)?;
    let (set_sha256, total) = (index.sha256(), index.rows.len());
    let mut files = Vec::new();
    let (mut n_bad, mut n_kept, mut n_images_kept) = (0, 0, 0);
    for (number, first_row) in (0..total).step_by(n_rows).enumerate() {
        let (set_sha256, geometry) = (set_sha256.clone(), geometry.clone());
        let key = Key { set_sha256, geometry, first_row, n_rows: n_rows.min(total - first_row) };
        let (file, end) = (file_name(number), first_row + key.n_rows);
        let shard = if let Some(kept) = Finished::find(&out.join(&file), &key, index)? {
            n_kept += 1;
            n_images_kept += key.n_rows;
            kept
        } else {
            let Some((bytes, n_bad)) = make(index, &key, watch) else {
                return Err(WriteShardsError::Stopped { done: first_row, total });
            };
            write(out, &file, &bytes)?;
            Finished::of(&bytes, n_bad)
        };
        n_bad += shard.n_bad;
        files.push(Entry { name: file, n_rows: key.n_rows, bytes: shard.bytes, sha256: shard.sha256 });
        if end < total && !watch(end) {
            return Err(WriteShardsError::Stopped { done: end, total });
        }
    }
    let (n_files, bytes) = (files.len(), files.iter().map(|entry| entry.bytes).sum());
    let (name, geometry) = (name.to_owned(), geometry.clone());
    let manifest =
        Manifest { format: version(geometry.depth_bits), name, set_sha256, geometry, n_images: total, n_bad, files };
    write(out, MANIFEST, &serde_json::to_vec_pretty(&manifest).expect("strings and numbers are JSON"))?;
    Ok(Prepared { n_images: total, n_bad, n_files, n_kept, n_images_kept, bytes })
}

/// Rows of every file but the last, so that the largest pictures fit: which rows are in which file follows from the input alone.
fn rows_a_file(geometry: &Geometry) -> usize {
    let most = [Detail::Input, Detail::Twice].map(|detail| geometry.bytes(geometry.size([u32::MAX; 2], detail)));
    (MAX_PIXEL_BYTES / most.iter().sum::<u64>().max(1)).max(1) as usize
}

/// A whole shard and how many of its rows are bad; `None` when asked to stop.
fn make(index: &Index, key: &Key, watch: &mut dyn FnMut(usize) -> bool) -> Option<(Vec<u8>, usize)> {
    let mut encoder = Encoder::new(key);
    let end = key.first_row + key.n_rows;
    let mut n_bad = 0;
    for first in (key.first_row..end).step_by(CHUNK) {
        let rows = first..end.min(first + CHUNK);
        let through = rows.end;
        let made: Vec<_> = rows.into_par_iter().map(|row| prepared(index, row, &key.geometry)).collect();
        for (record, images) in made {
            n_bad += usize::from(images.is_empty());
            encoder.add(record, &images);
        }
        if !watch(through) {
            return None;
        }
    }
    Some((encoder.finish(), n_bad))
}

fn write(out: &Path, file: &str, bytes: &[u8]) -> Result<(), WriteShardsError> {
    let refuse = |source| WriteShardsError::Write { file: file.to_owned(), bytes: bytes.len() as u64, source };
    remedis_bundle::write_atomic(&out.join(file), bytes).map_err(refuse)
}

/// What the manifest says of a shard.
struct Finished {
    bytes: u64,
    sha256: Digest,
    n_bad: usize,
}

impl Finished {
    fn of(bytes: &[u8], n_bad: usize) -> Self {
        Self { bytes: bytes.len() as u64, sha256: Digest::of(bytes), n_bad }
    }

    /// The shard of an earlier call; `None` where there is none, it is damaged, or the files it was made of have changed.
    fn find(path: &Path, key: &Key, index: &Index) -> Result<Option<Self>, WriteShardsError> {
        let Ok(shard) = Shard::open(path) else { return Ok(None) };
        let found = shard.key();
        if (&found.set_sha256, &found.geometry) != (&key.set_sha256, &key.geometry) {
            let is_set = found.set_sha256 == key.set_sha256;
            let from = if is_set { "this set" } else { "another set (or this one before its table changed)" };
            let (found, wanted) = (found.geometry.clone(), key.geometry.clone());
            return Err(WriteShardsError::Other { from, found, wanted });
        }
        let is_same = |at: usize| {
            let is_whole = [Detail::Input, Detail::Twice].iter().all(|&detail| shard.image(at, detail).is_ok());
            let source = index.read(key.first_row + at).ok().map(|bytes| Digest::of(&bytes));
            is_whole && source == shard.records()[at].sha256
        };
        if found != key || !(0..key.n_rows).into_par_iter().all(is_same) {
            return Ok(None);
        }
        let n_bad = shard.records().iter().filter(|record| matches!(record.content, Content::Bad { .. })).count();
        Ok(std::fs::read(path).ok().map(|bytes| Self::of(&bytes, n_bad)))
    }
}

/// Refuses a folder that holds anything but what this writes; hidden files are left alone.
fn refuse_foreign(out: &Path) -> Result<(), WriteShardsError> {
    for entry in std::fs::read_dir(out).map_err(WriteShardsError::Read)? {
        let found = entry.map_err(WriteShardsError::Read)?.file_name().to_string_lossy().into_owned();
        if found != MANIFEST && !is_shard_name(&found) && !found.starts_with('.') {
            return Err(WriteShardsError::Foreign { found });
        }
    }
    Ok(())
}
