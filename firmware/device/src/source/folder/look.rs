//! Which files of the folder are whole.

use super::Event;
use super::hand_back::{DONE, FAILED};
use crate::stop::Stop;
use remedis_settings::FolderConfig;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::FileType;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime};

/// How often the thread that listens looks whether it is time to end.
const LISTEN_LIMIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// What a look into the folder found.
#[derive(Default)]
pub(super) struct Ready {
    /// Files that are whole.
    pub(super) names: Vec<OsString>,
    /// How many things are there that are no plain files, by what they are; none when there was no look.
    pub(super) things: Option<BTreeMap<&'static str, u64>>,
}

/// What is in a folder.
#[derive(Default)]
struct Found {
    files: BTreeMap<OsString, Seen>,
    things: BTreeMap<&'static str, u64>,
}

/// What a file was like.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    length: u64,
    modified: Option<SystemTime>,
}

/// Looks into the folder, and hears of it.
pub(super) struct Watch {
    /// Told by the kernel to be whole.
    whole: BTreeSet<OsString>,
    /// As they were when last looked at.
    seen: BTreeMap<OsString, Seen>,
    looked_ms: Option<u64>,
    is_told: bool,
    events: SyncSender<Event>,
    stop: Arc<Stop>,
    /// Whether a thread listens. Its folder may go, and it with it.
    is_heard: Arc<AtomicBool>,
}

impl Watch {
    /// Nothing was seen yet, and nobody listens.
    pub(super) fn new(events: SyncSender<Event>, stop: Arc<Stop>) -> Self {
        let (whole, seen, is_heard) = (BTreeSet::new(), BTreeMap::new(), Arc::default());
        Self { whole, seen, looked_ms: None, is_told: false, events, stop, is_heard }
    }

    /// The kernel says that a file is whole.
    pub(super) fn is_whole(&mut self, name: OsString) {
        self.whole.insert(name);
        self.is_told = true;
    }

    /// The files that are whole now. The folder is looked through when a file was told of, and every so often.
    pub(super) fn look(&mut self, config: &FolderConfig, now_ms: u64) -> io::Result<Ready> {
        let every_ms = config.look_every_s.saturating_mul(1000);
        let is_time = self.looked_ms.is_none_or(|at_ms| now_ms >= at_ms.saturating_add(every_ms));
        if !is_time && !self.is_told {
            return Ok(Ready::default());
        }
        // Before the look: of what comes after it the kernel tells.
        self.listen(&config.path);
        let Found { files: present, things } = found(&config.path)?;
        let rested = Duration::from_secs(config.look_every_s);
        let is_old = |seen: &Seen| seen.modified.and_then(|at| at.elapsed().ok()).is_some_and(|since| since >= rested);
        let is_whole = |name: &OsString, now: &Seen| {
            let is_same = is_time && self.seen.get(name) == Some(now);
            self.whole.contains(name) || is_same || is_old(now)
        };
        let names = present.iter().filter(|(name, now)| is_whole(name, now)).map(|(name, _)| name.clone()).collect();
        if is_time {
            self.looked_ms = Some(now_ms);
            self.seen = present;
        }
        self.whole.clear();
        self.is_told = false;
        Ok(Ready { names, things: Some(things) })
    }

    /// Has a thread listen for files that are closed or moved in, where none does and the folder can be listened to.
    fn listen(&self, folder: &Path) {
        if self.is_heard.load(Ordering::Acquire) {
            return;
        }
        let Ok(ears) = listen(folder) else { return };
        let (events, stop, is_heard) = (self.events.clone(), Arc::clone(&self.stop), Arc::clone(&self.is_heard));
        let listening = move || {
            hear(&ears, &events, &stop);
            is_heard.store(false, Ordering::Release);
        };
        self.is_heard.store(true, Ordering::Release);
        if std::thread::Builder::new().name("folder-ears".into()).spawn(listening).is_err() {
            // Without the thread the folder is looked through all the same.
            self.is_heard.store(false, Ordering::Release);
        }
    }
}

/// The plain files of a folder that somebody may mean to be answered: no links, nothing hidden, nothing that says it is unfinished.
fn found(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // One that is gone again was not meant to stay.
        let Ok(seen) = entry.metadata() else { continue };
        if !is_meant(&entry.file_name()) {
            continue;
        }
        match thing(seen.file_type()) {
            Some(thing) => *found.things.entry(thing).or_default() += 1,
            None => {
                let seen = Seen { length: seen.len(), modified: seen.modified().ok() };
                found.files.insert(entry.file_name(), seen);
            }
        }
    }
    Ok(found)
}

/// What it is, where it is no plain file.
fn thing(kind: FileType) -> Option<&'static str> {
    let things = [
        (kind.is_file(), None),
        (kind.is_dir(), Some("folder")),
        (kind.is_symlink(), Some("link")),
        (kind.is_fifo(), Some("pipe")),
        (kind.is_socket(), Some("socket")),
    ];
    things.into_iter().find_map(|(is_it, thing)| is_it.then_some(thing)).unwrap_or(Some("device"))
}

fn is_meant(name: &OsStr) -> bool {
    let is_ours = name == DONE || name == FAILED;
    let name = name.as_bytes().to_ascii_lowercase();
    let unfinished: [&[u8]; 5] = [b".part", b".tmp", b".crdownload", b".filepart", b"~"];
    !is_ours && !name.starts_with(b".") && !unfinished.iter().any(|end| name.ends_with(end))
}

fn listen(folder: &Path) -> io::Result<OwnedFd> {
    let ears = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&ears, folder, WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::MOVE_SELF)?;
    Ok(ears)
}

/// Passes on the names of files that are whole, until it is time to end, nobody listens, or the folder is gone or elsewhere.
fn hear(ears: &OwnedFd, events: &SyncSender<Event>, stop: &Stop) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    while !stop.is_set() {
        // Woken early or late, it looks and waits again.
        let _woken = poll(&mut [PollFd::new(ears, PollFlags::IN)], Some(&LISTEN_LIMIT));
        let mut reader = inotify::Reader::new(ears, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF) {
                return;
            }
            // An event without a name is about the folder, or says that some were lost: looking finds them.
            let Some(name) = event.file_name() else { continue };
            let name = OsStr::from_bytes(name.to_bytes()).to_owned();
            if event.events().intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO)
                && events.send(Event::Whole(name)).is_err()
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_and_hidden_files_are_left_alone() {
        for name in ["a.png.part", "b.TMP", ".hidden.png", "c.png~"] {
            assert!(!is_meant(OsStr::new(name)), "{name}");
        }
        assert!(is_meant(OsStr::new("IM000001")) && is_meant(OsStr::new("scan.dcm")));
    }
}
