//! Answers beside files: written and synced before the file is moved out of the way.

use crate::pipeline::judge::chain;
use remedis_store::{Answer, Verdict};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where files are moved that were answered, below the watched folder.
pub(super) const DONE: &str = "done";
/// Where files are moved that could not be read.
pub(super) const FAILED: &str = "failed";
/// Bytes of the longest name that is kept: with a number and `.json.tmp` it is at most the 255 that file systems take.
const LONGEST_NAME: usize = 237;
/// Numbers that a name may have are below two to this power, so that they have at most 8 digits.
const N_DOUBLED: usize = 27;

/// What is said of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Told {
    /// Its answer.
    Answer {
        /// Its number in the journal.
        sequence: u64,
        /// Which file of a zip file it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// The answer.
        #[serde(flatten)]
        answer: Box<Answer>,
    },
    /// It could not be unpacked.
    Refused {
        /// Which file of a zip file it is about.
        member: Option<String>,
        /// Why.
        reason: String,
    },
}

impl Told {
    /// The answer's number in the journal.
    pub(super) fn sequence(&self) -> Option<u64> {
        match self {
            Self::Answer { sequence, .. } => Some(*sequence),
            Self::Refused { .. } => None,
        }
    }

    fn is_good(&self) -> bool {
        matches!(self, Self::Answer { answer, .. } if !matches!(answer.verdict, Verdict::Unreadable { .. }))
    }
}

/// What becomes of a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Each of its images has an answer.
    Answers(Vec<Told>),
    /// It gets none.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Whether every image could be read.
    pub(super) fn is_good(&self) -> bool {
        match self {
            Self::Answers(told) => told.iter().all(Told::is_good),
            Self::Refused { .. } => false,
        }
    }
}

/// What tells a file from another that took its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Identity {
    pub(super) fn of(found: &Metadata) -> Self {
        let modified = (found.mtime(), found.mtime_nsec());
        Self { device: found.dev(), inode: found.ino(), length: found.len(), modified }
    }
}

/// The folders below the watched one.
pub(super) struct HandBack<'a> {
    folder: &'a Path,
}

impl<'a> HandBack<'a> {
    pub(super) fn of(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// Makes them where they are not there, but not the watched one: what went away comes back by itself. A file that has such a name makes way, and is found again under its next one.
    pub(super) fn make(&self) -> io::Result<()> {
        for name in [DONE, FAILED] {
            let to = self.folder.join(name);
            if to.symlink_metadata().is_ok_and(|found| found.is_file()) {
                fs::rename(&to, free_place(self.folder, OsStr::new(name), b"")?)?;
            }
            if !to.is_dir() {
                fs::create_dir(&to)?;
                // Whoever may put files in may also take answers away.
                fs::set_permissions(&to, self.folder.metadata()?.permissions())?;
            }
        }
        Ok(())
    }

    /// Writes what came of the file `name`, then moves it away, if it is still the one that was `seen`.
    pub(super) fn put(&self, name: &OsStr, seen: Option<&Identity>, outcome: &Outcome) -> io::Result<()> {
        self.make()?;
        let to = self.folder.join(if outcome.is_good() { DONE } else { FAILED });
        let text = serde_json::to_string_pretty(outcome).map_err(|cause| io::Error::other(chain(&cause)))?;
        let place = free_place(&to, name, text.as_bytes())?;
        write_synced(&answer_path(&place), text.as_bytes())?;
        let from = self.folder.join(name);
        let now = from.symlink_metadata().map(|found| Identity::of(&found));
        // Another file under that name is another image, and has its answer yet to come.
        let is_other = seen.is_some_and(|seen| now.is_ok_and(|now| now != *seen));
        if !is_other {
            match fs::rename(from, &place) {
                // Whoever put it there took it away; the answer is there for them.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
        }
        File::open(&to)?.sync_all()?;
        File::open(self.folder)?.sync_all()
    }
}

/// `name` in the folder, with a number before its ending when another file has that name. A file whose answer is this one already was
/// being handed back when the device died: it keeps its place.
fn free_place(folder: &Path, name: &OsStr, answer: &[u8]) -> io::Result<PathBuf> {
    let place = |number| folder.join(numbered(name, number));
    let is_free = |number| {
        let place = place(number);
        let is_ours = || fs::read(answer_path(&place)).is_ok_and(|found| found == answer);
        !is_there(&place) && (!is_there(&answer_path(&place)) || is_ours())
    };
    // Numbers are given in order, so a free one lies between the last taken one of 1, 2, 4, 8 … and the next of these.
    let doubled = std::iter::successors(Some(1_u32), |number| number.checked_mul(2));
    let mut free = doubled.take(N_DOUBLED).find(|&number| is_free(number)).ok_or_else(too_many)?;
    let mut taken = free / 2;
    while free - taken > 1 {
        let middle = taken.midpoint(free);
        match is_free(middle) {
            true => free = middle,
            false => taken = middle,
        }
    }
    Ok(place(free))
}

/// Whatever it is, also a link to nothing.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn too_many() -> io::Error {
    io::Error::other("too many files of one name: clear the folders done and failed")
}

fn numbered(name: &OsStr, number: u32) -> OsString {
    if number == 1 && name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let path = Path::new(name);
    // An ending as long as a name is none.
    let ending = path.extension().filter(|ending| ending.len() < LONGEST_NAME / 2);
    let stem = if ending.is_some() { path.file_stem().unwrap_or(name) } else { name };
    let mut numbered = shortened(stem, LONGEST_NAME - ending.map_or(0, |ending| ending.len() + 1));
    if number > 1 {
        numbered.push(format!(".{number}"));
    }
    if let Some(ending) = ending {
        numbered.push(".");
        numbered.push(ending);
    }
    numbered
}

/// At most so many bytes from the beginning, and no broken character.
fn shortened(name: &OsStr, n_bytes: usize) -> OsString {
    let bytes = name.as_bytes();
    let is_within_a_character = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let end = (0..=n_bytes.min(bytes.len())).rev().find(|&at| !bytes.get(at).is_some_and(is_within_a_character));
    OsStr::from_bytes(&bytes[..end.unwrap_or(0)]).to_owned()
}

/// `scan.png` is answered in `scan.png.json`.
fn answer_path(place: &Path) -> PathBuf {
    let mut path = place.as_os_str().to_owned();
    path.push(".json");
    PathBuf::from(path)
}

/// Appears whole or not at all.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    match fs::remove_file(&unfinished) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    // A new file: others may write to this folder, and what they link to here is not ours to change.
    let mut file = File::create_new(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses the file `name` for this reason.
    fn hand_back(folder: &Path, name: &OsStr, reason: &str) {
        let hand_back = HandBack::of(folder);
        hand_back.make().unwrap();
        let seen = Identity::of(&folder.join(name).metadata().unwrap());
        hand_back.put(name, Some(&seen), &Outcome::Refused { reason: reason.to_owned() }).unwrap();
    }

    #[test]
    fn a_second_file_of_one_name_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let expected: Vec<String> = (2..=20).map(|number| format!("scan.{number}.png")).collect();
        for (text, expected) in ('a'..).zip(["scan.png".to_owned()].into_iter().chain(expected)) {
            let (text, expected) = (text.to_string(), expected.as_str());
            fs::write(folder.path().join("scan.png"), &text).unwrap();
            hand_back(folder.path(), OsStr::new("scan.png"), &text);
            let failed = folder.path().join("failed");
            assert_eq!(fs::read_to_string(failed.join(expected)).unwrap(), text);
            assert!(fs::read_to_string(answer_path(&failed.join(expected))).unwrap().contains(&text));
        }
        assert!(!folder.path().join("scan.png").exists());
    }

    #[test]
    fn a_file_whose_answer_was_written_before_a_kill_keeps_its_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("scan.png"), "x").unwrap();
        let outcome = Outcome::Refused { reason: "why".into() };
        fs::create_dir(folder.path().join("failed")).unwrap();
        let text = serde_json::to_string_pretty(&outcome).unwrap();
        write_synced(&folder.path().join("failed/scan.png.json"), text.as_bytes()).unwrap();
        hand_back(folder.path(), OsStr::new("scan.png"), "why");
        assert!(folder.path().join("failed/scan.png").exists());
        assert!(!folder.path().join("failed/scan.2.png").exists());
    }

    #[test]
    fn a_link_in_the_place_of_an_unfinished_answer_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [theirs, planted] = ["theirs", "failed/scan.png.json.tmp"].map(|name| folder.path().join(name));
        fs::create_dir(folder.path().join("failed")).unwrap();
        for (name, text) in [("theirs", "precious"), ("scan.png", "x")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink(&theirs, planted).unwrap();
        hand_back(folder.path(), OsStr::new("scan.png"), "why");
        assert_eq!(fs::read_to_string(theirs).unwrap(), "precious");
        assert!(folder.path().join("failed/scan.png.json").symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn whoever_may_put_files_in_may_take_answers_away() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o2770)).unwrap();
        HandBack::of(folder.path()).make().unwrap();
        for name in [DONE, FAILED] {
            assert_eq!(folder.path().join(name).metadata().unwrap().permissions().mode() & 0o7777, 0o2770, "{name}");
        }
    }

    #[test]
    fn an_image_that_took_the_name_of_the_answered_one_waits_for_its_own_answer() {
        let folder = tempfile::tempdir().unwrap();
        let (path, hand_back) = (folder.path().join("scan.png"), HandBack::of(folder.path()));
        hand_back.make().unwrap();
        fs::write(&path, "one").unwrap();
        let seen = Identity::of(&path.metadata().unwrap());
        fs::write(folder.path().join("fresh"), "another").unwrap();
        fs::rename(folder.path().join("fresh"), &path).unwrap();
        hand_back.put(OsStr::new("scan.png"), Some(&seen), &Outcome::Refused { reason: "why".into() }).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "another", "it stays");
        assert!(folder.path().join("failed/scan.png.json").exists(), "the answer is there for whoever asked");
    }

    #[test]
    fn a_name_that_is_as_long_as_can_be_is_shortened_and_keeps_its_ending() {
        let folder = tempfile::tempdir().unwrap();
        for name in [format!("{}.png", "a".repeat(251)), format!("x.{}", "b".repeat(253)), "ü".repeat(127)] {
            for _ in 0..2 {
                fs::write(folder.path().join(&name), "x").unwrap();
                hand_back(folder.path(), OsStr::new(&name), &name);
            }
            assert!(!folder.path().join(&name).exists(), "{name}");
        }
        let names: Vec<_> =
            fs::read_dir(folder.path().join("failed")).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names.len(), 12, "three files twice, each with its answer: {names:?}");
        assert!(names.iter().all(|name| name.to_str().is_some()), "no character is broken: {names:?}");
        assert!(names.contains(&OsString::from(format!("{}.2.png", "a".repeat(233)))), "{names:?}");
    }

    #[test]
    fn a_file_with_the_name_of_a_folder_makes_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("done"), "x").unwrap();
        HandBack::of(folder.path()).make().unwrap();
        assert!(folder.path().join("done").is_dir() && folder.path().join("failed").is_dir());
        assert_eq!(fs::read_to_string(folder.path().join("done.2")).unwrap(), "x");
    }
}
