//! The program behind `cargo xtask campaign`.
#![expect(clippy::print_stdout, reason = "this program prints tables")]

use std::process::ExitCode;

use clap::Parser;
use remedis_campaign::{ALL, Scale};

/// Runs a campaign and prints its tables.
#[derive(Parser)]
struct Arguments {
    /// Which; without one they are listed
    name: Option<String>,
    /// The quick form, as the tests have it
    #[arg(long)]
    small: bool,
    /// Decides everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let Some(name) = arguments.name else {
        for campaign in ALL {
            println!("{:<10} {}", campaign.name, campaign.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(campaign) = ALL.iter().find(|campaign| campaign.name == name) else {
        let names: Vec<&str> = ALL.iter().map(|campaign| campaign.name).collect();
        anyhow::bail!("no campaign is called {name}; there are {}", names.join(", "));
    };
    let scale = if arguments.small { Scale::Small } else { Scale::Full };
    let outcome = (campaign.run)(scale, arguments.seed)?;
    for table in &outcome.tables {
        println!("{table}");
    }
    for promise in &outcome.broken {
        println!("BROKEN: {promise}");
    }
    Ok(if outcome.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
