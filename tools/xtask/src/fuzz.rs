//! `cargo xtask fuzz`: libFuzzer, under AddressSanitizer, on whatever reads foreign bytes (`tests/fuzz`).
//!
//! What a target has learnt outlives clones, so each run goes on where the last one stopped. An input that fails is a finding
//! until it passes again; then it joins the corpus.

use std::fs;
use std::io::Read;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions};

use crate::nightly::{self, HOST};
use crate::step::{self, Outcome, capture, execute, is_installed};

const TARGETS: [&str; 9] = ["plan", "onnx", "bundle", "picture", "shard", "weights", "link", "openmv", "settings"];
/// Both links, the configuration, the bundle and the door of images.
const DEVICE: [&str; 5] = ["link", "openmv", "settings", "bundle", "picture"];
/// As cargo-fuzz builds: coverage of edges and comparisons, counted in the program itself.
const RUSTFLAGS: &str = "-Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";
/// Seconds on the wall: an input that takes longer is a finding. Honest work takes milliseconds, and a picture of 64 million pixels, in this
/// build and alone on a processor, 5 to 25 s.
const TIMEOUT_S: u32 = 25;
const TIMEOUT_OF_PICTURES_S: u32 = 120;

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Minutes of processor time for all targets together
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Targets to run [default: all]
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
}

impl Args {
    /// As `cargo xtask check` calls it: 20 seconds a target.
    pub(crate) fn for_check() -> Self {
        Self { minutes: TARGETS.len() as f64 / 3.0, targets: vec![] }
    }

    /// What a device reads of others, `minutes` each.
    pub(crate) fn for_device(minutes: f64) -> Self {
        let targets = DEVICE.map(str::to_owned).to_vec();
        Self { minutes: minutes * targets.len() as f64, targets }
    }
}

/// Build the targets, fuzz each for its share of the time, and print what came of it.
///
/// # Errors
/// If a target cannot be built or started, or there is a finding.
pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let folder = step::cache().join("fuzz");
    let mut cargo = match nightly::cargo(RUSTFLAGS, &folder.join("target")) {
        Ok(cargo) => cargo,
        Err(skipped) => return Ok(skipped),
    };
    if !is_installed("c++") {
        return Ok(Outcome::skipped("no C++ compiler, which libFuzzer needs (Debian: apt-get install g++)"));
    }
    let all = TARGETS.map(str::to_owned);
    let targets = if args.targets.is_empty() { &all[..] } else { &args.targets };
    cargo.args(["build", "-q", "--release", "--target", HOST]).current_dir(step::root().join("tests/fuzz"));
    execute(&mut cargo)?;
    let programs = folder.join("target").join(HOST).join("release");
    capture(Command::new(programs.join("seeds")).arg(folder.join("seeds")))?;

    let seconds = (args.minutes * 60.0 / targets.len() as f64).max(1.0);
    let at_once = thread::available_parallelism().map_or(1, NonZero::get).min(targets.len());
    let minutes = seconds * targets.len().div_ceil(at_once) as f64 / 60.0;
    println!("{} targets, {at_once} at once: {minutes:.1} minutes, more on a busy machine", targets.len());
    let reports = each(targets, at_once, |name| {
        let target = Target { program: programs.join(name), folder: &folder, name };
        target.fuzz(seconds).with_context(|| format!("fuzz target {name}"))
    })?;
    println!("{:8} {:>11} {:>12} {:>25}  findings", "target", "CPU-minutes", "executions", "coverage");
    for (name, report) in targets.iter().zip(&reports) {
        report.print(name);
    }
    match reports.iter().map(|report| report.findings.len()).sum() {
        0 => Ok(Outcome::Passed),
        n => bail!("inputs that fail: {n}; to see one, run {}/TARGET FINDING", programs.display()),
    }
}

/// What `of` says of each target, so many at once.
fn each<T: Send>(targets: &[String], at_once: usize, of: impl Fn(&str) -> Result<T> + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || targets.get(next.fetch_add(1, Ordering::Relaxed)).map(|name| (name, of(name)));
        std::iter::from_fn(take).collect::<Vec<_>>()
    };
    let mut said: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|cause| resume_unwind(cause))).collect()
    });
    said.sort_by_key(|(name, _)| targets.iter().position(|target| target == *name));
    said.into_iter().map(|(_, said)| said).collect()
}

struct Target<'a> {
    program: PathBuf,
    folder: &'a Path,
    name: &'a str,
}

impl Target<'_> {
    /// Try the findings of earlier runs, then look for new ones.
    fn fuzz(&self, seconds: f64) -> Result<Report> {
        let [corpus, findings] = ["corpus", "findings"].map(|kind| self.folder.join(kind).join(self.name));
        for folder in [&corpus, &findings] {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        for finding in files(&findings)? {
            let passes = self.command().arg(&finding).output()?.status.success();
            if let (true, Some(file)) = (passes, finding.file_name()) {
                fs::rename(&finding, corpus.join(file)).with_context(|| format!("moving {}", finding.display()))?;
            }
        }
        println!("fuzzing {} for {seconds:.0} s of processor time", self.name);
        let mut report = Report::default();
        // A busy machine gives the fuzzer less than the time on the wall, so it goes on for what is missing.
        while report.findings.is_empty() && report.seconds < seconds {
            let wall_s = (seconds - report.seconds).ceil();
            let ran = self.run(wall_s, &corpus, &findings)?;
            report = Report { findings: files(&findings)?, ..report.and(ran) };
        }
        // At once, so that who ends a long campaign early keeps what is known.
        report.print(self.name);
        Ok(report)
    }

    /// One process of the fuzzer, for so long on the wall.
    fn run(&self, wall_s: f64, corpus: &Path, findings: &Path) -> Result<Report> {
        let start = Instant::now();
        let mut child = self
            .command()
            .args([format!("-max_total_time={wall_s}"), format!("-artifact_prefix={}/", findings.display())])
            .arg("-print_final_stats=1")
            .args([corpus, &self.folder.join("seeds").join(self.name)])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = Vec::new();
        child.stderr.take().context("it was just asked for")?.read_to_end(&mut said)?;
        let seconds = cpu_s(&child).unwrap_or_else(|| start.elapsed().as_secs_f64());
        let status = child.wait()?;
        let log = self.folder.join(format!("{}.log", self.name));
        fs::write(&log, &said).with_context(|| format!("writing {}", log.display()))?;
        if !status.success() && files(findings)?.is_empty() {
            bail!("the fuzzer ended with {status} and kept no input; see {}", log.display());
        }
        Ok(Report { seconds, ..Report::read(&String::from_utf8_lossy(&said)) })
    }

    fn command(&self) -> Command {
        let timeout_s = if self.name == "picture" { TIMEOUT_OF_PICTURES_S } else { TIMEOUT_S };
        let mut command = Command::new(&self.program);
        command
            .env("RUST_BACKTRACE", "1")
            .args([format!("-timeout={timeout_s}"), format!("-report_slow_units={timeout_s}")]);
        command
    }
}

/// Seconds of processor time that a child used, and those it waited for, once it has ended and before anybody waits for it: fields 14 to 17 of
/// proc(5)'s stat, in hundredths on every Linux.
fn cpu_s(child: &Child) -> Option<f64> {
    let pid = Pid::from_child(child);
    rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok()?;
    let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    // The name may hold anything, also brackets.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some((14..=17).map(ticks).sum::<Option<u64>>()? as f64 / 100.0)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// What libFuzzer says of a run; what it does not say is `None`.
#[derive(Debug, Default, PartialEq)]
struct Report {
    /// Of processor time.
    seconds: f64,
    executions: Option<u64>,
    covered: Option<u64>,
    edges: Option<u64>,
    findings: Vec<PathBuf>,
}

impl Report {
    /// Of the last mention of each number in libFuzzer's log.
    fn read(log: &str) -> Self {
        let after = |label: &str| {
            let rest = log.rsplit_once(label)?.1.trim_start();
            rest.split(|next: char| !next.is_ascii_digit()).next()?.parse().ok()
        };
        Self {
            seconds: 0.0,
            executions: after("stat::number_of_executed_units:"),
            covered: after(" cov: "),
            edges: after("INFO: Loaded 1 modules   ("),
            findings: vec![],
        }
    }

    /// Both, of which the second came later and began with what the first had learnt.
    fn and(&self, later: Self) -> Self {
        let executions = self.executions.into_iter().chain(later.executions).reduce(|sum, n| sum + n);
        Self { seconds: self.seconds + later.seconds, executions, ..later }
    }

    fn print(&self, name: &str) {
        let show = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let coverage = format!("{} of {} edges", show(self.covered), show(self.edges));
        let (minutes, executions) = (self.seconds / 60.0, show(self.executions));
        let findings = if self.findings.is_empty() { "none".to_owned() } else { self.findings.len().to_string() };
        println!("{name:8} {minutes:>11.1} {executions:>12} {coverage:>25}  {findings}");
        for finding in &self.findings {
            println!("         {}", finding.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_turn_and_its_report_in_its_place() {
        let targets = TARGETS.map(str::to_owned);
        for at_once in [1, 2, TARGETS.len()] {
            assert_eq!(each(&targets, at_once, |name| Ok(name.to_owned())).unwrap(), TARGETS);
        }
        let failed = each(&targets, 2, |name| if name == "picture" { bail!("no {name}") } else { Ok(()) });
        assert_eq!(failed.unwrap_err().to_string(), "no picture");
    }

    #[test]
    fn processor_time_is_that_of_the_child_alone() {
        let busy = "n=0; while [ $n -lt 200000 ]; do n=$((n+1)); done";
        let [mut works, mut waits] =
            [busy, "true"].map(|script| Command::new("sh").args(["-c", script]).spawn().unwrap());
        let used = [&works, &waits].map(|child| cpu_s(child).unwrap());
        assert!(works.wait().unwrap().success() && waits.wait().unwrap().success());
        assert!(used[0] > used[1] + 0.03, "{used:?}");
    }

    #[test]
    fn a_log_gives_its_last_numbers() {
        let log = "INFO: Loaded 1 modules   (31213 inline 8-bit counters): 31213 [0x55, 0x66), \n\
            #27\tINITED cov: 1990 ft: 6130 corp: 24/36Kb exec/s: 0 rss: 54Mb\n\
            #9821\tDONE   cov: 2104 ft: 7777 corp: 300/400Kb lim: 4096 exec/s: 467 rss: 400Mb\n\
            stat::number_of_executed_units: 9821\nstat::average_exec_per_sec:     467\n";
        let expected =
            Report { seconds: 0.0, executions: Some(9821), covered: Some(2104), edges: Some(31213), findings: vec![] };
        assert_eq!(Report::read(log), expected);
        assert_eq!(Report::read("no such program"), Report::default());
        let first = Report { seconds: 2.0, executions: Some(179), covered: Some(5), ..Report::default() };
        let both = first.and(Report { seconds: 1.5, ..Report::read(log) });
        assert_eq!((both.seconds, both.executions, both.covered), (3.5, Some(10_000), Some(2104)));
    }
}
