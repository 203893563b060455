//! `remedis`: image sets, answers, bundles, keys, and a simulated imaging device. Each verb is a file.
//!
//! Exit codes: 0 fine, 1 some inputs failed, 2 could not run. Where nobody reads the output any more, the program ends with 0.
#![expect(clippy::print_stdout, reason = "this program answers on standard output")]

mod audit;
mod bench;
mod bundle;
mod compile;
mod data;
mod files;
mod inspect;
mod keys;
mod model;
mod run;
mod simulate;
mod tensor;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Parser, Subcommand};
use signal_hook::consts::SIGPIPE;

#[derive(Parser)]
#[command(name = "remedis", version, about = "Medical-image answers from signed model bundles")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Draw a synthetic image set, or audit one
    Data(data::Args),
    /// Answer images with a bundle
    Run(run::Args),
    /// Pack a model ahead of time for one family of processors
    Compile(compile::Args),
    /// Tell what becomes of every node of a model, and why
    Inspect(inspect::Args),
    /// Time a model here, from file to answer and layer by layer
    Bench(bench::Args),
    /// Look into a bundle, verify it, sign it again, take it apart
    Bundle(bundle::Args),
    /// Make the keys that sign bundles
    Keys(keys::Args),
    /// Verify a device's audit log
    Audit(audit::Args),
    /// Play the imaging hardware on a serial line
    Simulate(simulate::Args),
}

fn main() -> ExitCode {
    // `remedis inspect … | head` ends as other programs do, where Rust's would panic. Without it nothing is worse.
    let always = Arc::new(AtomicBool::new(true));
    let _ = signal_hook::flag::register_conditional_shutdown(SIGPIPE, 0, always);
    let result = match Cli::parse().verb {
        Verb::Data(args) => data::run(&args),
        Verb::Run(args) => run::run(&args),
        Verb::Compile(args) => compile::run(&args),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Bundle(args) => bundle::run(&args),
        Verb::Keys(args) => keys::run(&args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Simulate(args) => simulate::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
