//! The making of views timed: pairs a second and core beside torchvision, and how long steps wait for them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::ValueEnum;
use remedis_data::Index;
use remedis_train::bench::{Feed, StepTime, Steps, pairs_time, step_times};
use serde::Serialize;

use super::{answer, largest, median, name, network};
use crate::arguments::{BenchInputArguments, BenchNetworkName};
use crate::progress::Progress;
use crate::run::{Outcome, use_threads};

/// The twin, which travels inside this program.
const TWIN: &str = include_str!("../../../../tools/peers/torchvision_pairs.py");
/// Steps before those that are counted: they allocate, and find batches that were made before the first step.
const WARM_UP: usize = 4;

/// What is printed.
#[derive(Serialize)]
struct Found {
    files: usize,
    size_px: u16,
    ours_pairs_per_s: f64,
    ours_spread: [f64; 2],
    theirs_pairs_per_s: Option<f64>,
    theirs_spread: Option<[f64; 2]>,
    theirs: Option<String>,
    ratio: Option<f64>,
    waiting: Vec<Waiting>,
}

/// How long one network's steps waited for their batch.
#[derive(Serialize)]
struct Waiting {
    model: String,
    threads: u16,
    batch: u16,
    images_per_s: f64,
    /// Of the steps' time, 0 to 1.
    waiting_share: f64,
}

pub(crate) fn run(asked: &BenchInputArguments) -> Result<Outcome> {
    use_threads(asked.threads)?;
    let files = jpegs(&asked.images, usize::from(asked.files))?;
    let size_px = usize::from(asked.size);
    let networks = BenchNetworkName::value_variants();
    let stages = std::iter::once("pairs".to_owned()).chain(networks.iter().map(|&network| name(network)));
    let mut progress = Progress::spoken(stages.collect())?;
    progress.begin("pairs");
    let folder = tempfile::tempdir().context("making a folder for the twin's files")?;
    for (i, bytes) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{i:05}.jpg")), bytes).context("writing the twin's files")?;
    }
    let once = |round| pairs_time(&files, size_px, round).context("decoding the files");
    once(0)?;
    let (mut ours, mut theirs, mut what) = (Vec::new(), Vec::new(), None);
    for round in 1..=asked.rounds {
        progress.count(usize::from(round - 1), usize::from(asked.rounds));
        ours.push(files.len() as f64 / once(u64::from(round))?.as_secs_f64());
        if let Some(python) = &asked.against {
            let mut command = Command::new(python);
            command.arg("-").arg(folder.path()).args(["--size", &asked.size.to_string()]);
            let measured = answer(&mut command, TWIN).with_context(|| {
                format!("timing torchvision with {}; tools/peers/install-torch.sh installs it", python.display())
            })?;
            theirs.push(files.len() as f64 / median(&measured.seconds));
            what = Some(measured.what);
        }
    }
    let waiting = networks.iter().map(|&network| waits(network, &files, asked, &mut progress)).collect();
    progress.close(true)?;
    let spread = |rates: &[f64]| [rates.iter().copied().fold(f64::INFINITY, f64::min), largest(rates)];
    let has_peer = !theirs.is_empty();
    let found = Found {
        files: files.len(),
        size_px: asked.size,
        ours_pairs_per_s: median(&ours),
        ours_spread: spread(&ours),
        theirs_pairs_per_s: has_peer.then(|| median(&theirs)),
        theirs_spread: has_peer.then(|| spread(&theirs)),
        theirs: what,
        ratio: has_peer.then(|| median(&ours) / median(&theirs)),
        waiting,
    };
    if asked.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        print!("{}", table(&found));
    }
    Ok(Outcome::Done)
}

/// At most `most` JPEG files: those that lie in a folder, else those of an image set, evenly.
fn jpegs(path: &Path, most: usize) -> Result<Vec<Vec<u8>>> {
    let mut loose: Vec<_> = std::fs::read_dir(path)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    loose.retain(|file: &std::path::PathBuf| {
        file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("jpg") || ending.eq_ignore_ascii_case("jpeg"))
    });
    loose.sort();
    let mut files = Vec::new();
    if loose.is_empty() {
        let index = Index::open(path).with_context(|| {
            format!("{} holds no JPEG files and is no image set either; name a folder of JPEG files", path.display())
        })?;
        let count = index.rows.len().min(most);
        for i in 0..count {
            files.push(index.read(i * index.rows.len() / count)?);
        }
        files.retain(|bytes| bytes.starts_with(&[0xff, 0xd8, 0xff]));
    } else {
        for file in loose.iter().take(most) {
            files.push(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?);
        }
    }
    if files.is_empty() {
        bail!("{} holds no JPEG files, which are what is timed", path.display());
    }
    Ok(files)
}

fn waits(model: BenchNetworkName, files: &[Vec<u8>], asked: &BenchInputArguments, progress: &mut Progress) -> Waiting {
    progress.begin(&name(model));
    let [batch, size_px, count] = [asked.batch, asked.size, asked.steps].map(usize::from);
    let steps = Steps { batch, size_px, count: count + WARM_UP };
    let times = step_times(network(model), Feed::Pairs(files), steps, &Device::flex());
    let sum =
        |part: fn(&StepTime) -> std::time::Duration| times[WARM_UP..].iter().map(part).sum::<std::time::Duration>();
    let took = sum(|time| time.took).as_secs_f64();
    Waiting {
        model: name(model),
        threads: asked.threads,
        batch: asked.batch,
        images_per_s: (batch * count) as f64 / took,
        waiting_share: sum(|time| time.waited).as_secs_f64() / took,
    }
}

fn table(found: &Found) -> String {
    let line = |side: &str, median: f64, spread: [f64; 2]| {
        format!("{side:<48} {median:>8.0}  {:.0} to {:.0}\n", spread[0], spread[1])
    };
    let mut out = format!("pairs a second and core, {} files, views of {} px\n", found.files, found.size_px);
    out += &line("ours", found.ours_pairs_per_s, found.ours_spread);
    if let (Some(rate), Some(spread), Some(ratio)) = (found.theirs_pairs_per_s, found.theirs_spread, found.ratio) {
        let side = format!("{} (ratio {ratio:.1})", found.theirs.as_deref().unwrap_or("torchvision"));
        out += &line(&side, rate, spread);
    }
    out += "\nsteps on these pairs, decoded and drawn anew for each\n";
    for waiting in &found.waiting {
        out += &format!(
            "{:<20} {} threads, batch {}: {:>7.1} images/s, {:.1} % of the time waiting\n",
            waiting.model,
            waiting.threads,
            waiting.batch,
            waiting.images_per_s,
            100.0 * waiting.waiting_share
        );
    }
    out
}
