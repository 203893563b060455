//! The images of a pool: in memory, or read from a folder of prepared ones each time they are drawn.

use std::sync::Arc;

use remedis_data::{Detail, Index, ReadImageError};
use remedis_imaging::{Image, Preprocessing};

/// Images by position. Clones share pixels.
#[derive(Clone, Debug, Default)]
pub struct Images(Vec<Place>);

/// Where one image is.
#[derive(Clone, Debug)]
enum Place {
    Memory(Arc<Image>),
    Shard { set: Arc<Prepared>, row: usize },
}

/// A set of prepared images and the form in which they are drawn.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) index: Index,
    pub(crate) input: Preprocessing,
    pub(crate) detail: Detail,
}

impl Prepared {
    /// The image of a row.
    pub(crate) fn read(&self, row: usize) -> Result<Image, ReadImageError> {
        self.index.resized(row, &self.input, self.detail)
    }
}

impl Images {
    /// Adds an image that is in memory.
    pub fn push(&mut self, image: Image) {
        self.0.push(Place::Memory(Arc::new(image)));
    }

    /// Adds a row of a prepared set that could be read.
    pub(crate) fn push_row(&mut self, set: &Arc<Prepared>, row: usize) {
        self.0.push(Place::Shard { set: Arc::clone(set), row });
    }

    /// Adds image `i` of others.
    pub(crate) fn push_from(&mut self, others: &Self, i: usize) {
        self.0.push(others.0[i].clone());
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Image `i`.
    ///
    /// # Panics
    /// If there is none, or a shard that was whole when the pool was made cannot be read any more, as reading mapped memory would
    /// end the program too; the run goes on from its last checkpoint when the folder is back.
    #[must_use]
    pub fn get(&self, i: usize) -> Arc<Image> {
        match &self.0[i] {
            Place::Memory(image) => Arc::clone(image),
            Place::Shard { set, row } => Arc::new(set.read(*row).unwrap_or_else(|error| {
                let reason = error.reason();
                panic!("prepared images can no longer be read: {reason}; mend that and give the same command again")
            })),
        }
    }

    /// All of them, in memory.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    #[must_use]
    pub fn to_vec(&self) -> Vec<Image> {
        (0..self.len()).map(|i| Arc::unwrap_or_clone(self.get(i))).collect()
    }
}
