//! What is opened, what is refused, and that refusing changes nothing.

use crate::sample::requested;
use remedis_store::{Answers, OpenStoreError, Store};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.db");
    (folder, path)
}

/// A store of `n` answers whose writer was killed: everything is still in the write-ahead log.
fn killed_store(path: &Path, n: u64) {
    let (folder, living) = place();
    let (mut store, _) = Store::open(&living).unwrap();
    (0..n).for_each(|at| assert_eq!(store.append(&requested(at)).unwrap(), at + 1));
    for suffix in ["", "-wal"] {
        fs::copy(folder.path().join(format!("answers.db{suffix}")), format!("{}{suffix}", path.display())).unwrap();
    }
}

/// All files with something in them, but for the lock and SQLite's shared index.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let kept = all.filter(|path| !["lock", "db-shm"].iter().any(|end| path.to_string_lossy().ends_with(end)));
    let read = kept.map(|path| (path.clone(), fs::read(&path).unwrap())).filter(|(_, bytes)| !bytes.is_empty());
    read.map(|(path, bytes)| (path, format!("{} bytes {:x?}", bytes.len(), Sha256::digest(bytes)))).collect()
}

fn refusal(folder: &TempDir, path: &Path) -> OpenStoreError {
    let before = files(folder.path());
    let error = Store::open(path).err().unwrap();
    assert_eq!(files(folder.path()), before, "refusing must change nothing");
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    error
}

#[test]
fn a_second_writer_is_told_who_the_first_is() {
    let (folder, path) = place();
    let (_store, _) = Store::open(&path).unwrap();
    let holder = match refusal(&folder, &path) {
        OpenStoreError::InUse { holder, .. } => holder,
        other => panic!("{other:?}"),
    };
    assert_eq!(holder, Some(std::process::id()));
}

#[test]
fn the_next_writer_may_come_when_the_first_is_gone() {
    let (_folder, path) = place();
    drop(Store::open(&path).unwrap());
    assert_eq!(Store::open(&path).unwrap().1.boot, 2);
}

#[test]
fn foreign_bytes_are_named_and_left_alone() {
    let (folder, path) = place();
    fs::write(&path, b"[device]\nname = \"left\"\n".repeat(400)).unwrap();
    assert!(matches!(refusal(&folder, &path), OpenStoreError::Foreign { found, .. } if found.contains("5b, 64, 65")));
}

#[test]
fn another_programs_database_is_left_alone() {
    let (folder, path) = place();
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE patients (name TEXT); INSERT INTO patients VALUES ('x')").unwrap();
    drop(foreign);
    assert!(matches!(refusal(&folder, &path), OpenStoreError::Foreign { found, .. } if found.contains("0x00000000")));
}

#[test]
fn a_store_of_a_later_format_is_left_alone() {
    let (folder, path) = place();
    drop(Store::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(refusal(&folder, &path), OpenStoreError::Version { expected: 1, found: 2, .. }));
}

#[test]
fn an_empty_file_becomes_a_store() {
    let (_folder, path) = place();
    fs::write(&path, b"").unwrap();
    assert_eq!(Store::open(&path).unwrap().1.n_answers, 0);
}

#[test]
fn a_killed_writers_answers_are_taken_over() {
    let (_folder, path) = place();
    killed_store(&path, 5);
    let (store, opened) = Store::open(&path).unwrap();
    assert_eq!((opened.n_answers, opened.is_recovered), (5, true));
    assert_eq!(store.answers().find("link", "4").unwrap().unwrap().answer, requested(4));
}

#[test]
fn a_damaged_store_is_named_and_left_alone_with_its_log() {
    let (folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    (0..200).for_each(|n| assert!(store.append(&requested(n)).is_ok()));
    drop(store);
    let (mut store, _) = Store::open(&path).unwrap();
    store.append(&requested(200)).unwrap();
    let wal = path.with_extension("db-wal");
    let log = fs::read(&wal).unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes[12 * 4096..40 * 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    fs::write(&wal, log).unwrap();
    let error = refusal(&folder, &path);
    assert!(matches!(error, OpenStoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("keep both for inquiry"), "{error}");
}

#[test]
fn a_log_whose_store_was_moved_away_is_not_played_into_a_new_one() {
    let (folder, path) = place();
    killed_store(&path, 3);
    fs::remove_file(&path).unwrap();
    assert!(matches!(refusal(&folder, &path), OpenStoreError::LeftOver { .. }));
}

#[test]
fn there_is_nothing_to_read_where_no_store_is() {
    let (folder, path) = place();
    assert!(matches!(Answers::open_read_only(&path), Err(OpenStoreError::Io { .. })));
    assert!(files(folder.path()).is_empty(), "reading must not begin a store");
}
