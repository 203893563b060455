//! Answers beside files: written and synced before the file is moved out of the way.

use crate::pipeline::judge::chain;
use remedis_store::{Answer, Verdict};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

/// The folders below the watched one.
pub(super) struct HandBack<'a> {
    folder: &'a Path,
}

impl<'a> HandBack<'a> {
    pub(super) fn of(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// Writes what came of the file `name`, then moves it away.
    pub(super) fn put(&self, name: &OsStr, outcome: &Outcome) -> io::Result<()> {
        let to = self.folder.join(if outcome.is_good() { "done" } else { "failed" });
        fs::create_dir_all(&to)?;
        let text = serde_json::to_string_pretty(outcome).map_err(|cause| io::Error::other(chain(&cause)))?;
        let place = free_place(&to, name, text.as_bytes())?;
        write_synced(&answer_path(&place), text.as_bytes())?;
        match fs::rename(self.folder.join(name), &place) {
            // Whoever put it there took it away; the answer is there for them.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            moved => moved?,
        }
        File::open(&to)?.sync_all()?;
        File::open(self.folder)?.sync_all()
    }
}

/// `name` in the folder, with a number before its ending when another file has that name. A file whose answer is this one already was
/// being handed back when the device died: it keeps its place.
fn free_place(folder: &Path, name: &OsStr, answer: &[u8]) -> io::Result<PathBuf> {
    for number in 1..=9_999 {
        let place = folder.join(numbered(name, number));
        let is_ours = fs::read(answer_path(&place)).is_ok_and(|found| found == answer);
        if !place.exists() && (is_ours || !answer_path(&place).exists()) {
            return Ok(place);
        }
    }
    Err(io::Error::other("9999 files of one name: clear the folders done and failed"))
}

fn numbered(name: &OsStr, number: u32) -> OsString {
    if number == 1 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let mut numbered = path.file_stem().unwrap_or(name).to_owned();
    numbered.push(format!(".{number}"));
    if let Some(ending) = path.extension() {
        numbered.push(".");
        numbered.push(ending);
    }
    numbered
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
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_file_of_one_name_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [("a", "scan.png"), ("b", "scan.2.png"), ("c", "scan.3.png")] {
            fs::write(folder.path().join("scan.png"), text).unwrap();
            let outcome = Outcome::Refused { reason: text.to_owned() };
            HandBack::of(folder.path()).put(OsStr::new("scan.png"), &outcome).unwrap();
            let failed = folder.path().join("failed");
            assert_eq!(fs::read_to_string(failed.join(expected)).unwrap(), text);
            assert!(fs::read_to_string(answer_path(&failed.join(expected))).unwrap().contains(text));
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
        HandBack::of(folder.path()).put(OsStr::new("scan.png"), &outcome).unwrap();
        assert!(folder.path().join("failed/scan.png").exists());
        assert!(!folder.path().join("failed/scan.2.png").exists());
    }
}
