//! `remedis-train doctor`: what this machine offers a training run, line by line, each fine, to look at, or wrong.

mod judge;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use burn::tensor::Device;
use remedis_train::Precision;
use remedis_train::bench::{BenchNetwork, Feed, Steps, step_times};
use remedis_train::storage::free_bytes;
use serde::Serialize;

use crate::arguments::DoctorArguments;
use crate::machine;
use crate::progress::tell;
use crate::run::{Outcome, set_threads};
use judge::{Line, Verdict};

/// Written and synced to measure the disk.
const WRITTEN_MB: usize = 64;
/// The step that is timed: small enough for seconds on any machine.
const STEPS: Steps = Steps { batch: 16, size_px: 64, count: 4 };

#[derive(Serialize)]
struct Report {
    lines: Vec<Line>,
    ok: bool,
}

pub(crate) fn run(asked: &DoctorArguments) -> Result<Outcome> {
    set_threads(asked.threads)?;
    let device = crate::run::device(asked.device, 0)?;
    let supported: Vec<_> = Precision::ALL.into_iter().filter(|it| it.is_supported(&device)).collect();
    tell("timing a few training steps and the disk");
    let lines = vec![
        judge::processor(machine::processor(), std::env::consts::ARCH, &machine::instruction_sets()),
        judge::threads(std::thread::available_parallelism().map_or(1, usize::from), rayon::current_num_threads()),
        judge::memory(machine::available_memory()),
        judge::open_files(rustix::process::getrlimit(rustix::process::Resource::Nofile).current),
        disk(&asked.out),
        judge::devices(&built(), Path::new("/proc/driver/nvidia/version").exists()),
        judge::precisions(&supported),
        judge::rate(images_per_second(), rayon::current_num_threads()),
        judge::launcher(machine::on_path(&["mpirun", "srun", "mpiexec"])),
    ];
    let ok = lines.iter().all(|line| line.verdict != Verdict::Wrong);
    if asked.json {
        println!("{}", serde_json::to_string(&Report { lines, ok })?);
    } else {
        lines.iter().for_each(|line| print!("{line}"));
    }
    Ok(if ok { Outcome::Done } else { Outcome::Failed })
}

/// Values of `--device` that this program was built with.
fn built() -> Vec<(&'static str, bool)> {
    vec![
        ("cpu", true),
        ("ndarray", cfg!(feature = "ndarray")),
        ("cuda", cfg!(feature = "cuda")),
        ("wgpu", cfg!(feature = "wgpu")),
    ]
}

/// Training steps of ResNet-18, the first not counted: it allocates and warms caches.
fn images_per_second() -> f64 {
    let times = step_times(BenchNetwork::Resnet18, Feed::Noise, STEPS, &Device::flex());
    let counted = &times[1..];
    let seconds: f64 = counted.iter().map(|time| time.took.as_secs_f64()).sum();
    (STEPS.batch * counted.len()) as f64 / seconds
}

/// The folder that a run would write to, or the nearest one above it that is there.
fn disk(out: &Path) -> Line {
    let there = out.ancestors().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let folder =
        there.filter(|folder| folder.is_dir()).map(Path::to_owned).next().unwrap_or_else(|| PathBuf::from("."));
    judge::disk(&folder, free_bytes(&folder), write_speed(&folder))
}

/// Megabytes a second that reach the disk.
fn write_speed(folder: &Path) -> std::io::Result<f64> {
    let mut file: File = tempfile::tempfile_in(folder)?;
    // Not zeros, which some disks do not store.
    let block: Vec<u8> = (0..1_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let began = Instant::now();
    for _ in 0..WRITTEN_MB {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    Ok(WRITTEN_MB as f64 / began.elapsed().as_secs_f64())
}
