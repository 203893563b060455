//! The models of a device: which one answers, whether it is well, and the way back to the last good one.

mod audit;

pub use audit::event;

use crate::board::Board;
use crate::ledger::Ledger;
use crate::log::{Log, Note};
use crate::model::{BundleModel, trusted_keys};
use crate::operation::alarm::Alarm;
use crate::pipeline::judge::chain;
use crate::pipeline::{Health, Predictor, Queue};
use crate::spool;
use anyhow::Context;
use remedis_bundle::{Bundle, TrustedKeys};
use remedis_settings::Config;
use remedis_slots::{Allow, Change, Digest, Folder, Named, Role, Slot, Slots, StartError, Started, TrialRules};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// What the keeper of the models is told.
#[derive(Debug)]
pub enum Tell {
    /// How the model does.
    Health(Health),
    /// The operator did something: look at the models, and take up what waits for the audit log.
    Look,
    /// The device ends.
    End,
}

/// The models and their keeper.
pub struct Models {
    /// The bundle that the device begins with.
    bundle: PathBuf,
    trusted: TrustedKeys,
    plans: Option<PathBuf>,
    slots: Option<Slots<Folder>>,
    rules: TrialRules,
    /// What answers now, where it came from the slots.
    running: Option<Named>,
    is_on_trial: bool,
}

/// A model that may answer.
pub struct Ready {
    /// The model.
    pub model: BundleModel,
    /// Why it is the last good one that answers for now, although another is the active one: that cannot be read this time.
    pub stands_in: Option<String>,
}

/// What the keeper works with.
pub struct Around {
    /// Where a new model goes.
    pub queue: Arc<Queue>,
    /// Where changes are written down.
    pub ledger: Arc<Ledger>,
    /// Where people see them.
    pub board: Arc<Board>,
    /// The device's log.
    pub log: Log,
    /// The audit log's file, beside which operators leave events.
    pub audit: PathBuf,
}

impl Models {
    /// Opens the folder of models, if one is set.
    ///
    /// # Errors
    /// When a key cannot be read, or the folder cannot be used.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let trusted = trusted_keys(&config.trusted_keys)?;
        let slots = config.models.as_ref().map(|models| {
            Slots::open(&models.folder, trusted.clone())
                .with_context(|| format!("opening the models in {}", models.folder.display()))
        });
        let rules = config.models.as_ref().map_or_else(TrialRules::default, |models| TrialRules {
            starts: models.trial_starts,
            answers: models.trial_answers,
        });
        Ok(Self {
            bundle: config.bundle.clone(),
            trusted,
            plans: config.plans.clone(),
            slots: slots.transpose()?,
            rules,
            running: None,
            is_on_trial: false,
        })
    }

    /// Readies the active model: the one of the settings, where no other was ever activated. `write_down` is told what changed, also
    /// when no model can be used in the end.
    ///
    /// # Errors
    /// When neither the active nor the last good model can be used.
    pub fn start(&mut self, write_down: &mut dyn FnMut(&Change)) -> anyhow::Result<Ready> {
        let Self { slots: Some(slots), plans, .. } = self else {
            let model = BundleModel::open(&self.bundle, &self.trusted, self.plans.as_deref())?;
            return Ok(Ready { model, stands_in: None });
        };
        let plans = plans.clone();
        let ready = |bundle: &Bundle| BundleModel::of(bundle, plans.as_deref()).map_err(|cause| format!("{cause:#}"));
        let started = match slots.start(ready) {
            Err(StartError::NothingActive) => {
                Self::begin(slots, &self.bundle, self.rules, ready)?.iter().for_each(&mut *write_down);
                slots.start(ready)
            }
            started => started,
        };
        if let Err(StartError::NoModel { changes, .. }) = &started {
            changes.iter().for_each(&mut *write_down);
        }
        let Started { model, running, trial, changes, stands_in, .. } = started.context("starting the active model")?;
        changes.iter().for_each(write_down);
        self.running = Some(running);
        self.is_on_trial = trial.is_some();
        Ok(Ready { model: model.on_trial(self.is_on_trial), stands_in })
    }

    /// The model that a start would answer with, readied without changing anything.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn peek(config: &Config) -> anyhow::Result<BundleModel> {
        let models = Self::open(config)?;
        let active = match &models.slots {
            None => None,
            Some(slots) => slots.list()?.into_iter().find(is_active),
        };
        let folder = config.models.as_ref().map(|models| &models.folder);
        let path = match (active, folder) {
            (Some(slot), Some(folder)) => folder.join(format!("{}.remedis", slot.digest.as_str())),
            _ => models.bundle,
        };
        BundleModel::open(&path, &models.trusted, models.plans.as_deref())
    }

    /// Installs and activates the bundle of the settings.
    fn begin<M>(
        slots: &mut Slots<Folder>,
        bundle: &PathBuf,
        rules: TrialRules,
        ready: impl FnOnce(&Bundle) -> Result<M, String>,
    ) -> anyhow::Result<Vec<Change>> {
        let file = File::open(bundle).with_context(|| format!("opening bundle {}", bundle.display()))?;
        // It is what the settings say, whatever was here before.
        let allow = Allow { downgrade: true, other_name: true, refused_before: true };
        let installed = slots.install(file, allow).with_context(|| format!("installing {}", bundle.display()))?;
        let Change::Installed { model, .. } = &installed else { return Ok(vec![installed]) };
        let digest: Digest = model.digest.clone();
        let activated = slots.activate(digest.as_str(), rules, allow, ready).context("activating it")?;
        Ok(vec![installed, activated])
    }

    /// Keeps the models until the device ends.
    pub fn run(mut self, inbox: &Receiver<Tell>, around: &Around) {
        self.take_spool(around);
        for tell in inbox {
            match tell {
                Tell::Health(Health::Answered) => self.answered(around),
                Tell::Health(Health::Failed(reason)) => self.failed(&reason, around),
                Tell::Look => {
                    self.take_spool(around);
                    self.look(around);
                }
                Tell::End => break,
            }
        }
        if let Some(Err(cause)) = self.slots.as_mut().map(Slots::end_cleanly) {
            around.log.note(&Note::ModelFault { reason: &chain(&cause) });
        }
    }

    /// An image was answered: enough of them, and a model on trial is good.
    fn answered(&mut self, around: &Around) {
        around.board.clear(Alarm::ModelFault);
        if !self.is_on_trial {
            return;
        }
        match self.slots.as_mut().map(Slots::answered) {
            Some(Ok(Some(change))) => {
                self.is_on_trial = false;
                around.board.change(|state| state.model.is_on_trial = false);
                around.write_down(&change);
            }
            Some(Err(cause)) => around.log.note(&Note::ModelFault { reason: &chain(&cause) }),
            _ => {}
        }
    }

    /// The model failed: back to the last good one, where there is one.
    fn failed(&mut self, reason: &str, around: &Around) {
        around.log.note(&Note::ModelFault { reason });
        let mut alarm = Alarm::ModelFault;
        match self.slots.as_mut().map(|slots| slots.fail(reason)) {
            Some(Ok(Some(change))) => {
                if matches!(change, Change::RolledBack { .. }) {
                    alarm = Alarm::ModelReturned;
                }
                around.write_down(&change);
                self.exchange(around);
            }
            Some(Err(cause)) => around.log.note(&Note::ModelFault { reason: &chain(&cause) }),
            _ => {}
        }
        around.board.raise(alarm, reason);
    }

    /// Goes on with the active model, if it is another than what answers.
    fn look(&mut self, around: &Around) {
        let Some(slots) = &self.slots else { return };
        match slots.list() {
            Ok(list) => {
                let active = list.into_iter().find(is_active).map(|slot| slot.digest);
                if active.is_some() && active != self.running.as_ref().map(|running| running.digest.clone()) {
                    // The operator has seen to it.
                    around.board.clear(Alarm::ModelReturned);
                    self.exchange(around);
                }
            }
            Err(cause) => around.log.note(&Note::ModelFault { reason: &chain(&cause) }),
        }
    }

    fn exchange(&mut self, around: &Around) {
        match self.start(&mut |change| around.write_down(change)) {
            Ok(ready) => around.queue.install(around.announce(ready)),
            Err(cause) => around.log.note(&Note::ModelFault { reason: &format!("{cause:#}") }),
        }
    }

    /// Writes into the audit log what operators did meanwhile.
    fn take_spool(&self, around: &Around) {
        let taken = spool::take(&around.audit, |event| around.ledger.audit(event));
        let reason = match taken {
            Ok(Ok(_)) => return,
            Ok(Err(cause)) => chain(&cause),
            Err(cause) => cause.to_string(),
        };
        around.log.note(&Note::AuditFault { reason: &reason });
    }
}

impl Around {
    /// Says which model answers from now on, and hands it over.
    pub fn announce(&self, ready: Ready) -> Box<dyn Predictor> {
        let Ready { model, stands_in } = ready;
        self.log.note(&Note::Readied { plan: &model.readied().to_string() });
        if let Some(reason) = stands_in {
            self.log.note(&Note::ModelFault { reason: &reason });
            self.board.raise(Alarm::ModelReturned, &reason);
        }
        Box::new(model)
    }

    /// Writes a change into both logs.
    pub fn write_down(&self, change: &Change) {
        let what = serde_json::to_value(change).unwrap_or_default();
        self.log.note(&Note::ModelChanged { what: &what });
        if let Some(event) = event(change)
            && let Err(cause) = self.ledger.audit(&event)
        {
            self.log.note(&Note::AuditFault { reason: &chain(&cause) });
        }
    }
}

/// Whether a slot holds the model that answers.
fn is_active(slot: &Slot) -> bool {
    matches!(slot.role, Role::Active | Role::OnTrial(_))
}
