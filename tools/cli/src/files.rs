//! Image files, by themselves or in folders.

use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Endings of the files that a folder is searched for.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "dcm", "dicom"];

/// The image files that the arguments name, folders searched to the bottom, in order.
///
/// # Errors
/// When one does not exist, or a folder holds no image.
pub(crate) fn images(arguments: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            let before = files.len();
            search(argument, &mut files)?;
            if files.len() == before {
                bail!(
                    "{} holds no image: no DICOM file and none ending in {}: name a folder with images",
                    argument.display(),
                    ENDINGS.join(", ")
                );
            }
        } else if argument.exists() {
            files.push(argument.clone());
        } else {
            bail!("{} does not exist", argument.display());
        }
    }
    Ok(files)
}

fn search(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading folder {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        if path.is_dir() {
            search(&path, files)?;
        } else if ENDINGS.contains(&ending.as_str()) || (path.is_file() && is_dicom(&path)) {
            files.push(path);
        }
    }
    Ok(())
}

/// Scanners name DICOM files by numbers and leave the ending out; the preamble tells.
fn is_dicom(path: &Path) -> bool {
    let mut preamble = [0; 132];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut preamble));
    read.is_ok() && preamble.ends_with(b"DICM")
}
