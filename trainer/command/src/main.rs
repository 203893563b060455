//! `remedis-train`: the whole chain from unlabelled images to a signed bundle, one command; or only its end, from weights that
//! others trained to eight bits.
//!
//! This program reads arguments and the plan, calls the stages, shows progress and writes the report. It computes nothing
//! on weights itself: training is `remedis-train` the library, numbers are `remedis-metrics`, the device's model is
//! `remedis-export`.
//!
//! Exit codes: 0 done, 1 `check` or `doctor` found something wrong, 2 could not run (the message says what, where and what to do), 75
//! interrupted and saved (the same command goes on).

#![expect(clippy::print_stdout, reason = "a program: its last lines tell a person what was found and where it lies")]

mod arguments;
mod bench;
mod check;
mod doctor;
mod machine;
mod plan;
mod prepare;
mod progress;
mod quantize;
mod report;
mod results;
mod run;
mod stop;
mod tensorboard;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Verb};
use run::Until;

/// What was looked at is not as it should be.
const EXIT_FOUND_WRONG: u8 = 1;
/// Interrupted, saved, to be called again: `EX_TEMPFAIL` of BSD's sysexits.
const EXIT_INTERRUPTED: u8 = 75;

fn main() -> ExitCode {
    remedis_ops::keep_memory();
    let outcome = match Arguments::parse().verb {
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Prepare(arguments) => prepare::run(&arguments),
        Verb::Run(arguments) => run::run(&arguments, Until::End),
        Verb::Pretrain(arguments) => run::run(&arguments, Until::Pretrain),
        Verb::Contrast(arguments) => run::run(&arguments, Until::Contrast),
        Verb::Finetune(arguments) => run::run(&arguments, Until::Finetune),
        Verb::Distill(arguments) => run::run(&arguments, Until::Distill),
        Verb::Export(arguments) => run::run(&arguments, Until::Export),
        Verb::Plan(arguments) => plan::write(&arguments),
        Verb::Quantize(arguments) => quantize::run(&arguments),
        Verb::Report(arguments) => report::rewrite(&arguments),
        Verb::Bench(arguments) => bench::run(&arguments),
        Verb::BenchInput(arguments) => bench::input::run(&arguments),
        Verb::BenchRanks(arguments) => bench::ranks::run(&arguments),
        Verb::BenchSteps(arguments) => bench::steps(&arguments),
        Verb::BenchRankSteps(arguments) => bench::ranks::steps(&arguments),
    };
    match outcome {
        Ok(run::Outcome::Done) => ExitCode::SUCCESS,
        Ok(run::Outcome::Failed) => ExitCode::from(EXIT_FOUND_WRONG),
        Ok(run::Outcome::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            progress::tell(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}
