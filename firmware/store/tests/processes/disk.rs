//! Disks that are full, become full, or cannot be written: real ones.
//!
//! Two ways that need no disk of one's own. A limit on the size of files (`RLIMIT_FSIZE`) makes the system refuse to
//! write more to an open file, as a failing disk does. A memory disk of a few megabytes in a mount namespace of its own
//! (`unshare`) is really full, and really read-only, also for root.

use crate::sample::{NEW_YEAR_MS, live, requested};
use remedis_store::{
    Answers, AppendError, Audit, AuditError, Clock, Event, Moment, OpenAuditError, OpenStoreError, Retention, Store,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FOLDER: &str = "REMEDIS_STORE_DISK_FOLDER";
const NOW: Moment = Moment { unix_ms: 0, boot: 1 };

fn folder() -> PathBuf {
    std::env::var_os(FOLDER).unwrap().into()
}

/// Runs one of the ignored tests below in a process that `shell` prepares.
fn run_child(name: &str, shell: &str, program: &[&str], folder: &Path) -> Output {
    let [first, rest @ ..] = program else { panic!("no program") };
    Command::new(first)
        .args(rest)
        .args(["-c", &format!("{shell} exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap()
}

fn assert_passed(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

fn limit_file_size(bytes: Option<u64>) {
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = bytes.or(limit.maximum);
    setrlimit(Resource::Fsize, limit).unwrap();
}

/// Appends until refused; how many were kept, and why no more.
fn fill(store: &mut Store, from: u64) -> (u64, AppendError) {
    for n in from..from + 100_000 {
        match store.append(&requested(n)) {
            Ok(_) => {}
            Err(cause) => return (n, cause),
        }
    }
    panic!("the disk does not get full")
}

fn assert_holds(store: &Store, n: u64) {
    assert_eq!(store.answers().count().unwrap(), n);
    for at in 0..n {
        assert_eq!(store.answers().find("link", &at.to_string()).unwrap().unwrap().answer, requested(at));
    }
}

#[test]
#[ignore = "runs in a process of its own, whose files are limited"]
fn writing_is_refused_for_a_while() {
    let path = folder().join("answers.db");
    let (mut store, _) = Store::open(&path).unwrap();
    let (mut audit, _) = Audit::open(&folder().join("audit.log"), None, NOW).unwrap();
    let mut n = 0;
    for limit in [150_000, 311_111, 463_333, 620_011] {
        limit_file_size(Some(limit));
        let (kept, cause) = fill(&mut store, n);
        assert!(matches!(cause, AppendError::Io(_) | AppendError::Full(_)), "{cause:?}");
        assert!(kept > n, "nothing fitted into {limit} bytes");
        assert_eq!(store.answers().find("link", &kept.to_string()).unwrap(), None, "half an answer");
        assert!(store.append(&requested(kept)).is_err());
        limit_file_size(None);
        store.append(&requested(kept)).unwrap();
        n = kept + 1;
        assert_holds(&store, n);
    }
    limit_file_size(Some(1000));
    let long = Event::OperatorAction { what: "x".repeat(700) };
    audit.append(&long, NOW).unwrap();
    assert!(matches!(audit.append(&long, NOW), Err(AuditError::Full(_))));
    assert!(fs::metadata(folder().join("audit.log")).unwrap().len() == 1000, "half a line is on the disk");
    limit_file_size(None);
    let head = audit.append(&Event::StoreRecovered, NOW).unwrap();
    assert_eq!(remedis_store::verify(&folder().join("audit.log"), Some(&head)).unwrap().n_lines, 2);
    drop(store);
    assert_holds(&Store::open(&path).unwrap().0, n);
}

#[test]
fn a_store_that_could_not_write_goes_on_when_it_can() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    // Without the trap the system would end a process that writes beyond the limit.
    assert_passed(&run_child("disk::writing_is_refused_for_a_while", "trap '' XFSZ;", &["sh"], folder.path()));
}

#[test]
#[ignore = "runs in a process of its own, on a memory disk"]
fn a_small_disk_gets_full_and_read_only() {
    let path = folder().join("answers.db");
    let (mut store, _) = Store::open(&path).unwrap();
    let (n, cause) = fill(&mut store, 0);
    assert!(matches!(cause, AppendError::Full(_)), "{cause:?}");
    assert_holds(&store, n);
    own_answers_make_room(&mut store, n);
    foreign_files_take_the_room(&mut store);
    drop(store);
    read_only(&path);
}

fn own_answers_make_room(store: &mut Store, n: u64) {
    let now = Clock { unix_ms: NEW_YEAR_MS, is_trusted: false, uptime_ms: 0 };
    (1..=n).for_each(|sequence| store.delivered(sequence, 1).unwrap());
    let policy = Retention { max_age_days: 9999, max_bytes: 512 << 10 };
    let mut n_removed = 0;
    let retained = loop {
        let retained = store.retain(&policy, now).unwrap();
        n_removed += retained.n_removed_by_size;
        if retained.is_complete {
            break retained;
        }
    };
    assert!(retained.bytes <= 512 << 10 && !retained.is_over_size, "{retained:?}");
    assert_eq!(store.answers().count().unwrap(), n - n_removed);
    for live_frame in 0..50 {
        store.append(&live(live_frame)).unwrap();
    }
}

fn foreign_files_take_the_room(store: &mut Store) {
    let count = store.answers().count().unwrap();
    let ballast = folder().join("ballast");
    let mut bytes = 4 << 20;
    while bytes > 0 {
        let written = fs::metadata(&ballast).map_or(0, |found| found.len());
        let grown = fs::OpenOptions::new().create(true).append(true).open(&ballast).unwrap();
        if rustix::fs::fallocate(&grown, rustix::fs::FallocateFlags::empty(), written, bytes).is_err() {
            bytes /= 2;
        }
    }
    let (audit, log) = (Audit::open(&folder().join("audit.log"), None, NOW), folder().join("audit.log"));
    let (kept, cause) = fill(store, 500_000);
    assert!(matches!(cause, AppendError::Full(_)), "{cause:?}");
    match audit {
        Ok((mut audit, _)) => assert!(matches!(audit.append(&Event::StoreRecovered, NOW), Err(AuditError::Full(_)))),
        Err(cause) => assert!(matches!(cause, OpenAuditError::Full { .. }), "{cause:?}"),
    }
    fs::remove_file(ballast).unwrap();
    store.append(&requested(kept)).unwrap();
    assert_eq!(store.answers().count().unwrap(), count + (kept - 500_000) + 1);
    let (mut audit, _) = Audit::open(&log, None, NOW).unwrap();
    audit.append(&Event::StoreRecovered, NOW).unwrap();
}

fn read_only(path: &Path) {
    let remount = |how: &str| {
        let options = format!("remount,{how}");
        assert!(Command::new("mount").args(["-o", &options]).arg(folder()).status().unwrap().success());
    };
    let count = Answers::open_read_only(path).unwrap().count().unwrap();
    remount("ro");
    let refused = Store::open(path);
    assert!(matches!(refused, Err(OpenStoreError::ReadOnly { .. })), "{refused:?}");
    let refused = Audit::open(&folder().join("audit.log"), None, NOW);
    assert!(matches!(refused, Err(OpenAuditError::ReadOnly { .. })), "{refused:?}");
    assert_eq!(Answers::open_read_only(path).unwrap().count().unwrap(), count, "but it can be read");
    remount("rw");
    let (mut store, opened) = Store::open(path).unwrap();
    assert_eq!(opened.n_answers, count);
    store.append(&live(0)).unwrap();
}

#[test]
fn a_really_full_and_a_really_read_only_disk_are_told_apart_and_survived() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size=4m none \"${FOLDER}\" && ");
    let may = Command::new("unshare").args(["-rm", "true"]).output();
    if !may.is_ok_and(|done| done.status.success()) && std::env::var_os("CI").is_none() {
        println!("not run: this system lets nobody mount a disk in a namespace of one's own");
        return;
    }
    let child =
        run_child("disk::a_small_disk_gets_full_and_read_only", &mount, &["unshare", "-rm", "sh"], folder.path());
    assert_passed(&child);
}
