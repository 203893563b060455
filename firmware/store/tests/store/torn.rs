//! Power cuts between one acknowledged answer and the next, simulated sector by sector.

use crate::folder_in_memory;
use crate::sample::requested;
use remedis_store::torn::{Snapshot, tear};
use remedis_store::{Audit, AuditHead, Event, Finding, Moment, Range, Store, verify};
use std::path::Path;

const NOW: Moment = Moment { unix_ms: 0, boot: 1 };

/// What is written in one step; the answers acknowledged before are 0 to `n` - 1.
fn write(store: &mut Store, n: &mut u64, seed: u64) {
    match seed % 8 {
        0 => store.checkpoint().unwrap(),
        1 => store.delivered(1 + seed % *n, seed).unwrap(),
        2 => store.anchor(&AuditHead { sequence: seed, hash: format!("{seed:064x}") }).unwrap(),
        _ => {
            store.append(&requested(*n)).unwrap();
            *n += 1;
        }
    }
}

#[test]
fn after_two_hundred_torn_writes_every_acknowledged_answer_is_there_and_the_next_is_whole_or_absent() {
    let living = folder_in_memory();
    let path = living.path().join("answers.db");
    let (mut store, _) = Store::open(&path).unwrap();
    let mut n = 0;
    // Over a checkpoint's worth of commits, so that also the automatic one and the log that begins anew are cut.
    (0..120).for_each(|_| write(&mut store, &mut n, 7));
    let mut before = Snapshot::of_store(&path).unwrap();
    let (mut whole, mut absent, mut seed) = (0, 0, 0);
    while whole + absent < 200 {
        let acknowledged = n;
        write(&mut store, &mut n, seed * 5 + 3);
        let after = Snapshot::of_store(&path).unwrap();
        if after != before {
            let torn = tear(&before, &after, seed);
            let kept = reopen(&torn.files, acknowledged, &torn.what);
            *(if kept == acknowledged { &mut absent } else { &mut whole }) += 1;
        }
        before = after;
        seed += 1;
    }
    println!("200 torn writes: last answer whole in {whole}, absent in {absent}");
    assert!(whole >= 10 && absent >= 10, "{whole} whole, {absent} absent: the cuts are not where they should be");
}

/// Opens what the cut left, checks it, goes on with it, and returns how many answers it held.
fn reopen(files: &Snapshot, acknowledged: u64, what: &str) -> u64 {
    let folder = folder_in_memory();
    let path = folder.path().join("answers.db");
    files.restore(&path).unwrap();
    let (mut store, opened) = Store::open(&path).unwrap_or_else(|cause| panic!("{what}: {cause}"));
    let kept = opened.n_answers;
    assert!((acknowledged..=acknowledged + 1).contains(&kept), "{what}: {acknowledged} acknowledged, {kept} kept");
    check(&store, kept, what);
    assert_eq!(store.append(&requested(kept)).unwrap(), kept + 1, "{what}");
    drop(store);
    check(&Store::open(&path).unwrap().0, kept + 1, what);
    kept
}

fn check(store: &Store, n: u64, what: &str) {
    let records = store.answers().page(&Range::ALL, 0, usize::MAX).unwrap();
    assert_eq!(records.len() as u64, n, "{what}");
    for (record, at) in records.into_iter().zip(0..) {
        assert_eq!((record.sequence, record.answer), (at + 1, requested(at)), "{what}");
    }
}

fn action(n: u64) -> Event {
    Event::OperatorAction { what: format!("action {n} ").repeat(1 + n as usize % 700) }
}

#[test]
fn after_two_hundred_torn_lines_the_audit_log_holds_every_acknowledged_one_and_says_what_was_torn() {
    let living = folder_in_memory();
    let path = living.path().join("audit.log");
    let (mut audit, _) = Audit::open(&path, None, NOW).unwrap();
    audit.append(&action(0), NOW).unwrap();
    let mut before = Snapshot::of_audit(&path).unwrap();
    let mut n_torn = 0;
    for n in 1..=200 {
        let acknowledged = audit.head().clone();
        audit.append(&action(n * 37), NOW).unwrap();
        let after = Snapshot::of_audit(&path).unwrap();
        let torn = tear(&before, &after, n);
        n_torn += u64::from(restart(&torn.files, &acknowledged, &torn.what));
        before = after;
    }
    assert!((20..200).contains(&n_torn), "{n_torn} of 200 torn: the cuts are not where they should be");
}

/// Opens what the cut left and checks it; whether something was put aside.
fn restart(files: &Snapshot, acknowledged: &AuditHead, what: &str) -> bool {
    let folder = folder_in_memory();
    let path = folder.path().join("audit.log");
    files.restore(&path).unwrap();
    let (audit, opened) = Audit::open(&path, Some(acknowledged), NOW).unwrap_or_else(|cause| panic!("{what}: {cause}"));
    assert!((acknowledged.sequence..=acknowledged.sequence + 1).contains(&opened.n_lines), "{what}: {opened:?}");
    assert_eq!(verify(&path, Some(acknowledged)).unwrap().finding, Finding::Whole, "{what}");
    assert_eq!(verify(&path, None).unwrap().head, *audit.head());
    let Some(torn) = opened.torn else { return false };
    assert_eq!(std::fs::metadata(&torn.kept_in).unwrap().len(), torn.length, "{what}");
    assert!(last_line(&path).contains(r#""event":"chain_restarted""#), "{what}");
    true
}

fn last_line(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().lines().last().unwrap().to_owned()
}
