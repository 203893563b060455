//! Decoded images at input size, held in memory as bytes: what the stages draw from.

use rayon::prelude::*;
use remedis_data::Index;
use remedis_imaging::{Image, Preprocessing, normalise, resize};
use sha2::{Digest, Sha256};

/// Images resized to the input size, with what is known of each. All lists have one entry an image.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Resized to the input's width, height and channels.
    pub images: Vec<Image>,
    /// Index into the class list, where the row has a label of that list.
    pub labels: Vec<Option<usize>>,
    /// The patient, where known.
    pub patients: Vec<Option<String>>,
    /// What belongs together for statistics: the patient, else the group of near copies, else the file itself.
    pub clusters: Vec<String>,
    /// Row of the index each image came from.
    pub rows: Vec<usize>,
}

/// Why a pool could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadPoolError {
    /// A row could not be read, decoded or resized.
    #[error("row {row} of the index cannot be used: {message}; remove the row or repair the file")]
    Row {
        /// Row of the index, from 0.
        row: usize,
        /// What went wrong; names no file.
        message: String,
    },
}

impl Pool {
    /// Decodes and resizes `rows` of `index` on all threads; the order of `rows` is kept.
    ///
    /// A row whose label is not in `classes` becomes unlabelled.
    ///
    /// # Errors
    /// The first row (in order) that cannot be read, decoded or resized.
    pub fn load(
        index: &Index,
        rows: &[usize],
        preprocessing: &Preprocessing,
        classes: &[String],
    ) -> Result<Self, LoadPoolError> {
        let images: Vec<_> = rows.par_iter().map(|&row| load_one(index, row, preprocessing)).collect();
        let mut pool = Self { images: images.into_iter().collect::<Result<_, _>>()?, ..Self::default() };
        for &row in rows {
            let entry = &index.rows[row];
            let label = entry.label.as_ref().and_then(|label| classes.iter().position(|class| class == label));
            let cluster = entry.patient.as_ref().or(entry.group.as_ref()).unwrap_or(&entry.file);
            pool.labels.push(label);
            pool.patients.push(entry.patient.clone());
            pool.clusters.push(cluster.clone());
            pool.rows.push(row);
        }
        Ok(pool)
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The images at `indices`, in that order.
    #[must_use]
    pub fn subset(&self, indices: &[usize]) -> Self {
        let mut out = Self::default();
        for &i in indices {
            out.images.push(self.images[i].clone());
            out.labels.push(self.labels[i]);
            out.patients.push(self.patients[i].clone());
            out.clusters.push(self.clusters[i].clone());
            out.rows.push(self.rows[i]);
        }
        out
    }

    /// Positions of the images that have a label.
    #[must_use]
    pub fn labelled(&self) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.labels[i].is_some()).collect()
    }

    /// SHA-256 in hex of everything a stage can see: pixels, labels, patients, order.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for (i, image) in self.images.iter().enumerate() {
            hasher.update(image.width.to_le_bytes());
            hasher.update(image.height.to_le_bytes());
            hasher.update(&image.pixels);
            hasher.update(self.labels[i].map_or(u64::MAX, |label| label as u64).to_le_bytes());
            hasher.update(self.patients[i].as_deref().unwrap_or("\0").as_bytes());
            hasher.update([0xff]);
        }
        crate::checkpoint::hex(&hasher.finalize())
    }

    /// The images as networks see them, without augmentation: one `[channel, height, width]` list an image.
    #[must_use]
    pub fn prepared(&self, preprocessing: &Preprocessing) -> Vec<Vec<f32>> {
        self.images.par_iter().map(|image| normalise(image, preprocessing)).collect()
    }
}

fn load_one(index: &Index, row: usize, preprocessing: &Preprocessing) -> Result<Image, LoadPoolError> {
    let refuse = |error: &dyn std::error::Error| LoadPoolError::Row { row, message: error.to_string() };
    let image = index.image(row).map_err(|error| refuse(&error))?;
    resize(&image, preprocessing).map_err(|error| refuse(&error))
}
