//! `remedis-train check`: everything that can be known before a run: whether the sets are fit, the plan is sound, memory will do, and
//! how long it may take. It writes nothing but a folder of its own that is gone at the end.

mod steps;

use std::fmt::Write as _;

use anyhow::Result;
use indicatif::HumanDuration;
use remedis_train::InputConfig;
use remedis_train::memory::MemoryNeed;
use remedis_train::storage::size;
use serde::Serialize;

use crate::arguments::CheckArguments;
use crate::machine;
use crate::progress::tell;
use crate::results::SetSummary;
use crate::run::folder::sha256;
use crate::run::sets::{Set, Sets};
use crate::run::{Outcome, fits, set_threads};
use steps::StageTime;

/// What was found, as `--json` prints it.
#[derive(Serialize)]
struct Found {
    ok: bool,
    plan_sha256: String,
    sets: Vec<SetSummary>,
    /// What forbids a run.
    problems: Vec<String>,
    /// What a reader of the results should know.
    warnings: Vec<String>,
    /// What every network will see.
    input: String,
    memory: MemoryNeed,
    /// Bytes that this process may still take, where the system says.
    memory_available: Option<u64>,
    /// Empty where there are problems or the steps were left out.
    stages: Vec<StageTime>,
    /// All stages; reading the sets, evaluation and the student's export come on top.
    training_seconds: Option<f64>,
}

pub(crate) fn run(asked: &CheckArguments) -> Result<Outcome> {
    let given = &asked.given;
    let plan = crate::plan::resolve(given)?;
    set_threads(given.threads)?;
    tell("reading every file of the image sets");
    let (sets, mut problems) = Sets::examine(given, &plan.input.preprocessing())?;
    let memory = fits::estimate(&plan, &sets);
    let available = machine::available_memory();
    problems.extend(fits::too_little(&memory, &given.device, available));
    let devices = crate::run::devices(&given.device, 0)?;
    let unfit = |device| plan.precision.check(device).err();
    problems.extend(devices.iter().find_map(unfit).map(|error| error.to_string()));
    let mut warnings = sets.warnings.clone();
    if devices.len() > 1 {
        warnings
            .push(format!("steps are timed on the first of {} devices, the whole batch on it alone", devices.len()));
    }
    warnings.extend(sets.all().filter_map(Set::quarantined));
    let stages = if problems.is_empty() && !asked.skip_steps {
        tell("timing a few steps of every stage");
        steps::time(&plan, &sets, &devices[0])?
    } else {
        Vec::new()
    };
    let found = Found {
        ok: problems.is_empty(),
        plan_sha256: sha256(plan.to_toml_commented().as_bytes()),
        sets: sets.all().map(Set::summary).collect(),
        problems,
        warnings,
        input: input(&plan.input),
        memory,
        memory_available: available.map(|(bytes, _)| bytes),
        training_seconds: (!stages.is_empty()).then(|| stages.iter().map(|stage| stage.seconds).sum()),
        stages,
    };
    if asked.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        print!("{}", text(&found));
    }
    Ok(if found.ok { Outcome::Done } else { Outcome::Failed })
}

fn text(found: &Found) -> String {
    let mut out = String::new();
    for set in &found.sets {
        let [train, val, test] = set.n_split;
        let patients = if set.n_patients > 0 { set.n_patients.to_string() } else { "unnamed".to_owned() };
        let _ = writeln!(
            out,
            "--{:<9} {}: {} images, {train} train, {val} val, {test} test, {} unreadable, {} classes, {patients} patients",
            set.role, set.name, set.n_images, set.n_quarantined, set.n_classes
        );
    }
    let _ = writeln!(out, "input       {}", found.input);
    let memory = &found.memory;
    let available = found.memory_available.map_or_else(|| "an unknown amount".to_owned(), size);
    let _ = writeln!(
        out,
        "memory      about {} at its fullest, in {}; {available} available",
        size(memory.total),
        memory.stage
    );
    for stage in &found.stages {
        let _ = writeln!(
            out,
            "{:<11} {} x {} steps, {:.0} images/s: {}",
            stage.stage,
            stage.times,
            stage.steps,
            stage.images_per_second,
            time(stage.seconds)
        );
    }
    if let Some(seconds) = found.training_seconds {
        let _ = writeln!(out, "training    {} in all, as quickly as a few steps went just now", time(seconds));
    }
    for warning in &found.warnings {
        let _ = writeln!(out, "note: {warning}");
    }
    for problem in &found.problems {
        let _ = writeln!(out, "WRONG: {problem}");
    }
    let verdict = if found.ok { "nothing forbids this run" } else { "a run would be refused or worthless" };
    let _ = writeln!(out, "{verdict}");
    out
}

fn input(input: &InputConfig) -> String {
    let InputConfig { size_px, depth_bits, .. } = input;
    let channels = if input.channels.count() == 1 { "grey" } else { "rgb" };
    format!("{size_px} x {size_px} pixels, {channels}, {} bits a sample", depth_bits.bits())
}

fn time(seconds: f64) -> String {
    HumanDuration(std::time::Duration::from_secs_f64(seconds.max(0.0))).to_string()
}
