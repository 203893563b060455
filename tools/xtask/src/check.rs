//! `cargo xtask check`: what CI runs, in its order, each step named and timed.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::step::{self, Outcome, cargo, execute};
use crate::{cross, demo, fuzz, left_out, sanitize, tidy};

/// Arguments of `cargo xtask check`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the steps whose name contains this
    #[arg(long)]
    only: Option<String>,
}

struct Steps<'a> {
    only: Option<&'a str>,
    skipped: Vec<String>,
    timings: Vec<(String, f64)>,
}

impl Steps<'_> {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) -> Result<()> {
        if self.only.is_some_and(|only| !name.contains(only)) {
            return Ok(());
        }
        println!("== {name}");
        let start = Instant::now();
        let outcome = work().with_context(|| format!("step \"{name}\""))?;
        outcome.print();
        if let Outcome::Skipped(reason) = outcome {
            self.skipped.push(format!("{name}: {reason}"));
        }
        self.timings.push((name.to_owned(), start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Parts of a step that leave themselves out, which the step itself does not tell.
    fn left_out(&mut self, step: &str, parts: impl FnOnce() -> Vec<String>) {
        if self.only.is_some_and(|only| !step.contains(only)) {
            return;
        }
        let lines = parts().into_iter().map(|part| format!("{step}, {part}"));
        self.skipped.extend(lines.inspect(|line| println!("skipped: {line}")));
    }
}

fn must(command: Result<std::process::Command>) -> Result<Outcome> {
    execute(&mut command?).map(|()| Outcome::Passed)
}

/// Run every check.
///
/// # Errors
/// At the first check that fails; in CI also when one was skipped.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut steps = Steps { only: args.only.as_deref(), skipped: vec![], timings: vec![] };
    let tiny = step::target()?.join("tiny");
    let with_mpi = step::target()?.join("ranks/remedis-train");
    steps.step("format", || {
        must(cargo(&["fmt", "--all", "--check"]))?
            .then(|| must(cargo(&["fmt", "--manifest-path", "tests/fuzz/Cargo.toml", "--check"])))
    })?;
    steps.step("tidy", || tidy::run().map(|()| Outcome::Passed))?;
    steps.step("no_std crates alone", || {
        let vendor = ["check", "-q", "-p", "remedis-link", "--example", "vendor", "--features", "bare-metal"];
        must(cargo(&["check", "-q", "-p", "remedis-link"]))?
            .then(|| must(cargo(&["check", "-q", "-p", "remedis-screen"])))?
            .then(|| must(cargo(&vendor)))
    })?;
    steps.step("clippy", || must(cargo(&["clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"])))?;
    steps.step("devices of the trainer", devices)?;
    steps.step("ranks of the trainer", || ranks(&with_mpi))?;
    steps.step("build", || must(cargo(&["build", "--workspace", "--bins"])))?;
    steps.step("tiny recipe end to end", || demo::tiny(&tiny).map(|()| Outcome::Passed))?;
    steps.step("tests", || {
        let mut command = cargo(&["test", "--workspace", "--no-fail-fast"])?;
        command.env("REMEDIS_TINY", &tiny).env("REMEDIS_RANKS", &with_mpi).env("REMEDIS_PEERS", step::peers());
        must(Ok(command))
    })?;
    steps.left_out("tests", || left_out::of_tests(&step::peers()));
    steps.step("docs", || {
        let mut command = cargo(&["doc", "-q", "--workspace", "--no-deps"])?;
        command.env("RUSTDOCFLAGS", "-D warnings");
        must(Ok(command))
    })?;
    steps.step("address sanitizer", sanitize::run)?;
    steps.step("fuzz", || fuzz::run(&fuzz::Args::for_check()))?;
    steps.step("licences and sources", licences)?;
    steps.step("ARM build and golden vectors", || cross::run(&cross::Args::for_check(demo::bundle(&tiny))))?;
    for (name, seconds) in &steps.timings {
        println!("{seconds:8.1} s  {name}");
    }
    for line in &steps.skipped {
        println!("skipped  {line}");
    }
    if std::env::var_os("CI").is_some() && !steps.skipped.is_empty() {
        bail!(
            "CI skips nothing, but {} steps or parts were skipped (see above); tools/install/optional.sh installs what they need",
            steps.skipped.len()
        );
    }
    println!("all checks passed");
    Ok(())
}

/// The trainer with the features of its devices, typed but not built: that of the older CPU back end by itself, then those of GPUs.
fn devices() -> Result<Outcome> {
    let with = |features: &str| {
        cargo(&["check", "-q", "-p", "remedis-command", "--no-default-features", "--features", features])
    };
    must(with("ndarray"))?.then(|| {
        let mut command = with("cuda,wgpu")?;
        // Burn's build script for CUDA would download a compiler, which typing does without; it takes this for that of docs.rs.
        command.env("DOCS_RS", "1");
        must(Ok(command))
    })
}

/// The trainer that processes of an MPI launcher share, at `to`: the plain build replaces it where cargo puts it.
fn ranks(to: &Path) -> Result<Outcome> {
    if !["mpirun", "mpicc"].iter().all(|program| step::is_installed(program)) {
        return Ok(Outcome::skipped("no MPI is installed (tools/install/mpi.sh)"));
    }
    // With the rest of the workspace, whose features decide how Burn is compiled: alone it would be compiled again.
    must(cargo(&["build", "-q", "--workspace", "--bins", "--features", "remedis-command/mpi"]))?.then(|| {
        let built = step::target()?.join("debug/remedis-train");
        std::fs::create_dir_all(to.parent().context("a folder for it")?)?;
        // A new file: the old one may be running.
        let _ = std::fs::remove_file(to);
        std::fs::copy(&built, to).with_context(|| format!("copying {} to {}", built.display(), to.display()))?;
        Ok(Outcome::Passed)
    })
}

fn licences() -> Result<Outcome> {
    if !step::is_installed("cargo-deny") {
        return Ok(Outcome::skipped("cargo-deny is not installed (cargo install --locked cargo-deny)"));
    }
    must(cargo(&["deny", "--log-level", "error", "check", "licenses", "sources", "bans"]))
}
