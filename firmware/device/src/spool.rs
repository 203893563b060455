//! Audit events of the operator's commands, handed to the device that runs.
//!
//! Only one process writes the audit log. While the device runs, `remedis-device models ...` leaves its events in a folder beside the
//! log, each in a file of its own that appears whole; the device takes them into the log and then removes them. A device that dies
//! between the two logs an event twice, never not at all.

use remedis_store::Event;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where events wait for the audit log at `audit`.
pub fn folder_of(audit: &Path) -> PathBuf {
    let mut folder = audit.as_os_str().to_owned();
    folder.push(".waiting");
    PathBuf::from(folder)
}

/// Leaves an event for whoever writes the log.
///
/// # Errors
/// When it is not durable in the folder.
pub fn leave(audit: &Path, event: &Event) -> io::Result<()> {
    let folder = folder_of(audit);
    fs::create_dir_all(&folder)?;
    let text = serde_json::to_vec(event).map_err(io::Error::other)?;
    let number = waiting(&folder)?.last().map_or(1, |(number, _)| number + 1);
    // Two operators at once: the second takes the next number.
    for number in number..number + 1000 {
        let unfinished = folder.join(format!(".{number}.{}", std::process::id()));
        let mut file = File::create(&unfinished)?;
        file.write_all(&text)?;
        file.sync_all()?;
        let placed = fs::hard_link(&unfinished, folder.join(format!("{number:08}.json")));
        fs::remove_file(&unfinished)?;
        match placed {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            placed => return placed.and_then(|()| File::open(&folder)?.sync_all()),
        }
    }
    Err(io::Error::other("too many events wait for the audit log: is the device running?"))
}

/// Hands every event that waits to `log`, in order, and removes it once it was taken.
///
/// # Errors
/// When the folder cannot be read, or `log` did not take an event: that and later ones stay.
pub fn take<E>(audit: &Path, mut log: impl FnMut(&Event) -> Result<(), E>) -> io::Result<Result<u64, E>> {
    let folder = folder_of(audit);
    let mut n_taken = 0;
    for (_, path) in waiting(&folder)? {
        // A file that is no event was not left by us: it stays, to be looked at.
        let Ok(event) = serde_json::from_slice::<Event>(&fs::read(&path)?) else { continue };
        if let Err(refused) = log(&event) {
            return Ok(Err(refused));
        }
        fs::remove_file(&path)?;
        n_taken += 1;
    }
    Ok(Ok(n_taken))
}

/// What waits for the audit log at `audit`, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn waiting_for(audit: &Path) -> io::Result<Vec<Event>> {
    let read = |(_, path): (u64, PathBuf)| Ok(serde_json::from_slice(&fs::read(path)?).ok());
    waiting(&folder_of(audit))?.into_iter().filter_map(|file| read(file).transpose()).collect()
}

/// The files that wait, by number.
fn waiting(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let numbered = |path: PathBuf| Some((path.file_stem()?.to_str()?.parse().ok()?, path));
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    let mut waiting: Vec<(u64, PathBuf)> = paths.into_iter().filter_map(numbered).collect();
    waiting.sort();
    Ok(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(what: &str) -> Event {
        Event::OperatorAction { what: what.into() }
    }

    #[test]
    fn events_are_taken_in_order_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.log");
        for what in ["one", "two", "three"] {
            leave(&audit, &action(what)).unwrap();
        }
        assert_eq!(waiting_for(&audit).unwrap(), ["one", "two", "three"].map(action));
        let mut taken = vec![];
        let mut log = |event: &Event| {
            taken.push(event.clone());
            if taken.len() == 2 { Err("full") } else { Ok(()) }
        };
        assert_eq!(take(&audit, &mut log).unwrap(), Err("full"));
        assert_eq!(take(&audit, &mut log).unwrap(), Ok(2));
        assert_eq!(take(&audit, &mut log).unwrap(), Ok(0));
        assert_eq!(taken, [action("one"), action("two"), action("two"), action("three")]);
    }
}
