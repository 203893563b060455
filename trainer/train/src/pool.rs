//! Decoded images, held in memory as bytes: what the stages draw from.

use std::error::Error as _;

use rayon::prelude::*;
use remedis_data::Index;
use remedis_imaging::{Image, Preprocessing, prepare, resize};
use sha2::{Digest, Sha256};

/// Images resized to the input size, with what is known of each. All lists have one entry an image.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// With the input's channels and shape, at its size or larger: see [`Detail`].
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

/// At what size a pool keeps its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// At the input's size, as the device sees them: to measure on.
    Input,
    /// At up to twice the input's size, never larger than they are: to draw crops from, which would be blurred otherwise.
    Twice,
}

/// A row of an index whose file cannot be used, and why. Names no file and no patient; its words count rows from 1, as tables do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {} cannot be used: {reason}", .row + 1)]
pub struct BadRow {
    /// Row of the index, from 0.
    pub row: usize,
    /// What is wrong with its file.
    pub reason: String,
}

impl BadRow {
    /// Why the picture of `row` cannot be had; `None` where it can.
    #[must_use]
    pub fn find(index: &Index, row: usize) -> Option<Self> {
        picture(index, row).err()
    }
}

impl Pool {
    /// Decodes and resizes `rows` of `index` on all threads; the order of `rows` is kept.
    ///
    /// A row whose label is not in `classes` becomes unlabelled. Rows that cannot be read, decoded or resized are left out and
    /// returned, in order: the pool is the one that would be without them.
    #[must_use]
    pub fn load(
        index: &Index,
        rows: &[usize],
        preprocessing: &Preprocessing,
        detail: Detail,
        classes: &[String],
    ) -> (Self, Vec<BadRow>) {
        let images: Vec<_> = rows.par_iter().map(|&row| load_one(index, row, preprocessing, detail)).collect();
        let (mut pool, mut bad) = (Self::default(), Vec::new());
        for (&row, image) in rows.iter().zip(images) {
            let image = match image {
                Ok(image) => image,
                Err(found) => {
                    bad.push(found);
                    continue;
                }
            };
            let entry = &index.rows[row];
            let label = entry.label.as_ref().and_then(|label| classes.iter().position(|class| class == label));
            let cluster = entry.patient.as_ref().or(entry.group.as_ref()).unwrap_or(&entry.file);
            pool.images.push(image);
            pool.labels.push(label);
            pool.patients.push(entry.patient.clone());
            pool.clusters.push(cluster.clone());
            pool.rows.push(row);
        }
        (pool, bad)
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
    ///
    /// # Panics
    /// If an image is empty or `preprocessing` contradicts itself, which loading has refused.
    #[must_use]
    pub fn prepared(&self, preprocessing: &Preprocessing) -> Vec<Vec<f32>> {
        let one = |image| prepare(image, preprocessing).expect("loading has resized it with this preprocessing");
        self.images.par_iter().map(one).collect()
    }
}

fn load_one(index: &Index, row: usize, input: &Preprocessing, detail: Detail) -> Result<Image, BadRow> {
    let image = picture(index, row)?;
    resize(&image, &at_detail(&image, input, detail)).map_err(|error| BadRow { row, reason: error.to_string() })
}

fn picture(index: &Index, row: usize) -> Result<Image, BadRow> {
    index.image(row).map_err(|error| {
        // The outermost error only says which row it is.
        let (mut causes, mut next) = (Vec::new(), error.source());
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        BadRow { row, reason: causes.join(": ") }
    })
}

/// `input` with the size at which `image` is kept.
fn at_detail(image: &Image, input: &Preprocessing, detail: Detail) -> Preprocessing {
    let own = f64::from(image.width) / f64::from(input.width);
    let factor = match detail {
        Detail::Input => 1.0,
        Detail::Twice => own.min(f64::from(image.height) / f64::from(input.height)).clamp(1.0, 2.0),
    };
    let scaled = |side: u32| (f64::from(side) * factor).round() as u32;
    Preprocessing { width: scaled(input.width), height: scaled(input.height), ..input.clone() }
}

#[cfg(test)]
mod tests {
    use remedis_imaging::{Channels, Resize, encode_png};

    use super::*;

    #[test]
    fn a_pool_to_draw_from_keeps_twice_the_input_or_what_there_is() {
        let (mean, std) = (vec![0.5], vec![0.5]);
        let input =
            Preprocessing { width: 64, height: 32, channels: Channels::Grey, resize: Resize::Stretch, mean, std };
        let kept = |width, height, detail| {
            let image = Image { width, height, channels: Channels::Grey, pixels: vec![] };
            let kept = at_detail(&image, &input, detail);
            (kept.width, kept.height)
        };
        assert_eq!(kept(400, 400, Detail::Twice), (128, 64));
        assert_eq!(kept(96, 400, Detail::Twice), (96, 48));
        assert_eq!(kept(20, 20, Detail::Twice), (64, 32));
        assert_eq!(kept(400, 400, Detail::Input), (64, 32));
    }

    /// A folder of 16-pixel pictures, one a class; `broken` is no picture.
    fn set(names: &[&str]) -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().unwrap();
        let mut table = "file,label,split\n".to_owned();
        for (number, name) in names.iter().enumerate() {
            let pixels = (0..256).map(|at| ((at * 7) ^ (name.len() * 31)) as u8).collect();
            let picture = encode_png(&Image { width: 16, height: 16, channels: Channels::Grey, pixels });
            let bytes = if *name == "broken" { picture[..40].to_vec() } else { picture };
            std::fs::write(folder.path().join(format!("{name}.png")), bytes).unwrap();
            table += &format!("{name}.png,{},train\n", ["even", "odd"][(number + name.len()) % 2]);
        }
        std::fs::write(folder.path().join("labels.csv"), table).unwrap();
        let index = Index::open(folder.path()).unwrap();
        (folder, index)
    }

    #[test]
    fn a_pool_with_a_bad_row_is_the_pool_without_that_row() {
        let (mean, std) = (vec![0.5], vec![0.5]);
        let input = Preprocessing { width: 8, height: 8, channels: Channels::Grey, resize: Resize::Stretch, mean, std };
        let load = |index: &Index, rows: &[usize]| Pool::load(index, rows, &input, Detail::Input, &[]);
        let (_folder, all) = set(&["a", "broken", "ccc", "dddd"]);
        let (pool, bad) = load(&all, &[0, 1, 2, 3]);
        let (whole, none) = load(&all, &[0, 2, 3]);
        assert_eq!((pool.len(), pool.sha256(), pool.rows), (3, whole.sha256(), whole.rows));
        assert!(none.is_empty());
        assert_eq!(bad.iter().map(|bad| bad.row).collect::<Vec<_>>(), [1]);
        let said = bad[0].to_string();
        assert!(said.starts_with("row 2 cannot be used: cannot read the PNG: "), "{said}");
        assert!(!said.contains("broken"), "{said}");
        assert_eq!(BadRow::find(&all, 1).as_ref(), Some(&bad[0]));
        assert_eq!(BadRow::find(&all, 0), None);
    }
}
