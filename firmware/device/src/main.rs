//! `remedis-device`: runs on the board between the imaging hardware and the reader.
#![expect(clippy::print_stdout, reason = "check and journal answer on standard output")]

use anyhow::Context;
use clap::{Parser, Subcommand};
use remedis_device::journal::{self, Finding};
use remedis_device::log::{Log, Note};
use remedis_device::{BundleModel, Config, Predictor, run};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Judges images from a serial line, offline.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run until SIGTERM or SIGINT.
    Run {
        /// The settings, see firmware/device/example.toml.
        config: PathBuf,
        /// Log JSON lines instead of words.
        #[arg(long)]
        json: bool,
    },
    /// Explain every setting and open the bundle, without touching port, journal or screen.
    Check {
        /// The settings.
        config: PathBuf,
    },
    /// Verify a journal and print its answers, without changing it.
    Journal {
        /// The journal.
        path: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

/// 0 when all went well, 1 when a journal has an unfinished record, 2 when the work could not be done.
fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Run { config, json } => run_device(&config, json),
        Verb::Check { config } => check(&config),
        Verb::Journal { path, json } => print_journal(&path, json),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("remedis-device: {error:#}");
        ExitCode::from(2)
    })
}

fn open(config: &Path) -> anyhow::Result<Config> {
    Config::open(config).with_context(|| format!("reading the settings {}", config.display()))
}

fn run_device(config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let config = open(config)?;
    let model = BundleModel::open(&config.bundle, &config.trusted_keys, config.plans.as_deref())?;
    let log = Log::to_stderr(json);
    log.note(&Note::Readied { plan: model.readied().to_string() });
    run::until_signal(&config, model, &log)?;
    Ok(ExitCode::SUCCESS)
}

fn check(config: &Path) -> anyhow::Result<ExitCode> {
    let config = open(config)?;
    for line in config.explain() {
        println!("{line}");
    }
    let model = BundleModel::open(&config.bundle, &config.trusted_keys, config.plans.as_deref())?;
    let name = model.name();
    println!("bundle is good: {} {}, digest {}", name.name, name.version, name.digest);
    println!("its signature is by a trusted key, and its golden vectors come out right on this processor");
    println!("{}", model.readied());
    println!("classes: {}; below {} it cannot say", model.classes().join(", "), name.confidence_threshold);
    Ok(ExitCode::SUCCESS)
}

fn print_journal(path: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let mut file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let scan = journal::scan(&mut file, |_offset, entry| println!("{}", entry.line(json)))?;
    eprintln!("{} answers, every checksum and the chain are right", scan.n_records);
    if let Finding::Torn { length } = scan.finding {
        eprintln!("{length} bytes of an unfinished record follow at byte {}", scan.end);
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}
