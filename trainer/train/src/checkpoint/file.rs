//! One safetensors file, read whole and written whole.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use remedis_ranks::Ranks;
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};

use super::CheckpointError;
use crate::storage::WriteError;

/// One tensor of a file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

impl Entry {
    /// A list of bytes that is no tensor.
    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self { dtype: Dtype::U8, shape: vec![bytes.len()], bytes }
    }
}

/// Metadata and tensors by name.
pub(super) type Content = (HashMap<String, String>, BTreeMap<String, Entry>);

/// Reads `folder/file`, where the first of `ranks` sees it, for all of them; `None` if there is no such file.
pub(super) fn read(folder: &Path, file: &str, ranks: &Ranks) -> Result<Option<Content>, CheckpointError> {
    let own = if ranks.is_first() { bytes(folder, file)?.unwrap_or_default() } else { Vec::new() };
    let bytes = ranks.broadcast(own);
    // No checkpoint is empty: its header alone has bytes.
    if bytes.is_empty() { Ok(None) } else { parse(file, &bytes).map(Some) }
}

/// The content of a file; `file` is for the error.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Content, CheckpointError> {
    let damaged = |error: safetensors::SafeTensorError| CheckpointError::Damaged {
        file: file.to_owned(),
        found: error.to_string(),
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let entry =
        |view: TensorView| Entry { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
    let entries = tensors.tensors().into_iter().map(|(name, view)| (name, entry(view))).collect();
    Ok((header.metadata().clone().unwrap_or_default(), entries))
}

/// All bytes of `folder/file`; `None` if there is no such file.
pub(super) fn bytes(folder: &Path, file: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
    match std::fs::read(folder.join(file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CheckpointError::File { action: "read", file: file.to_owned(), source }),
    }
}

/// The metadata of `folder/file` from its header alone; `None` if that cannot be read.
pub(super) fn metadata(folder: &Path, file: &str) -> Option<HashMap<String, String>> {
    let mut file = File::open(folder.join(file)).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    // A length that is a lie ends with the file.
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length)).read_to_end(&mut header).ok()?;
    let header: Metadata = serde_json::from_slice(&header).ok()?;
    header.metadata().clone()
}

/// Removes `folder/file`, if it is there.
pub(super) fn remove(folder: &Path, file: &str) -> Result<(), CheckpointError> {
    match std::fs::remove_file(folder.join(file)) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(CheckpointError::File { action: "remove", file: file.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Writes `folder/file`; a reader sees the old content or the new.
pub(super) fn write(
    folder: &Path,
    file: &str,
    metadata: &[(&str, String)],
    entries: Vec<(String, Entry)>,
) -> Result<(), CheckpointError> {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let views: Result<Vec<_>, _> = entries
        .iter()
        .map(|(name, entry)| TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes).map(|view| (name, view)))
        .collect();
    let bytes = views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|error| CheckpointError::Damaged { file: file.to_owned(), found: error.to_string() })?;
    let write = || {
        std::fs::create_dir_all(folder)?;
        remedis_bundle::write_atomic(&folder.join(file), &bytes)
    };
    write().map_err(|source| WriteError::new(format!("checkpoint {file}"), folder, bytes.len() as u64, source).into())
}
