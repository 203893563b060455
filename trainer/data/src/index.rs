//! The rows of a set and how to read their pictures.

use std::fmt;
use std::io;
use std::path::Path;

use rayon::prelude::*;
use remedis_imaging::{DecodeError, Image};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::layout;
use crate::source::Source;

/// Which part of a study a row belongs to; a patient has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Weights are fitted on it.
    Train,
    /// Decisions such as thresholds and stopping are taken on it.
    Val,
    /// Looked at once, for the result.
    Test,
}

impl Split {
    /// All splits in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The split of `key` where a set names none: 70 % train, 10 % validation, 20 % test, by a hash of the key.
    pub(crate) fn of_key(key: &str) -> Self {
        let hash = Sha256::digest(key.as_bytes());
        match u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % 100 {
            0..70 => Self::Train,
            70..80 => Self::Val,
            _ => Self::Test,
        }
    }

    /// Reads the word that an index has for a split.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" => Some(Self::Val),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        })
    }
}

/// One picture of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Name below the set's folder or in its zip file.
    pub file: String,
    /// Name of the class, where known.
    pub label: Option<String>,
    /// Where it was taken, where known.
    pub site: Option<String>,
    /// Whom it was taken of, where known.
    pub patient: Option<String>,
    /// Training, validation or test.
    pub split: Split,
    /// Pictures known to be copies of each other share a group.
    pub group: Option<String>,
}

impl Row {
    /// What must stay in one split with this row: the patient, else the group, else the file itself.
    pub(crate) fn key(patient: Option<&str>, group: Option<&str>, file: &str) -> String {
        match (patient, group) {
            (Some(patient), _) => format!("patient:{patient}"),
            (None, Some(group)) => format!("group:{group}"),
            (None, None) => format!("file:{file}"),
        }
    }
}

/// Why a set cannot be opened. Rows are counted from 1, the line of the heading not counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenIndexError {
    /// The path cannot be read.
    #[error("cannot read {what}")]
    Read {
        /// What was being read.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// Not a readable zip file.
    #[error("cannot read the zip file")]
    Zip(#[source] zip::result::ZipError),
    /// Not a readable table.
    #[error("cannot read the table of labels")]
    Csv(#[source] csv::Error),
    /// Neither a folder nor a table nor a zip file.
    #[error("expected a folder, a .csv or a .zip; found a file ending in {ending:?}")]
    UnknownKind {
        /// How the name ends.
        ending: String,
    },
    /// A column that every table needs.
    #[error("the table of labels has no column {expected}; its columns are: {found}")]
    MissingColumn {
        /// Which column.
        expected: &'static str,
        /// Columns that are there.
        found: String,
    },
    /// No pictures.
    #[error(
        "no images found; expected labels.csv with images, or one folder of .png, .jpg or .dcm files for each class"
    )]
    Empty,
    /// A word that is no split.
    #[error("row {row} has the split {found:?}; expected train, val, test or nothing")]
    UnknownSplit {
        /// Row of the table.
        row: usize,
        /// The word.
        found: String,
    },
    /// A file that is not there.
    #[error("row {row} names a file that does not exist in the {place}")]
    MissingFile {
        /// Row of the table.
        row: usize,
        /// Folder or zip file.
        place: &'static str,
    },
    /// A name that leaves the folder of the set.
    #[error("row {row} names a file outside the set; names must be relative and without \"..\"")]
    Escapes {
        /// Row of the table.
        row: usize,
    },
}

/// Why a picture of a set cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadImageError {
    /// The file cannot be read.
    #[error("cannot read the file of row {row}")]
    Read {
        /// Row of the index, from 0.
        row: usize,
        /// The cause.
        source: io::Error,
    },
    /// The file is no picture.
    #[error("cannot decode the file of row {row}")]
    Decode {
        /// Row of the index, from 0.
        row: usize,
        /// The cause.
        source: DecodeError,
    },
}

/// A set of images: its rows, in the order of its table or sorted by name, and the files behind them.
#[derive(Clone, Debug)]
pub struct Index {
    /// One row an image.
    pub rows: Vec<Row>,
    source: Source,
    /// Bytes of each row's file.
    lengths: Vec<u64>,
}

impl Index {
    /// Opens a set in any of its layouts.
    ///
    /// A folder or zip file with `labels.csv` (columns `file`, `label` or `label_name`, and optionally `site`, `patient`,
    /// `split`, `group` or `dup_group`) and its images beside it or in `images.zip`; a folder or zip file with a folder
    /// for each class, or for each split and in it each class; or such a table by itself. A row without a split gets one
    /// by a hash of its patient, else its group, else its file.
    ///
    /// # Errors
    /// [`OpenIndexError`] if the layout is none of these or a row cannot be understood.
    pub fn open(path: &Path) -> Result<Self, OpenIndexError> {
        let (rows, source) = layout::open(path)?;
        let place = match source {
            Source::Folder(_) => "folder",
            Source::Zip(_) => "zip file",
        };
        let lengths: Vec<Option<u64>> = rows.par_iter().map(|row| source.length(&row.file)).collect();
        if let Some(missing) = lengths.iter().position(Option::is_none) {
            return Err(OpenIndexError::MissingFile { row: missing + 1, place });
        }
        if rows.is_empty() {
            return Err(OpenIndexError::Empty);
        }
        Ok(Self { rows, source, lengths: lengths.into_iter().flatten().collect() })
    }

    /// The bytes of a row's file.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn read(&self, row: usize) -> Result<Vec<u8>, ReadImageError> {
        self.source.read(&self.rows[row].file).map_err(|source| ReadImageError::Read { row, source })
    }

    /// The picture of a row.
    ///
    /// # Errors
    /// If the file cannot be read or is no picture.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn image(&self, row: usize) -> Result<Image, ReadImageError> {
        remedis_imaging::decode(&self.read(row)?).map_err(|source| ReadImageError::Decode { row, source })
    }

    /// Names of the classes, sorted, each once.
    pub fn classes(&self) -> Vec<String> {
        let mut classes: Vec<String> = self.rows.iter().filter_map(|row| row.label.clone()).collect();
        classes.sort();
        classes.dedup();
        classes
    }

    /// SHA-256, in hexadecimal, of every row and the length of its file: changes when the set is relabelled, re-split or
    /// has files added, dropped or replaced by others of another length.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for (row, length) in self.rows.iter().zip(&self.lengths) {
            let split = row.split.to_string();
            for part in [&row.label, &row.site, &row.patient, &row.group] {
                hash.update(part.as_deref().map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
                hash.update(part.as_deref().unwrap_or_default());
            }
            hash.update((row.file.len() as u64).to_le_bytes());
            hash.update(&row.file);
            hash.update(split);
            hash.update(length.to_le_bytes());
        }
        hexadecimal(&hash.finalize())
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
