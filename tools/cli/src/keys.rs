//! `remedis keys`: minisign keys for signing bundles.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use remedis_bundle::SigningKey;

/// Arguments of `remedis keys`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a key pair: signing.key (secret, readable by you alone) and signing.pub (for devices)
    Generate {
        /// Folder for the two files
        #[arg(long, default_value = ".")]
        out: PathBuf,
    },
}

/// # Errors
/// If a key is there already or a file cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let Verb::Generate { out } = &args.verb;
    std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let (secret, public) = (out.join("signing.key"), out.join("signing.pub"));
    for file in [&secret, &public] {
        ensure!(
            !file.exists(),
            "{} exists: devices that trust it would refuse a new key; move it away first",
            file.display()
        );
    }
    let key = SigningKey::generate().context("generating a key")?;
    key.save(&secret, &public)?;
    println!("{}\n{}\npublic key: {}", secret.display(), public.display(), key.public_key());
    Ok(ExitCode::SUCCESS)
}
