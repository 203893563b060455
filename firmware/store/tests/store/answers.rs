//! What is kept comes back, by every way of asking.

use crate::sample::{HOUR_MS, NEW_YEAR_MS, live, requested};
use proptest::prelude::*;
use remedis_store::{
    Answer, Answers, AppendError, Best, GateResult, ModelId, Range, Request, Store, Trace, Trend, Verdict,
};
use tempfile::TempDir;

fn store_of(answers: &[Answer]) -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(&folder.path().join("answers.db")).unwrap();
    for (answer, expected) in answers.iter().zip(1..) {
        assert_eq!(store.append(answer).unwrap(), expected);
    }
    (folder, store)
}

#[test]
fn an_answer_comes_back_by_request_by_number_and_as_the_latest() {
    let (_folder, store) = store_of(&[requested(1), live(2), requested(3)]);
    let found = store.answers().find("link", "3").unwrap().unwrap();
    assert_eq!((found.sequence, &found.answer, found.delivered_unix_ms), (3, &requested(3), None));
    assert_eq!(store.answers().get(2).unwrap().unwrap().answer, live(2));
    assert_eq!(store.answers().latest(2).unwrap().iter().map(|found| found.sequence).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(store.answers().find("folder", "3").unwrap(), None, "ids are a source's own");
    assert_eq!(store.answers().count().unwrap(), 3);
}

#[test]
fn one_request_has_one_answer() {
    let (_folder, mut store) = store_of(&[live(1), requested(2)]);
    let again = Answer { image_bytes: 1, ..requested(2) };
    assert!(matches!(store.append(&again), Err(AppendError::AlreadyAnswered { sequence: 2 })));
    assert_eq!(store.answers().count().unwrap(), 2);
    let elsewhere = Answer { source: "folder".into(), ..requested(2) };
    assert_eq!(store.append(&elsewhere).unwrap(), 3);
    assert_eq!(store.append(&live(1)).unwrap(), 4, "nobody asked about live frames, so they may repeat");
}

#[test]
fn what_was_not_delivered_is_known_after_a_restart() {
    let (folder, mut store) = store_of(&[requested(1), live(2), requested(3), requested(4)]);
    store.delivered(3, 77).unwrap();
    store.delivered(99, 77).unwrap();
    drop(store);
    let (store, opened) = Store::open(&folder.path().join("answers.db")).unwrap();
    assert_eq!((opened.n_answers, opened.boot, opened.is_recovered), (4, 2, false));
    let owed = store.answers().undelivered("link").unwrap();
    assert_eq!(owed.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(store.answers().get(3).unwrap().unwrap().delivered_unix_ms, Some(77));
}

#[test]
fn pages_of_a_span_of_time_follow_each_other() {
    let (_folder, store) = store_of(&(0..10).map(live).collect::<Vec<_>>());
    let range = Range { from_unix_ms: NEW_YEAR_MS + 2 * HOUR_MS, until_unix_ms: NEW_YEAR_MS + 8 * HOUR_MS };
    let page = |after| -> Vec<u64> {
        store.answers().page(&range, after, 4).unwrap().iter().map(|record| record.sequence).collect()
    };
    assert_eq!((page(0), page(6), page(8)), (vec![3, 4, 5, 6], vec![7, 8], vec![]));
}

#[test]
fn a_trend_counts_by_hour_and_class_and_shows_empty_hours() {
    let late = Answer { unix_ms: NEW_YEAR_MS + 3 * HOUR_MS, ..live(1) };
    let (_folder, store) = store_of(&[live(0), live(1), live(1), live(2), late, live(4)]);
    let trend = Trend { from_unix_ms: NEW_YEAR_MS + HOUR_MS, bucket_ms: HOUR_MS, n_buckets: 4 };
    let buckets = store.answers().trend(&trend).unwrap();
    let counts = |at: usize| {
        let bucket = &buckets[at];
        (bucket.classes.get("pneumonia").copied().unwrap_or(0), bucket.cannot_say, bucket.unreadable)
    };
    assert_eq!((counts(0), counts(1), counts(2)), ((2, 0, 0), (0, 1, 0), (1, 0, 0)));
    let later = Trend { from_unix_ms: NEW_YEAR_MS + 24 * HOUR_MS, ..trend };
    assert!(store.answers().trend(&later).unwrap().iter().all(|bucket| bucket.total() == 0));
    let day = Trend { from_unix_ms: NEW_YEAR_MS, bucket_ms: 24 * HOUR_MS, n_buckets: 1 };
    assert_eq!(store.answers().trend(&day).unwrap()[0].total(), 6);
}

#[test]
fn a_number_that_is_none_is_refused_by_name() {
    let (_folder, mut store) = store_of(&[]);
    let refused = |store: &mut Store, answer: Answer| match store.append(&answer) {
        Err(AppendError::Invalid { field }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut store, Answer { probabilities: vec![0.5, f32::NAN], ..live(1) }), "probabilities");
    assert_eq!(refused(&mut store, Answer { image_bytes: u64::MAX, ..live(1) }), "image_bytes");
    let class = Verdict::Class { index: 0, name: "normal".into(), confidence: f32::INFINITY };
    assert_eq!(refused(&mut store, Answer { verdict: class, ..live(1) }), "confidence");
    assert_eq!(store.answers().count().unwrap(), 0);
}

#[test]
fn csv_has_a_header_and_a_line_an_answer_even_with_quotes_and_line_feeds() {
    let reason = "said \"no\",\nand meant it".to_owned();
    let (folder, _store) =
        store_of(&[requested(1), Answer { verdict: Verdict::CannotSay { reason, best: None }, ..live(2) }]);
    let answers = Answers::open_read_only(&folder.path().join("answers.db")).unwrap();
    let mut csv = Vec::new();
    assert_eq!(answers.export_csv(&Range::ALL, &mut csv).unwrap(), 2);
    let mut reader = csv::Reader::from_reader(csv.as_slice());
    let at = |name: &str| csv::Reader::from_reader(csv.as_slice()).headers().unwrap().iter().position(|is| is == name);
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| rows[row].get(at(name).unwrap()).unwrap().to_owned();
    assert_eq!(cell(0, "time_utc"), "2026-01-01T01:00:00.000Z");
    assert_eq!(
        (cell(0, "request_id"), cell(0, "class_name"), cell(0, "confidence")),
        ("1".into(), "pneumonia".into(), "0.01".into())
    );
    assert_eq!((cell(1, "request_id"), cell(1, "class_name")), (String::new(), String::new()));
    assert_eq!(cell(1, "reason"), "said \"no\",\nand meant it");
}

#[test]
fn json_lines_say_everything_and_are_read_while_the_device_writes() {
    let answers: Vec<_> = (0..300).map(requested).collect();
    let (folder, mut store) = store_of(&answers);
    let reader = Answers::open_read_only(&folder.path().join("answers.db")).unwrap();
    let mut lines = Vec::new();
    assert_eq!(reader.export_json_lines(&Range::ALL, &mut lines).unwrap(), 300);
    store.append(&requested(300)).unwrap();
    let read: Vec<remedis_store::Record> =
        lines.split_inclusive(|&byte| byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert!(read.iter().map(|record| &record.answer).eq(&answers));
    assert_eq!(reader.count().unwrap(), 301, "a reader sees what came after it opened");
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let best = || (any::<u16>(), ".*", 0f32..=1.0);
    prop_oneof![
        best().prop_map(|(index, name, confidence)| Verdict::Class { index, name, confidence }),
        (".*", proptest::option::of(best())).prop_map(|(reason, best)| Verdict::CannotSay {
            reason,
            best: best.map(|(index, name, confidence)| Best { index, name, confidence }),
        }),
        ".*".prop_map(|reason| Verdict::Unreadable { reason }),
    ]
}

fn traces() -> impl Strategy<Value = Trace> {
    let finite = proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::SUBNORMAL;
    let gate = (".*", proptest::option::of(finite), ".*", any::<bool>());
    let gate = gate.prop_map(|(name, value, limit, passed)| GateResult { name, value, limit, passed });
    let link = proptest::option::of(any::<i64>().prop_map(|naks| serde_json::json!({ "naks": naks })));
    (proptest::collection::vec(gate, 0..4), proptest::collection::vec((".*", finite), 0..4), any::<u64>(), link)
        .prop_map(|(gates, timings_ms, skipped_frames, link)| Trace {
            gates,
            timings_ms,
            skipped_frames,
            link,
            ..Trace::default()
        })
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let finite = proptest::num::f32::NORMAL | proptest::num::f32::ZERO | proptest::num::f32::SUBNORMAL;
    let request = proptest::option::of((".*", ".*").prop_map(|(id, fingerprint)| Request { id, fingerprint }));
    let number = || 0..=i64::MAX.unsigned_abs();
    let who = (".*", request, ".*", number());
    let what = (verdicts(), proptest::collection::vec(finite, 0..6), (".*", ".*", ".*"), traces());
    (who, what, (number(), any::<bool>(), number(), number())).prop_map(|(who, what, when)| Answer {
        source: who.0,
        request: who.1,
        image_sha256: who.2,
        image_bytes: who.3,
        verdict: what.0,
        probabilities: what.1,
        model: ModelId { name: what.2.0, version: what.2.1, digest: what.2.2 },
        trace: what.3,
        unix_ms: when.0,
        is_clock_trusted: when.1,
        boot: when.2,
        uptime_ms: when.3,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_answer_comes_back_as_it_was_given(answers in proptest::collection::vec(any_answer(), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(&folder.path().join("answers.db")).unwrap();
        for answer in &answers {
            match store.append(answer) {
                Ok(sequence) => {
                    let record = store.answers().get(sequence).unwrap().unwrap();
                    prop_assert_eq!(&record.answer, answer);
                    let json = serde_json::to_string(&record).unwrap();
                    prop_assert_eq!(serde_json::from_str::<remedis_store::Record>(&json).unwrap(), record);
                }
                Err(AppendError::AlreadyAnswered { .. }) => {
                    let request = answer.request.as_ref().unwrap();
                    prop_assert!(store.answers().find(&answer.source, &request.id).unwrap().is_some());
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
