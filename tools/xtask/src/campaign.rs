//! `cargo xtask campaign`: long campaigns against links and device, in the profile that ships.

use anyhow::Result;

use crate::step::{self, Outcome, cargo, execute};
use crate::{demo, fuzz};

/// CPU-minutes for each fuzz target, in full and in the quick form.
const FUZZ_MINUTES: [f64; 2] = [30.0, 0.3];

/// Arguments of `cargo xtask campaign`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which campaign
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// Name the campaigns, and run none
    #[arg(long)]
    list: bool,
    /// The quick form, as the tests have it
    #[arg(long)]
    small: bool,
    /// Decides everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Run a campaign and print its tables.
///
/// # Errors
/// If it cannot be built, no campaign has that name, or a promise was broken.
pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let Some(name) = args.name.as_deref().filter(|_| !args.list) else {
        campaign(&[])?;
        println!("{:<10} what a device reads of others, 30 CPU-minutes of libFuzzer each", "fuzz");
        return Ok(Outcome::Passed);
    };
    if name == "fuzz" {
        return fuzz::run(&fuzz::Args::for_device(FUZZ_MINUTES[usize::from(args.small)]));
    }
    let seed = args.seed.to_string();
    let mut arguments = vec![name, "--seed", &seed];
    if args.small {
        arguments.push("--small");
    }
    campaign(&arguments)?;
    Ok(Outcome::Passed)
}

/// The program of the campaigns, beside the device that ships and the finished tiny run whose bundle that takes.
fn campaign(arguments: &[&str]) -> Result<()> {
    let tiny = step::target()?.join("tiny");
    let plays_device = arguments.first().is_some_and(|name| matches!(*name, "chaos" | "soak"));
    if plays_device {
        if !tiny.join("summary.json").exists() {
            demo::tiny(&tiny)?;
        }
        execute(&mut cargo(&["build", "-q", "--release", "-p", "remedis-cli", "-p", "remedis-device", "--bins"])?)?;
    }
    let mut command = cargo(&["run", "-q", "--release", "-p", "remedis-campaign", "--"])?;
    execute(command.args(arguments).env("REMEDIS_TINY", &tiny))
}
