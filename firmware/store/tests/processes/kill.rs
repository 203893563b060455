//! A writer that is killed at any moment has lost nothing that it acknowledged, and kept nothing twice.

use crate::sample::requested;
use remedis_store::{Audit, AuditHead, Event, Finding, Moment, Range, Store, verify};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "REMEDIS_STORE_KILL_FOLDER";
const N_KILLS: u64 = 48;

/// Runs in a process of its own until it is killed: appends, and says so only afterwards.
#[test]
#[ignore = "the process that the test below kills"]
fn writer() {
    let folder = std::env::var(FOLDER).unwrap();
    let (mut store, opened) = Store::open(&Path::new(&folder).join("answers.db")).unwrap();
    let now = Moment { unix_ms: 0, boot: opened.boot };
    let anchor = store.audit_anchor().unwrap();
    let (mut audit, _) = Audit::open(&Path::new(&folder).join("audit.log"), anchor.as_ref(), now).unwrap();
    for n in opened.n_answers.. {
        let sequence = store.append(&requested(n)).unwrap();
        println!("\nanswer {n} {sequence}");
        match n % 8 {
            0 | 4 => store.delivered(sequence, n).unwrap(),
            2 => store.checkpoint().unwrap(),
            5 => {
                let head = audit.append(&Event::OperatorAction { what: format!("answer {n}") }, now).unwrap();
                println!("\naudit {} {}", head.sequence, head.hash);
                store.anchor(&head).unwrap();
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Acknowledged {
    answers: BTreeMap<u64, u64>,
    audit: Vec<AuditHead>,
}

impl Acknowledged {
    fn hear(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["answer", n, sequence] => {
                let before = self.answers.insert(n.parse().unwrap(), sequence.parse().unwrap());
                assert_eq!(before, None, "answered twice: {line}");
            }
            ["audit", sequence, hash] => {
                self.audit.push(AuditHead { sequence: sequence.parse().unwrap(), hash: hash.into() });
            }
            _ => {}
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_kept_twice_by_kills_at_any_moment() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut dice = 5_u64;
    for _ in 0..N_KILLS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The high bits: those of such a generator are the random ones.
        kill_after(folder.path(), (dice >> 33) % 24, Duration::from_micros((dice >> 40) % 4000), &mut acknowledged);
        check(folder.path(), &acknowledged);
    }
    assert!(acknowledged.answers.len() as u64 > 4 * N_KILLS, "killed too early to show anything");
    assert!(acknowledged.audit.len() > 10);
}

fn kill_after(folder: &Path, n_lines: u64, more: Duration, acknowledged: &mut Acknowledged) {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::writer", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut heard = 0;
    while heard <= n_lines {
        let Some(line) = lines.next() else {
            let mut complaint = String::new();
            writer.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
            panic!("the writer ended by itself: {complaint}");
        };
        let line = line.unwrap();
        heard += u64::from(line.starts_with("answer"));
        acknowledged.hear(&line);
    }
    // Not to wait for anything: the moment itself is what is drawn.
    std::thread::sleep(more);
    writer.kill().unwrap();
    writer.wait().unwrap();
    // What it said before it was killed counts as well.
    lines.for_each(|line| acknowledged.hear(&line.unwrap()));
}

fn check(folder: &Path, acknowledged: &Acknowledged) {
    let (store, opened) = Store::open(&folder.join("answers.db")).unwrap();
    let kept = opened.n_answers;
    let last = acknowledged.answers.last_key_value().map_or(0, |(n, _)| n + 1);
    assert!((last..=last + 1).contains(&kept), "{last} acknowledged, {kept} kept");
    let records = store.answers().page(&Range::ALL, 0, usize::MAX).unwrap();
    assert_eq!(records.len() as u64, kept);
    for (record, n) in records.iter().zip(0..) {
        assert_eq!(record.answer, requested(n));
        assert!(acknowledged.answers.get(&n).is_none_or(|&sequence| sequence == record.sequence));
    }

    let log = folder.join("audit.log");
    let anchor = store.audit_anchor().unwrap();
    for head in acknowledged.audit.iter().chain(&anchor) {
        let verified = verify(&log, Some(head)).unwrap();
        assert!(!matches!(verified.finding, Finding::Broken { .. }), "{verified:?}");
    }
}
