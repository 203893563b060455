//! Contrastive steps shared by processes, timed beside one process with as many threads.

use std::process::Command;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::ValueEnum;
use remedis_model::BitConfig;
use remedis_train::bench::{Steps, contrastive_times};
use serde::Serialize;

use super::{Measured, answer, median, peak_mb};
use crate::arguments::{BenchRankStepsArguments, BenchRanksArguments, RankBackbone, RankSteps};
use crate::progress::Progress;
use crate::run::{Outcome, use_threads};

/// What was measured: images a second of both sides, a number a round.
#[derive(Serialize)]
struct Row {
    backbone: String,
    ranks: u16,
    pairs: u16,
    size_px: u16,
    /// Each rank with one thread.
    ranks_images_per_s: Vec<f64>,
    /// One process with as many threads as there are ranks.
    alone_images_per_s: Vec<f64>,
    /// Median of the former by median of the latter.
    efficiency: f64,
    /// Efficiency of the worst and of the best round.
    spread: [f64; 2],
    /// Of rank 0.
    rank_peak_mb: Option<f64>,
    alone_peak_mb: Option<f64>,
}

pub(crate) fn run(asked: &BenchRanksArguments) -> Result<Outcome> {
    if cfg!(not(feature = "mpi")) {
        bail!(
            "this program was built without MPI; build it with `cargo build --release -p remedis-command --features mpi`"
        );
    }
    if !asked.steps.pairs.is_multiple_of(asked.ranks) {
        bail!("--pairs {} cannot be shared evenly by --ranks {}", asked.steps.pairs, asked.ranks);
    }
    let mut progress = Progress::spoken(vec!["ranks".to_owned()])?;
    progress.begin("ranks");
    let images = f64::from(2 * asked.steps.pairs);
    let (mut together, mut alone, mut peaks) = (Vec::new(), Vec::new(), [None, None]);
    for round in 0..asked.rounds {
        progress.count(usize::from(round), usize::from(asked.rounds));
        for (place, (times, is_shared)) in [(&mut together, true), (&mut alone, false)].into_iter().enumerate() {
            let measured = measure(asked, is_shared)?;
            times.push(images / median(measured.seconds.get(1..).unwrap_or_default()));
            peaks[place] = measured.peak_mb;
        }
    }
    progress.close(true)?;
    let ratios: Vec<f64> = together.iter().zip(&alone).map(|(ranks, alone)| ranks / alone).collect();
    let spread = [ratios.iter().copied().fold(f64::INFINITY, f64::min), super::largest(&ratios)];
    let row = Row {
        backbone: name(asked.steps.backbone),
        ranks: asked.ranks,
        pairs: asked.steps.pairs,
        size_px: asked.steps.size,
        efficiency: median(&together) / median(&alone),
        spread,
        ranks_images_per_s: together,
        alone_images_per_s: alone,
        rank_peak_mb: peaks[0],
        alone_peak_mb: peaks[1],
    };
    if asked.json {
        println!("{}", serde_json::to_string(&row)?);
    } else {
        println!(
            "{} ranks of one thread: {:.1} images/s; one process of {} threads: {:.1} images/s; efficiency {:.2} ({:.2} to {:.2})",
            row.ranks,
            median(&row.ranks_images_per_s),
            row.ranks,
            median(&row.alone_images_per_s),
            row.efficiency,
            row.spread[0],
            row.spread[1]
        );
    }
    Ok(Outcome::Done)
}

/// The steps of this rank; the first one prints them.
pub(crate) fn steps(asked: &BenchRankStepsArguments) -> Result<Outcome> {
    let ranks = remedis_ranks::join()?;
    use_threads(asked.threads)?;
    let config = match asked.steps.backbone {
        RankBackbone::BitSmall => BitConfig::small(),
        RankBackbone::BitR50x1 => BitConfig::r50x1(),
    };
    let [batch, size_px, count] = [asked.steps.pairs, asked.steps.size, asked.steps.count].map(usize::from);
    let times = contrastive_times(&config, Steps { batch, size_px, count }, &ranks, &Device::flex());
    if ranks.is_first() {
        let seconds = times.iter().map(|time| time.took.as_secs_f64()).collect();
        let what = format!("{} ranks", ranks.count());
        println!("{}", serde_json::to_string(&Measured { seconds, peak_mb: peak_mb(), what })?);
    }
    Ok(Outcome::Done)
}

fn measure(asked: &BenchRanksArguments, is_shared: bool) -> Result<Measured> {
    let this = std::env::current_exe().context("finding this program")?;
    let mut command = if is_shared {
        let mut command = Command::new(&asked.launcher);
        command.args(["-n", &asked.ranks.to_string(), "--oversubscribe", "--bind-to", "none"]).arg(&this);
        // Waiting ranks leave the cores to those that compute; containers run as root.
        command.env("OMPI_MCA_mpi_yield_when_idle", "1");
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command
    } else {
        Command::new(&this)
    };
    let threads = if is_shared { 1 } else { asked.ranks };
    command.arg("bench-rank-steps").args(["--threads", &threads.to_string()]).args(arguments(&asked.steps));
    answer(&mut command, "").with_context(|| {
        if is_shared {
            format!("timing {} ranks by {}; tools/install/mpi.sh installs it", asked.ranks, asked.launcher.display())
        } else {
            "timing one process".to_owned()
        }
    })
}

fn arguments(steps: &RankSteps) -> Vec<String> {
    let numbers = [("--pairs", steps.pairs), ("--size", steps.size), ("--count", steps.count)];
    let numbers = numbers.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]);
    numbers.chain(["--backbone".to_owned(), name(steps.backbone)]).collect()
}

fn name(backbone: RankBackbone) -> String {
    backbone.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
