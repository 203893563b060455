//! A disk in memory that records every step, fails on demand, and knows what a power cut may leave of it.
//!
//! The file system promises as little as POSIX: bytes are kept by `sync`, names by `sync_folder`, each apart from the other,
//! in any combination and any order; a rename is one step as far as its target goes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use remedis_slots::{Disk, Found};

/// Bytes that one write takes at most, so that writes are cut in pieces.
const WRITE: usize = 512;
/// Bytes that a disk writes all or none of, as far as it tells.
const SECTOR: usize = 512;
/// Name changes of which every subset is tried; of more, every beginning.
const MAX_SUBSET: usize = 6;

/// Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct SimulatedDisk(Rc<RefCell<Machine>>);

#[derive(Default)]
struct Machine {
    image: Image,
    /// The image after each step that changed it.
    history: Vec<Image>,
    n_calls: usize,
    /// The call that fails, counted from 1, and how.
    fault: Option<(usize, io::ErrorKind)>,
    failed: Option<&'static str>,
    is_locked: bool,
    /// Says that it synced, and did not.
    never_syncs: bool,
    /// The next sync changes a byte.
    miswrites: bool,
    /// Every call that would change something fails.
    refuses_writes: bool,
}

/// What memory and disk hold at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    files: BTreeMap<usize, Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced: Vec<NameChange>,
    n_created: usize,
}

#[derive(Clone, Debug, Default)]
struct Content {
    durable: Vec<u8>,
    unsynced: Vec<u8>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Created(String, usize),
    Renamed(String, String, usize),
    Removed(String),
}

impl SimulatedDisk {
    pub(crate) fn of(image: Image) -> Self {
        let disk = Self::default();
        disk.0.borrow_mut().image = image;
        disk
    }

    /// A disk that lies about what is durable.
    pub(crate) fn that_never_syncs() -> Self {
        let disk = Self::default();
        disk.0.borrow_mut().never_syncs = true;
        disk
    }

    /// Let the next file that is synced have another byte in it.
    pub(crate) fn miswrite(&self) {
        self.0.borrow_mut().miswrites = true;
    }

    /// Whether the disk is full or read-only.
    pub(crate) fn refuse_writes(&self, refuses: bool) {
        self.0.borrow_mut().refuses_writes = refuses;
    }

    pub(crate) fn image(&self) -> Image {
        self.0.borrow().image.clone()
    }

    /// What the file has, as a reader sees it.
    pub(crate) fn content(&self, name: &str) -> Option<Vec<u8>> {
        let machine = self.0.borrow();
        machine.image.names.get(name).map(|file| machine.image.files[file].seen())
    }

    /// Every image since the last call, the present one last.
    pub(crate) fn take_history(&self) -> Vec<Image> {
        std::mem::take(&mut self.0.borrow_mut().history)
    }

    /// Let call `n` from now fail.
    pub(crate) fn fail_call(&self, n: usize, kind: io::ErrorKind) {
        let mut machine = self.0.borrow_mut();
        (machine.n_calls, machine.fault, machine.failed) = (0, Some((n, kind)), None);
    }

    /// No more faults; which call has failed, if one has.
    pub(crate) fn heal(&self) -> Option<&'static str> {
        let mut machine = self.0.borrow_mut();
        machine.fault = None;
        machine.failed.take()
    }

    fn call(&self, name: &'static str) -> io::Result<()> {
        let mut machine = self.0.borrow_mut();
        machine.n_calls += 1;
        match machine.fault {
            Some((n, kind)) if n == machine.n_calls => {
                machine.failed = Some(name);
                Err(kind.into())
            }
            _ => Ok(()),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Image) -> io::Result<()>) -> io::Result<()> {
        let mut machine = self.0.borrow_mut();
        if machine.refuses_writes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        change(&mut machine.image)?;
        let image = machine.image.clone();
        machine.history.push(image);
        Ok(())
    }
}

pub(crate) struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

impl SimulatedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.disk.change(|image| {
            image.files.get_mut(&self.file).unwrap().unsynced.extend(bytes);
            Ok(())
        })
    }
}

impl io::Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(WRITE)];
        if let Err(error) = self.disk.call("write") {
            self.append(&taken[..taken.len() / 2])?;
            return Err(error);
        }
        self.append(taken)?;
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct SimulatedLock(SimulatedDisk);

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.0.0.borrow_mut().is_locked = false;
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;
    type Lock = SimulatedLock;

    fn lock(&self) -> io::Result<Option<SimulatedLock>> {
        self.call("lock")?;
        let was_locked = std::mem::replace(&mut self.0.borrow_mut().is_locked, true);
        Ok((!was_locked).then(|| SimulatedLock(self.clone())))
    }

    fn files(&self) -> io::Result<Vec<Found>> {
        self.call("files")?;
        let image = &self.0.borrow().image;
        let found = |(name, file): (&String, &usize)| Found {
            name: name.clone(),
            bytes: image.files[file].seen().len() as u64,
            written_unix_ms: None,
        };
        Ok(image.names.iter().map(found).collect())
    }

    fn read(&self, name: &str, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.call("read")?;
        let bytes = self.content(name).ok_or(io::ErrorKind::NotFound)?;
        if bytes.len() as u64 > max_bytes { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        self.call("create")?;
        self.change(|image| {
            image.n_created += 1;
            image.files.insert(image.n_created, Content::default());
            image.name(NameChange::Created(name.to_owned(), image.n_created));
            Ok(())
        })?;
        let file = self.0.borrow().image.n_created;
        Ok(SimulatedFile { disk: self.clone(), file })
    }

    fn sync(&self, file: &SimulatedFile) -> io::Result<()> {
        self.call("sync")?;
        if self.0.borrow().never_syncs {
            return Ok(());
        }
        let miswrites = std::mem::take(&mut self.0.borrow_mut().miswrites);
        self.change(|image| {
            let content = image.files.get_mut(&file.file).unwrap();
            if let Some(byte) = content.unsynced.last_mut().filter(|_| miswrites) {
                *byte ^= 1;
            }
            let unsynced = std::mem::take(&mut content.unsynced);
            content.durable.extend(unsynced);
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call("rename")?;
        self.change(|image| {
            let file = *image.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            image.name(NameChange::Renamed(from.to_owned(), to.to_owned(), file));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call("remove")?;
        self.change(|image| {
            image.names.get(name).ok_or(io::ErrorKind::NotFound)?;
            image.name(NameChange::Removed(name.to_owned()));
            Ok(())
        })
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.call("sync_folder")?;
        if self.0.borrow().never_syncs {
            return Ok(());
        }
        self.change(|image| {
            image.unsynced.clear();
            image.durable_names = image.names.clone();
            Ok(())
        })
    }
}

impl Image {
    fn name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }

    /// Every disk that a power cut at this moment may leave, each once.
    pub(crate) fn survivors(&self) -> Vec<Image> {
        let mut contents = vec![BTreeMap::new()];
        for (file, content) in self.files.iter().filter(|(_, content)| !content.unsynced.is_empty()) {
            // Each torn file on its own: what is left of one says nothing of another.
            let leavings = content.leavings();
            let with = |left: &Vec<u8>| {
                contents
                    .iter()
                    .cloned()
                    .map(|mut all: BTreeMap<usize, Vec<u8>>| {
                        all.insert(*file, left.clone());
                        all
                    })
                    .collect::<Vec<_>>()
            };
            contents = leavings.iter().flat_map(with).collect();
        }
        let mut seen = BTreeSet::new();
        let mut survivors = Vec::new();
        for names in self.surviving_names() {
            for contents in &contents {
                let image = self.survivor(&names, contents);
                if seen.insert(image.visible()) {
                    survivors.push(image);
                }
            }
        }
        survivors
    }

    /// What a reader sees: names and bytes.
    pub(crate) fn visible(&self) -> BTreeMap<String, Vec<u8>> {
        self.names.iter().map(|(name, file)| (name.clone(), self.files[file].seen())).collect()
    }

    fn survivor(&self, names: &BTreeMap<String, usize>, contents: &BTreeMap<usize, Vec<u8>>) -> Image {
        let left = |file: &usize| {
            let durable = contents.get(file).unwrap_or(&self.files[file].durable).clone();
            (*file, Content { durable, unsynced: Vec::new() })
        };
        Image {
            files: names.values().map(left).collect(),
            names: names.clone(),
            durable_names: names.clone(),
            unsynced: Vec::new(),
            n_created: self.n_created,
        }
    }

    fn surviving_names(&self) -> Vec<BTreeMap<String, usize>> {
        let apply = |kept: &dyn Fn(usize) -> bool| {
            let mut names = self.durable_names.clone();
            for (_, change) in self.unsynced.iter().enumerate().filter(|(index, _)| kept(*index)) {
                change.apply(&mut names);
            }
            names
        };
        let n = self.unsynced.len();
        let mut all: Vec<_> = if n <= MAX_SUBSET {
            (0..1_usize << n).map(|subset| apply(&|index| subset >> index & 1 == 1)).collect()
        } else {
            (0..=n).map(|length| apply(&|index| index < length)).collect()
        };
        // A rename whose old name is still there.
        let mut doubled = apply(&|_| true);
        for change in &self.unsynced {
            if let NameChange::Renamed(from, _, file) = change {
                doubled.insert(from.clone(), *file);
            }
        }
        all.push(doubled);
        all
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Created(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Renamed(from, to, file) => {
                // In a subset the old name may be another file's.
                if names.get(from) == Some(file) {
                    names.remove(from);
                }
                names.insert(to.clone(), *file);
            }
            Self::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

impl Content {
    fn seen(&self) -> Vec<u8> {
        [self.durable.as_slice(), self.unsynced.as_slice()].concat()
    }

    /// What a power cut may leave of the file: all of it, what was synced, any beginning of the rest, its length without its
    /// bytes, or one sector that was not written or has something else in it.
    fn leavings(&self) -> Vec<Vec<u8>> {
        let (whole, synced) = (self.seen(), self.durable.len());
        let cuts = (synced..whole.len()).step_by(SECTOR).chain([whole.len() - 1, whole.len()]);
        let mut leavings: Vec<_> = cuts.map(|length| whole[..length].to_vec()).collect();
        let changed = |from: usize, to: usize, change: fn(&mut u8)| {
            let mut left = whole.clone();
            left[from..to].iter_mut().for_each(change);
            left
        };
        leavings.push(changed(synced, whole.len(), |byte| *byte = 0));
        for from in (synced..whole.len()).step_by(SECTOR) {
            let to = whole.len().min(from + SECTOR);
            leavings.push(changed(from, to, |byte| *byte = 0));
            leavings.push(changed(from, to, |byte| *byte ^= 0xa5));
        }
        leavings
    }
}
