//! What slots ask of a disk: few operations, so that a test can cut the power between any two of them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Name of the file that writers lock.
const LOCK: &str = "lock";

/// One folder's files, by name. What was written is durable after [`Disk::sync`], what was created, renamed or removed after
/// [`Disk::sync_folder`]; before that, a power cut may keep it, lose it, or leave half of it.
pub trait Disk {
    /// A file that is being written.
    type File: Write;
    /// Keeps other writers out while it lives.
    type Lock;

    /// Keep other writers out; `None` when another is at work.
    ///
    /// # Errors
    /// When the lock cannot be asked for.
    fn lock(&self) -> io::Result<Option<Self::Lock>>;

    /// All regular files.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn files(&self) -> io::Result<Vec<Found>>;

    /// The content of file `name`.
    ///
    /// # Errors
    /// When it cannot be read; [`io::ErrorKind::FileTooLarge`] when there are more than `max_bytes`.
    fn read(&self, name: &str, max_bytes: u64) -> io::Result<Vec<u8>>;

    /// A new, empty file `name`; one that is there is thrown away.
    ///
    /// # Errors
    /// When the disk refuses.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Make what was written to `file` durable. What is read afterwards comes from the disk where the system can do that.
    ///
    /// # Errors
    /// When it is not durable: the file should be thrown away then.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Give file `from` the name `to`, replacing a file of that name in one step.
    ///
    /// # Errors
    /// When the disk refuses.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Remove file `name`.
    ///
    /// # Errors
    /// When the disk refuses.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Make what was created, renamed and removed durable.
    ///
    /// # Errors
    /// When it is not; it may still become durable.
    fn sync_folder(&self) -> io::Result<()>;
}

/// A regular file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its name in the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written, in milliseconds since 1970, where the disk knows.
    pub written_unix_ms: Option<u64>,
}

/// A real folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn at(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Disk for Folder {
    type File = File;
    type Lock = File;

    fn lock(&self) -> io::Result<Option<File>> {
        let path = self.path.join(LOCK);
        let opened = match OpenOptions::new().read(true).append(true).create(true).open(&path) {
            // A disk that has become read-only still has models to run.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(&path),
            opened => opened,
        };
        let file = opened?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn files(&self) -> io::Result<Vec<Found>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if metadata.is_file() {
                let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let written_unix_ms = written.and_then(|since| u64::try_from(since.as_millis()).ok());
                files.push(Found { name, bytes: metadata.len(), written_unix_ms });
            }
        }
        files.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(files)
    }

    fn read(&self, name: &str, max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path.join(name))?.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let path = self.path.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Not through a link that somebody put there.
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        // Else what is read back would come from memory. It is advice: where it is not taken, reading back still tells a
        // wrong write from a right one, and every start reads the file anew.
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
