//! `cargo xtask campaign`: long campaigns against links and device, in the profile that ships.

use anyhow::Result;

use crate::step::{cargo, execute};

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
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = cargo(&["run", "-q", "--release", "-p", "remedis-campaign", "--"])?;
    if let Some(name) = args.name.as_ref().filter(|_| !args.list) {
        command.arg(name).args(["--seed", &args.seed.to_string()]);
        if args.small {
            command.arg("--small");
        }
    }
    execute(&mut command)
}
