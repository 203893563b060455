//! Where the bytes of a set lie: loose in a folder, or in a zip file that many threads read at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;

/// The most bytes that one member of a zip file may unfold to.
const MAX_MEMBER_BYTES: u64 = 1 << 30;

/// One open file with a position of its own for every clone.
#[derive(Clone, Debug)]
pub(crate) struct SharedFile {
    file: Arc<File>,
    position: u64,
    length: u64,
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// Files by a relative name with `/` between its parts.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Folder(PathBuf),
    Zip(ZipArchive<SharedFile>),
}

impl Source {
    pub(crate) fn open_zip(path: &Path) -> Result<Self, zip::result::ZipError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self::Zip(ZipArchive::new(SharedFile { file: Arc::new(file), position: 0, length })?))
    }

    /// Size in bytes, or `None` when there is no such file.
    pub(crate) fn length(&self, name: &str) -> Option<u64> {
        match self {
            Self::Folder(folder) => {
                std::fs::metadata(folder.join(name)).ok().filter(std::fs::Metadata::is_file).map(|found| found.len())
            }
            Self::Zip(archive) => archive.clone().by_name(name).ok().map(|member| member.size()),
        }
    }

    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match self {
            Self::Folder(folder) => std::fs::read(folder.join(name)),
            Self::Zip(archive) => {
                let mut archive = archive.clone();
                let member = archive.by_name(name).map_err(io::Error::from)?;
                let mut bytes = Vec::new();
                member.take(MAX_MEMBER_BYTES).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }

    /// All files, sorted by name.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        match self {
            Self::Folder(folder) => list(folder, "", 0, &mut names)?,
            Self::Zip(archive) => {
                // A name that is no text cannot be in an index either.
                let readable = archive.file_names().filter_map(Result::ok);
                names.extend(readable.filter(|name| !name.ends_with('/')).map(String::from));
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Three folders deep: split, class, file.
fn list(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        if path.is_dir() && depth < 3 {
            list(&path, &format!("{prefix}{name}/"), depth + 1, names)?;
        } else if path.is_file() {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

/// Whether a name from an index stays below its folder.
pub(crate) fn stays_inside(name: &str) -> bool {
    !name.is_empty()
        && !name.contains('\\')
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
