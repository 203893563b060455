//! The verbs of the program.

pub(crate) mod journal;
pub(crate) mod models;

use anyhow::{Context, ensure};
use remedis_device::log::{Log, Note};
use remedis_device::models::Models;
use remedis_device::{Config, Predictor, run};
use remedis_web::Token;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(crate) fn open(config: &Path) -> anyhow::Result<Config> {
    Config::open(config).with_context(|| format!("reading the settings {}", config.display()))
}

pub(crate) fn run(config: &Path, json: bool) -> anyhow::Result<()> {
    let config = open(config)?;
    let log = Log::to_stderr(json);
    note_panics(log.clone());
    run::until_signal(&config, &log).inspect_err(|cause| log.note(&Note::Failed { reason: &format!("{cause:#}") }))
}

/// A part that panics costs an answer or itself; where it happened is a line of the log like any other. What it was about is not said:
/// it may hold a name.
fn note_panics(log: Log) {
    std::panic::set_hook(Box::new(move |panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        log.note(&Note::Panicked { part: std::thread::current().name().unwrap_or("unnamed"), at: &at });
    }));
}

pub(crate) fn check(config: &Path, json: bool) -> anyhow::Result<()> {
    let config = open(config)?;
    for line in config.explain() {
        match json {
            true => println!(
                "{}",
                serde_json::json!({ "setting": line.setting, "value": line.value, "meaning": line.meaning })
            ),
            false => println!("{line}"),
        }
    }
    let model = Models::peek(&config)?;
    let name = model.name();
    if json {
        let model = serde_json::json!({ "name": name.name, "version": name.version, "digest": name.digest });
        println!("{}", serde_json::json!({ "model": model }));
        return Ok(());
    }
    println!("bundle is good: {} {}, digest {}", name.name, name.version, name.digest);
    println!("its signature is by a trusted key, and its golden vectors come out right on this processor");
    println!("{}", model.readied());
    println!("classes: {}; below {} it cannot say", model.classes().join(", "), name.confidence_threshold);
    Ok(())
}

/// Says what the device could not say itself, since the system ended it: on its screen, and in the audit log at the next start.
///
/// `systemd` runs this after the device (`ExecStopPost=`) and tells by `$SERVICE_RESULT` how it ended.
pub(crate) fn stopped(config: &Path, json: bool) -> anyhow::Result<()> {
    let config = open(config)?;
    let how = std::env::var("SERVICE_RESULT").unwrap_or_else(|_| "unknown".to_owned());
    // It came to its own end, and left word of it.
    if matches!(how.as_str(), "success" | "exit-code") {
        return Ok(());
    }
    run::leave_word(&config, &how, &Log::to_stderr(json))
}

/// Makes a token and keeps its hash in `path`, for the device's user alone to read.
pub(crate) fn token(path: &Path, replace: bool) -> anyhow::Result<()> {
    let is_there = path.exists();
    ensure!(replace || !is_there, "{} is there already: --replace makes a new token", path.display());
    let token = Token::generate().context("drawing a token")?;
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{}", token.digest())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path).with_context(|| format!("keeping the hash in {}", path.display()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    println!("{token}");
    eprintln!("write the token down: only its hash is kept, in {}", path.display());
    if is_there {
        eprintln!("restart the device: until then the old token opens it, and whom it let in stays in");
    }
    Ok(())
}
