//! From an answer of the journal to what the page shows of it.

use crate::pipeline::ModelName;
use remedis_store::{Answer, GateResult, Verdict};
use remedis_web as web;

/// One line about an answer. `model` is the one that answers now: what its bundle says of classes and threshold holds for its own
/// answers only.
pub(super) fn summary(sequence: u64, answer: &Answer, model: &ModelName) -> web::ResultSummary {
    let (verdict, confidence, words) = match &answer.verdict {
        Verdict::Class { name, confidence, .. } => {
            (web::Verdict::Class { name: name.clone() }, Some(*confidence), None)
        }
        Verdict::CannotSay { reason, best } => {
            (web::Verdict::CannotSay, best.as_ref().map(|best| best.confidence), Some(reason))
        }
        Verdict::Unreadable { reason } => (web::Verdict::Unreadable, None, Some(reason)),
    };
    let own = (answer.model.digest == model.digest).then_some(model);
    let probability = |(class, &probability): (&String, &f32)| web::Probability { class: class.clone(), probability };
    let probabilities = own.map(|model| model.classes.iter().zip(&answer.probabilities).map(probability).collect());
    let name = reason(answer).map(str::to_owned);
    web::ResultSummary {
        sequence,
        unix_ms: answer.unix_ms,
        source: answer.source.clone(),
        verdict,
        confidence,
        threshold: own.map(|model| model.confidence_threshold),
        probabilities: probabilities.unwrap_or_default(),
        reason: words.map(|words| web::Reason { name, words: words.clone() }),
        is_stale: false,
        has_picture: false,
        has_heat_map: false,
        model: format!("{} {}", answer.model.name, answer.model.version),
        latency_ms: answer.trace.timings_ms.iter().map(|(_, ms)| ms).sum(),
    }
}

/// How an answer came about; `size` is that of its image, as long as that is known.
pub(super) fn trace(answer: &Answer, size: Option<(u32, u32)>) -> web::Trace {
    let stage = |(name, milliseconds): &(String, f64)| web::Stage { name: name.clone(), milliseconds: *milliseconds };
    web::Trace {
        image_sha256: answer.image_sha256.clone(),
        image_bytes: answer.image_bytes,
        size,
        preprocessing: answer.trace.preprocessing.clone(),
        bundle_digest: answer.model.digest.clone(),
        plan: answer.trace.plan.clone(),
        gates: answer.trace.gates.iter().map(gate).collect(),
        stages: answer.trace.timings_ms.iter().map(stage).collect(),
        skipped_frames: answer.trace.skipped_frames,
    }
}

fn gate(gate: &GateResult) -> web::Gate {
    let (low, high) = limits(&gate.limit);
    web::Gate { name: gate.name.clone(), value: gate.value, low, high, is_passed: gate.passed }
}

/// The numbers of a limit as the journal writes it: `at least 60`, `at most 0.2`, `0.8 to 1.25`.
fn limits(limit: &str) -> (Option<f64>, Option<f64>) {
    let number = |text: &str| text.parse().ok();
    match (limit.strip_prefix("at least "), limit.strip_prefix("at most "), limit.split_once(" to ")) {
        (Some(low), _, _) => (number(low), None),
        (_, Some(high), _) => (None, number(high)),
        (_, _, Some((low, high))) => (number(low), number(high)),
        _ => (None, None),
    }
}

/// Why there is no class, by its name (`Reason::code`). The journal keeps its words; the gate that decided tells the name.
fn reason(answer: &Answer) -> Option<&'static str> {
    match &answer.verdict {
        Verdict::Class { .. } => None,
        Verdict::CannotSay { .. } => answer.trace.gates.iter().find(|gate| !gate.passed).and_then(failed),
        Verdict::Unreadable { reason } if reason.starts_with("the model") => Some("model_fault"),
        Verdict::Unreadable { .. } => Some("unreadable"),
    }
}

/// What a gate that did not pass means.
fn failed(gate: &GateResult) -> Option<&'static str> {
    Some(match gate.name.as_str() {
        "width" | "height" | "aspect" => "geometry",
        "exposure" => {
            let is_below = |low: f64| gate.value.is_some_and(|mean| mean < low);
            if limits(&gate.limit).0.is_some_and(is_below) { "too_dark" } else { "too_bright" }
        }
        "black" | "white" => "saturated",
        "sharpness" => "blurred",
        "appearance" | "energy" => "unlike",
        "confidence" => "low_confidence",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &str, value: f64, limit: &str) -> GateResult {
        GateResult { name: name.into(), value: Some(value), limit: limit.into(), passed: false }
    }

    #[test]
    fn the_gate_that_failed_names_the_reason() {
        let names = [
            measured("aspect", 2.0, "0.8 to 1.25"),
            measured("exposure", 0.05, "0.1 to 0.9"),
            measured("exposure", 0.95, "0.1 to 0.9"),
            measured("white", 0.4, "at most 0.25"),
            measured("sharpness", 3.0, "at least 60"),
            measured("energy", 2.0, "at most -1.25"),
            measured("confidence", 0.5, "at least 0.7"),
            measured("tilt", 9.0, "at most 3"),
        ]
        .map(|gate| failed(&gate));
        let expected =
            ["geometry", "too_dark", "too_bright", "saturated", "blurred", "unlike", "low_confidence"].map(Some);
        assert_eq!((&names[..7], names[7]), (&expected[..], None));
    }

    #[test]
    fn limits_are_read_as_they_are_written() {
        use remedis_inference::{Gate, GateResult as Measured};
        for (measured, expected) in [
            (Measured::at_least(Gate::Sharpness, 1.0, 60.5), (Some(60.5), None)),
            (Measured::at_most(Gate::Energy, 1.0, -1.25), (None, Some(-1.25))),
            (Measured::between(Gate::Aspect, 1.0, [0.8, 1.25]), (Some(0.8), Some(1.25))),
        ] {
            assert_eq!(limits(&crate::model::gate(&measured).limit), expected);
        }
        assert_eq!((limits("none"), limits("at least a few")), ((None, None), (None, None)));
    }
}
