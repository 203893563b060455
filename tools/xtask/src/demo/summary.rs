//! `summary.json` and the table at the end of the demo.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::device::Played;

/// Write `summary.json`: what `results.json` found, and what the device did. Clocks stand apart under `timings`, so that
/// everything else is equal for equal seeds.
///
/// # Errors
/// If `results.json` cannot be read or the summary cannot be written.
pub(super) fn write(out: &Path, played: &Played) -> Result<()> {
    let results = read(&out.join("run/results.json"))?;
    let hardware = &played.hardware;
    let summary = json!({
        "seed": results["seed"],
        "plan_sha256": results["plan_sha256"],
        "evaluation": results["evaluation"],
        "differences": results["differences"],
        "student": results["student"],
        "operating_point": results["operating_point"],
        "bundle": results["bundle"],
        "warnings": results["warnings"],
        "device": {
            "frames_sent": hardware["frames_sent"],
            "frames_answered": hardware["frames_answered"],
            "journal_records": played.journal_records,
        },
        "timings": { "latency_ms": hardware["latency_ms"], "device_seconds": hardware["seconds"] },
    });
    let path = out.join("summary.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&summary)?).with_context(|| format!("writing {}", path.display()))
}

/// The table a person reads.
///
/// # Errors
/// If the summary cannot be read back.
pub(super) fn show(out: &Path, seconds: f64) -> Result<()> {
    let summary = read(&out.join("summary.json"))?;
    println!("\n{:<10} {:<16} {:>7}  {:<22} {:<22}", "method", "site", "labels", "balanced accuracy", "macro AUROC");
    for row in summary["evaluation"].as_array().into_iter().flatten() {
        let labels = row["fraction"].as_f64().map_or("-".to_owned(), |fraction| format!("{:.0} %", 100.0 * fraction));
        println!(
            "{:<10} {:<16} {labels:>7}  {:<22} {:<22}",
            row["method"].as_str().unwrap_or_default(),
            row["site"].as_str().unwrap_or_default(),
            interval(&row["balanced_accuracy"]),
            interval(&row["macro_auroc"]),
        );
    }
    for row in summary["student"].as_array().into_iter().flatten() {
        for form in ["float", "int8"] {
            let name = format!("student {form}");
            let site = row["site"].as_str().unwrap_or_default();
            let (accuracy, auroc) = (interval(&row[form]["balanced_accuracy"]), interval(&row[form]["macro_auroc"]));
            println!("{name:<14} {site:<20}  {accuracy:<22} {auroc:<22}");
        }
    }
    let device = &summary["device"];
    // The device counts whole milliseconds.
    let latency = match summary["timings"]["latency_ms"]["p50"].as_f64() {
        Some(ms) if ms < 1.0 => "under 1 ms".to_owned(),
        Some(ms) => format!("{ms} ms"),
        None => "unknown".to_owned(),
    };
    println!(
        "\ndevice: {} of {} frames answered, {} journalled, median latency {latency}",
        device["frames_answered"], device["frames_sent"], device["journal_records"]
    );
    println!("report:  {}", out.join("run/report.html").display());
    println!("screen:  {}", out.join("device/screen.png").display());
    println!("numbers: {}", out.join("summary.json").display());
    println!("took {:.0} s after the build", seconds);
    Ok(())
}

fn interval(estimate: &Value) -> String {
    match (estimate["value"].as_f64(), estimate["low"].as_f64(), estimate["high"].as_f64()) {
        (Some(value), Some(low), Some(high)) => format!("{value:.3} ({low:.3} to {high:.3})"),
        (Some(value), ..) => format!("{value:.3}"),
        _ => "undefined".to_owned(),
    }
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
}
