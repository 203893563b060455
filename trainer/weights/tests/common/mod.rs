//! What the tests of weight files share, `remedis-model`'s and the fuzz target's too.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use remedis_weights::{TensorFile, TensorFileError};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A file of these bytes in `folder`.
pub(crate) fn written(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("file");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A zip of members, each with a name and content.
pub(crate) fn zipped(members: &[(&str, &[u8])], compression: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(compression)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Reads all there is to read.
pub(crate) fn read_all(path: &Path) -> Result<(), TensorFileError> {
    let mut file = TensorFile::open(path)?;
    for (name, entry) in file.entries().clone() {
        // Shapes of the honest files have fewer numbers.
        let n = entry.shape.iter().try_fold(1_usize, |n, size| n.checked_mul(*size)).filter(|n| *n < 100_000);
        if let (Some(n), Some(_)) = (n, entry.kind.size()) {
            assert_eq!(file.read(&name, n)?.len(), n);
        }
    }
    Ok(())
}
