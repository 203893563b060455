//! Writing whole files, and saying in words why one could not be written.

use std::io::{Error, ErrorKind};
use std::path::Path;

/// Why a file could not be written. Nothing of it is left behind, and what was there before is whole.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {file}{}", reason(.source.kind(), *.needed, *.free))]
pub struct WriteError {
    /// The file, as a person knows it.
    file: String,
    /// Its size in bytes.
    needed: u64,
    /// Bytes free on its disk when writing failed, where the system says.
    free: Option<u64>,
    /// What the system said.
    source: Error,
}

impl WriteError {
    /// That `file`, of `needed` bytes, could not be written into `folder`.
    #[must_use]
    pub fn new(file: impl Into<String>, folder: &Path, needed: u64, source: Error) -> Self {
        Self { file: file.into(), needed, free: free_bytes(folder), source }
    }
}

/// Writes a file so that, whatever happens, either the old or the new one is there whole.
///
/// # Errors
/// If the file system refuses: a full disk, a quota, a read-only disk and a limit of file sizes each in words.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    remedis_bundle::write_atomic(path, bytes).map_err(|source| {
        let folder = path.parent().unwrap_or(Path::new("."));
        WriteError::new(path.display().to_string(), folder, bytes.len() as u64, source)
    })
}

/// Bytes that this user may still write to the disk of `folder`; `None` where the system does not say.
#[must_use]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

/// `812 bytes`, `3.1 MB`, `2.5 GB`: powers of ten, as disks are sold.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn reason(kind: ErrorKind, needed: u64, free: Option<u64>) -> String {
    const WHOLE: &str = "nothing is half written";
    let free = free.map_or_else(|| "an unknown number of bytes".to_owned(), size);
    let needed = size(needed);
    match kind {
        ErrorKind::StorageFull => {
            format!(
                ": it takes {needed} and its disk has {free} free; {WHOLE}: make room and give the same command again"
            )
        }
        ErrorKind::QuotaExceeded => format!(
            ": it takes {needed} and this user's quota on its disk is used up ({free} free for others); {WHOLE}: remove \
             files or have the quota raised, and give the same command again"
        ),
        ErrorKind::ReadOnlyFilesystem => {
            format!(": its disk is mounted for reading only; {WHOLE}: mount it for writing or choose another folder")
        }
        ErrorKind::FileTooLarge => format!(
            ": it takes {needed}, more than one file may have here (see `ulimit -f`); {WHOLE}: raise the limit and give \
             the same command again"
        ),
        ErrorKind::PermissionDenied => {
            format!(": this user may not write there; {WHOLE}: change the folder's owner or choose another folder")
        }
        _ => format!("; is the folder there? {WHOLE}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of Linux (`errno-base.h`, `errno.h`), which `std::io` maps to kinds.
    const ENOSPC: i32 = 28;
    const EDQUOT: i32 = 122;
    const EROFS: i32 = 30;
    const EFBIG: i32 = 27;

    fn said(errno: i32) -> String {
        let source = Error::from_raw_os_error(errno);
        WriteError { file: "out/report.html".to_owned(), needed: 3_140_000, free: Some(812), source }.to_string()
    }

    #[test]
    fn a_full_disk_is_said_with_both_sizes_and_what_to_do() {
        assert_eq!(
            said(ENOSPC),
            "cannot write out/report.html: it takes 3.1 MB and its disk has 812 bytes free; nothing is half written: make \
             room and give the same command again"
        );
    }

    #[test]
    fn a_quota_a_read_only_disk_and_a_limit_of_sizes_are_told_apart() {
        assert!(said(EDQUOT).contains("quota on its disk is used up"), "{}", said(EDQUOT));
        assert!(said(EROFS).contains("for reading only"), "{}", said(EROFS));
        assert!(said(EFBIG).contains("`ulimit -f`"), "{}", said(EFBIG));
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!([9_999, 3_140_000, 2_500_000_000].map(size), ["9999 bytes", "3.1 MB", "2.5 GB"]);
    }

    #[test]
    fn the_disk_of_a_folder_that_is_there_says_what_is_free() {
        assert!(free_bytes(Path::new("")).is_some_and(|free| free > 0));
        assert_eq!(free_bytes(Path::new("/nowhere/at/all")), None);
    }
}
