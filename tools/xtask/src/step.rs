//! Running other programs: where they are, and what to say when one fails or is absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What became of a step that needs something a fresh machine may lack.
#[must_use]
pub(crate) enum Outcome {
    /// It ran and passed.
    Passed,
    /// It did not run; why, and how to make it run.
    Skipped(String),
}

impl Outcome {
    /// Skipped, and why.
    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }

    /// Say so if it was skipped.
    pub(crate) fn print(&self) {
        if let Self::Skipped(reason) = self {
            println!("skipped: {reason}");
        }
    }

    /// `next`, unless this was skipped already.
    ///
    /// # Errors
    /// As `next`.
    pub(crate) fn then(self, next: impl FnOnce() -> Result<Self>) -> Result<Self> {
        match self {
            Self::Passed => next(),
            Self::Skipped(_) => Ok(self),
        }
    }
}

/// The workspace root. Asked from cargo when this runs: another clone that shares the target folder may have built it.
pub(crate) fn root() -> PathBuf {
    let crate_root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&crate_root).ancestors().nth(2).expect("tools/xtask lies two folders below the root").into()
}

/// Cargo's target folder: this very program was built into it.
///
/// # Errors
/// If the path of this program cannot be read.
pub(crate) fn target() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    Ok(program.ancestors().nth(2).context("this program lies outside a target folder")?.to_owned())
}

/// Where caches that outlive a clone are kept: `$REMEDIS_CACHE`, or `~/.cache/remedis`.
pub(crate) fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache/remedis");
    std::env::var_os("REMEDIS_CACHE").map_or_else(home, PathBuf::from)
}

/// Where the Python of the test peers is: `$REMEDIS_PEERS`, or in the cache, where `tools/install/optional.sh` puts it.
pub(crate) fn peers() -> PathBuf {
    std::env::var_os("REMEDIS_PEERS").map_or_else(|| cache().join("peers"), PathBuf::from)
}

/// A cargo command in the workspace root, into the same target folder as this program.
///
/// # Errors
/// As [`target`].
pub(crate) fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root()).env("CARGO_TARGET_DIR", target()?);
    Ok(command)
}

/// Run `command` to its end.
///
/// # Errors
/// If it cannot start or fails; the message shows the command line.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", show(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", show(command));
    }
    Ok(())
}

/// Run `command` and return what it printed.
///
/// # Errors
/// As [`execute`]; the message ends with what the command wrote on standard error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {}", show(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}\n{}", show(command), output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed bytes that are not text", show(command)))
}

/// Whether `program` is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn show(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
