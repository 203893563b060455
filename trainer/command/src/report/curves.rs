//! Loss and learning rate of every stage, from `metrics.jsonl`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::panel::Panel;

/// What a curve needs of a step's record.
#[derive(Deserialize)]
struct Step {
    stage: String,
    step: u64,
    loss: f64,
    learning_rate: f64,
}

/// One panel a stage, in the order of their first steps. A step recorded twice (before and after a kill) counts once.
pub(super) fn panels(metrics: &str) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    let mut stages: BTreeMap<String, BTreeMap<u64, Step>> = BTreeMap::new();
    for step in metrics.lines().filter_map(|line| serde_json::from_str::<Step>(line).ok()) {
        if !order.contains(&step.stage) {
            order.push(step.stage.clone());
        }
        stages.entry(step.stage.clone()).or_default().insert(step.step, step);
    }
    order.iter().map(|name| panel(name, &stages[name].values().collect::<Vec<_>>())).collect()
}

fn panel(name: &str, steps: &[&Step]) -> String {
    let title = name.replace('_', " ");
    let losses: Vec<f64> = steps.iter().map(|step| step.loss).collect();
    let rates: Vec<f64> = steps.iter().map(|step| step.learning_rate).collect();
    let highest = losses.iter().copied().fold(0.0, f64::max).max(1e-9);
    let peak = rates.iter().copied().fold(0.0, f64::max).max(1e-12);
    let last = steps.last().map_or(1, |step| step.step);
    let mut panel = Panel::new(&title, &format!("loss and learning rate of {title}"), (1, last), highest);
    let mut curve = |class: &str, values: &[f64], top: f64| {
        panel.curve(class, steps.iter().zip(values).map(|(step, value)| (step.step, value / top)));
    };
    curve("rate", &rates, peak);
    curve("raw", &losses, highest);
    curve("loss", &smooth(&losses), highest);
    panel.finish(&format!("peak learning rate {peak:.3}"), "")
}

/// Running mean over a twentieth of the curve, so that a trend shows under the noise of batches.
fn smooth(values: &[f64]) -> Vec<f64> {
    let window = (values.len() / 20).max(1);
    let mean = |end: usize| {
        let part = &values[(end + 1).saturating_sub(window)..=end];
        part.iter().sum::<f64>() / part.len() as f64
    };
    (0..values.len()).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_repeated_after_a_kill_counts_once_and_torn_lines_not_at_all() {
        let line = |step: u64, loss: f64| format!(r#"{{"stage":"a","step":{step},"loss":{loss},"learning_rate":1.0}}"#);
        let text = [line(1, 4.0), line(2, 9.0), line(2, 2.0), r#"{"stage":"#.to_owned()].join("\n");
        let panels = panels(&text);
        assert_eq!(panels.len(), 1);
        // The highest loss is 4, at the top left; 2 is half way down, at the right.
        assert!(panels[0].contains(r#"class="raw" points="44.0,30.0 330.0,101.0""#), "{}", panels[0]);
    }

    #[test]
    fn smoothing_keeps_a_constant() {
        assert_eq!(smooth(&[2.0; 50]), vec![2.0; 50]);
    }
}
