//! Dot-and-whisker chart of one metric: a row for each method at each site and share of labels.

use serde_json::Value;

use super::svg::{Anchor, Drawing};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 690.0;
const ROW: f64 = 26.0;
const TOP: f64 = 30.0;

/// Rows in the order of the table; the vertical line marks chance (balanced accuracy) or 0.5 (AUROC).
pub(super) fn chart(results: &Value, metric: &str) -> String {
    let rows: Vec<&Value> = results["evaluation"].as_array().into_iter().flatten().collect();
    let height = TOP + ROW * rows.len() as f64 + 30.0;
    let mut drawing = Drawing::new(WIDTH, height, &format!("{} with 95 % intervals", metric.replace('_', " ")));
    let at = |value: f64| LEFT + (RIGHT - LEFT) * value.clamp(0.0, 1.0);
    let bottom = TOP + ROW * rows.len() as f64;
    for tenth in (0..=10).step_by(2) {
        let value = f64::from(tenth) / 10.0;
        drawing.line("grid", (at(value), TOP - 8.0), (at(value), bottom));
        drawing.text("tick", Anchor::Middle, (at(value), bottom + 16.0), &format!("{value:.1}"));
    }
    let chance = match metric {
        "macro_auroc" => Some(0.5),
        _ => rows.first().and_then(|row| row["chance"].as_f64()),
    };
    if let Some(chance) = chance {
        drawing.line("chance", (at(chance), TOP - 8.0), (at(chance), bottom));
        drawing.text("tick", Anchor::Middle, (at(chance), TOP - 12.0), "chance");
    }
    for (number, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (number as f64 + 0.5);
        let method = row["method"].as_str().unwrap_or_default();
        drawing.text("row", Anchor::End, (LEFT - 10.0, y + 4.0), &format!("{} · {}", place(row), shown(method)));
        let estimate = &row[metric];
        let Some(value) = estimate["value"].as_f64() else {
            drawing.text("tick", Anchor::Start, (LEFT + 6.0, y + 4.0), "undefined");
            continue;
        };
        if let (Some(low), Some(high)) = (estimate["low"].as_f64(), estimate["high"].as_f64()) {
            drawing.line(&format!("whisker {method}"), (at(low), y), (at(high), y));
        }
        drawing.dot(&format!("dot {method}"), (at(value), y), 5.0);
    }
    drawing.finish()
}

fn place(row: &Value) -> String {
    match row["fraction"].as_f64() {
        Some(fraction) => format!("new site, {:.0} %", 100.0 * fraction),
        None => "in distribution".to_owned(),
    }
}

fn shown(method: &str) -> &str {
    match method {
        "remedis" => "REMEDIS",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_lies_on_its_scale_and_an_undefined_one_is_named() {
        let results = json!({"evaluation": [
            {"method": "baseline", "fraction": null, "chance": 0.2, "m": {"value": 0.5, "low": 0.4, "high": 0.6}},
            {"method": "remedis", "fraction": 0.1, "chance": 0.2, "m": {"value": null}},
        ]});
        let svg = chart(&results, "m");
        assert!(svg.contains(r#"<circle class="dot baseline" cx="450.0" cy="43.0""#), "{svg}");
        assert!(svg.contains("new site, 10 % · REMEDIS") && svg.contains("undefined"), "{svg}");
    }
}
