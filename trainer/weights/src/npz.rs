//! Tensors of an `.npz` file: a zip of NumPy's arrays, as BiT's weights are published.
//!
//! Format: NumPy Enhancement Proposal 1, <https://numpy.org/neps/nep-0001-npy-format.html>. Headers are read here, for a parser of
//! any Python literal (`npyz` has one) goes as deep as a hostile file says and multiplies sizes unchecked; the header of a plain
//! array is three entries on one line.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use zip::ZipArchive;

use crate::container::{Container, Entry, Kind};
use crate::{TensorFile, TensorFileError};

/// For messages.
const FORMAT: &str = "npz";
/// What every array begins with; its version follows.
const SIGNATURE: &[u8] = b"\x93NUMPY";
/// The longest header that is read; plain arrays have 118 bytes, seldom twice as many.
const MAX_HEADER: usize = 1024;

struct Arrays<R>(ZipArchive<R>);

/// Whether a zip is one of arrays, and not PyTorch's.
pub(crate) fn is_one(file: impl Read + Seek) -> Result<bool, TensorFileError> {
    let archive = ZipArchive::new(file).map_err(|error| damaged(&error))?;
    let mut names = archive.file_names();
    Ok(names.all(|name| name.is_ok_and(|name| name.ends_with(".npy"))))
}

/// Reads the header of every array.
pub(crate) fn open<R: Read + Seek + 'static>(file: R) -> Result<TensorFile, TensorFileError> {
    let mut archive = ZipArchive::new(file).map_err(|error| damaged(&error))?;
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(|error| damaged(&error))?;
        let name = member.name().map_err(|error| damaged(&error))?.trim_end_matches(".npy").to_owned();
        let entry = header(&mut member).map_err(|error| damaged(&format!("{}: {error}", name.escape_debug())))?;
        entries.insert(name, entry);
    }
    Ok(TensorFile { entries, container: Box::new(Arrays(archive)) })
}

impl<R: Read + Seek> Container for Arrays<R> {
    fn format(&self) -> &'static str {
        FORMAT
    }

    fn bytes(&mut self, name: &str, n: usize) -> io::Result<Vec<u8>> {
        let mut member = self.0.by_name(&format!("{name}.npy"))?;
        header(&mut member)?;
        // One more than there may be, so that a longer array shows and the zip's checksum is reached.
        let mut bytes = Vec::with_capacity(n);
        member.take(n as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() == n { Ok(bytes) } else { Err(invalid("the array is not as long as its header says")) }
    }
}

/// Reads an array up to its first number.
fn header(array: &mut impl Read) -> io::Result<Entry> {
    let mut start = [0; 8];
    array.read_exact(&mut start)?;
    if !start.starts_with(SIGNATURE) {
        return Err(invalid("it is no NumPy array"));
    }
    let length = match start[6] {
        1 => u16::from_le_bytes(read(array)?).into(),
        2 | 3 => u32::from_le_bytes(read(array)?) as usize,
        _ => return Err(invalid("its version of NumPy's format is not 1, 2 or 3")),
    };
    if length > MAX_HEADER {
        return Err(invalid("its header is longer than that of any plain array"));
    }
    let mut text = vec![0; length];
    array.read_exact(&mut text)?;
    std::str::from_utf8(&text).ok().and_then(entry).ok_or_else(|| invalid("its header is not that of a plain array"))
}

fn read<const N: usize>(array: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    array.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order of the keys.
fn entry(header: &str) -> Option<Entry> {
    let after = |key: &str| {
        let (_, rest) = header.split_once(key)?;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    let descr = after("'descr'")?.strip_prefix('\'')?.split('\'').next()?;
    let kind = match descr {
        "<f4" => Kind::F32,
        "<f2" => Kind::F16,
        other => Kind::Other(other.escape_debug().to_string()),
    };
    let order = after("'fortran_order'")?;
    let is_reversed = match (order.starts_with("True"), order.starts_with("False")) {
        (true, false) => true,
        (false, true) => false,
        _ => return None,
    };
    let (sizes, _) = after("'shape'")?.strip_prefix('(')?.split_once(')')?;
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape = sizes.map(|size| size.parse().ok()).collect::<Option<Vec<usize>>>()?;
    Some(Entry { shape, kind, is_reversed })
}

fn invalid(found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, found)
}

fn damaged(found: &dyn std::fmt::Display) -> TensorFileError {
    TensorFileError::Damaged { format: FORMAT, found: found.to_string() }
}
