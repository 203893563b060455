//! The frame of a curve over steps: a title, quarters of the height, steps below.

use super::svg::{Anchor, Drawing};

const SIZE: (f64, f64) = (340.0, 200.0);
const LEFT: f64 = 44.0;
const RIGHT: f64 = 330.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 172.0;

/// Curves of one stage over its steps, each from 0 to a height of its own.
pub(super) struct Panel {
    drawing: Drawing,
    /// First and last step.
    steps: (f64, f64),
}

impl Panel {
    /// An empty frame whose ticks count up to `highest`; `shown` is for those who hear the picture.
    pub(super) fn new(title: &str, shown: &str, (first, last): (u64, u64), highest: f64) -> Self {
        let mut drawing = Drawing::new(SIZE.0, SIZE.1, shown);
        drawing.text("title", Anchor::Start, (LEFT, 16.0), title);
        for quarter in 0..=4 {
            let share = f64::from(quarter) / 4.0;
            let y = height(share);
            drawing.line("grid", (LEFT, y), (RIGHT, y));
            drawing.text("tick", Anchor::End, (LEFT - 6.0, y + 3.5), &format!("{:.2}", highest * share));
        }
        drawing.text("tick", Anchor::Start, (LEFT, BOTTOM + 16.0), &format!("step {first}"));
        Self { drawing, steps: (first as f64, last.max(first + 1) as f64) }
    }

    /// A curve of steps and shares of the height.
    pub(super) fn curve(&mut self, class: &str, points: impl IntoIterator<Item = (u64, f64)>) {
        let (first, last) = self.steps;
        let x = |step: u64| LEFT + (RIGHT - LEFT) * (step as f64 - first) / (last - first);
        let points: Vec<(f64, f64)> =
            points.into_iter().map(|(step, share)| (x(step), height(share.clamp(0.0, 1.0)))).collect();
        self.drawing.path(class, &points);
    }

    /// The picture, with a word beside the title and one beside the last step.
    pub(super) fn finish(mut self, told: &str, legend: &str) -> String {
        self.drawing.text("tick", Anchor::End, (RIGHT, BOTTOM + 16.0), &format!("step {}{legend}", self.steps.1));
        self.drawing.text("tick", Anchor::End, (RIGHT, 16.0), told);
        self.drawing.finish()
    }
}

fn height(share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * share
}
