//! `remedis-train run`: all stages into one folder, resumable with the same command.

mod evaluate;
pub(crate) mod folder;
mod ranks;
mod sets;
pub(crate) mod ship;
mod start;
mod table;
mod teach;
mod views;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use remedis_ranks::Ranks;
use remedis_train::{Observer, Plan, Session, Silent, TrainError};

use crate::arguments::{DeviceName, RunArguments};
use crate::progress::Progress;
use crate::results::{FORMAT, Results};
use crate::{report, stop};
use folder::Folder;
use sets::Sets;
use teach::Bench;

/// How a verb ended, when it could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Interrupted,
}

/// `remedis-train run`.
pub(crate) fn run(arguments: &RunArguments) -> Result<Outcome> {
    let ranks = remedis_ranks::join()?;
    let guard = ranks::Guard::of(&ranks);
    let outcome = run_as(arguments, ranks);
    guard.release(&outcome);
    outcome
}

fn run_as(arguments: &RunArguments, ranks: Ranks) -> Result<Outcome> {
    let plan = crate::plan::resolve(arguments)?;
    set_threads(arguments)?;
    let stop = stop::on_signals()?;
    if !ranks.is_first() {
        let sets = Sets::open(arguments)?;
        let folder = Folder::of_another_rank(&arguments.out, &plan);
        return ended(stages(arguments, &plan, sets, &folder, ranks, &mut Silent, &stop), &folder, |_| Ok(()));
    }
    eprintln!("checking the image sets");
    let sets = Sets::open(arguments)?;
    let folder = Folder::claim(&arguments.out, &plan, &sets)?;
    let mut progress = Progress::open(folder.path(), planned(&plan, &sets))?;
    let outcome = stages(arguments, &plan, sets, &folder, ranks, &mut progress, &stop);
    let written = progress.finish(folder.path());
    ended(outcome, &folder, |results| {
        written?;
        report::write(folder.path())?;
        results.map_or(Ok(()), |results| speak(arguments, &folder, &results))
    })
}

/// How a run ended, `finish` called where it is done.
fn ended(
    outcome: Result<Option<Results>>,
    folder: &Folder,
    finish: impl FnOnce(Option<Results>) -> Result<()>,
) -> Result<Outcome> {
    match outcome {
        Ok(results) => finish(results).map(|()| Outcome::Done),
        Err(error) => match error.downcast_ref::<TrainError>() {
            Some(TrainError::Interrupted { .. }) => {
                eprintln!("{error}; everything so far is saved in {}", folder.path().display());
                Ok(Outcome::Interrupted)
            }
            _ => Err(error),
        },
    }
}

/// All stages; the results, from the first rank.
fn stages(
    arguments: &RunArguments,
    plan: &Plan,
    mut sets: Sets,
    folder: &Folder,
    ranks: Ranks,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Results>> {
    observer.stage("load", 0);
    let pools = sets.load(&plan.input.preprocessing())?;
    folder.write("views.png", &views::picture(plan, &pools.unlabelled))?;
    let mut warnings = sets.warnings.clone();
    let mut bench = Bench { folder, pools: &pools, classes: &sets.classes, warnings: &mut warnings };
    let save_every = Duration::from_secs(arguments.save_every.into());
    let device = device(arguments.device, ranks.local_rank())?;
    let mut session = Session { plan, out: folder.path(), device, ranks, observer, save_every, stop };
    let start = arguments.start.as_deref().map(|path| start::read(path, plan, &session.device)).transpose()?;
    let taught = teach::teach(&mut session, &mut bench, start)?;
    // The student's batch normalisation must see whole batches: what is left is for one process.
    let is_first = session.ranks.is_first();
    session.ranks = session.ranks.leave();
    if !is_first {
        return Ok(None);
    }
    let shipped = ship::ship(&mut session, &mut bench, &sets, &taught.teacher, arguments.key.as_deref())?;
    let results = Results {
        format: FORMAT,
        plan_sha256: folder.plan_sha256().to_owned(),
        seed: plan.seed,
        sets: sets.all().map(sets::Set::summary).collect(),
        classes: sets.classes.clone(),
        evaluation: taught.evaluation,
        differences: taught.differences,
        student: shipped.student,
        probability_calibration: shipped.probability_calibration,
        operating_point: shipped.operating_point,
        bundle: shipped.bundle,
        warnings,
    };
    session.observer.stage("report", 0);
    let mut text = serde_json::to_vec_pretty(&results).context("writing results.json")?;
    text.push(b'\n');
    folder.write("results.json", &text)?;
    Ok(Some(results))
}

/// Every stage of this run in order, by the name that it announces itself with.
fn planned(plan: &Plan, sets: &Sets) -> Vec<String> {
    let mut names = vec!["load"];
    names.extend(sets.natural.as_ref().map(|_| "pretrain"));
    names.extend((plan.contrast.epochs > 0).then_some("contrast"));
    names.extend(["finetune_baseline", "finetune_remedis"]);
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.extend(teach::adaptations(plan));
    names.extend(["distil", "quantise", "compare", "bundle", "report"].map(str::to_owned));
    names
}

fn set_threads(arguments: &RunArguments) -> Result<()> {
    arguments.threads.map_or(Ok(()), use_threads)
}

/// Has everything compute on this many threads.
pub(crate) fn use_threads(threads: u16) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global().context("starting the threads")
}

/// The device of this name, where this program was built with its back end; of several GPUs that of this rank on its host.
#[cfg_attr(not(feature = "cuda"), expect(unused_variables, reason = "without CUDA there are no GPUs to choose between"))]
fn device(name: DeviceName, local_rank: usize) -> Result<Device> {
    match name {
        DeviceName::Cpu => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "kept as the second opinion on flex for as long as Burn carries it")]
        DeviceName::Ndarray => Ok(Device::ndarray()),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(index) => Ok(Device::cuda(index + local_rank)),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(not(feature = "ndarray"))]
        DeviceName::Ndarray => missing("ndarray"),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => missing("cuda"),
        #[cfg(not(feature = "wgpu"))]
        DeviceName::Wgpu => missing("wgpu"),
    }
}

#[cfg(not(all(feature = "ndarray", feature = "cuda", feature = "wgpu")))]
fn missing(feature: &str) -> Result<Device> {
    bail!(
        "this program was built without --device {feature}; build it with `cargo build --release -p remedis-command --features \
         {feature}` (the README says what that needs), or compute with --device cpu"
    )
}

fn speak(arguments: &RunArguments, folder: &Folder, results: &Results) -> Result<()> {
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(results)?);
        return Ok(());
    }
    print!("{}", table::text(results));
    let out = folder.path();
    println!("\nreport: {}", out.join("report.html").display());
    println!("bundle: {}", out.join("bundle.remedis").display());
    let key = arguments.key.as_ref().map_or(out.join("keys/signing.pub"), |key| key.with_extension("pub"));
    println!("next:   remedis bundle verify {} --key {}", out.join("bundle.remedis").display(), key.display());
    Ok(())
}
