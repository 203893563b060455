//! What the tests of stages share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::Device;
use remedis_imaging::{Channels, Image};
use remedis_ranks::Ranks;
use remedis_train::{Observer, Plan, Pool, Session, StepRecord, WatchRecord};

/// Sixteen 32-pixel images: of class 0 red, of class 1 blue, each with a stripe of its own; two images a patient.
pub(crate) fn pool() -> Pool {
    let mut pool = Pool::default();
    for i in 0..16_usize {
        let class = i % 2;
        let pixel = |x: usize| {
            let stripe = if x / 2 == i { 60 } else { 0 };
            if class == 0 { [200, 40 + stripe, 40] } else { [40, 40 + stripe, 200] }
        };
        let pixels: Vec<u8> = (0..32 * 32).flat_map(|at| pixel(at % 32)).collect();
        pool.images.push(Image::new(32, 32, Channels::Rgb, pixels));
        pool.labels.push(Some(class));
        pool.patients.push(Some(format!("patient {}", i / 4 * 2 + class)));
        pool.clusters.push(i.to_string());
        pool.rows.push(i);
    }
    pool
}

/// Sets `stop` after step `at`, and remembers what it heard.
pub(crate) struct Stopper<'a> {
    stop: &'a AtomicBool,
    at: Option<u64>,
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) notes: Vec<String>,
    pub(crate) looks: Vec<WatchRecord>,
}

impl<'a> Stopper<'a> {
    pub(crate) fn new(stop: &'a AtomicBool, at: Option<u64>) -> Self {
        Self { stop, at, steps: Vec::new(), notes: Vec::new(), looks: Vec::new() }
    }
}

impl Observer for Stopper<'_> {
    fn stage(&mut self, _name: &str, _total_steps: u64) {}

    fn step(&mut self, record: &StepRecord) {
        self.stop.store(Some(record.step) == self.at, Ordering::SeqCst);
        self.steps.push(record.clone());
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    fn watch(&mut self, record: &WatchRecord) {
        self.looks.push(record.clone());
    }
}

/// Runs one stage in `out`, asking it to stop after step `at`; also its steps and notes.
pub(crate) fn stage<R>(
    out: &Path,
    plan: &Plan,
    at: Option<u64>,
    stage: impl FnOnce(&mut Session) -> R,
) -> (R, Vec<StepRecord>, Vec<String>) {
    let stop = AtomicBool::new(false);
    let mut observer = Stopper::new(&stop, at);
    let save_every = Duration::from_secs(60);
    let mut session = Session {
        plan,
        out,
        device: Device::flex(),
        observer: &mut observer,
        save_every,
        keep: 1,
        stop: &stop,
        ranks: Ranks::alone(),
    };
    let result = stage(&mut session);
    (result, observer.steps, observer.notes)
}
