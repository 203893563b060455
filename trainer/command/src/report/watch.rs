//! What was seen of a network while it learnt without labels, from `metrics.jsonl`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::panel::Panel;

/// What a curve needs of a look.
#[derive(Clone, Deserialize)]
struct Look {
    stage: String,
    watched_step: u64,
    total: u64,
    spread: f64,
    knn: Option<f64>,
}

/// One panel a stage that was watched: the neighbours' votes and the spread, both from 0 to 1.
pub(super) fn panels(metrics: &str) -> Vec<String> {
    let mut stages: BTreeMap<String, BTreeMap<u64, Look>> = BTreeMap::new();
    for look in metrics.lines().filter_map(|line| serde_json::from_str::<Look>(line).ok()) {
        stages.entry(look.stage.clone()).or_default().insert(look.watched_step, look);
    }
    stages.iter().map(|(name, looks)| panel(name, &looks.values().collect::<Vec<_>>())).collect()
}

fn panel(name: &str, looks: &[&Look]) -> String {
    let title = format!("{}, watched", name.replace('_', " "));
    let total = looks.iter().map(|look| look.total).max().unwrap_or(1).max(1);
    let mut panel = Panel::new(&title, &format!("neighbours' votes and spread of {title}"), (0, total), 1.0);
    panel.curve("rate", looks.iter().map(|look| (look.watched_step, look.spread)));
    panel.curve("loss", looks.iter().filter_map(|look| look.knn.map(|knn| (look.watched_step, knn))));
    let mut ends = looks.iter().filter_map(|look| look.knn);
    let told = match (ends.clone().next(), ends.next_back()) {
        (Some(first), Some(last)) => format!("neighbours vote {first:.3}, then {last:.3}"),
        _ => "no labelled images to vote".to_owned(),
    };
    panel.finish(&told, "; thin: spread")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_drawn_from_the_first_look_to_the_last() {
        let look = |step: u64, knn: &str| {
            format!(
                r#"{{"stage":"contrast","watched_step":{step},"total":10,"spread":0.5,"dimensions":3.0,"knn":{knn},"alarm":null}}"#
            )
        };
        let step = r#"{"stage":"contrast","step":1,"total":10,"loss":1.0,"learning_rate":1.0}"#;
        let text = [look(0, "0.25"), step.to_owned(), look(10, "0.75")].join("\n");
        let panels = panels(&text);
        assert_eq!(panels.len(), 1);
        // A quarter from below at the left, three quarters at the right.
        assert!(panels[0].contains(r#"class="loss" points="44.0,136.5 330.0,65.5""#), "{}", panels[0]);
        assert!(panels[0].contains("neighbours vote 0.250, then 0.750"));
        let blind =
            panel("contrast", &[&Look { stage: String::new(), watched_step: 0, total: 4, spread: 1.0, knn: None }]);
        assert!(blind.contains("no labelled images"), "{blind}");
    }
}
