//! Files that are either the old one or the new one, never half of each.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How files begin that are not whole yet.
const UNFINISHED: &str = ".unfinished-";

/// Replace the file at `path` by `bytes`: written beside it, synced, renamed, the folder synced.
///
/// # Errors
/// If the folder does not exist or the disk refuses; the old file is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    write_with_mode(path, bytes, 0o644)
}

/// As [`write_atomic`], with the permissions of the new file; it never exists with wider ones.
pub(crate) fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = std::fs::Permissions::from_mode(mode);
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).permissions(permissions).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()
}

/// Removes from `folder` what killed writers left there, and says how many files that were; no folder has none. Nobody may be writing
/// to it.
///
/// # Errors
/// If the folder cannot be read or a file cannot be removed.
pub fn remove_unfinished(folder: &Path) -> std::io::Result<usize> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_writer_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        write_atomic(&folder.path().join("whole"), b"whole").unwrap();
        std::fs::write(folder.path().join(format!("{UNFINISHED}x")), b"ha").unwrap();
        assert_eq!(remove_unfinished(folder.path()).unwrap(), 1);
        assert_eq!(remove_unfinished(folder.path()).unwrap(), 0);
        assert_eq!(std::fs::read(folder.path().join("whole")).unwrap(), b"whole");
        assert_eq!(remove_unfinished(&folder.path().join("absent")).unwrap(), 0);
    }
}
