//! The rows of a set and how to read their pictures.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::Path;

use rayon::prelude::*;
use remedis_imaging::{DecodeError, Depth, Image, PrepareError, Preprocessing};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::geometry::{Detail, Geometry};
use crate::layout;
use crate::shard::{Content, Record, ShardError};
use crate::shards::Shards;
use crate::source::Source;

/// Which part of a study a row belongs to; a patient has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// A folder of prepared images that cannot be used.
    #[error("cannot use the prepared images")]
    Shards(#[source] ShardError),
}

/// A set whose images were prepared for another input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its images were prepared for {made_for}, but wanted is {wanted}; prepare the original set again with `remedis-train prepare \
     --size {} --channels {}{} --out ANOTHER_FOLDER`, change the plan's input, or name the original set", .wanted.width,
    if .wanted.channels.count() == 1 { "grey" } else { "rgb" }, if .wanted.depth_bits.is_eight() { "" } else { " --depth 16" }
)]
pub struct OtherInput {
    /// What they were prepared for.
    pub made_for: Geometry,
    /// What was asked for.
    pub wanted: Geometry,
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
    /// The picture cannot be brought to the input's size.
    #[error("cannot resize the picture of row {row}")]
    Resize {
        /// Row of the index, from 0.
        row: usize,
        /// The cause.
        source: PrepareError,
    },
    /// The file could not be used when the images were prepared.
    #[error("the file of row {row} could not be prepared")]
    Bad {
        /// Row of the index, from 0.
        row: usize,
        /// The cause, as it was then.
        source: Reason,
    },
    /// Prepared images hold pixels, no files.
    #[error("the file of row {row} is not in a folder of prepared images; name the original set")]
    OnlyPrepared {
        /// Row of the index, from 0.
        row: usize,
    },
    /// Prepared images that cannot be read.
    #[error("cannot read the prepared picture of row {row}")]
    Shard {
        /// Row of the index, from 0.
        row: usize,
        /// The cause.
        source: ShardError,
    },
    /// Prepared images for another input.
    #[error("cannot use the prepared picture of row {row}")]
    Other {
        /// Row of the index, from 0.
        row: usize,
        /// The cause.
        source: OtherInput,
    },
}

/// What was wrong with a file, in the words of the time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(String);

impl ReadImageError {
    /// Why, without the row: all causes, outermost first. Names no file and no patient.
    #[must_use]
    pub fn reason(&self) -> String {
        let (mut causes, mut next) = (Vec::new(), self.source());
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        if causes.is_empty() { self.to_string() } else { causes.join(": ") }
    }
}

/// A set of images: its rows, in the order of its table or sorted by name, and the files behind them.
#[derive(Clone, Debug)]
pub struct Index {
    /// One row an image.
    pub rows: Vec<Row>,
    files: Files,
    /// Bytes of each row's file.
    lengths: Vec<u64>,
}

/// Where pictures come from.
#[derive(Clone, Debug)]
enum Files {
    /// Picture files, to be decoded.
    Encoded(Source),
    /// Pixels.
    Prepared(Shards),
}

impl Index {
    /// Opens a set in any of its layouts.
    ///
    /// A folder or zip file with `labels.csv` (columns `file`, `label` or `label_name`, and optionally `site`, `patient`,
    /// `split`, `group` or `dup_group`) and its images beside it or in `images.zip`; a folder or zip file with a folder
    /// for each class, or for each split and in it each class; or such a table by itself. A row without a split gets one
    /// by a hash of its patient, else its group, else its file. Or a folder of [prepared](crate::write_shards) images, whose
    /// rows are those of the set that it was made of.
    ///
    /// # Errors
    /// [`OpenIndexError`] if the layout is none of these or a row cannot be understood.
    pub fn open(path: &Path) -> Result<Self, OpenIndexError> {
        if Shards::are_in(path) {
            return Self::prepared(Shards::open(path).map_err(OpenIndexError::Shards)?);
        }
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
        Ok(Self { rows, files: Files::Encoded(source), lengths: lengths.into_iter().flatten().collect() })
    }

    fn prepared(shards: Shards) -> Result<Self, OpenIndexError> {
        let (rows, lengths) = shards.records().map(|record| (record.row.clone(), record.bytes)).unzip();
        let index = Self { rows, lengths, files: Files::Prepared(shards.clone()) };
        if index.rows.is_empty() {
            return Err(OpenIndexError::Empty);
        }
        let (expected, found) = (shards.set_sha256().unwrap_or_default(), index.sha256());
        if expected != found {
            let error = ShardError::contradiction("shards.json", "the SHA-256 of the set", expected, found);
            return Err(OpenIndexError::Shards(error));
        }
        Ok(index)
    }

    /// What the images were prepared for, where they were.
    #[must_use]
    pub fn geometry(&self) -> Option<&Geometry> {
        match &self.files {
            Files::Encoded(_) => None,
            Files::Prepared(shards) => Some(shards.geometry()),
        }
    }

    /// Name of the set that prepared images were made of.
    #[must_use]
    pub fn prepared_from(&self) -> Option<&str> {
        match &self.files {
            Files::Encoded(_) => None,
            Files::Prepared(shards) => Some(shards.name()),
        }
    }

    /// Whether images can be had for this input.
    ///
    /// # Errors
    /// If they were prepared for another.
    pub fn suits(&self, input: &Preprocessing) -> Result<(), OtherInput> {
        let wanted = Geometry::of(input);
        match self.geometry() {
            Some(made_for) if *made_for != wanted => Err(OtherInput { made_for: made_for.clone(), wanted }),
            _ => Ok(()),
        }
    }

    /// The bytes of a row's file.
    ///
    /// # Errors
    /// If the file cannot be read any more, or only its pixels are here.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn read(&self, row: usize) -> Result<Vec<u8>, ReadImageError> {
        match &self.files {
            Files::Encoded(source) => {
                source.read(&self.rows[row].file).map_err(|source| ReadImageError::Read { row, source })
            }
            Files::Prepared(_) => Err(ReadImageError::OnlyPrepared { row }),
        }
    }

    /// The picture of a row at the size of an input or up to twice that, which is where training begins; prepared or made now,
    /// it has the same bytes.
    ///
    /// # Errors
    /// If the file cannot be read or is no picture, or images were prepared for another input.
    ///
    /// # Panics
    /// If there is no such row, or its picture has no pixels.
    pub fn resized(&self, row: usize, input: &Preprocessing, detail: Detail) -> Result<Image, ReadImageError> {
        let Files::Prepared(shards) = &self.files else {
            let image = self.image(row, input.depth_bits)?;
            return Geometry::of(input).fit(&image, detail).map_err(|source| ReadImageError::Resize { row, source });
        };
        self.suits(input).map_err(|source| ReadImageError::Other { row, source })?;
        self.usable(row)?;
        let image = shards.image(row, detail).map_err(|source| ReadImageError::Shard { row, source })?;
        image.ok_or(ReadImageError::OnlyPrepared { row })
    }

    /// Whether the picture of a row can be had.
    ///
    /// # Errors
    /// As [`image`](Self::image); of prepared images, if it could not be had when they were made.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn usable(&self, row: usize) -> Result<(), ReadImageError> {
        match self.record(row).map(|record| &record.content) {
            None => self.image(row, Depth::Eight).map(drop),
            Some(Content::Picture { .. }) => Ok(()),
            Some(Content::Bad { reason }) => Err(ReadImageError::Bad { row, source: Reason(reason.clone()) }),
        }
    }

    /// Bytes of a row's prepared picture; `None` where images were not prepared, or this one could not be.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn prepared_bytes(&self, row: usize, detail: Detail) -> Option<u64> {
        let geometry = self.geometry()?;
        match self.record(row)?.content {
            Content::Picture { width, height, .. } => Some(geometry.bytes(geometry.size([width, height], detail))),
            Content::Bad { .. } => None,
        }
    }

    /// What is known of a row's file where images were prepared.
    pub(crate) fn record(&self, row: usize) -> Option<&Record> {
        match &self.files {
            Files::Encoded(_) => None,
            Files::Prepared(shards) => Some(shards.record(row)),
        }
    }

    /// Bytes of a row's file.
    pub(crate) fn length(&self, row: usize) -> u64 {
        self.lengths[row]
    }

    /// The picture of a row, with samples of `depth`.
    ///
    /// # Errors
    /// If the file cannot be read or is no picture.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn image(&self, row: usize, depth: Depth) -> Result<Image, ReadImageError> {
        remedis_imaging::decode(&self.read(row)?, depth).map_err(|source| ReadImageError::Decode { row, source })
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
