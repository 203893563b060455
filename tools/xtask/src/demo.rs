//! `cargo xtask demo`: REMEDIS from unlabelled images to an answer on a device, by the programs a user would run.

mod device;
mod summary;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::{cargo, execute, target};

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Image set of the hospital with labels [default: synthetic blood cells]
    #[arg(long, requires = "shifted", requires = "natural")]
    data: Option<PathBuf>,
    /// Image set of another hospital
    #[arg(long, requires = "data")]
    shifted: Option<PathBuf>,
    /// Natural images to pretrain on
    #[arg(long, requires = "data")]
    natural: Option<PathBuf>,
    /// Folder for everything the demo writes; the same folder resumes
    #[arg(long, default_value = "out")]
    out: PathBuf,
    /// Plan of the training: tiny, demo or real [default: demo, or real with --data]
    #[arg(long)]
    recipe: Option<String>,
    /// Decides every random choice
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Threads for training; the result does not depend on it
    #[arg(long)]
    threads: Option<usize>,
    /// Frames the simulated imaging hardware sends
    #[arg(long, default_value_t = 40)]
    frames: u32,
}

/// The three image sets of a run.
struct Sets {
    data: PathBuf,
    shifted: PathBuf,
    natural: PathBuf,
}

/// Where the programs are that cargo built.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// # Errors
    /// If the target folder cannot be found.
    fn built() -> Result<Self> {
        Ok(Self { folder: target()?.join("debug") })
    }

    /// A command that starts `program`.
    fn command(&self, program: &str) -> Command {
        Command::new(self.folder.join(program))
    }
}

/// The bundle that a demo in `out` leaves.
pub(crate) fn bundle(out: &Path) -> PathBuf {
    out.join("run/bundle.remedis")
}

/// Run the demo.
///
/// # Errors
/// If a step fails; the message names it.
pub(crate) fn run(args: &Args) -> Result<()> {
    println!("building the programs (the first build compiles Burn and tract: about 20 minutes on 2 cores)");
    // The whole workspace: naming packages would select other features, and Burn and tract would be compiled again.
    execute(&mut cargo(&["build", "--workspace", "--bins"])?)?;
    let programs = Programs::built()?;
    let out = std::path::absolute(&args.out).with_context(|| format!("the folder {}", args.out.display()))?;
    std::fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
    let given = args.data.as_ref().zip(args.shifted.as_ref()).zip(args.natural.as_ref());
    let recipe = args.recipe.as_deref().unwrap_or(if given.is_some() { "real" } else { "demo" });
    let sets = match given {
        Some(((data, shifted), natural)) => {
            Sets { data: data.clone(), shifted: shifted.clone(), natural: natural.clone() }
        }
        None => synthesise(&programs, &out, recipe, args.seed)?,
    };
    let start = std::time::Instant::now();
    train(&programs, &sets, &out, recipe, args)?;
    execute(programs.command("remedis").args(["bundle", "verify"]).arg(bundle(&out)).arg("--key").arg(key(&out)))?;
    let played = device::play(&programs, &out, &sets.data, args.frames)?;
    let seconds = start.elapsed().as_secs_f64();
    summary::write(&out, &played)?;
    summary::show(&out, seconds)
}

/// The tiny recipe on a small synthetic set: the whole chain in under two minutes, for tests.
///
/// # Errors
/// As [`run`].
pub(crate) fn tiny(out: &Path) -> Result<()> {
    // A run of an older build must not be resumed: the point is to run this one.
    if out.exists() {
        std::fs::remove_dir_all(out).with_context(|| format!("removing {}", out.display()))?;
    }
    run(&Args {
        data: None,
        shifted: None,
        natural: None,
        out: out.to_owned(),
        recipe: Some("tiny".to_owned()),
        seed: 7,
        threads: None,
        frames: 12,
    })
}

fn synthesise(programs: &Programs, out: &Path, recipe: &str, seed: u64) -> Result<Sets> {
    let folder = out.join("data");
    let sets = Sets { data: folder.join("cells_a"), shifted: folder.join("cells_b"), natural: folder.join("natural") };
    if !sets.natural.join("labels.csv").exists() {
        println!("== drawing synthetic blood cells of two hospitals, and natural-looking pictures");
        let mut command = programs.command("remedis");
        command.args(["data", "synth", "--out"]).arg(&folder).args(["--seed", &seed.to_string()]);
        if recipe == "tiny" {
            command.args(["--images", "240"]);
        }
        execute(&mut command)?;
    }
    Ok(sets)
}

fn key(out: &Path) -> PathBuf {
    out.join("run/keys/signing.pub")
}

fn train(programs: &Programs, sets: &Sets, out: &Path, recipe: &str, args: &Args) -> Result<()> {
    println!("== training (recipe {recipe}); the same command resumes after an interruption");
    let mut command = programs.command("remedis-train");
    command.args(["run", "--recipe", recipe, "--seed", &args.seed.to_string()]);
    command.arg("--data").arg(&sets.data).arg("--shifted").arg(&sets.shifted).arg("--natural").arg(&sets.natural);
    command.arg("--out").arg(out.join("run"));
    if let Some(threads) = args.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    let status = command.status().context("starting remedis-train")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(75) => bail!("training was interrupted and saved; run the same command to go on"),
        _ => bail!("remedis-train ended with {status}"),
    }
}
