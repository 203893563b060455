//! Tensors of a PyTorch file: what `torch.save` wrote, of any version.
//!
//! Read by `pytorch-reader`, the crate behind Burn's own PyTorch store: a pickle is data for it, no class in it is ever looked
//! up or called. A state dictionary may lie under keys, as in a training checkpoint; names then begin with them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;

use pytorch_reader::{DType, PytorchError, PytorchReader, Tensor};
use zip::{CompressionMethod, ZipArchive};

use crate::container::{Container, Entry, Kind};
use crate::{TensorFile, TensorFileError};

/// For messages.
const FORMAT: &str = "PyTorch";

struct Tensors(HashMap<String, Tensor>);

/// Reads the pickles of a file.
pub(crate) fn open(path: &Path) -> Result<TensorFile, TensorFileError> {
    let tensors = PytorchReader::new(path).map_err(refusal)?.into_tensors();
    let entry = |(name, tensor): (&String, &Tensor)| {
        (name.clone(), Entry { shape: tensor.shape().to_vec(), kind: kind(tensor.dtype()), is_reversed: false })
    };
    let entries: BTreeMap<String, Entry> = tensors.iter().map(entry).collect();
    Ok(TensorFile { entries, container: Box::new(Tensors(tensors)) })
}

/// Reads a zip of pickles and numbers. PyTorch never compresses them, so that no length can exceed the file's.
pub(crate) fn open_zip(path: &Path, file: File) -> Result<TensorFile, TensorFileError> {
    let mut archive = ZipArchive::new(file).map_err(|error| damaged(&error))?;
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(|error| damaged(&error))?;
        if member.compression() != CompressionMethod::Stored || member.size() != member.compressed_size() {
            return Err(damaged(&"a member is compressed, which torch.save never does; save it again with torch.save"));
        }
    }
    open(path)
}

impl Container for Tensors {
    fn format(&self) -> &'static str {
        FORMAT
    }

    fn bytes(&mut self, name: &str, n: usize) -> io::Result<Vec<u8>> {
        let bytes = self.0.get(name).ok_or(io::ErrorKind::NotFound)?.read()?;
        if bytes.len() == n { Ok(bytes) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

fn kind(dtype: DType) -> Kind {
    match dtype {
        DType::F32 => Kind::F32,
        DType::F16 => Kind::F16,
        DType::BF16 => Kind::Bf16,
        other => Kind::Other(format!("{other:?}")),
    }
}

fn refusal(error: PytorchError) -> TensorFileError {
    match error {
        PytorchError::Io(error)
            if error.kind() != io::ErrorKind::InvalidData && error.kind() != io::ErrorKind::UnexpectedEof =>
        {
            TensorFileError::Read(error)
        }
        other => damaged(&other),
    }
}

fn damaged(found: &dyn std::fmt::Display) -> TensorFileError {
    TensorFileError::Damaged { format: FORMAT, found: found.to_string() }
}
