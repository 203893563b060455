//! Checks and chores of the workspace: `cargo xtask check | demo | tidy | cross | fuzz | campaign | sanitize`.
//!
//! Everything CI does is here, in Rust, so that a contributor's machine and CI run the same thing. It holds no product
//! code: the demo drives the same binaries a user would.
#![expect(clippy::print_stdout, reason = "this program speaks to the person who runs it")]

mod campaign;
mod check;
mod cross;
mod demo;
mod fuzz;
mod left_out;
mod nightly;
mod sanitize;
mod step;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};

use step::Outcome;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks and chores of the REMEDIS workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Format, clippy, tests, docs, sanitizer, fuzzing, tidy, licences, the tiny recipe end to end, the ARM build
    Check(check::Args),
    /// From unlabelled images to an answer on a device, on synthetic data or on yours
    Demo(demo::Args),
    /// Check the walls between the crates
    Tidy,
    /// Build static aarch64 programs; run the engine's tests and golden vectors on emulated ARM processors
    Cross(cross::Args),
    /// Fuzz whatever reads foreign bytes, and say how much was tried and what was found
    Fuzz(fuzz::Args),
    /// Run a long campaign against the links or the device, and print its tables
    Campaign(campaign::Args),
    /// Run the tests of kernels and plans under AddressSanitizer
    Sanitize,
}

fn main() -> std::process::ExitCode {
    let result: Result<Outcome> = match Cli::parse().chore {
        Chore::Check(args) => check::run(&args).map(|()| Outcome::Passed),
        Chore::Demo(args) => demo::run(&args).map(|()| Outcome::Passed),
        Chore::Tidy => tidy::run().map(|()| Outcome::Passed),
        Chore::Cross(args) => cross::run(&args),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Campaign(args) => campaign::run(&args),
        Chore::Sanitize => sanitize::run(),
    };
    match result {
        Ok(outcome) => {
            outcome.print();
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
