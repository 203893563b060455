//! Decoded images with what is known of each: what the stages draw from.

use std::sync::Arc;

use rayon::prelude::*;
use remedis_data::{Detail, Index, ReadImageError};
use remedis_imaging::{Preprocessing, prepare};
use sha2::{Digest, Sha256};

use crate::images::{Images, Prepared};

/// Images resized to the input size, with what is known of each. All lists have one entry an image.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// With the input's channels and shape, at its size or larger: see [`Detail`].
    pub images: Images,
    /// Index into the class list, where the row has a label of that list.
    pub labels: Vec<Option<usize>>,
    /// The patient, where known.
    pub patients: Vec<Option<String>>,
    /// What belongs together for statistics: the patient, else the group of near copies, else the file itself.
    pub clusters: Vec<String>,
    /// Row of the index each image came from.
    pub rows: Vec<usize>,
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
        index.usable(row).err().map(|error| Self { row, reason: error.reason() })
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
        let read = |row| index.resized(row, preprocessing, detail);
        Self::gather(index, rows, classes, read, |images, _, image| images.push(image))
    }

    /// As [`load`](Self::load) from a set of prepared images, whose pixels stay in their shards: each is read once now, so that
    /// damage is found, and again whenever it is drawn. What is drawn is the same.
    #[must_use]
    pub fn open(
        index: &Index,
        rows: &[usize],
        preprocessing: &Preprocessing,
        detail: Detail,
        classes: &[String],
    ) -> (Self, Vec<BadRow>) {
        let set = Arc::new(Prepared { index: index.clone(), input: preprocessing.clone(), detail });
        let read = |row| set.read(row).map(drop);
        Self::gather(index, rows, classes, read, |images, row, ()| images.push_row(&set, row))
    }

    /// Reads `rows` on all threads and keeps what `read` makes of them by `push`.
    fn gather<T: Send>(
        index: &Index,
        rows: &[usize],
        classes: &[String],
        read: impl Fn(usize) -> Result<T, ReadImageError> + Sync,
        push: impl Fn(&mut Images, usize, T),
    ) -> (Self, Vec<BadRow>) {
        let found: Vec<_> = rows.par_iter().map(|&row| read(row)).collect();
        let (mut pool, mut bad) = (Self::default(), Vec::new());
        for (&row, found) in rows.iter().zip(found) {
            match found {
                Ok(image) => push(&mut pool.images, row, image),
                Err(error) => {
                    bad.push(BadRow { row, reason: error.reason() });
                    continue;
                }
            }
            let entry = &index.rows[row];
            let label = entry.label.as_ref().and_then(|label| classes.iter().position(|class| class == label));
            let cluster = entry.patient.as_ref().or(entry.group.as_ref()).unwrap_or(&entry.file);
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
            out.images.push_from(&self.images, i);
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
    ///
    /// # Panics
    /// As [`Images::get`].
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for i in 0..self.len() {
            let image = self.images.get(i);
            hasher.update(image.width.to_le_bytes());
            hasher.update(image.height.to_le_bytes());
            hasher.update(&*image.samples.to_le_bytes());
            hasher.update(self.labels[i].map_or(u64::MAX, |label| label as u64).to_le_bytes());
            hasher.update(self.patients[i].as_deref().unwrap_or("\0").as_bytes());
            hasher.update([0xff]);
        }
        crate::checkpoint::hex(&hasher.finalize())
    }

    /// The images as networks see them, without augmentation: one `[channel, height, width]` list an image.
    ///
    /// # Panics
    /// If an image is empty or `preprocessing` contradicts itself, which loading has refused; and as [`Images::get`].
    #[must_use]
    pub fn prepared(&self, preprocessing: &Preprocessing) -> Vec<Vec<f32>> {
        let one =
            |i| prepare(&self.images.get(i), preprocessing).expect("loading has resized it with this preprocessing");
        (0..self.len()).into_par_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use remedis_data::{Geometry, write_shards};
    use remedis_imaging::{Channels, Depth, Image, Resize, encode_png};

    use super::*;

    /// A folder of 16-pixel pictures, one a class; `broken` is no picture.
    fn set(names: &[&str]) -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().unwrap();
        let mut table = "file,label,split\n".to_owned();
        for (number, name) in names.iter().enumerate() {
            let pixels: Vec<u8> = (0..256).map(|at| ((at * 7) ^ (name.len() * 31)) as u8).collect();
            let picture = encode_png(&Image::new(16, 16, Channels::Grey, pixels));
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
        let input = Preprocessing {
            width: 8,
            height: 8,
            channels: Channels::Grey,
            depth_bits: Depth::Eight,
            resize: Resize::Stretch,
            mean,
            std,
        };
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

    /// The device decodes a file at the depth that the bundle names, then `prepare`s it; the trainer goes by an index, shards and a pool.
    #[test]
    fn a_trainer_sees_the_floats_that_a_device_sees_at_either_depth() {
        let folder = tempfile::tempdir().unwrap();
        let samples = (0..40 * 30).map(|at: u16| 0x3fd0 + (at % 40) * 5).collect::<Vec<_>>();
        let png = encode_png(&Image::new(40, 30, Channels::Grey, samples));
        std::fs::write(folder.path().join("film.png"), &png).unwrap();
        std::fs::write(folder.path().join("labels.csv"), "file,label,split\nfilm.png,a,train\n").unwrap();
        let direct = Index::open(folder.path()).unwrap();
        let mut ranges = Vec::new();
        for depth_bits in [Depth::Eight, Depth::Sixteen] {
            let (channels, resize, mean, std) = (Channels::Grey, Resize::CentreCrop, vec![0.25], vec![0.001]);
            let input = Preprocessing { width: 16, height: 16, channels, depth_bits, resize, mean, std };
            let out = tempfile::tempdir().unwrap();
            write_shards(&direct, "set", &Geometry::of(&input), out.path(), &mut |_| true).unwrap();
            let prepared = Index::open(out.path()).unwrap();
            let device = prepare(&remedis_imaging::decode(&png, depth_bits).unwrap(), &input).unwrap();
            for index in [&direct, &prepared] {
                for make in [Pool::load, Pool::open] {
                    let (pool, _) = make(index, &[0], &input, Detail::Input, &[]);
                    assert_eq!(pool.prepared(&input), [device.as_slice()], "{depth_bits:?}");
                }
            }
            let [least, most] = [f32::min, f32::max].map(|of| device.iter().copied().reduce(of).unwrap());
            ranges.push(most - least);
        }
        // 200 steps of 1/65535 and of a deviation of a thousandth: 3; at 8 bits nothing is left.
        assert!(ranges[0] == 0.0 && ranges[1] > 2.0, "{ranges:?}");
    }

    #[test]
    fn a_pool_from_prepared_images_is_the_pool_from_files() {
        let (mean, std) = (vec![0.5], vec![0.5]);
        let resize = Resize::CentreCrop;
        let input = Preprocessing {
            width: 10,
            height: 10,
            channels: Channels::Grey,
            depth_bits: Depth::Eight,
            resize,
            mean,
            std,
        };
        let (_folder, direct) = set(&["a", "broken", "ccc", "dddd"]);
        let out = tempfile::tempdir().unwrap();
        write_shards(&direct, "set", &Geometry::of(&input), out.path(), &mut |_| true).unwrap();
        let prepared = Index::open(out.path()).unwrap();
        for detail in [Detail::Input, Detail::Twice] {
            let (rows, classes) = ([3, 1, 0, 2], direct.classes());
            let (one, bad) = Pool::load(&direct, &rows, &input, detail, &classes);
            let (held, also_bad) = Pool::load(&prepared, &rows, &input, detail, &classes);
            let (stored, bad_again) = Pool::open(&prepared, &rows, &input, detail, &classes);
            assert_eq!((&bad, &bad), (&also_bad, &bad_again));
            for other in [held, stored] {
                assert_eq!((one.sha256(), &one.rows, &one.clusters), (other.sha256(), &other.rows, &other.clusters));
                assert_eq!(one.images.to_vec(), other.images.to_vec());
                assert_eq!(one.subset(&[2, 0]).prepared(&input), other.subset(&[2, 0]).prepared(&input));
            }
        }
        assert_eq!(BadRow::find(&prepared, 1), BadRow::find(&direct, 1));
        assert_eq!(BadRow::find(&prepared, 0), None);
    }
}
