//! Appends answers to a new store and prints what that took: `measure FOLDER N`.

use remedis_store::{Answer, Clock, GateResult, ModelId, Request, Retention, Store, Trace, Verdict};
use std::path::Path;
use std::time::Instant;

#[expect(clippy::print_stdout, reason = "a measurement is for people")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, n] = arguments.as_slice() else { return Err("usage: measure FOLDER N".into()) };
    let path = Path::new(folder).join("measured.db");
    let (mut store, opened) = Store::open(&path)?;
    let n: u64 = n.parse()?;
    let mut spent_ms = Vec::new();
    for at in opened.n_answers..opened.n_answers + n {
        let began = Instant::now();
        let sequence = store.append(&answer(at))?;
        spent_ms.push(began.elapsed().as_secs_f64() * 1e3);
        store.delivered(sequence, at)?;
    }
    spent_ms.sort_by(f64::total_cmp);
    let quantile = |share: f64| spent_ms.get((share * spent_ms.len() as f64) as usize).copied().unwrap_or_default();
    println!("append: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms", quantile(0.5), quantile(0.99), quantile(0.999));
    let log = std::fs::metadata(path.with_extension("db-wal"))?.len();
    println!("log: {log} bytes, begun anew every 128 commits");
    drop(store);
    let bytes = std::fs::metadata(&path)?.len();
    let began = Instant::now();
    let (mut store, opened) = Store::open(&path)?;
    let (open, n_answers) = (began.elapsed(), opened.n_answers);
    println!("file: {} bytes an answer; open and check {n_answers} answers: {open:.1?}", bytes / n_answers.max(1));
    let began = Instant::now();
    let found = store.answers().latest(20)?.len();
    println!("latest {found}: {:.1?}", began.elapsed());
    let policy = Retention { max_age_days: u32::MAX, max_bytes: bytes / 2 };
    let began = Instant::now();
    let retained = store.retain(&policy, Clock { unix_ms: 0, is_trusted: false, uptime_ms: 0 })?;
    println!("one call of retain: {} answers in {:.1?}", retained.n_removed_by_size, began.elapsed());
    Ok(())
}

fn answer(n: u64) -> Answer {
    let gate = |name: &str, value| GateResult { name: name.into(), value, limit: "at least 40".into(), passed: true };
    let timing = |stage: &str| (stage.to_owned(), n as f64 / 7.0);
    Answer {
        source: "link".into(),
        request: Some(Request { id: n.to_string(), fingerprint: format!("{n:08x}/50176") }),
        image_sha256: format!("{n:064x}"),
        image_bytes: 50_176,
        verdict: Verdict::Class { index: 1, name: "pneumonia".into(), confidence: 0.93 },
        probabilities: vec![0.07, 0.93],
        model: ModelId { name: "chest".into(), version: "1.2.0".into(), digest: "ab".repeat(32) },
        unix_ms: 1_767_225_600_000 + n * 1000,
        is_clock_trusted: true,
        boot: 1,
        uptime_ms: n * 1000,
        trace: Trace {
            preprocessing: "ab".repeat(32),
            plan: "plan 3, x86-64 avx2".into(),
            gates: vec![gate("blur", Some(81.25)), gate("exposure", Some(0.5)), gate("out of distribution", None)],
            timings_ms: ["receive", "decode", "gates", "prepare", "infer", "store"].map(timing).into(),
            skipped_frames: 0,
            link: Some(serde_json::json!({ "baud": 921_600, "naks": 0, "crc_errors": 0, "reopened": 0 })),
        },
    }
}
