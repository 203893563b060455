//! Training keeps no memory that it does not need again: a process of its own, so that nothing else is counted.
#![cfg(target_os = "linux")]

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::tensor::Device;
use remedis_imaging::{Channels, Image};
use remedis_ranks::Ranks;
use remedis_train::{Observer, Plan, Pool, Session, StepRecord, WatchRecord, pretrain};

const STEPS: usize = 500;
/// Steps until every buffer has been taken once.
const SETTLED: usize = 100;
/// What pages and freed blocks may differ by.
const SLACK_KB: u64 = 2048;

#[derive(Default)]
struct Resident(Vec<u64>);

impl Observer for Resident {
    fn stage(&mut self, _name: &str, _total_steps: u64) {}
    fn step(&mut self, _record: &StepRecord) {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
        self.0.push(line.trim().trim_end_matches(" kB").parse().expect("kilobytes"));
    }
    fn note(&mut self, _text: &str) {}
    fn watch(&mut self, _record: &WatchRecord) {}
}

#[test]
fn five_hundred_steps_take_no_more_memory_than_one_hundred() {
    remedis_ops::keep_memory();
    let mut pool = Pool::default();
    for i in 0..20_usize {
        let pixels: Vec<u8> = (0..32 * 32 * 3).map(|at| ((at * (i + 3)) % 251) as u8).collect();
        pool.images.push(Image::new(32, 32, Channels::Rgb, pixels));
        pool.labels.push(Some(i % 2));
        pool.patients.push(None);
        pool.clusters.push(i.to_string());
        pool.rows.push(i);
    }
    let mut plan = Plan::tiny();
    plan.pretrain.batch = 4;
    plan.pretrain.epochs = STEPS * plan.pretrain.batch / pool.len();
    let folder = tempfile::tempdir().expect("a folder");
    let mut resident = Resident::default();
    let stop = AtomicBool::new(false);
    let mut session = Session {
        plan: &plan,
        out: folder.path(),
        device: Device::flex(),
        ranks: Ranks::alone(),
        observer: &mut resident,
        // Checkpoints are part of what must not grow.
        save_every: Duration::from_millis(200),
        keep: 1,
        stop: &stop,
    };
    pretrain(&mut session, &pool).expect("training");
    let kb = resident.0;
    assert_eq!(kb.len(), STEPS);
    let highest = |steps: &[u64]| steps.iter().copied().max().unwrap_or(0);
    let (early, late) = (highest(&kb[..SETTLED]), highest(&kb[STEPS - SETTLED..]));
    assert!(late <= early + SLACK_KB, "{early} kB up to step {SETTLED}, {late} kB up to step {STEPS}");
}
