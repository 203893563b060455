//! Images in a zip file, within bounds that hold whatever the file says of itself.
//!
//! Alone in its file and without the device's other types: `tests/fuzz` builds it too.

use std::fmt::Display;
use std::io::{self, Read, Seek, SeekFrom};
use zip::ZipArchive;

/// Images that a zip file may hold.
pub(crate) const MAX_MEMBERS: usize = 10_000;
/// All images of a zip file together may take this many times what one may.
const MAX_EXPANSION: u64 = 16;

/// A zip file, read again for each image: it may be as large as the images that wait.
pub(crate) struct Archive<R> {
    zip: ZipArchive<R>,
    max_bytes: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Whether a file that begins with `bytes` is one.
    pub(crate) fn is_meant_by(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PK\x03\x04")
    }

    /// Reads its list. Images of more than `max_bytes` will not be unpacked, nor is a file taken that tells of sixteen times that.
    pub(crate) fn open(mut reader: R, max_bytes: u64) -> Result<Self, String> {
        check_ends(&mut reader)?;
        let zip = ZipArchive::new(reader).map_err(|cause| format!("no readable zip: {cause}"))?;
        check_sizes(&zip, max_bytes)?;
        Ok(Self { zip, max_bytes })
    }

    /// The names of its files, in order; empty for one that is no text, which is no reason to leave an image unanswered.
    pub(crate) fn names(&self) -> Vec<String> {
        let text =
            |name: Result<std::borrow::Cow<'_, str>, _>| name.map_or_else(|_| String::new(), |name| name.into_owned());
        self.zip.file_names().map(text).collect()
    }

    /// The file at a position of [`names`](Self::names), unpacked.
    pub(crate) fn unpack(&mut self, index: usize) -> Result<Vec<u8>, String> {
        let describe = |cause: &dyn Display| format!("file {} of the zip cannot be unpacked: {cause}", index + 1);
        let file = self.zip.by_index(index).map_err(|cause| describe(&cause))?;
        let size = file.size();
        if size > self.max_bytes {
            return Err(describe(&format!("it is larger than {} bytes", self.max_bytes)));
        }
        let mut bytes = Vec::new();
        file.take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(|cause| describe(&cause))?;
        if bytes.len() as u64 != size {
            return Err(describe(&format!("it says that it holds {size} bytes and does not")));
        }
        Ok(bytes)
    }
}

/// Refuses a zip file of too many files before memory is taken for their list. A reader may go by any of the ends of a list that
/// stand in the last 64 KiB, and by a second one where the first has no room for what it counts (zip64).
fn check_ends(reader: &mut (impl Read + Seek)) -> Result<(), String> {
    const END: &[u8] = b"PK\x05\x06";
    const END_BYTES: usize = 22;
    let tail =
        tail(reader, END_BYTES as u64 + u64::from(u16::MAX)).map_err(|cause| format!("no readable zip: {cause}"))?;
    let is_too_long = |end: &[u8]| {
        let count = usize::from(u16::from_le_bytes([end[10], end[11]]));
        end.starts_with(END) && (count > MAX_MEMBERS || end[12..20].chunks(4).any(|place| place == [0xff; 4]))
    };
    match tail.windows(END_BYTES).any(is_too_long) {
        true => Err(format!("the zip file lists more than {MAX_MEMBERS} files, or says that it is larger than 4 GiB")),
        false => Ok(()),
    }
}

/// At most the last `n` bytes.
fn tail(reader: &mut (impl Read + Seek), n: u64) -> io::Result<Vec<u8>> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(length.saturating_sub(n)))?;
    let mut tail = Vec::new();
    reader.take(n).read_to_end(&mut tail)?;
    reader.rewind()?;
    Ok(tail)
}

/// Sizes as the zip file tells them; what it really holds is bounded again when it is unpacked.
fn check_sizes(zip: &ZipArchive<impl Read + Seek>, max_bytes: u64) -> Result<(), String> {
    if zip.is_empty() || zip.len() > MAX_MEMBERS {
        return Err(format!("the zip file holds {} files, expected 1 to {MAX_MEMBERS}", zip.len()));
    }
    let most = u128::from(max_bytes) * u128::from(MAX_EXPANSION);
    match zip.decompressed_size() {
        Some(size) if size <= most => Ok(()),
        Some(size) => Err(format!("the zip file holds {size} bytes, at most {most} are taken")),
        None => Err("the zip file does not tell how much it holds".into()),
    }
}
