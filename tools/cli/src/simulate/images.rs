//! The images that the simulated hardware has "taken".

use anyhow::{Context, Result, bail, ensure};
use remedis_data::Index;
use remedis_link::{Format, MAX_FRAME};
use std::path::Path;

/// An encoded image as it goes over the line.
pub(crate) struct Picture {
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
}

/// The first `limit` images of a set, or of its `split`; or the one image that `path` is.
///
/// # Errors
/// When the set cannot be opened, holds nothing to send, or an image is of no format the link carries.
pub(crate) fn load(path: &Path, split: Option<&str>, limit: u64) -> Result<Vec<Picture>> {
    let is_set = path.is_dir() || path.extension().is_some_and(|end| end == "zip" || end == "csv");
    if !is_set {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(vec![picture(bytes).with_context(|| format!("cannot send {}", path.display()))?]);
    }
    let index = Index::open(path).with_context(|| format!("opening {}", path.display()))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rows =
        index.rows.iter().enumerate().filter(|(_, row)| split.is_none_or(|split| row.split.to_string() == split));
    let pictures = rows
        .take(limit.max(1))
        .map(|(row, _)| picture(index.read(row)?).with_context(|| format!("cannot send image {} of the set", row + 1)))
        .collect::<Result<Vec<_>>>()?;
    let of_split = split.map(|split| format!(" in split {split:?} (splits are train, val, test)")).unwrap_or_default();
    ensure!(!pictures.is_empty(), "{} holds no image{of_split}", path.display());
    Ok(pictures)
}

fn picture(bytes: Vec<u8>) -> Result<Picture> {
    ensure!(bytes.len() <= MAX_FRAME as usize, "image of {} bytes, the link carries up to {MAX_FRAME}", bytes.len());
    let format = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Format::Png,
        [0xFF, 0xD8, ..] => Format::Jpeg,
        other if other.get(128..132) == Some(b"DICM") => Format::Dicom,
        [] => bail!("the file is empty"),
        _ => bail!("expected a PNG, JPEG or DICOM file"),
    };
    Ok(Picture { format, bytes })
}
