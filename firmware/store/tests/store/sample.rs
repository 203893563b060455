//! Answers as a device gives them.

use remedis_store::{Answer, Best, GateResult, ModelId, Request, Trace, Verdict};

/// 2026-01-01 00:00:00 UTC.
pub(crate) const NEW_YEAR_MS: u64 = 1_767_225_600_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// The answer to request `n` of the link; one an hour from new year on, the verdicts in turn.
pub(crate) fn requested(n: u64) -> Answer {
    Answer { request: Some(Request { id: n.to_string(), fingerprint: format!("crc32 {n:08x}") }), ..live(n) }
}

/// The same to a frame that nobody asked about.
pub(crate) fn live(n: u64) -> Answer {
    let confidence = (n % 100) as f32 / 100.0;
    let verdict = match n % 3 {
        0 => Verdict::Unreadable { reason: "unreadable image: ends early".into() },
        1 => Verdict::Class { index: 1, name: "pneumonia".into(), confidence },
        _ => Verdict::CannotSay {
            reason: "confidence below 0.9".into(),
            best: Some(Best { index: 0, name: "normal".into(), confidence }),
        },
    };
    Answer {
        source: "link".into(),
        request: None,
        image_sha256: format!("{n:064x}"),
        image_bytes: 50_176,
        verdict,
        probabilities: vec![confidence, 1.0 - confidence],
        model: ModelId { name: "chest".into(), version: "1.2.0".into(), digest: format!("{:064x}", 7) },
        unix_ms: NEW_YEAR_MS + n * HOUR_MS,
        is_clock_trusted: true,
        boot: 1,
        uptime_ms: n * HOUR_MS,
        trace: trace(n),
    }
}

fn trace(n: u64) -> Trace {
    let gate =
        |name: &str, value, limit: &str| GateResult { name: name.into(), value, limit: limit.into(), passed: true };
    Trace {
        preprocessing: "grey 8 bit, 224x224 area, mean 0.449 std 0.226".into(),
        plan: "plan 3, x86-64 avx2".into(),
        gates: vec![
            gate("blur", Some(0.1 + n as f64), "variance of the Laplacian at least 40"),
            gate("exposure", Some(1.0 / 3.0), "mean between 0.05 and 0.95"),
            gate("out of distribution", None, "distance at most 3.1"),
        ],
        timings_ms: [("decode", 1.25), ("prepare", 2.5), ("infer", 31.0 / 7.0)].map(|(at, ms)| (at.into(), ms)).into(),
        skipped_frames: n % 5,
        link: Some(serde_json::json!({ "baud": 921_600, "naks": n % 4, "crc_errors": 0 })),
    }
}
