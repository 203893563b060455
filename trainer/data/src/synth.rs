//! A set with known truth: stained blood cells from two sites and patterns that stand in for natural images.
//!
//! Drawn, not photographed: for tests, demonstrations and golden vectors, where no patient's picture may be. A score on
//! it says that the chain works, and nothing about medicine.

mod cell;
mod chance;
mod optics;
mod pattern;
mod shape;

use std::io::{self, Write};
use std::path::Path;

use rayon::prelude::*;
use remedis_imaging::Image;
use sha2::{Digest, Sha256};

use crate::index::Split;
pub use cell::draw_cell;
use chance::Chance;
pub use optics::Site;

/// Names of the cell classes in the order that [`draw_cell`] counts them; already sorted.
pub const CELL_CLASSES: [&str; 5] = ["basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil"];
/// Out of 100 cells, by class; unequal, as in blood, but less so.
const CELL_SHARES: [u32; 5] = [12, 16, 26, 20, 26];
const IMAGES_A_PATIENT: u64 = 10;

/// Everything that decides what is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynthConfig {
    /// Seeds every picture; a picture depends on this and its number only.
    pub seed: u64,
    /// Cells of the first site, over all splits.
    pub n_cells_a: usize,
    /// Cells of the second site, over all splits.
    pub n_cells_b: usize,
    /// Patterns, over all splits.
    pub n_natural: usize,
    /// Side of every picture in pixels.
    pub size_px: u32,
}

impl SynthConfig {
    /// 2,000 cells of site A, 600 of site B and 2,000 patterns of 64 x 64 pixels.
    pub fn new(seed: u64) -> Self {
        Self { seed, n_cells_a: 2000, n_cells_b: 600, n_natural: 2000, size_px: 64 }
    }
}

/// Why a set could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// A side of zero or beyond all use.
    #[error("pictures of {found} pixels a side cannot be drawn; expected 16 to 1024")]
    Size {
        /// The side asked for.
        found: u32,
    },
    /// A file or folder could not be written.
    #[error("cannot write {what}")]
    Write {
        /// What was being written.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A picture could not be encoded.
    #[error("cannot encode a picture")]
    Encode(#[source] image::ImageError),
}

/// Draws the three sets `cells_a`, `cells_b` and `natural` below `out`, each with `labels.csv` and its JPEG files.
///
/// Cells are split by patient: 70/10/20 % at site A and, because the second site is there to be tested on, 40/10/50 % at
/// site B. The same configuration gives the same files, whatever the number of threads.
///
/// # Errors
/// If the size is not usable or `out` cannot be written.
pub fn synth(config: &SynthConfig, out: &Path) -> Result<(), SynthError> {
    if !(16..=1024).contains(&config.size_px) {
        return Err(SynthError::Size { found: config.size_px });
    }
    write_set(&out.join("cells_a"), config.n_cells_a, |number| cell(config, Site::A, number))?;
    write_set(&out.join("cells_b"), config.n_cells_b, |number| cell(config, Site::B, number))?;
    write_set(&out.join("natural"), config.n_natural, |number| natural(config, number))
}

/// One row of `labels.csv` and its picture.
struct Drawn {
    label: &'static str,
    site: &'static str,
    patient: String,
    split: Split,
    picture: Image,
    jpeg_quality: u8,
}

fn cell(config: &SynthConfig, site: Site, number: u64) -> Drawn {
    let patient = number / IMAGES_A_PATIENT;
    let name = format!("{}{patient:04}", site.letter());
    let mut chance = Chance::new(config.seed, "cell class", site.number() << 32 | number);
    let mut left = chance.below(CELL_SHARES.iter().sum());
    let mut class = 0;
    while left >= CELL_SHARES[class] {
        left -= CELL_SHARES[class];
        class += 1;
    }
    let key = format!("{}:{name}", config.seed);
    let split = match site {
        Site::A => Split::of_key(&key),
        Site::B => match percentile(&key) {
            0..40 => Split::Train,
            40..50 => Split::Val,
            _ => Split::Test,
        },
    };
    let picture = cell::draw(class, config.seed, patient, number, site, config.size_px);
    let (label, jpeg_quality) = (CELL_CLASSES[class], site.jpeg_quality());
    Drawn { label, site: site.name(), patient: name, split, picture, jpeg_quality }
}

fn natural(config: &SynthConfig, number: u64) -> Drawn {
    let class = (number % pattern::CLASSES.len() as u64) as usize;
    Drawn {
        label: pattern::CLASSES[class],
        site: "drawn",
        patient: String::new(),
        split: Split::of_key(&format!("{}:natural {number}", config.seed)),
        picture: pattern::draw(class, config.seed, number, config.size_px),
        jpeg_quality: 90,
    }
}

fn percentile(key: &str) -> u32 {
    let hash = Sha256::digest(key.as_bytes());
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % 100
}

fn write_set(folder: &Path, count: usize, draw: impl Fn(u64) -> Drawn + Sync) -> Result<(), SynthError> {
    let write = |what| move |source| SynthError::Write { what, source };
    let pictures = folder.join("images");
    std::fs::create_dir_all(&pictures).map_err(write("the folder of images"))?;
    let lines: Result<Vec<String>, SynthError> = (0..count)
        .into_par_iter()
        .map(|number| {
            let drawn = draw(number as u64);
            let file = format!("{number:05}.jpg");
            let bytes = encode_jpeg(&drawn.picture, drawn.jpeg_quality).map_err(SynthError::Encode)?;
            std::fs::write(pictures.join(&file), bytes).map_err(write("an image"))?;
            let Drawn { label, site, patient, split, .. } = drawn;
            Ok(format!("images/{file},{label},{site},{patient},{split},\n"))
        })
        .collect();
    let table = format!("file,label,site,patient,split,group\n{}", lines?.concat());
    // The table comes last and whole: a set that is cut off is no set.
    let (temporary, target) = (folder.join(".labels.csv.new"), folder.join("labels.csv"));
    let mut file = std::fs::File::create(&temporary).map_err(write("labels.csv"))?;
    file.write_all(table.as_bytes()).and_then(|()| file.sync_all()).map_err(write("labels.csv"))?;
    std::fs::rename(&temporary, &target).map_err(write("labels.csv"))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(write("labels.csv"))
}

fn encode_jpeg(picture: &Image, quality: u8) -> Result<Vec<u8>, image::ImageError> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality).encode(
        picture.as_u8(),
        picture.width,
        picture.height,
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
