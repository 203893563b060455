//! `remedis inspect`: what becomes of every node of a model, and why.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use remedis_plan::Backend;
use remedis_plan::onnx::Outcome;

use crate::model::{self, Held, Source};

/// Arguments of `remedis inspect`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Print one JSON object a node
    #[arg(long)]
    json: bool,
}

/// # Errors
/// If the model cannot be read.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let path = &args.source.model;
    let onnx = match args.source.read()? {
        Held::Onnx(onnx) => onnx,
        Held::Plan(plan) => {
            let mut text = String::new();
            write_plan(&plan, args.json, &mut text)?;
            print!("{text}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let reading = model::read(&onnx, path)?;
    let mut text = String::new();
    for node in &reading.nodes {
        let (how, why) = match &node.outcome {
            Outcome::Integer { .. } => ("integer", String::new()),
            Outcome::Folded { island, node: into } => {
                ("folded", format!("into {}", reading.islands[*island].graph.nodes[*into].name))
            }
            Outcome::Float { reason } => ("float", reason.clone()),
        };
        if args.json {
            writeln!(text, "{}", serde_json::json!({ "name": node.name, "op": node.op, "runs": how, "why": why }))?;
        } else {
            writeln!(text, "{:40} {:24} {how:8} {why}", node.name, node.op)?;
        }
    }
    if reading.whole().is_some() {
        let plan = model::plan(&reading, Backend::detect().family(), path)?;
        write_plan(&plan, args.json, &mut text)?;
    }
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn write_plan(plan: &remedis_plan::Plan, json: bool, text: &mut String) -> std::fmt::Result {
    if !json {
        writeln!(text, "\n{:5} {:40} {:20} {:>16} {:>12}", "chain", "layer", "kernel", "result", "MMAC")?;
    }
    for (chain, links) in plan.chains().enumerate() {
        for (link, size, n) in links {
            let (name, kernel) = (&link.name, link.operation.kernel());
            if json {
                let line =
                    serde_json::json!({ "chain": chain, "layer": name, "kernel": kernel, "result": size, "macs": n });
                writeln!(text, "{line}")?;
            } else {
                writeln!(text, "{chain:5} {name:40} {kernel:20} {size:>16} {:12.3}", n as f64 / 1e6)?;
            }
        }
    }
    Ok(())
}
