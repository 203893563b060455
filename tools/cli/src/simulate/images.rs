//! The images that the simulated hardware has "taken".

use crate::files;
use anyhow::{Context, Result, bail, ensure};
use remedis_data::Index;
use remedis_link::{Format, MAX_FRAME};
use std::path::Path;

/// An encoded image as it goes over the line.
pub(crate) struct Picture {
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
}

/// The first `limit` images of a set, or of its `split`, or of a folder; or the one image that `path` is.
///
/// # Errors
/// When the set cannot be opened, nothing is there to send, or an image is of no format the link carries.
pub(crate) fn load(path: &Path, split: Option<&str>, limit: u64) -> Result<Vec<Picture>> {
    let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    let is_set = path.extension().is_some_and(|end| end == "zip" || end == "csv") || path.join("labels.csv").exists();
    if !is_set && split.is_none() {
        let files = files::images(&[path.to_owned()])?;
        return files.iter().take(limit).map(|file| read(file)).collect();
    }
    let index = Index::open(path).with_context(|| format!("opening {}", path.display()))?;
    let rows =
        index.rows.iter().enumerate().filter(|(_, row)| split.is_none_or(|split| row.split.to_string() == split));
    let pictures = rows
        .take(limit)
        .map(|(row, _)| picture(index.read(row)?).with_context(|| format!("cannot send image {} of the set", row + 1)))
        .collect::<Result<Vec<_>>>()?;
    let of_split = split.map(|split| format!(" in split {split:?} (splits are train, val, test)")).unwrap_or_default();
    ensure!(!pictures.is_empty(), "{} holds no image{of_split}", path.display());
    Ok(pictures)
}

fn read(file: &Path) -> Result<Picture> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    picture(bytes).with_context(|| format!("cannot send {}", file.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF];

    #[test]
    fn a_folder_of_images_is_sent_without_an_index_in_order_and_so_is_one_image() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("notes.txt"), "not sent").unwrap();
        std::fs::write(at("b.jpg"), JPEG).unwrap();
        std::fs::create_dir(at("a")).unwrap();
        std::fs::write(at("a/first.PNG"), [0x89, b'P', b'N', b'G']).unwrap();
        let formats = |path: &Path, limit| {
            let pictures = load(path, None, limit).unwrap();
            pictures.iter().map(|picture| picture.format).collect::<Vec<_>>()
        };
        assert_eq!(formats(folder.path(), 9), [Format::Png, Format::Jpeg]);
        assert_eq!(formats(folder.path(), 1), [Format::Png]);
        assert_eq!(formats(&at("b.jpg"), 9), [Format::Jpeg]);
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let says = |path: &Path| format!("{:#}", load(path, None, 1).err().unwrap());
        assert!(says(folder.path()).contains("holds no image"), "{}", says(folder.path()));
        let other = folder.path().join("other.png");
        std::fs::write(&other, "no picture").unwrap();
        assert!(says(&other).contains("other.png: expected a PNG, JPEG or DICOM file"), "{}", says(&other));
    }
}
