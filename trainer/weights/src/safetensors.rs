//! Tensors of a safetensors file: a header of JSON, then all numbers.
//!
//! Format: <https://github.com/huggingface/safetensors#format>. The header is read by the format's own crate; numbers are read
//! tensor by tensor, for a file of the largest backbone has gigabytes.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Seek, SeekFrom};

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::container::{Container, Entry, Kind};
use crate::{TensorFile, TensorFileError};

/// For messages.
const FORMAT: &str = "safetensors";
/// The longest header that is read, as the format's own crate has it.
const MAX_HEADER: u64 = 100_000_000;

struct Tensors<R> {
    file: R,
    /// Where each tensor begins.
    starts: HashMap<String, u64>,
}

/// Reads the header of `file`.
pub(crate) fn open<R: Read + Seek + 'static>(mut file: R) -> Result<TensorFile, TensorFileError> {
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut eight = [0; 8];
    file.read_exact(&mut eight).map_err(|error| damaged(&error))?;
    let header = u64::from_le_bytes(eight);
    if header > MAX_HEADER.min(length - 8) {
        return Err(damaged(&format!("its header would have {header} bytes, the file has {length}")));
    }
    let mut text = Vec::new();
    (&mut file).take(header).read_to_end(&mut text)?;
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
    let (found, listed) = (length - 8 - header, metadata.data_len() as u64);
    if found != listed {
        return Err(damaged(&format!("its tensors have {listed} bytes, the file has {found} for them")));
    }
    let tensors = metadata.tensors();
    let starts = tensors.iter().map(|(name, info)| (name.clone(), 8 + header + info.data_offsets.0 as u64)).collect();
    let entry = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        (name, Entry { shape: info.shape.clone(), kind: kind(info.dtype), is_reversed: false })
    };
    let entries: BTreeMap<String, Entry> = tensors.into_iter().map(entry).collect();
    Ok(TensorFile { entries, container: Box::new(Tensors { file, starts }) })
}

impl<R: Read + Seek> Container for Tensors<R> {
    fn format(&self) -> &'static str {
        FORMAT
    }

    fn bytes(&mut self, name: &str, n: usize) -> io::Result<Vec<u8>> {
        let start = *self.starts.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; n];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::F32 => Kind::F32,
        Dtype::F16 => Kind::F16,
        Dtype::BF16 => Kind::Bf16,
        other => Kind::Other(other.to_string()),
    }
}

fn damaged(found: &dyn std::fmt::Display) -> TensorFileError {
    TensorFileError::Damaged { format: FORMAT, found: found.to_string() }
}
