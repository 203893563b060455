//! Tensors in files that others wrote: safetensors, NumPy's `.npz` and PyTorch's, told apart by content.
//!
//! Files are foreign: no length in them is believed before the caller has asked for as much, and a pickle is read as data, never
//! run. What the names mean is `remedis-model`'s to know.

mod container;
mod npz;
mod pytorch;
mod safetensors;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;

use container::Container;
pub use container::{Entry, Kind};

/// Why a file's tensors cannot be read. Names are as the file has them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFileError {
    /// The file system refused.
    #[error("cannot read the weights")]
    Read(#[from] io::Error),
    /// No known format.
    #[error("expected weights as safetensors, .npz or a PyTorch file, found a file that begins with {found}")]
    Format {
        /// Its first bytes.
        found: String,
    },
    /// The file contradicts itself.
    #[error("the {format} file is damaged: {found}")]
    Damaged {
        /// What kind of file it is.
        format: &'static str,
        /// What is wrong.
        found: String,
    },
}

/// A file of tensors whose names, shapes and types are known, and whose numbers are not read yet.
pub struct TensorFile {
    entries: BTreeMap<String, Entry>,
    container: Box<dyn Container>,
}

impl TensorFile {
    /// Opens a file of any format, whatever its name ends with.
    ///
    /// # Errors
    /// If the file cannot be read, is of no known format, or is damaged where it lists its tensors.
    pub fn open(path: &Path) -> Result<Self, TensorFileError> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        (&mut file).take(container::N_SIGNATURE).read_to_end(&mut start)?;
        file.rewind()?;
        match container::format(&start)? {
            container::Format::Safetensors => safetensors::open(file),
            container::Format::Pickle => pytorch::open(path),
            container::Format::Zip if npz::is_one(&file)? => npz::open(file),
            container::Format::Zip => pytorch::open_zip(path, file),
        }
    }

    /// A safetensors file in memory.
    ///
    /// # Errors
    /// If it is damaged where it lists its tensors.
    pub fn of_safetensors(file: Vec<u8>) -> Result<Self, TensorFileError> {
        safetensors::open(Cursor::new(file))
    }

    /// The tensors by name.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// The `n` numbers of the tensor `name`, in the file's order; no more are read, whatever the file says.
    ///
    /// # Errors
    /// If the file has no such tensor, has another number of numbers for it or some of another [`Kind`], or cannot be read.
    pub fn read(&mut self, name: &str, n: usize) -> Result<Vec<f32>, TensorFileError> {
        let refusal = |error| self.container.refusal(name, error);
        let entry = self.entries.get(name).ok_or_else(|| refusal(io::ErrorKind::NotFound.into()))?;
        let Some(bytes) = entry.kind.size().and_then(|size| n.checked_mul(size)) else {
            let found = format!("it holds {}", entry.kind.describe());
            return Err(refusal(io::Error::new(io::ErrorKind::InvalidData, found)));
        };
        let bytes = self.container.bytes(name, bytes).map_err(|error| self.container.refusal(name, error))?;
        Ok(entry.kind.decode(&bytes))
    }
}
