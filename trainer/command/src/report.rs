//! `report.html`: one file, no network, written from what lies in the run folder, so it can be written again at any time.

mod curves;
mod panel;
mod svg;
mod watch;
mod whiskers;

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, context};

use crate::arguments::ReportArguments;
use crate::run::Outcome;
use crate::run::folder::write_atomic;

const TEMPLATE: &str = include_str!("report/template.html");

/// `remedis-train report`.
pub(crate) fn rewrite(arguments: &ReportArguments) -> Result<Outcome> {
    let to = arguments.output.clone().unwrap_or_else(|| arguments.folder.join("report.html"));
    write(&arguments.folder, &to, !arguments.without_pictures)?;
    println!("wrote {}", to.display());
    Ok(Outcome::Done)
}

/// Writes the report of the finished run in `out` to a file; without pictures it holds no image of the sets.
pub(crate) fn write(out: &Path, to: &Path, with_pictures: bool) -> Result<()> {
    let results: serde_json::Value = serde_json::from_slice(&read(out, "results.json")?)
        .with_context(|| format!("in {}", out.join("results.json").display()))?;
    let metrics = String::from_utf8_lossy(&read(out, "metrics.jsonl")?).into_owned();
    let plan = String::from_utf8_lossy(&read(out, "plan.toml")?).into_owned();
    let views = if with_pictures { Some(read(out, "views.png")?) } else { None };
    let html = render(&results, &metrics, &plan, views.as_deref())?;
    write_atomic(to, html.as_bytes())
}

fn read(out: &Path, name: &str) -> Result<Vec<u8>> {
    std::fs::read(out.join(name)).with_context(|| {
        format!("{} has no {name}: a report needs a finished run; start `remedis-train run` again", out.display())
    })
}

fn render(results: &serde_json::Value, metrics: &str, plan: &str, views: Option<&[u8]>) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("estimate", |value: Value| estimate(&value, ""));
    environment.add_filter("change", |value: Value| estimate(&value, "+"));
    environment.add_filter("percent", |value: Value| percent(&value));
    environment.add_filter("share", |value: Value| share(&value));
    environment.add_filter("number", |value: Value| number(&value));
    environment.add_template("report", TEMPLATE).context("the report template")?;
    let picture = views.map(|views| {
        let text = base64::engine::general_purpose::STANDARD.encode(views);
        Value::from_safe_string(format!("data:image/png;base64,{text}"))
    });
    let template = environment.get_template("report").context("the report template")?;
    template
        .render(context! {
            results => Value::from(Serde(results)),
            plan => plan,
            views => picture,
            curves => curves::panels(metrics)
                .into_iter()
                .chain(watch::panels(metrics))
                .map(Value::from_safe_string)
                .collect::<Vec<_>>(),
            accuracy_chart => Value::from_safe_string(whiskers::chart(results, "balanced_accuracy")),
            auroc_chart => Value::from_safe_string(whiskers::chart(results, "macro_auroc")),
        })
        .context("filling the report template")
}

fn float(value: &Value, key: &str) -> Option<f64> {
    value.get_attr(key).ok().and_then(|v| f64::try_from(v).ok())
}

/// `0.812 (0.790 to 0.833)`; with a sign where asked.
fn estimate(value: &Value, sign: &str) -> String {
    let show = |number: f64| if sign.is_empty() { format!("{number:.3}") } else { format!("{number:+.3}") };
    match (float(value, "value"), float(value, "low"), float(value, "high")) {
        (Some(value), Some(low), Some(high)) => format!("{} ({} to {})", show(value), show(low), show(high)),
        (Some(value), ..) => format!("{} (no interval)", show(value)),
        _ => "undefined".to_owned(),
    }
}

/// `91 % (87 to 94)` of a proportion with its interval.
fn percent(value: &Value) -> String {
    match (float(value, "value"), float(value, "low"), float(value, "high")) {
        (Some(value), Some(low), Some(high)) => {
            format!("{:.0} % ({:.0} to {:.0})", 100.0 * value, 100.0 * low, 100.0 * high)
        }
        _ => "undefined".to_owned(),
    }
}

fn share(value: &Value) -> String {
    f64::try_from(value.clone()).map_or("-".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

fn number(value: &Value) -> String {
    f64::try_from(value.clone()).map_or("undefined".to_owned(), |number| format!("{number:.3}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn results() -> serde_json::Value {
        let known = json!({"value": 0.8, "low": 0.7, "high": 0.9, "undefined_resamples": 0});
        let unknown = json!({"value": null, "low": null, "high": null, "undefined_resamples": 3});
        let form = json!({"balanced_accuracy": known, "macro_auroc": known, "calibration_error": 0.1, "brier": null});
        let row = |method: &str, site: &str| {
            json!({"method": method, "site": site, "fraction": if site == "shifted" { json!(0.1) } else { json!(null) },
                "n_labels": 5, "n": 40, "n_clusters": 20, "classes": ["a", "b"], "balanced_accuracy": known,
                "macro_auroc": unknown, "chance": 0.5})
        };
        json!({
            "format": 1, "plan_sha256": "0123456789abcdef", "seed": 7,
            "sets": [{"role": "data", "name": "<b>cells", "sha256": "ff00ff00ff00ff00", "n_images": 9,
                "n_split": [5, 2, 2], "n_quarantined": 4, "n_patients": 3, "n_classes": 2}],
            "classes": ["a", "b"],
            "evaluation": [row("baseline", "in_distribution"), row("remedis", "shifted")],
            "probes": [{"method": "baseline", "n_labels": 5, "n": 40, "penalty": 0.1, "validation": 0.7, "balanced_accuracy": 0.625}],
            "differences": [{"site": "shifted", "fraction": 0.1, "balanced_accuracy": known, "macro_auroc": unknown}],
            "student": [{"site": "in_distribution", "n": 40, "teacher": form, "float": form, "int8": form,
                "balanced_accuracy_difference": known, "macro_auroc_difference": known,
                "agreement": {"value": 0.99, "low": 0.9, "high": 1.0}, "n_flips": 1}],
            "probability_calibration": {"temperature": 1.5, "is_at_bound": false, "n_fitted": 10, "n_measured": 20,
                "error_before": 0.2, "error_after": 0.1, "brier_before": 0.3, "brier_after": 0.2},
            "operating_point": {"wanted_accuracy": 0.9, "least_coverage": 0.5,
                "chosen": {"threshold": 0.6, "accuracy": {"value": 0.9, "low": 0.8, "high": 1.0},
                    "coverage": {"value": 0.7, "low": 0.6, "high": 0.8}, "is_reached": true},
                "coverage": {"value": 0.7, "low": 0.6, "high": 0.8}, "selective_accuracy": null,
                "classes": [{"class": "a", "n": 3, "n_undecided": 1, "sensitivity": null, "specificity": null,
                    "sensitivity_undecided_missed": null, "specificity_undecided_alarmed": null}],
                "confusion": {"counts": [[3, 1], [0, 4]], "undecided": [1, 0]}},
            "gates": {"quality": {}, "in_distribution": {}, "quantile": 0.995, "measured_on": "the val images of <i>cells",
                "flagged": [{"images": "in_distribution", "quality": known, "unlike": unknown,
                    "either": {"value": 0.5, "low": 0.25, "high": 0.75, "n": 40}}]},
            "bundle": {"digest": "aa", "int8_bytes": 100, "float_bytes": 400, "n_golden": 8, "export_difference": 1e-6},
            "warnings": ["basophil left out"]
        })
    }

    #[test]
    fn a_report_needs_no_network_and_trusts_no_name() {
        let metrics = r#"{"stage":"distil","step":1,"total":2,"loss":1.5,"learning_rate":0.1}
{"stage":"distil","step":2,"total":2,"loss":0.5,"learning_rate":0.0}"#;
        let html = render(&results(), metrics, "seed = 7", Some(b"png")).expect("a report");
        assert!(html.contains("&lt;b&gt;cells") && !html.contains("<b>cells"));
        assert!(!html.contains("src=\"http") && !html.contains("href=\"http") && !html.contains("@import"));
        assert!(
            html.contains("0.800 (0.700 to 0.900)") && html.contains("undefined") && html.contains("basophil left out")
        );
        assert!(html.contains("data:image/png;base64,cG5n") && html.contains("<svg"));
        let refused = "<td>in distribution</td><td class=\"n\">40</td><td>80 % (70 to 90)</td><td>undefined</td><td>50 % (25 to 75)</td>";
        assert!(html.contains(refused) && html.contains("&lt;i&gt;cells"), "{html}");
        assert!(html.contains("frozen embeddings") && html.contains("0.625"));
        let bare = render(&results(), metrics, "seed = 7", None).expect("a report");
        assert!(!bare.contains("data:image/png") && bare.contains("<svg"), "no picture of the images");
        assert!(html.contains(r#"<td class="n">4</td><td class="n">3</td>"#), "unreadable images before patients");
    }

    #[test]
    fn an_unfinished_run_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), &folder.path().join("report.html"), true).unwrap_err().to_string();
        assert!(error.contains("results.json") && error.contains("finished run"), "{error}");
    }
}
