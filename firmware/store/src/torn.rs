//! Power cuts, for tests: what a disk may hold when the power went while something was being written.
//!
//! Take a [`Snapshot`] of the files after a write that was acknowledged, and one after the next write; [`tear`] gives a
//! state in between. It knows in which order the store and the audit log sync (`STORE.md`): what was synced earlier is
//! whole; in the step that the cut falls into, each sector is old, new, cut off, zero or noise.
//!
//! Reading the files of an open [`Store`](crate::Store) in its own process drops SQLite's advisory locks on them. That is
//! harmless where nobody else opens the store, as in a test, and the reason why nothing but tests should call this.

use crate::lock::beside;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

/// What a disk writes at once. SQLite pads the store's commits to this.
const SECTOR: usize = 4096;
/// SQLite's write-ahead log begins with this many bytes, synced before any frame of the new log.
const WAL_HEADER: usize = 32;

/// The bytes of a store, or of an audit log, at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    kind: Kind,
    /// The file itself.
    main: Vec<u8>,
    /// A store's write-ahead log; empty where there is none.
    log: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Store,
    Audit,
}

/// What a power cut left.
#[derive(Clone, Debug)]
pub struct Torn {
    /// The files.
    pub files: Snapshot,
    /// Which step was cut, and what became of its sectors.
    pub what: String,
}

impl Snapshot {
    /// Of the store at `path`, which may be open in this process.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn of_store(path: &Path) -> io::Result<Self> {
        let log = match fs::read(beside(path, "-wal")) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        Ok(Self { kind: Kind::Store, main: fs::read(path)?, log })
    }

    /// Of the audit log at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_audit(path: &Path) -> io::Result<Self> {
        Ok(Self { kind: Kind::Audit, main: fs::read(path)?, log: Vec::new() })
    }

    /// Writes the files to `path`, over what is there. A store's shared index is what memory held, so it is noise now.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn restore(&self, path: &Path) -> io::Result<()> {
        fs::write(path, &self.main)?;
        if self.kind == Kind::Store {
            fs::write(beside(path, "-wal"), &self.log)?;
            fs::write(beside(path, "-shm"), Dice(self.log.len() as u64).noise(32 << 10))?;
        }
        Ok(())
    }

    /// What is durable after each sync on the way to `after`, this first.
    fn steps(&self, after: &Self) -> Vec<(&'static str, Self)> {
        let mut steps = vec![("", self.clone())];
        let mut add = |name, change: &dyn Fn(&mut Self)| {
            let mut next = steps.last().map_or_else(|| self.clone(), |(_, last)| last.clone());
            change(&mut next);
            if steps.last().is_none_or(|(_, last)| *last != next) {
                steps.push((name, next));
            }
        };
        if after.log.len() >= WAL_HEADER {
            add("header of the log", &|next| {
                next.log.resize(next.log.len().max(WAL_HEADER), 0);
                next.log.splice(..WAL_HEADER, after.log.iter().take(WAL_HEADER).copied());
            });
            add("log", &|next| next.log.clone_from(&after.log));
        }
        add("file", &|next| next.main.clone_from(&after.main));
        add("end of the log", &|next| next.log.clone_from(&after.log));
        steps
    }
}

/// A state that a power cut may leave between two snapshots, of which the first is durable; one for each seed.
///
/// Of an audit log, only bytes behind the first snapshot are spoiled: it is a plain text file and has nothing to pad.
///
/// # Panics
/// If the snapshots are equal, or one is of a store and the other of an audit log.
pub fn tear(before: &Snapshot, after: &Snapshot, seed: u64) -> Torn {
    assert_eq!(before.kind, after.kind, "snapshots of different things");
    let mut dice = Dice(seed);
    let steps = before.steps(after);
    assert!(steps.len() > 1, "nothing was written between the snapshots");
    let at = dice.below(steps.len() - 1);
    let ((_, durable), (step, written)) = (&steps[at], &steps[at + 1]);
    let smallest = if before.kind == Kind::Audit { before.main.len() } else { 0 };
    let harm = Harm::drawn(&mut dice);
    let main = spoil(&durable.main, &written.main, smallest, harm, &mut dice);
    let log = spoil(&durable.log, &written.log, 0, harm, &mut dice);
    let files = Snapshot { kind: before.kind, main, log };
    Torn { files, what: format!("power cut while writing the {step}: {harm:?}") }
}

/// What becomes of the sectors that were being written.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// New up to some byte; what follows is as before.
    Cut,
    /// New, with one sector of noise.
    Garbled,
    /// New, with one sector of zeros.
    Zeroed,
    /// Each sector old or new; beyond the old end, zero or new.
    Mixed,
    /// As mixed, with noise as a third.
    Wild,
}

impl Harm {
    fn drawn(dice: &mut Dice) -> Self {
        [Self::Cut, Self::Garbled, Self::Zeroed, Self::Mixed, Self::Wild][dice.below(5)]
    }
}

/// `new` as it may have come onto a disk that held `old`. Bytes before `untouched` are never spoiled.
fn spoil(old: &[u8], new: &[u8], untouched: usize, harm: Harm, dice: &mut Dice) -> Vec<u8> {
    let sectors = changed_sectors(old, new, untouched);
    let Some(first) = sectors.first() else { return new.to_vec() };
    let mut torn = new.to_vec();
    let spoiled = sectors[dice.below(sectors.len())].clone();
    match harm {
        Harm::Cut => {
            let cut = first.start + dice.below(new.len().max(first.start + 1) - first.start);
            torn.truncate(cut);
            torn.extend(old.iter().skip(cut));
        }
        Harm::Garbled => overwrite(&mut torn, &spoiled, &dice.noise(spoiled.len())),
        Harm::Zeroed => overwrite(&mut torn, &spoiled, &vec![0; spoiled.len()]),
        Harm::Mixed | Harm::Wild => {
            let faces = if matches!(harm, Harm::Wild) { 3 } else { 2 };
            for sector in &sectors {
                match dice.below(faces) {
                    0 => {}
                    1 => overwrite(&mut torn, sector, &padded(old, sector)),
                    _ => overwrite(&mut torn, sector, &dice.noise(sector.len())),
                }
            }
        }
    }
    torn
}

/// The sectors of `new` that differ from `old`, shortened to what lies behind `untouched`.
fn changed_sectors(old: &[u8], new: &[u8], untouched: usize) -> Vec<Range<usize>> {
    let sectors = (0..new.len().max(old.len())).step_by(SECTOR).map(|start| start..start + SECTOR);
    let changed =
        sectors.filter(|sector| padded(old, sector) != padded(new, sector) || new.len() < sector.end.min(old.len()));
    changed.map(|sector| sector.start.max(untouched)..sector.end).filter(|sector| !sector.is_empty()).collect()
}

/// A part of a file, zeros where the file has ended.
fn padded(file: &[u8], part: &Range<usize>) -> Vec<u8> {
    let mut bytes: Vec<u8> = file.iter().skip(part.start).take(part.len()).copied().collect();
    bytes.resize(part.len(), 0);
    bytes
}

/// Writes into the file as far as it reaches.
fn overwrite(file: &mut [u8], part: &Range<usize>, bytes: &[u8]) {
    file.iter_mut().skip(part.start).zip(bytes).for_each(|(byte, new)| *byte = *new);
}

/// SplitMix64 (Steele, Lea and Flood 2014), so that tests need no crate for their chances.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("below a usize")
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}
