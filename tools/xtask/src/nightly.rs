//! Cargo of the nightly toolchain, for what stable has no flag for: sanitizers, and the counters that guide a fuzzer.

use std::path::Path;
use std::process::Command;

use crate::step::{Outcome, is_installed};

/// The only host that the sanitizers are asked for; naming it as the target keeps build scripts and macros free of them.
pub(crate) const HOST: &str = "x86_64-unknown-linux-gnu";

/// Nightly's cargo with `rustflags` for [`HOST`], building into `target_folder`; or why there is none.
pub(crate) fn cargo(rustflags: &str, target_folder: &Path) -> Result<Command, Outcome> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err(Outcome::skipped("sanitizers are set up for x86-64 Linux only"));
    }
    if !(is_installed("rustup") && has_nightly()) {
        return Err(Outcome::skipped("no nightly toolchain (rustup toolchain install nightly --profile minimal)"));
    }
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", "cargo"])
        .env("RUSTFLAGS", rustflags)
        .env("CARGO_TARGET_DIR", target_folder)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC");
    Ok(command)
}

/// Whether rustup has a toolchain that answers to "nightly"; one of a day, "nightly-2026-01-01", does not.
fn has_nightly() -> bool {
    let Ok(output) = Command::new("rustup").args(["toolchain", "list"]).output() else { return false };
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_plain = |name: &str| name.strip_prefix("nightly").is_some_and(|rest| !rest.starts_with("-2"));
    names.lines().filter_map(|line| line.split_whitespace().next()).any(is_plain)
}
