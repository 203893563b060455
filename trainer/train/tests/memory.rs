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
/// What is allocated may differ by a batch under way and a checkpoint being written.
const SLACK_LIVE: usize = 64 << 10;
/// What the process has may differ by more: how threads meet decides which freed blocks fit the next request.
const SLACK_RESIDENT: usize = 8 << 20;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Bytes after each step.
#[derive(Default)]
struct Memory {
    live: Vec<usize>,
    resident: Vec<usize>,
}

impl Observer for Memory {
    fn stage(&mut self, _name: &str, _total_steps: u64) {}
    fn step(&mut self, _record: &StepRecord) {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
        let kb: usize = line.trim().trim_end_matches(" kB").parse().expect("kilobytes");
        self.resident.push(kb << 10);
        self.live.push(dhat::HeapStats::get().curr_bytes);
    }
    fn note(&mut self, _text: &str) {}
    fn watch(&mut self, _record: &WatchRecord) {}
}

#[test]
fn five_hundred_steps_take_no_more_memory_than_one_hundred() {
    // A backtrace of each allocation would take longer than the steps.
    let _profiler = dhat::Profiler::builder().testing().trim_backtraces(Some(4)).build();
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
    let mut memory = Memory::default();
    let stop = AtomicBool::new(false);
    let mut session = Session {
        plan: &plan,
        out: folder.path(),
        device: Device::flex(),
        ranks: Ranks::alone(),
        observer: &mut memory,
        // Checkpoints are part of what must not grow.
        save_every: Duration::from_millis(200),
        keep: 1,
        stop: &stop,
    };
    pretrain(&mut session, &pool).expect("training");
    let check = |what: &str, bytes: &[usize], slack: usize| {
        assert_eq!(bytes.len(), STEPS);
        let highest = |steps: &[usize]| steps.iter().copied().max().unwrap_or(0);
        let (early, late) = (highest(&bytes[..SETTLED]), highest(&bytes[STEPS - SETTLED..]));
        println!("{what}: {early} bytes up to step {SETTLED}, {late} bytes in the last {SETTLED} of {STEPS}");
        assert!(late <= early + slack, "{what}: {early} bytes up to step {SETTLED}, {late} bytes up to step {STEPS}");
    };
    check("allocated", &memory.live, SLACK_LIVE);
    check("resident", &memory.resident, SLACK_RESIDENT);
}
