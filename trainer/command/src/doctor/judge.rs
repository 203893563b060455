//! What is fine, to look at, or wrong: numbers in, a line out.

use std::fmt;
use std::path::{Path, PathBuf};

use remedis_train::Precision;
use remedis_train::storage::size;
use serde::Serialize;

/// Below this much memory only the smallest plans run, and below [`HARDLY_ANY_MEMORY`] not even they.
const LITTLE_MEMORY: u64 = 4_000_000_000;
const HARDLY_ANY_MEMORY: u64 = 700_000_000;
/// A thread of ours holds one image open, a library now and then another.
const FILES_BESIDE_THREADS: u64 = 64;
/// A run of a small network leaves less than 0.1 GB, one of the largest 10 GB.
const LITTLE_DISK: u64 = 10_000_000_000;
const HARDLY_ANY_DISK: u64 = 200_000_000;
/// A checkpoint of BiT R50x1 under way is 0.3 GB: above this it costs seconds a minute.
const SLOW_DISK_MB_PER_S: f64 = 50.0;
/// ResNet-18 at 64 pixels. A core of 2018 with AVX2 does about 25; plain code a few.
const SLOW_IMAGES_PER_S_AND_THREAD: f64 = 8.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Fine,
    /// A run will work, but not as well as it could.
    Look,
    /// A run will not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) what: &'static str,
    pub(super) verdict: Verdict,
    pub(super) found: String,
    /// What to do about it, where it is not fine.
    pub(super) advice: Option<String>,
}

impl Line {
    fn fine(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Fine, found: found.into(), advice: None }
    }

    fn look(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Look, found: found.into(), advice: Some(advice.into()) }
    }

    fn wrong(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, ..Self::look(what, found, advice) }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Fine => "fine",
            Verdict::Look => "look",
            Verdict::Wrong => "WRONG",
        };
        writeln!(out, "{verdict:<6}{:<12}{}", self.what, self.found)?;
        self.advice.iter().try_for_each(|advice| writeln!(out, "{:<18}{advice}", ""))
    }
}

pub(super) fn processor(name: Option<String>, architecture: &str, sets: &[&str]) -> Line {
    let name = name.unwrap_or_else(|| "unnamed processor".to_owned());
    let used = if sets.is_empty() { "plain code".to_owned() } else { sets.join(", ") };
    let found = format!("{name} ({architecture}), using {used}");
    let is_wide = sets.contains(&"neon") || (sets.contains(&"avx2") && sets.contains(&"fma"));
    if is_wide {
        Line::fine("processor", found)
    } else {
        let advice = "vectors of AVX2 with FMA, or NEON, make training several times as quick; virtual machines sometimes hide them";
        Line::look("processor", found, advice)
    }
}

pub(super) fn threads(cores: usize, threads: usize) -> Line {
    let found = format!("{cores} cores for this process, {threads} threads used");
    if threads > cores {
        Line::look("cores", found, format!("threads beyond the cores wait for each other: use --threads {cores}"))
    } else {
        Line::fine("cores", found)
    }
}

pub(super) fn memory(available: Option<(u64, &str)>) -> Line {
    let Some((bytes, source)) = available else {
        return Line::look("memory", "not known: this system has no /proc/meminfo", "watch the run's memory yourself");
    };
    let found = format!("{} available (says {source})", size(bytes));
    let advice = "`remedis-train check` says what a plan needs; free some, or give the job more";
    match bytes {
        0..HARDLY_ANY_MEMORY => Line::wrong("memory", found, advice),
        HARDLY_ANY_MEMORY..LITTLE_MEMORY => Line::look("memory", found, advice),
        _ => Line::fine("memory", found),
    }
}

pub(super) fn open_files(limit: Option<u64>) -> Line {
    let Some(limit) = limit else { return Line::fine("open files", "no limit") };
    let found = format!("at most {limit} at once");
    if limit < FILES_BESIDE_THREADS + rayon::current_num_threads() as u64 {
        Line::wrong("open files", found, "raise it: `ulimit -n 1024`")
    } else {
        Line::fine("open files", found)
    }
}

pub(super) fn disk(folder: &Path, free: Option<u64>, speed: std::io::Result<f64>) -> Line {
    let free_text = free.map_or_else(|| "an unknown size".to_owned(), size);
    let folder = folder.display();
    let speed = match speed {
        Ok(speed) => speed,
        Err(error) => {
            let found = format!("{folder}: {free_text} free, but writing fails: {error}");
            return Line::wrong("disk", found, "make room, change the folder's owner, or choose another --out");
        }
    };
    let found = format!("{folder}: {free_text} free, {speed:.0} MB/s written and synced");
    match free {
        Some(0..HARDLY_ANY_DISK) => Line::wrong("disk", found, "make room, or choose another --out"),
        Some(HARDLY_ANY_DISK..LITTLE_DISK) => {
            Line::look("disk", found, "enough for small networks; a run of the largest leaves 10 GB")
        }
        _ if speed < SLOW_DISK_MB_PER_S => Line::look(
            "disk",
            found,
            "checkpoints of large networks will take long: use a local disk or a larger --save-every",
        ),
        _ => Line::fine("disk", found),
    }
}

pub(super) fn devices(built: &[(&str, bool)], has_nvidia_driver: bool) -> Line {
    let named = |wanted: bool| -> Vec<&str> {
        built.iter().filter(|(_, is_built)| *is_built == wanted).map(|(name, _)| *name).collect()
    };
    let (there, absent) = (named(true), named(false));
    let mut found = format!("built with --device {}", there.join(", "));
    if !absent.is_empty() {
        found += &format!("; not with {}", absent.join(", "));
    }
    if has_nvidia_driver && absent.contains(&"cuda") {
        let advice =
            "this machine has an NVIDIA driver: `cargo build --release -p remedis-command --features cuda` uses it";
        Line::look("devices", found + "; an NVIDIA driver is there", advice)
    } else {
        Line::fine("devices", found)
    }
}

pub(super) fn precisions(supported: &[Precision]) -> Line {
    let named: Vec<_> = supported.iter().map(ToString::to_string).collect();
    Line::fine("precision", format!("this --device computes in {}", named.join(", ")))
}

pub(super) fn rate(images_per_s: f64, threads: usize) -> Line {
    let found = format!("{images_per_s:.1} images/s training ResNet-18 at 64 pixels on {threads} threads");
    if images_per_s / (threads as f64) < SLOW_IMAGES_PER_S_AND_THREAD {
        let advice = "slow for its threads: is something else running, is the program a debug build, are cores shared?";
        Line::look("rate", found, advice)
    } else {
        Line::fine("rate", found)
    }
}

pub(super) fn launcher(found: Option<(&str, PathBuf)>) -> Line {
    match found {
        Some((name, path)) => Line::fine("launcher", format!("{name} at {}", path.display())),
        None => Line::fine(
            "launcher",
            "no mpirun, srun or mpiexec: runs stay on this machine (Debian's openmpi-bin has mpirun)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_judged_by_what_plans_need() {
        let verdict = |bytes| memory(Some((bytes, "/proc/meminfo"))).verdict;
        assert_eq!(
            [500_000_000, 2_000_000_000, 8_000_000_000].map(verdict),
            [Verdict::Wrong, Verdict::Look, Verdict::Fine]
        );
        assert_eq!(memory(None).verdict, Verdict::Look);
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_wrong_and_a_slow_one_worth_a_look() {
        let at = Path::new("out");
        let refused = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
        let line = disk(at, Some(1 << 40), Err(refused));
        assert!(line.verdict == Verdict::Wrong && line.found.contains("read-only"), "{line}");
        assert_eq!(disk(at, Some(1 << 40), Ok(10.0)).verdict, Verdict::Look);
        assert_eq!(disk(at, Some(1_000_000_000), Ok(500.0)).verdict, Verdict::Look);
        assert_eq!(disk(at, Some(1_000), Ok(500.0)).verdict, Verdict::Wrong);
        assert_eq!(disk(at, None, Ok(500.0)).verdict, Verdict::Fine);
    }

    #[test]
    fn a_line_says_what_to_do_below_what_was_found() {
        assert_eq!(
            threads(2, 8).to_string(),
            "look  cores       2 cores for this process, 8 threads used\n                  threads beyond the cores wait for each \
             other: use --threads 2\n"
        );
        assert_eq!(threads(2, 2).to_string(), "fine  cores       2 cores for this process, 2 threads used\n");
    }

    #[test]
    fn plain_code_and_an_unused_driver_are_worth_a_look() {
        assert_eq!(processor(None, "x86_64", &["avx2", "fma"]).verdict, Verdict::Fine);
        assert_eq!(processor(None, "x86_64", &[]).verdict, Verdict::Look);
        assert_eq!(devices(&[("cpu", true), ("cuda", false)], true).verdict, Verdict::Look);
        assert_eq!(devices(&[("cpu", true), ("cuda", true)], true).verdict, Verdict::Fine);
        assert_eq!([rate(50.0, 2).verdict, rate(10.0, 2).verdict], [Verdict::Fine, Verdict::Look]);
    }
}
