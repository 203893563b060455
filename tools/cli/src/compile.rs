//! `remedis compile`: a model packed ahead of time for one family of processors.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use remedis_plan::{Backend, Family};

use crate::model::{self, Held, Source};

/// Arguments of `remedis compile`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Where to write the plan
    #[arg(long)]
    output: PathBuf,
    /// Processors it is for: pairs (any), avx2 and avx512 (x86-64, the second with VNNI), neon (64-bit ARM), dot and i8mm (ARM with 8-bit dot or matrix product) [default: this one]
    #[arg(long, value_parser = family)]
    family: Option<Family>,
}

fn family(name: &str) -> Result<Family, String> {
    let found = Family::ALL.into_iter().find(|family| family.name() == name);
    found.ok_or_else(|| format!("expected one of {}", Family::ALL.map(Family::name).join(", ")))
}

/// # Errors
/// If the model cannot be read or planned, or the plan cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let path = &args.source.model;
    let Held::Onnx(onnx) = args.source.read()? else { bail!("{} is a plan already", path.display()) };
    let family = args.family.unwrap_or_else(|| Backend::detect().family());
    let plan = model::plan(&model::read(&onnx, path)?, family, path)?;
    plan.write(&args.output).with_context(|| format!("writing {}", args.output.display()))?;
    let size = std::fs::metadata(&args.output).map_or(0, |metadata| metadata.len());
    println!(
        "{}: {} layers for {} processors, {:.2} MB; running takes {:.2} MB more a thread",
        args.output.display(),
        plan.program().chains.iter().map(Vec::len).sum::<usize>(),
        family.name(),
        size as f64 / 1e6,
        plan.memory(1) as f64 / 1e6
    );
    Ok(ExitCode::SUCCESS)
}
