//! Checks and chores of the workspace: `cargo xtask check | demo | tidy | cross`.
//!
//! Everything CI does is here, in Rust, so that a contributor's machine and CI run the same thing. It holds no product
//! code: the demo drives the same binaries a user would.
#![expect(clippy::print_stdout, reason = "this program speaks to the person who runs it")]

mod check;
mod cross;
mod demo;
mod step;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks and chores of the REMEDIS workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Format, clippy, tests, docs, tidy, licences, the tiny recipe end to end, the ARM build
    Check(check::Args),
    /// From unlabelled images to an answer on a device, on synthetic data or on yours
    Demo(demo::Args),
    /// Check the walls between the crates
    Tidy,
    /// Build static aarch64 programs and run the golden vectors under an emulator
    Cross(cross::Args),
}

fn main() -> std::process::ExitCode {
    let result: Result<()> = match Cli::parse().chore {
        Chore::Check(args) => check::run(&args),
        Chore::Demo(args) => demo::run(&args),
        Chore::Tidy => tidy::run(),
        Chore::Cross(args) => cross::run(&args).map(drop),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
