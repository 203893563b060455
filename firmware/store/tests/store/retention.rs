//! Old answers go, young ones stay, and a clock that jumped decides nothing.

use crate::folder_in_memory;
use crate::sample::{HOUR_MS, NEW_YEAR_MS, live, requested};
use remedis_store::{AgeRule, Answer, Clock, Retained, Retention, Store};
use std::path::PathBuf;
use tempfile::TempDir;

const DAY_MS: u64 = 24 * HOUR_MS;
const ALL_SIZES: Retention = Retention { max_age_days: 10, max_bytes: u64::MAX };

/// A store with one delivered answer a day, from new year on.
fn daily(n_days: u64) -> (TempDir, PathBuf, Store) {
    let folder = folder_in_memory();
    let path = folder.path().join("answers.db");
    let (mut store, _) = Store::open(&path).unwrap();
    for day in 0..n_days {
        let sequence = store.append(&on_day(day)).unwrap();
        store.delivered(sequence, 1).unwrap();
    }
    (folder, path, store)
}

fn on_day(day: u64) -> Answer {
    Answer { unix_ms: NEW_YEAR_MS + day * DAY_MS, uptime_ms: day * DAY_MS, ..requested(day) }
}

fn clock_on_day(day: u64) -> Clock {
    Clock { unix_ms: NEW_YEAR_MS + day * DAY_MS, is_trusted: true, uptime_ms: day * DAY_MS }
}

fn oldest(store: &Store) -> u64 {
    store.answers().latest(usize::MAX).unwrap().last().unwrap().sequence
}

fn to_the_end(store: &mut Store, policy: &Retention, now: Clock) -> Retained {
    for _ in 0..100 {
        let retained = store.retain(policy, now).unwrap();
        if retained.is_complete {
            return retained;
        }
    }
    panic!("retention does not end")
}

#[test]
fn answers_older_than_the_limit_go_and_their_requests_are_new_again() {
    let (_folder, _path, mut store) = daily(30);
    let retained = store.retain(&ALL_SIZES, clock_on_day(30)).unwrap();
    assert_eq!((retained.n_removed_by_age, retained.age, retained.is_complete), (20, AgeRule::ByClock, true));
    assert_eq!((oldest(&store), store.answers().count().unwrap()), (21, 10));
    assert_eq!(store.answers().find("link", "0").unwrap(), None);
    assert_eq!(store.append(&on_day(0)).unwrap(), 31, "a number is never given twice");
}

#[test]
fn a_clock_that_jumped_ahead_while_running_removes_nothing_too_early() {
    let (_folder, _path, mut store) = daily(12);
    let jumped = Clock { unix_ms: NEW_YEAR_MS + 20_000 * DAY_MS, ..clock_on_day(11) };
    let retained = store.retain(&ALL_SIZES, jumped).unwrap();
    assert_eq!((retained.n_removed_by_age, retained.age), (1, AgeRule::ClockJumped));
}

#[test]
fn after_a_restart_with_an_untrusted_clock_age_is_judged_by_the_newest_answer() {
    let (_folder, path, store) = daily(12);
    drop(store);
    let (mut store, _) = Store::open(&path).unwrap();
    for unix_ms in [0, NEW_YEAR_MS + 20_000 * DAY_MS] {
        let now = Clock { unix_ms, is_trusted: false, uptime_ms: 5 };
        let retained = store.retain(&ALL_SIZES, now).unwrap();
        assert_eq!(retained.age, AgeRule::ByNewestAnswer);
        assert_eq!(store.answers().count().unwrap(), 11, "only the first is ten days older than the last");
    }
}

#[test]
fn a_device_that_was_off_for_years_and_knows_the_time_forgets_what_is_old() {
    let (_folder, path, store) = daily(12);
    drop(store);
    let (mut store, _) = Store::open(&path).unwrap();
    let now = Clock { unix_ms: NEW_YEAR_MS + 1000 * DAY_MS, is_trusted: true, uptime_ms: 5 };
    assert_eq!(store.retain(&ALL_SIZES, now).unwrap().n_removed_by_age, 12);
}

#[test]
fn answers_of_unknown_time_stay_until_a_later_one_is_old_for_sure() {
    let (_folder, _path, mut store) = daily(2);
    let unknown = Answer { unix_ms: 0, is_clock_trusted: false, ..live(100) };
    let ahead = Answer { unix_ms: NEW_YEAR_MS + 9000 * DAY_MS, ..live(101) };
    store.append(&unknown).unwrap();
    store.append(&ahead).unwrap();
    store.append(&on_day(5)).unwrap();
    store.append(&unknown).unwrap();
    assert_eq!(store.retain(&ALL_SIZES, clock_on_day(14)).unwrap().n_removed_by_age, 2);
    assert_eq!(oldest(&store), 3);
    assert_eq!(store.retain(&ALL_SIZES, clock_on_day(16)).unwrap().n_removed_by_age, 3);
    assert_eq!(oldest(&store), 6, "nothing later tells how old the last one is");
}

#[test]
fn a_wrong_early_time_takes_no_younger_answer_with_it() {
    let (_folder, _path, mut store) = daily(12);
    store.append(&Answer { unix_ms: 1, ..live(100) }).unwrap();
    let retained = store.retain(&ALL_SIZES, clock_on_day(15)).unwrap();
    assert_eq!((retained.n_removed_by_age, retained.age), (0, AgeRule::ClockJumped), "which of them is wrong?");
    store.append(&on_day(15)).unwrap();
    let retained = store.retain(&ALL_SIZES, clock_on_day(15)).unwrap();
    assert_eq!((retained.n_removed_by_age, oldest(&store)), (5, 6));
}

#[test]
fn a_trusted_clock_that_fell_back_removes_nothing() {
    let (_folder, path, mut store) = daily(12);
    store.append(&Answer { unix_ms: 1, ..live(100) }).unwrap();
    store.append(&on_day(12)).unwrap();
    drop(store);
    let (mut store, _) = Store::open(&path).unwrap();
    let now = Clock { unix_ms: 30 * DAY_MS, is_trusted: true, uptime_ms: 5 };
    assert_eq!(store.retain(&ALL_SIZES, now).unwrap().n_removed_by_age, 0);
}

#[test]
fn without_any_trusted_time_nothing_is_removed_by_age() {
    let (_folder, _path, mut store) = daily(0);
    store.append(&Answer { is_clock_trusted: false, ..live(1) }).unwrap();
    let now = Clock { unix_ms: u64::MAX >> 2, is_trusted: false, uptime_ms: 1 };
    let retained = store.retain(&ALL_SIZES, now).unwrap();
    assert_eq!((retained.n_removed_by_age, retained.age), (0, AgeRule::Skipped));
}

#[test]
fn what_there_is_no_room_for_goes_oldest_first_and_the_file_really_shrinks() {
    let (_folder, path, mut store) = daily(0);
    for n in 0..1500 {
        store.append(&live(n)).unwrap();
    }
    store.checkpoint().unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    let max_bytes = before / 4;
    let policy = Retention { max_age_days: 9999, max_bytes };
    let retained = to_the_end(&mut store, &policy, clock_on_day(200));
    let (file, log) =
        (std::fs::metadata(&path).unwrap().len(), std::fs::metadata(path.with_extension("db-wal")).unwrap().len());
    assert_eq!((retained.bytes, log), (file, 0));
    assert!(file <= max_bytes && file > max_bytes / 2, "{before} bytes became {file}, allowed {max_bytes}");
    assert!(!retained.is_over_size);
    assert_eq!(oldest(&store), 1501 - store.answers().count().unwrap(), "the oldest went");
}

#[test]
fn one_call_ends_soon() {
    let (_folder, _path, mut store) = daily(0);
    for n in 0..1200 {
        store.append(&live(n)).unwrap();
    }
    let policy = Retention { max_age_days: 0, max_bytes: u64::MAX };
    let first = store.retain(&policy, clock_on_day(300)).unwrap();
    assert_eq!((first.n_removed_by_age, first.is_complete), (1000, false));
    let second = store.retain(&policy, clock_on_day(300)).unwrap();
    assert_eq!((second.n_removed_by_age, second.is_complete), (200, true));
}

#[test]
fn an_answer_that_nobody_received_stays_until_it_is_too_old() {
    let (_folder, _path, mut store) = daily(40);
    for day in 40..80 {
        store.append(&on_day(day)).unwrap();
    }
    let policy = Retention { max_age_days: 60, max_bytes: 0 };
    let retained = to_the_end(&mut store, &policy, clock_on_day(80));
    assert!(retained.is_over_size);
    assert_eq!((oldest(&store), store.answers().count().unwrap()), (41, 40));
    let later = to_the_end(&mut store, &policy, clock_on_day(110));
    assert_eq!((later.n_removed_by_age, oldest(&store)), (10, 51));
}
