//! The whole device over a watched folder.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{Running, journal, png, wait_until};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;

fn start(folder: &Path) -> Running {
    fs::create_dir_all(folder.join("inbox")).unwrap();
    Running::start(folder, "[folder]\npath = 'inbox'\nlook_every_s = 1\nmax_file_bytes = 100000\n")
}

/// Puts a file there as a careful writer does: whole, by a rename.
fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let unfinished = folder.join(format!("{name}.part"));
    fs::write(&unfinished, bytes).unwrap();
    fs::rename(unfinished, folder.join("inbox").join(name)).unwrap();
}

/// Waits for what was handed back in `place`, such as `done/a.png`.
fn handed_back(folder: &Path, place: &str) -> Value {
    let path = folder.join("inbox").join(format!("{place}.json"));
    wait_until(place, || path.exists() && folder.join("inbox").join(place).exists());
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_file_is_answered_and_moved_away_with_its_answer_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path());
    put(folder.path(), "a.png", &png(250));
    let told = handed_back(folder.path(), "done/a.png");
    assert_eq!(told["answers"][0]["verdict"]["name"], "bright", "{told}");
    assert!(!folder.path().join("inbox/a.png").exists());
    let kept = device.stop();
    assert_eq!(told["answers"][0]["sequence"], kept[0].sequence);
    assert!(kept[0].delivered_unix_ms.is_some(), "handed back is delivered");
}

#[test]
fn what_is_no_image_goes_to_failed_and_so_does_what_is_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path());
    put(folder.path(), "notes.txt", b"dear diary");
    put(folder.path(), "large.png", &vec![0; 100_001]);
    let told = handed_back(folder.path(), "failed/notes.txt");
    assert_eq!(told["answers"][0]["verdict"]["decision"], "unreadable", "{told}");
    let told = handed_back(folder.path(), "failed/large.png");
    assert!(told["refused"]["reason"].as_str().unwrap().contains("larger than 100000 bytes"), "{told}");
    assert_eq!(device.stop().len(), 1, "a file that is not read has no answer");
}

#[test]
fn every_image_of_a_zip_file_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path());
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, level) in [("one.png", 250), ("two.png", 5), ("three.png", 127)] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&png(level)).unwrap();
    }
    put(folder.path(), "study.zip", &zip.finish().unwrap().into_inner());
    let told = handed_back(folder.path(), "done/study.zip");
    let seen: Vec<_> = told["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| {
            (told["member"].as_str().unwrap().to_owned(), told["verdict"]["decision"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [("one.png", "class"), ("two.png", "class"), ("three.png", "cannot_say")];
    assert_eq!(seen, expected.map(|(name, decision)| (name.to_owned(), decision.to_owned())));
    assert_eq!(device.stop().len(), 3);
}

#[test]
fn files_that_were_there_before_are_answered_and_a_killed_hand_back_is_done_again_without_a_second_answer() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path());
    put(folder.path(), "a.png", &png(250));
    handed_back(folder.path(), "done/a.png");
    device.stop();
    // As a kill between the answer and the move leaves it.
    let inbox = folder.path().join("inbox");
    fs::rename(inbox.join("done/a.png"), inbox.join("a.png")).unwrap();
    let device = start(folder.path());
    wait_until("the second hand-back", || !inbox.join("a.png").exists());
    assert_eq!(device.n_predictions(), 0);
    device.stop();
    assert_eq!(journal(folder.path()).len(), 1);
    assert!(inbox.join("done/a.png").exists() && !inbox.join("done/a.2.png").exists());
}

#[test]
fn a_folder_that_goes_and_comes_back_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path());
    put(folder.path(), "a.png", &png(250));
    handed_back(folder.path(), "done/a.png");
    let (inbox, away) = (folder.path().join("inbox"), folder.path().join("away"));
    fs::rename(&inbox, &away).unwrap();
    let board = std::sync::Arc::clone(&device.board);
    wait_until("the loss of the folder", || board.look(|state| !state.alarms.is_empty()));
    fs::rename(&away, &inbox).unwrap();
    put(folder.path(), "b.png", &png(5));
    handed_back(folder.path(), "done/b.png");
    assert_eq!(device.stop().len(), 2);
}

#[test]
fn a_folder_that_came_back_is_listened_to_again() {
    let folder = tempfile::tempdir().unwrap();
    let (inbox, away) = (folder.path().join("inbox"), folder.path().join("away"));
    fs::create_dir(&inbox).unwrap();
    // Only looked through, a new file would be answered after three seconds at the earliest.
    let device = Running::start(folder.path(), "[folder]\npath = 'inbox'\nlook_every_s = 3\n");
    let is_lost = || device.board.look(|state| !state.alarms.is_empty());
    wait_until("the first look", || inbox.join("done").exists());
    fs::rename(&inbox, &away).unwrap();
    wait_until("the loss of the folder", is_lost);
    fs::rename(&away, &inbox).unwrap();
    wait_until("its return", || !is_lost());
    let start = std::time::Instant::now();
    put(folder.path(), "a.png", &png(250));
    handed_back(folder.path(), "done/a.png");
    assert!(start.elapsed().as_secs() < 3, "answered after {:?}", start.elapsed());
    device.stop();
}
