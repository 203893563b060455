//! `remedis-train run`: all stages into one folder, resumable with the same command; and the verbs that end earlier.

pub(crate) mod courses;
mod devices;
mod evaluate;
pub(crate) mod fits;
pub(crate) mod folder;
mod gates;
mod local;
mod probes;
mod ranks;
pub(crate) mod sets;
pub(crate) mod ship;
mod start;
mod table;
pub(crate) mod teach;
mod until;
mod views;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};
use burn::tensor::Device;
use remedis_ranks::Ranks;
use remedis_train::{Observer, Plan, Session, Silent, TrainError};

use crate::arguments::RunArguments;
use crate::progress::{Progress, tell};
use crate::results::{FORMAT, Results};
use crate::{machine, report, stop};
use folder::Folder;
use sets::Sets;
use teach::Bench;

pub(crate) use devices::{device, devices};
pub(crate) use until::Until;

/// How a verb ended, when it could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// What was looked at is not as it should be; the program has said what.
    Failed,
    Interrupted,
}

/// What a run, or its beginning, has found.
struct Ended {
    table: String,
    /// Only of a whole run.
    results: Option<Results>,
}

/// `remedis-train run`, and the verbs that end after a stage of it.
pub(crate) fn run(arguments: &RunArguments, until: Until) -> Result<Outcome> {
    let ranks = remedis_ranks::join()?;
    let guard = ranks::Guard::of(&ranks);
    let outcome = run_as(arguments, until, ranks);
    guard.release(&outcome);
    outcome
}

fn run_as(arguments: &RunArguments, until: Until, ranks: Ranks) -> Result<Outcome> {
    let given = &arguments.given;
    let plan = crate::plan::resolve(given)?;
    set_threads(given.threads)?;
    let devices = devices::of_run(&given.device, &ranks)?;
    devices.iter().try_for_each(|device| plan.precision.check(device))?;
    let stop = stop::on_signals()?;
    if !ranks.is_first() {
        let sets = Sets::open(given, &plan.input.preprocessing())?;
        let folder = Folder::of_another_rank(&arguments.out, &plan);
        let outcome = stages(arguments, until, &plan, sets, &folder, (ranks, devices), &mut Silent, &stop);
        return ended(outcome, &folder, |_| Ok(()));
    }
    tell("checking the image sets");
    let sets = Sets::open(given, &plan.input.preprocessing())?;
    if !arguments.ignore_memory {
        fits::refuse(&fits::estimate(&plan, &sets), &given.device, machine::available_memory())?;
    }
    let folder = Folder::claim(&arguments.out, &plan, &sets)?;
    let planned = courses::planned(&plan, &sets, until);
    let mut progress = Progress::open(folder.path(), planned, arguments.progress)?;
    let outcome = stages(arguments, until, &plan, sets, &folder, (ranks, devices), &mut progress, &stop);
    let written = progress.finish(folder.path(), outcome.is_ok());
    ended(outcome, &folder, |ended| {
        written?;
        if ended.results.is_some() {
            report::write(folder.path(), &folder.path().join("report.html"), true)?;
        }
        speak(arguments, until, &folder, &ended)
    })
}

/// How a run ended; `finish` is called where it is done.
fn ended(outcome: Result<Ended>, folder: &Folder, finish: impl FnOnce(Ended) -> Result<()>) -> Result<Outcome> {
    match outcome {
        Ok(ended) => finish(ended).map(|()| Outcome::Done),
        Err(error) => match error.downcast_ref::<TrainError>() {
            Some(TrainError::Interrupted { .. }) => {
                tell(&format!("{error}; everything so far is saved in {}", folder.path().display()));
                Ok(Outcome::Interrupted)
            }
            _ => Err(error),
        },
    }
}

#[expect(clippy::too_many_arguments, reason = "what a run is made of, handed on once")]
fn stages(
    arguments: &RunArguments,
    until: Until,
    plan: &Plan,
    mut sets: Sets,
    folder: &Folder,
    (ranks, devices): (Ranks, Vec<Device>),
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Ended> {
    observer.stage("load", 0);
    let pools = sets.load(&plan.input.preprocessing())?;
    folder.write("quarantine.jsonl", sets.quarantine().as_bytes())?;
    folder.write("views.png", &views::picture(plan, &pools.unlabelled))?;
    let mut warnings = sets.warnings.clone();
    let mut bench = Bench { folder, pools: &pools, classes: &sets.classes, warnings: &mut warnings, until };
    let save_every = Duration::from_secs(arguments.save_every.into());
    let device = devices[0].clone();
    let keep = usize::from(arguments.keep_checkpoints);
    let mut session = Session { plan, out: folder.path(), device, ranks, observer, save_every, keep, stop };
    let taught = local::teach(&mut session, &mut bench, &devices, arguments.given.start.as_deref())?;
    // The student's batch normalisation must see whole batches: what is left is for one process.
    let is_first = session.ranks.is_first();
    session.ranks = session.ranks.clone().leave();
    let Some(taught) = taught.filter(|_| is_first) else {
        return Ok(Ended { table: table::notes(&warnings), results: None });
    };
    let beginning = |taught: &teach::Taught, warnings: &[String]| Ended {
        table: table::text(&taught.evaluation, &[], warnings),
        results: None,
    };
    if until == Until::Finetune {
        return Ok(beginning(&taught, &warnings));
    }
    let shipped =
        ship::ship(&mut session, &mut bench, &sets, (&taught.teacher, &taught.start), arguments.key.as_deref())?;
    let Some(shipped) = shipped else { return Ok(beginning(&taught, &warnings)) };
    let table = table::text(&taught.evaluation, &shipped.student, &warnings);
    if until == Until::Export {
        return Ok(Ended { table, results: None });
    }
    let results = Results {
        format: FORMAT,
        plan_sha256: folder.plan_sha256().to_owned(),
        seed: plan.seed,
        sets: sets.all().map(sets::Set::summary).collect(),
        classes: sets.classes.clone(),
        probes: taught.probes,
        evaluation: taught.evaluation,
        differences: taught.differences,
        student: shipped.student,
        probability_calibration: shipped.probability_calibration,
        operating_point: shipped.operating_point,
        gates: shipped.gates,
        bundle: shipped.bundle,
        warnings,
    };
    session.observer.stage("report", 0);
    let mut text = serde_json::to_vec_pretty(&results).context("writing results.json")?;
    text.push(b'\n');
    folder.write("results.json", &text)?;
    Ok(Ended { table, results: Some(results) })
}

/// Has everything compute on as many threads as were asked for.
pub(crate) fn set_threads(threads: Option<u16>) -> Result<()> {
    threads.map_or(Ok(()), use_threads)
}

/// Has everything compute on this many threads.
pub(crate) fn use_threads(threads: u16) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global().context("starting the threads")
}

fn speak(arguments: &RunArguments, until: Until, folder: &Folder, ended: &Ended) -> Result<()> {
    if let (true, Some(results)) = (arguments.json, &ended.results) {
        println!("{}", serde_json::to_string_pretty(results)?);
        return Ok(());
    }
    print!("{}", ended.table);
    let out = folder.path();
    println!();
    if ended.results.is_some() {
        println!("report: {}", out.join("report.html").display());
    }
    if until >= Until::Export {
        println!("bundle: {}", out.join("bundle.remedis").display());
        let key = arguments.key.as_ref().map_or(out.join("keys/signing.pub"), |key| key.with_extension("pub"));
        let verb = if until == Until::End { "next:  " } else { "verify:" };
        println!("{verb} remedis bundle verify {} --key {}", out.join("bundle.remedis").display(), key.display());
    }
    if until < Until::End {
        println!("next:   {}", until.next_command(std::env::args_os()));
    }
    Ok(())
}
