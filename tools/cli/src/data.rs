//! `remedis data`: draw a set, or check one before it is used.
#![expect(clippy::print_stdout, reason = "a verb of the program speaks to its user")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use remedis_data::{Audit, Index, SynthConfig};

/// Draw a set of images, or check one before it is used.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Draw stained blood cells of two sites, and patterns that stand in for natural images.
    Synth(Synth),
    /// Look for what makes a measurement worthless: leaks between splits, damaged files, missing classes.
    Check(Check),
}

#[derive(clap::Args)]
struct Synth {
    /// Folder to write cells_a, cells_b and natural into.
    #[arg(long)]
    out: PathBuf,
    /// The same seed draws the same files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cells of site A, over all splits; site B gets three tenths as many, the patterns as many.
    #[arg(long, default_value_t = 2000)]
    images: usize,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Check {
    /// Folder, .csv or .zip.
    path: PathBuf,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the verb; 1 when a set was checked and is not fit for use.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Synth(args) => synth(args),
        Verb::Check(args) => check(args),
    }
}

fn synth(args: &Synth) -> anyhow::Result<ExitCode> {
    let config = SynthConfig {
        n_cells_a: args.images,
        n_cells_b: args.images * 3 / 10,
        n_natural: args.images,
        ..SynthConfig::new(args.seed)
    };
    remedis_data::synth(&config, &args.out).with_context(|| format!("drawing into {}", args.out.display()))?;
    let counts = [("cells_a", config.n_cells_a), ("cells_b", config.n_cells_b), ("natural", config.n_natural)];
    if args.json {
        let sets: serde_json::Map<String, serde_json::Value> =
            counts.into_iter().map(|(set, count)| (set.to_owned(), count.into())).collect();
        println!("{}", serde_json::json!({ "out": args.out, "seed": args.seed, "n_images": sets }));
    } else {
        for (set, count) in counts {
            println!("{:>6} images in {}", count, args.out.join(set).display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Check) -> anyhow::Result<ExitCode> {
    let index = Index::open(&args.path).with_context(|| format!("opening the set {}", args.path.display()))?;
    let report = remedis_data::audit(&index);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).context("writing the report as JSON")?);
    } else {
        print_report(&report);
    }
    Ok(if report.is_fit() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print_report(report: &Audit) {
    println!("{} images, {} patients, sha256 {}", report.n_images, report.n_patients, report.sha256);
    for (what, counts) in [("size", &report.sizes), ("site", &report.sites)] {
        for (name, count) in counts {
            println!("{what} {name}: {count}");
        }
    }
    let widest = report.classes.keys().map(String::len).max().unwrap_or(0).max("(no label)".len());
    println!("\n{:widest$} {:>8} {:>8} {:>8}", "class", "train", "val", "test");
    for (class, counts) in &report.classes {
        let class = if class.is_empty() { "(no label)" } else { class };
        println!("{class:widest$} {:>8} {:>8} {:>8}", counts.train, counts.val, counts.test);
    }
    println!();
    for finding in &report.errors {
        println!("error: {finding}");
    }
    for finding in &report.warnings {
        println!("warning: {finding}");
    }
    let verdict = if report.is_fit() { "fit for use" } else { "not fit for use" };
    println!("{verdict}: {} errors, {} warnings", report.errors.len(), report.warnings.len());
}
