//! `remedis-device models`: what the operator does with models, beside a device that runs.

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use remedis_bundle::Bundle;
use remedis_device::config::ModelsConfig;
use remedis_device::ledger::Ledger;
use remedis_device::models::event;
use remedis_device::{BundleModel, Config, model, spool};
use remedis_slots::{Allow, Change, Folder, Role, Slot, Slots, TrialRules};
use remedis_store::OpenStoreError;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The settings.
    config: PathBuf,
    /// JSON instead of words: an object a model or a change.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// What is installed, which one answers, and which one it would return to.
    List,
    /// Take in a signed bundle; nothing uses it before it is activated.
    Install {
        /// The bundle.
        bundle: PathBuf,
        #[command(flatten)]
        allow: Allowed,
    },
    /// Prove a model by its golden vectors on this processor, and answer with it from now on, on trial.
    Activate {
        /// The beginning of its digest, as `list` shows it.
        digest: String,
        #[command(flatten)]
        allow: Allowed,
    },
    /// Return to the last good model.
    Rollback {
        /// Why, for the audit log.
        #[arg(long)]
        reason: String,
    },
    /// Remove a model that is neither active nor the last good one.
    Remove {
        /// The beginning of its digest.
        digest: String,
    },
}

#[derive(clap::Args)]
struct Allowed {
    /// Also a version that is lower than one that was good here; the audit log says so.
    #[arg(long)]
    allow_downgrade: bool,
    /// Also a model of another name than the active one.
    #[arg(long)]
    allow_other_name: bool,
    /// Also one that failed here before.
    #[arg(long)]
    allow_refused: bool,
}

impl Allowed {
    fn allow(&self) -> Allow {
        Allow { downgrade: self.allow_downgrade, other_name: self.allow_other_name, refused_before: self.allow_refused }
    }
}

/// # Errors
/// When what was asked for is refused or cannot be done. Refusals are in the audit log too.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let config = super::open(&args.config)?;
    let Some(settings) = &config.models else {
        bail!("{} has no section [models]: add it to install any", args.config.display());
    };
    if !matches!(args.verb, Verb::List) {
        be_the_owner(&config)?;
    }
    let trusted = model::trusted_keys(&config.trusted_keys)?;
    let mut slots = Slots::open(&settings.folder, trusted)
        .with_context(|| format!("opening the models in {}", settings.folder.display()))?;
    let change = match &args.verb {
        Verb::List => return list(&slots, args.json),
        Verb::Install { bundle, allow } => install(&mut slots, bundle, allow.allow(), &config),
        Verb::Activate { digest, allow } => activate(&mut slots, digest, allow.allow(), settings, &config),
        Verb::Rollback { reason } => Ok(slots.rollback(reason)?),
        Verb::Remove { digest } => Ok(slots.remove(digest)?),
    }?;
    match args.json {
        true => println!("{}", serde_json::to_string(&change)?),
        false => println!("{change}"),
    }
    write_down(&config, &change)
}

fn list(slots: &Slots<Folder>, json: bool) -> anyhow::Result<()> {
    for slot in slots.list()? {
        match json {
            true => println!("{}", in_json(&slot)),
            false => println!("{}", in_words(&slot)),
        }
    }
    Ok(())
}

fn role(slot: &Slot) -> String {
    match &slot.role {
        Role::Active => "active".into(),
        Role::OnTrial(trial) => format!("on trial, {} starts left", trial.starts_left),
        Role::LastGood => "last good".into(),
        Role::Refused { reason } => format!("failed here: {reason}"),
        Role::Installed => "installed".into(),
    }
}

fn in_words(slot: &Slot) -> String {
    let digest = slot.digest.as_str().get(..12).unwrap_or_default();
    let content = match &slot.content {
        Ok(content) => format!("{} {}", content.name, content.version),
        Err(cause) => format!("unusable: {cause}"),
    };
    format!("{digest}  {content}  {:.1} MB  {}", slot.bytes as f64 / 1e6, role(slot))
}

fn in_json(slot: &Slot) -> serde_json::Value {
    let content = slot.content.as_ref().ok();
    serde_json::json!({
        "digest": slot.digest.as_str(),
        "name": content.map(|content| &content.name),
        "version": content.map(|content| &content.version),
        "bytes": slot.bytes,
        "role": role(slot),
        "is_usable": content.is_some(),
    })
}

fn install(slots: &mut Slots<Folder>, bundle: &PathBuf, allow: Allow, config: &Config) -> anyhow::Result<Change> {
    let file = File::open(bundle).with_context(|| format!("opening {}", bundle.display()))?;
    slots.install(file, allow).or_else(|refused| {
        write_down(config, &refused.change())?;
        Err(refused).with_context(|| format!("installing {}", bundle.display()))
    })
}

fn activate(
    slots: &mut Slots<Folder>,
    digest: &str,
    allow: Allow,
    settings: &ModelsConfig,
    config: &Config,
) -> anyhow::Result<Change> {
    let rules = TrialRules { starts: settings.trial_starts, answers: settings.trial_answers };
    let prove =
        |bundle: &Bundle| BundleModel::of(bundle, config.plans.as_deref()).map_err(|cause| format!("{cause:#}"));
    slots.activate(digest, rules, allow, prove).or_else(|refused| {
        write_down(config, &refused.change())?;
        Err(refused).with_context(|| format!("activating {digest}"))
    })
}

/// Into the audit log, by way of the device where one runs, which then also looks at its models.
fn write_down(config: &Config, change: &Change) -> anyhow::Result<()> {
    let Some(event) = event(change) else { return Ok(()) };
    spool::leave(&config.journal.audit, &event).context("leaving the event for the audit log")?;
    match Ledger::open(&config.journal) {
        Ok((ledger, _)) => {
            spool::take(&config.journal.audit, |event| ledger.audit(event))??;
        }
        Err(cause) => match cause.downcast_ref::<OpenStoreError>() {
            Some(OpenStoreError::InUse { holder: Some(holder), .. }) => wake(*holder),
            _ => eprintln!("the event waits for the audit log: {cause:#}"),
        },
    }
    Ok(())
}

/// What another user leaves in the device's folders, the device could not take up: its audit log would miss this.
fn be_the_owner(config: &Config) -> anyhow::Result<()> {
    let folder =
        config.journal.audit.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = folder.metadata().with_context(|| format!("looking at {}", folder.display()))?.uid();
    let we = rustix::process::geteuid().as_raw();
    ensure!(
        we == owner,
        "{} belongs to user {owner}, and this is user {we}: run it as the device's user, such as `runuser -u remedis -- remedis-device …`",
        folder.display()
    );
    Ok(())
}

/// Has the running device look at its models now.
fn wake(device: u32) {
    let pid = i32::try_from(device).ok().and_then(rustix::process::Pid::from_raw);
    let woken = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::HUP));
    match woken {
        Some(Ok(())) => eprintln!("the running device (process {device}) goes on with it"),
        _ => eprintln!("the running device (process {device}) takes it up at its next start"),
    }
}
