//! The chain holds, breaks where it was bent, and goes on after faults.

use proptest::prelude::*;
use remedis_store::{Audit, AuditHead, Event, Finding, Moment, OpenAuditError, Values, verify};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const NOW: Moment = Moment { unix_ms: 1_767_225_600_000, boot: 3 };

fn log_of(events: &[Event]) -> (TempDir, PathBuf, AuditHead) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let (mut audit, _) = Audit::open(&path, None, NOW).unwrap();
    for event in events {
        audit.append(event, NOW).unwrap();
    }
    let head = audit.head().clone();
    (folder, path, head)
}

fn a_day() -> Vec<Event> {
    let (digest, name, version) = ("ab".repeat(32), "chest".to_owned(), "1.2.0".to_owned());
    vec![
        Event::Started { version: "0.5.0".into() },
        Event::Configuration { digest: "cd".repeat(32), changed: [("link.baud".into(), Some("921600".into()))].into() },
        Event::OperatorLogin { ok: false },
        Event::BundleActivated { digest, name, version, overrides: vec![] },
        Event::ClockJumped { by_ms: -3_600_000 },
        Event::StoreRecovered,
        Event::Stopped { reason: "told to".into() },
    ]
}

fn found(path: &Path, anchor: Option<&AuditHead>) -> Finding {
    verify(path, anchor).unwrap().finding
}

#[test]
fn a_line_reads_well_and_names_the_hash_of_the_line_before() {
    let (_folder, path, _) = log_of(&[Event::OperatorLogin { ok: true }, Event::ClockJumped { by_ms: 5 }]);
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"sequence":1,"unix_ms":1767225600000,"boot":3,"event":"operator_login","ok":true,"previous":"0000000000000000000000000000000000000000000000000000000000000000","crc32":"e3c7b098"}"#
    );
    let hash = Sha256::digest(lines[0]).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(lines[1].contains(&format!(r#""event":"clock_jumped","by_ms":5,"previous":"{hash}""#)), "{}", lines[1]);
}

#[test]
fn a_log_goes_on_where_it_ended() {
    let (_folder, path, head) = log_of(&a_day());
    let (mut audit, opened) = Audit::open(&path, Some(&head), NOW).unwrap();
    assert_eq!((opened.n_lines, &opened.head, opened.torn), (7, &head, None));
    audit.append(&Event::Started { version: "0.5.1".into() }, NOW).unwrap();
    assert_eq!(found(&path, Some(&head)), Finding::Whole);
    assert_eq!(verify(&path, Some(audit.head())).unwrap().n_lines, 8);
}

fn settings(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_configuration_says_what_differs_and_the_log_tells_what_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let long = "ö".repeat(300);
    let configurations = [
        (settings(&[("screen.page", "live"), ("link.baud", "9600")]), r#"{"link.baud":"9600","screen.page":"live"}"#),
        (settings(&[("screen.page", "live"), ("link.baud", "921600")]), r#"{"link.baud":"921600"}"#),
        (settings(&[("screen.page", "live")]), r#"{"link.baud":null}"#),
        (settings(&[("screen.page", "live")]), "{}"),
        (settings(&[("screen.page", &long)]), &format!(r#"{{"screen.page":"{}"}}"#, "ö".repeat(100))),
    ];
    let mut before = Values::default();
    for (now, expected) in configurations {
        let (mut audit, opened) = Audit::open(&path, None, NOW).unwrap();
        assert_eq!(opened.in_force.settings, before);
        let changed = opened.in_force.settings.changes(&now);
        assert_eq!(serde_json::to_string(&changed).unwrap(), expected);
        audit.append(&Event::Configuration { digest: "cd".repeat(32), changed }, NOW).unwrap();
        before = now;
    }
}

#[test]
fn lines_cut_from_the_end_are_missed_only_where_the_head_is_known_elsewhere() {
    let (_folder, path, head) = log_of(&a_day());
    let text = fs::read_to_string(&path).unwrap();
    let kept: String = text.split_inclusive('\n').take(5).collect();
    fs::write(&path, &kept).unwrap();
    assert_eq!(found(&path, None), Finding::Whole);
    let finding = found(&path, Some(&head));
    assert!(matches!(&finding, Finding::Broken { line: 6, offset, .. } if *offset == kept.len() as u64), "{finding:?}");
    assert!(matches!(Audit::open(&path, Some(&head), NOW), Err(OpenAuditError::Damaged { line: 6, .. })));
}

#[test]
fn a_line_taken_out_or_put_elsewhere_breaks_the_chain_there() {
    let (_folder, path, _) = log_of(&a_day());
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    for (order, broken) in [(vec![0, 2, 3], 2), (vec![0, 1, 3, 2, 4], 3), (vec![0, 1, 1, 2], 3), (vec![1, 2], 1)] {
        fs::write(&path, order.iter().map(|&at: &usize| lines[at]).collect::<String>()).unwrap();
        let finding = found(&path, None);
        assert!(matches!(finding, Finding::Broken { line, .. } if line == broken), "{order:?}: {finding:?}");
        assert!(matches!(Audit::open(&path, None, NOW), Err(OpenAuditError::Damaged { .. })));
    }
}

#[test]
fn a_history_written_anew_is_noticed_by_the_anchor() {
    let (_folder, _path, head) = log_of(&a_day());
    let mut other = a_day();
    other[2] = Event::OperatorLogin { ok: true };
    let (_elsewhere, forged, _) = log_of(&other);
    assert_eq!(found(&forged, None), Finding::Whole);
    assert!(matches!(found(&forged, Some(&head)), Finding::Broken { line: 7, .. }));
}

#[test]
fn an_unfinished_line_is_put_aside_and_the_next_line_says_so() {
    let (folder, path, head) = log_of(&a_day());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], br#"{"sequence":8,"unix_ms":17"#].concat()).unwrap();
    assert_eq!(found(&path, Some(&head)), Finding::Torn { offset: whole.len() as u64, length: 26 });
    let (audit, opened) = Audit::open(&path, Some(&head), NOW).unwrap();
    let torn = opened.torn.unwrap();
    assert_eq!(fs::read(&torn.kept_in).unwrap(), br#"{"sequence":8,"unix_ms":17"#);
    assert_eq!(torn.kept_in, folder.path().join(format!("audit.log.torn-{}", whole.len())));
    let last = fs::read_to_string(&path).unwrap();
    assert!(
        last.lines()
            .last()
            .unwrap()
            .contains(r#""event":"chain_restarted","torn_bytes":26,"kept_in":"audit.log.torn-"#)
    );
    assert_eq!((found(&path, Some(audit.head())), opened.n_lines), (Finding::Whole, 8));
}

#[test]
fn a_second_writer_is_told_who_the_first_is() {
    let (_folder, path, _) = log_of(&[]);
    let _audit = Audit::open(&path, None, NOW).unwrap();
    let refused = Audit::open(&path, None, NOW);
    assert!(matches!(refused, Err(OpenAuditError::InUse { holder, .. }) if holder == Some(std::process::id())));
}

#[test]
fn some_other_text_is_no_unfinished_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.toml");
    fs::write(&path, "[device]\nname = \"left\"\n").unwrap();
    let error = Audit::open(&path, None, NOW).err().unwrap();
    assert!(matches!(error, OpenAuditError::Damaged { line: 1, offset: 0, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"[device]\nname = \"left\"\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn one_changed_byte_anywhere_is_found_in_its_line(at: prop::sample::Index, flip in 1u8..) {
        let (_folder, path, head) = log_of(&a_day());
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        let line = bytes[..at].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        bytes[at] ^= flip;
        fs::write(&path, bytes).unwrap();
        let finding = found(&path, Some(&head));
        prop_assert!(matches!(finding, Finding::Broken { line: found, .. } if found == line), "line {}: {:?}", line, finding);
    }

    #[test]
    fn whatever_an_event_says_stays_on_its_line(what in any::<String>(), reason in any::<String>()) {
        let (_folder, path, head) = log_of(&[Event::OperatorAction { what }, Event::Stopped { reason }]);
        prop_assert_eq!(found(&path, Some(&head)), Finding::Whole);
        prop_assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }
}
