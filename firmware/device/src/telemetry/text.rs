//! The text for Prometheus. What only grows while the device runs is a counter, and ends in `_total`; times are a histogram of the whole run,
//! and quantiles of late beside it.

use super::{Labels, QUANTILES, Stage, StageTimes, Telemetry};
use crate::board::{Board, SourceState, State};
use crate::operation::alarm::Alarm;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};
use std::sync::atomic::AtomicU64;

type Counters = Family<Labels, Counter<u64, AtomicU64>>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// What is measured elsewhere.
pub struct Figures<'a> {
    /// Images that wait, by source.
    pub depths: &'a [(&'static str, usize)],
    /// Since this run of the device began.
    pub uptime_s: u64,
    /// What the web page has met, by kind.
    pub web: &'a [(&'static str, u64)],
    /// What the web page has open, by kind.
    pub web_open: &'a [(&'static str, u64)],
}

impl Telemetry {
    /// All of it, and what the board shows, as OpenMetrics text.
    ///
    /// # Panics
    /// Never: text is written to memory.
    pub fn text(&self, board: &Board, figures: &Figures<'_>) -> String {
        let mut registry = Registry::with_prefix("remedis");
        registry.register("stage_seconds", "Time by stage of the way from image to answer", self.times.clone());
        register_quantiles(&mut registry, &self.recent());
        let answers: Counters = family(&mut registry, "answers", "Answers given, by source, decision and reason");
        for ([source, decision, reason], n) in &self.lock().answers {
            let labels = vec![("source", *source), ("decision", *decision), ("reason", *reason)];
            answers.get_or_create(&owned(labels)).inc_by(*n);
        }
        let waiting: Gauges = family(&mut registry, "queue_depth", "Images that wait, by source");
        for (source, n) in figures.depths {
            waiting.get_or_create(&owned(vec![("source", source)])).set(*n as f64);
        }
        let met: Counters = family(&mut registry, "web", "What the web page has met, by kind");
        for (kind, n) in figures.web {
            met.get_or_create(&owned(vec![("kind", kind)])).inc_by(*n);
        }
        let open: Gauges = family(&mut registry, "web_open", "What the web page has open, by kind");
        for (kind, n) in figures.web_open {
            open.get_or_create(&owned(vec![("kind", kind)])).set(*n as f64);
        }
        let uptime: Gauges = family(&mut registry, "uptime_seconds", "Since this run of the device began");
        uptime.get_or_create(&vec![]).set(figures.uptime_s as f64);
        board.look(|state| register_board(&mut registry, state));
        let mut text = String::new();
        encode(&mut text, &registry).expect("memory takes text");
        text
    }
}

fn register_quantiles(registry: &mut Registry, recent: &[(Stage, StageTimes)]) {
    let help = "Time by stage: quantiles of the last five to ten minutes";
    let times: Gauges = family(registry, "stage_recent_seconds", help);
    let help = "Images that the quantiles are of";
    let counts: Gauges = family(registry, "stage_recent_images", help);
    for (stage, StageTimes { n, ms }) in recent {
        counts.get_or_create(&stage_labels(*stage)).set(*n as f64);
        for ((_, name), ms) in QUANTILES.into_iter().zip(ms) {
            let labels = owned(vec![("stage", stage.name()), ("quantile", name)]);
            times.get_or_create(&labels).set(ms / 1000.0);
        }
    }
}

fn register_board(registry: &mut Registry, state: &State) {
    let up: Gauges = family(registry, "source_up", "Whether a source of images is there");
    let skipped: Counters = family(registry, "source_skipped", "Live images that were passed over");
    let line: Counters = family(registry, "source_line", "What the line of a source has met, by kind");
    for source in &state.sources {
        let labels = owned(vec![("source", source.name)]);
        up.get_or_create(&labels).set(f64::from(u8::from(source.state != SourceState::Lost)));
        skipped.get_or_create(&labels).inc_by(source.n_skipped);
        for (kind, n) in &source.counters {
            line.get_or_create(&owned(vec![("source", source.name), ("kind", kind)])).inc_by(*n);
        }
    }
    let alarms: Gauges = family(registry, "alarm", "1 for each alarm that is on");
    for (alarm, _) in state.alarms.iter() {
        let mut labels = vec![("alarm", alarm.code())];
        if let Alarm::SourceLost(source) = alarm {
            labels.push(("source", source));
        }
        alarms.get_or_create(&owned(labels)).set(1.0);
    }
    let model: Gauges = family(registry, "model_info", "1 for the model that answers");
    let name = &state.model;
    let labels = vec![("name", name.name.as_str()), ("version", &name.version), ("digest", &name.digest)];
    // A device that waits for its disk has none yet.
    if !name.digest.is_empty() {
        model.get_or_create(&owned(labels)).set(1.0);
    }
    let journal: Gauges = family(registry, "journal_answers", "Answers in the journal");
    journal.get_or_create(&vec![]).set(state.n_answers as f64);
    for (known, name, help) in [
        (state.celsius, "temperature_celsius", "Of the processor"),
        (state.free_bytes.map(|bytes| bytes as f64), "disk_free_bytes", "Where answers are kept"),
    ] {
        if let Some(value) = known {
            family::<Gauges>(registry, name, help).get_or_create(&vec![]).set(value);
        }
    }
}

fn family<F: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> F {
    let family = F::default();
    registry.register(name, help, family.clone());
    family
}

/// The label of a stage.
pub(super) fn stage_labels(stage: Stage) -> Labels {
    owned(vec![("stage", stage.name())])
}

fn owned(labels: Vec<(&str, &str)>) -> Labels {
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::SourceStatus;
    use remedis_store::Verdict;
    use std::time::Duration;

    #[test]
    fn the_text_has_stages_answers_and_alarms_each_as_what_it_is() {
        let (telemetry, board) = (Telemetry::default(), Board::default());
        telemetry.observe(Stage::Decode, Duration::from_millis(4));
        telemetry.answered("link", &Verdict::Unreadable { reason: "no picture".into() }, Some("unreadable"), 9);
        board.raise(Alarm::Hot, "91 degrees");
        board.raise(Alarm::SourceLost("link"), "unplugged");
        let counters = [("corrupt", 4)].into();
        board.change(|state| state.sources.push(SourceStatus { name: "link", counters, ..SourceStatus::default() }));
        let figures =
            Figures { depths: &[("link", 2)], uptime_s: 7, web: &[("logins", 3)], web_open: &[("sessions", 1)] };
        let text = telemetry.text(&board, &figures);
        for line in [
            "# TYPE remedis_stage_seconds histogram",
            "remedis_stage_seconds_count{stage=\"decode\"} 1",
            "remedis_stage_seconds_bucket{le=\"0.0025\",stage=\"decode\"} 0",
            "remedis_stage_seconds_bucket{le=\"0.005\",stage=\"decode\"} 1",
            "# TYPE remedis_stage_recent_seconds gauge",
            "remedis_stage_recent_seconds{stage=\"decode\",quantile=\"0.5\"} 0.004",
            "remedis_stage_recent_images{stage=\"whole\"} 1",
            "# TYPE remedis_answers counter",
            "remedis_answers_total{source=\"link\",decision=\"unreadable\",reason=\"unreadable\"} 1",
            "# TYPE remedis_queue_depth gauge",
            "remedis_queue_depth{source=\"link\"} 2",
            "remedis_alarm{alarm=\"hot\"} 1",
            "remedis_alarm{alarm=\"source_lost\",source=\"link\"} 1",
            "# TYPE remedis_web counter",
            "remedis_web_total{kind=\"logins\"} 3",
            "# TYPE remedis_web_open gauge",
            "remedis_web_open{kind=\"sessions\"} 1",
            "# TYPE remedis_source_line counter",
            "remedis_source_line_total{source=\"link\",kind=\"corrupt\"} 4",
            "# TYPE remedis_source_skipped counter",
            "remedis_uptime_seconds 7",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line} is not in\n{text}");
        }
    }
}
