//! Faults that only the connection itself can be told to have.

#[path = "../../tests/store/sample.rs"]
mod sample;

use super::{AppendError, ReadError, Store};
use sample::requested;
use tempfile::TempDir;

fn store_of(n: u64) -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(&folder.path().join("answers.db")).unwrap();
    for at in 0..n {
        store.append(&requested(at)).unwrap();
    }
    (folder, store)
}

/// Has every write refused while `pragma` is `bad`, and checks that the store goes on when it is `good` again.
fn refused_and_recovered(pragma: &str, bad: i64, good: i64) -> AppendError {
    let (_folder, mut store) = store_of(20);
    store.connection().pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).unwrap();
    let set =
        |store: &Store, value: i64| store.connection().query_row(&format!("PRAGMA {pragma} = {value}"), [], |_| Ok(()));
    let _some_say_nothing = set(&store, bad);
    let mut n = 20;
    let cause = loop {
        match store.append(&requested(n)) {
            Ok(_) => n += 1,
            Err(cause) => break cause,
        }
    };
    assert!(n < 200, "never refused");
    assert!(store.append(&requested(n)).is_err());
    assert_eq!(store.answers().find("link", &n.to_string()).unwrap(), None);
    let _some_say_nothing = set(&store, good);
    assert_eq!(store.append(&requested(n)).unwrap(), n + 1, "no number is lost by a failure");
    assert_eq!(store.answers().count().unwrap(), n + 1);
    cause
}

#[test]
fn a_file_that_may_not_grow_is_full_until_it_may() {
    // Smaller than the file is means: no larger than it is.
    let cause = refused_and_recovered("max_page_count", 1, 1 << 30);
    assert!(matches!(cause, AppendError::Full(_)), "{cause:?}");
}

#[test]
fn a_connection_that_may_not_write_is_read_only_until_it_may() {
    let cause = refused_and_recovered("query_only", 1, 0);
    assert!(matches!(cause, AppendError::ReadOnly(_)), "{cause:?}");
}

#[test]
fn a_record_that_is_not_what_was_written_is_not_believed() {
    let (_folder, store) = store_of(3);
    for change in [
        "confidence = 0.99",
        "class_name = 'normal'",
        "trace = replace(trace, 'plan 3', 'plan 4')",
        "request_id = NULL",
        "unix_ms = unix_ms + 1",
        "model_digest = ''",
    ] {
        store.connection().execute_batch(&format!("BEGIN; UPDATE answers SET {change} WHERE sequence = 2")).unwrap();
        let read = store.answers().get(2);
        assert!(matches!(&read, Err(ReadError::Damaged { sequence: 2, .. })), "{change}: {read:?}");
        store.connection().execute_batch("ROLLBACK").unwrap();
    }
    assert!(store.answers().get(2).unwrap().is_some());
}

#[test]
fn the_commands_that_make_a_commit_durable_are_in_force() {
    let (_folder, mut store) = store_of(1);
    store.delivered(1, 1).unwrap();
    let number =
        |pragma: &str| store.connection().pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
    let mode: String = store.connection().pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    let full = 2;
    assert_eq!((mode.as_str(), number("synchronous"), number("wal_autocheckpoint")), ("wal", full, 0));
    let incremental = 2;
    assert_eq!((number("auto_vacuum"), number("foreign_keys"), number("page_size")), (incremental, 1, 4096));
}
