//! The trend as lines and bars, in units of a picture that is stretched to the width of the page.

use super::texts::Texts;
use crate::{Bucket, Trend};
use serde::Serialize;

/// Units across and down.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;
/// Classes with a colour of their own; the rest are shown as one.
const COLOURS: usize = 6;
/// The part of its span that a bar leaves empty.
const GAP: f64 = 0.12;

/// What the template draws.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    series: Vec<Series>,
    n_answers: u64,
    bars: Vec<Bar>,
    /// The height of the picture, in answers.
    top: u32,
    /// Moments written under the axis, in milliseconds since 1970.
    moments: Vec<u64>,
    /// From the first moment to the last, in seconds.
    span_s: u32,
    bucket_s: u32,
    latency: Option<Latency>,
}

/// A kind of answer: its name, the style it is drawn in, and how often it was given.
#[derive(Debug, Serialize)]
struct Series {
    name: String,
    style: String,
    count: u64,
    share: f64,
}

#[derive(Debug, Serialize)]
struct Bar {
    style: String,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The latency's lines, each in pieces where there were answers.
#[derive(Debug, Serialize)]
struct Latency {
    top_ms: f64,
    p50: Vec<String>,
    p95: Vec<String>,
}

impl Chart {
    pub(super) fn of(trend: &Trend, texts: &Texts) -> Self {
        let stacks: Vec<Vec<u32>> = trend.buckets.iter().map(|bucket| stack(trend, bucket)).collect();
        let highest = stacks.iter().map(|stack| stack.iter().copied().map(u64::from).sum::<u64>()).max().unwrap_or(0);
        let top = nice(highest as f64) as u32;
        let names = names(trend, texts);
        let styles: Vec<String> = (0..names.len()).map(|kind| style(kind, names.len())).collect();
        let n_answers = stacks.iter().flatten().copied().map(u64::from).sum();
        let series = names.into_iter().enumerate().map(|(kind, name)| {
            let count = stacks.iter().map(|stack| u64::from(stack[kind])).sum::<u64>();
            Series { name, style: styles[kind].clone(), count, share: count as f64 / (n_answers as f64).max(1.0) }
        });
        Self {
            series: series.collect(),
            n_answers,
            bars: bars(&stacks, &styles, top),
            top,
            moments: moments(trend),
            span_s: u32::try_from(trend.buckets.len()).unwrap_or(u32::MAX).saturating_mul(trend.bucket_s),
            bucket_s: trend.bucket_s,
            latency: latency(trend),
        }
    }
}

/// Whether the last colour stands for several classes.
fn has_rest(trend: &Trend) -> bool {
    trend.classes.len() > COLOURS
}

/// Answers by kind: classes, the rest of the classes if there is one, cannot say, unreadable.
fn stack(trend: &Trend, bucket: &Bucket) -> Vec<u32> {
    let count = |class: usize| bucket.by_class.get(class).copied().unwrap_or(0);
    let mut stack: Vec<u32> = (0..trend.classes.len().min(COLOURS)).map(count).collect();
    if has_rest(trend) {
        stack.push((COLOURS..trend.classes.len()).map(count).fold(0, u32::saturating_add));
    }
    stack.extend([bucket.cannot_say, bucket.unreadable]);
    stack
}

fn names(trend: &Trend, texts: &Texts) -> Vec<String> {
    let mut names: Vec<String> = trend.classes.iter().take(COLOURS).cloned().collect();
    if has_rest(trend) {
        names.push(texts.other_classes.into());
    }
    names.extend([texts.cannot_say.into(), texts.unreadable.into()]);
    names
}

fn style(kind: usize, n_kinds: usize) -> String {
    match n_kinds - kind {
        1 => "unreadable".into(),
        2 => "cannot-say".into(),
        _ => format!("class-{kind}"),
    }
}

fn bars(stacks: &[Vec<u32>], styles: &[String], top: u32) -> Vec<Bar> {
    let (step, unit) = (WIDTH / stacks.len().max(1) as f64, HEIGHT / f64::from(top));
    let mut bars = Vec::new();
    for (i, stack) in stacks.iter().enumerate() {
        let mut y = HEIGHT;
        for (style, count) in styles.iter().zip(stack).filter(|(_, count)| **count > 0) {
            let height = f64::from(*count) * unit;
            y -= height;
            let x = (i as f64 + GAP / 2.0) * step;
            let width = step * (1.0 - GAP);
            bars.push(Bar {
                style: style.clone(),
                x: round(x),
                y: round(y),
                width: round(width),
                height: round(height),
            });
        }
    }
    bars
}

/// The first span, the middle and the end, as far as they differ.
fn moments(trend: &Trend) -> Vec<u64> {
    let (Some(first), Some(last)) = (trend.buckets.first(), trend.buckets.last()) else {
        return Vec::new();
    };
    let end = last.start_unix_ms.saturating_add(u64::from(trend.bucket_s) * 1000);
    vec![first.start_unix_ms, first.start_unix_ms.midpoint(end), end]
}

fn latency(trend: &Trend) -> Option<Latency> {
    let known = |pick: fn(&Bucket) -> Option<f32>| -> Vec<Option<f64>> {
        trend
            .buckets
            .iter()
            .map(|bucket| pick(bucket).filter(|ms| ms.is_finite()).map(|ms| f64::from(ms.max(0.0))))
            .collect()
    };
    let (p50, p95) = (known(|bucket| bucket.latency_ms_p50), known(|bucket| bucket.latency_ms_p95));
    let highest = p50.iter().chain(&p95).flatten().copied().reduce(f64::max)?;
    let top_ms = nice(highest);
    Some(Latency { top_ms, p50: pieces(&p50, top_ms), p95: pieces(&p95, top_ms) })
}

/// Polylines through what is known, each value held for its span, broken where there is none.
fn pieces(values: &[Option<f64>], top: f64) -> Vec<String> {
    let step = WIDTH / values.len().max(1) as f64;
    let point = |(i, value): (usize, f64), end: f64| {
        format!("{},{}", round((i as f64 + end) * step), round(HEIGHT * (1.0 - value / top)))
    };
    let known: Vec<(usize, Option<f64>)> = values.iter().copied().enumerate().collect();
    let runs = known.chunk_by(|a, b| a.1.is_some() == b.1.is_some()).filter(|run| run[0].1.is_some());
    runs.map(|run| {
        let steps = run.iter().filter_map(|(i, value)| value.map(|value| (*i, value)));
        steps.flat_map(|at| [point(at, 0.0), point(at, 1.0)]).collect::<Vec<_>>().join(" ")
    })
    .collect()
}

/// The next of 1, 2, 4, 5, 10, 20, 40, 50 and so on; at least 1.
fn nice(highest: f64) -> f64 {
    let power = 10f64.powf(highest.max(1.0).log10().floor());
    [1.0, 2.0, 4.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|top| *top >= highest).unwrap_or(highest)
}

fn round(units: f64) -> f64 {
    (units * 100.0).round() / 100.0
}

/// A share as hundredths for the width of a bar: never outside of it, and nothing for what is no number.
pub(super) fn percent_of(share: f64) -> f64 {
    if share.is_finite() { round(share.clamp(0.0, 1.0) * 100.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    /// Images by class, cannot say, unreadable, and the median of their times.
    type Counted<'a> = (&'a [u32], u32, u32, Option<f32>);

    fn trend(classes: usize, buckets: &[Counted<'_>]) -> Trend {
        let bucket = |(i, (by_class, cannot_say, unreadable, ms)): (usize, &Counted<'_>)| Bucket {
            start_unix_ms: i as u64 * 3_600_000,
            by_class: by_class.to_vec(),
            cannot_say: *cannot_say,
            unreadable: *unreadable,
            latency_ms_p50: *ms,
            latency_ms_p95: ms.map(|ms| ms * 2.0),
        };
        Trend {
            utc_offset_minutes: 0,
            bucket_s: 3600,
            classes: (0..classes).map(|class| format!("class {class}")).collect(),
            buckets: buckets.iter().enumerate().map(bucket).collect(),
        }
    }

    fn chart(trend: &Trend) -> Chart {
        Chart::of(trend, Texts::of(Language::English))
    }

    #[test]
    fn bars_stand_on_each_other_and_fit() {
        let chart = chart(&trend(2, &[(&[4, 1], 3, 0, None), (&[0, 0], 0, 2, None)]));
        assert_eq!((chart.top, chart.n_answers), (10, 10));
        let seen: Vec<_> = chart.bars.iter().map(|bar| (bar.style.as_str(), bar.x, bar.y, bar.height)).collect();
        assert_eq!(
            seen,
            [
                ("class-0", 30.0, 60.0, 40.0),
                ("class-1", 30.0, 50.0, 10.0),
                ("cannot-say", 30.0, 20.0, 30.0),
                ("unreadable", 530.0, 80.0, 20.0),
            ]
        );
        let shares: Vec<_> = chart.series.iter().map(|series| (series.count, series.share)).collect();
        assert_eq!(shares, [(4, 0.4), (1, 0.1), (3, 0.3), (2, 0.2)]);
    }

    #[test]
    fn classes_beyond_the_colours_are_one_and_lose_no_answer() {
        let chart = chart(&trend(9, &[(&[1, 1, 1, 1, 1, 1, 2, 3, 4], 0, 0, None)]));
        assert_eq!((chart.series.len(), chart.n_answers), (9, 15));
        assert_eq!((chart.series[6].count, chart.series[6].style.as_str()), (9, "class-6"));
    }

    #[test]
    fn a_line_breaks_where_nothing_was_answered() {
        let some = |ms| (&[1u32][..], 0, 0, Some(ms));
        let chart = chart(&trend(1, &[some(50.0), some(100.0), (&[0], 0, 0, None), some(25.0)]));
        let latency = chart.latency.unwrap();
        assert_eq!(latency.top_ms, 200.0);
        assert_eq!(latency.p50, ["0,75 250,75 250,50 500,50", "750,87.5 1000,87.5"]);
    }

    #[test]
    fn nothing_yet_is_no_chart_of_nothing() {
        let chart = chart(&trend(2, &[]));
        assert_eq!((chart.n_answers, chart.bars.len(), chart.moments.len()), (0, 0, 0));
        assert!(chart.latency.is_none() && chart.series.iter().all(|series| series.share == 0.0));
    }

    #[test]
    fn tops_are_round_numbers() {
        assert_eq!([0.0, 1.0, 1.5, 3.0, 10.0, 11.0, 501.0].map(nice), [1.0, 1.0, 2.0, 4.0, 10.0, 20.0, 1000.0]);
    }

    #[test]
    fn a_bar_never_leaves_its_place() {
        assert_eq!([0.5, -1.0, 2.0, f64::NAN, f64::INFINITY].map(percent_of), [50.0, 0.0, 100.0, 0.0, 0.0]);
    }
}
