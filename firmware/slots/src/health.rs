//! The device program's side: start with a model that is fit, say how it does, and return by itself when it does not.

use remedis_bundle::Bundle;

use crate::change::{Cause, Change, Named, OnTrial, in_words};
use crate::disk::Disk;
use crate::error::{ReturnError, SlotsError, StartError};
use crate::slots::{Slots, is_disk_failure};
use crate::state::State;

/// What a start gave.
#[derive(Debug)]
#[non_exhaustive]
pub struct Started<M> {
    /// What was made of the bundle.
    pub model: M,
    /// Which model it is.
    pub running: Named,
    /// What it has yet to show; `None` for a good one.
    pub trial: Option<OnTrial>,
    /// What moved; for the audit log.
    pub changes: Vec<Change>,
    /// Why `running`, the last good model, stands in for the active one in this run only, in words: the disk failed, which
    /// says nothing about the active model. The next start tries that one again.
    pub stands_in: Option<String>,
}

/// The model that answers in this process.
#[derive(Debug)]
pub(crate) struct Running {
    model: Named,
    trial: Option<OnTrial>,
    /// Healthy ones so far.
    answers: u32,
}

/// Why a model does not run.
enum Fault {
    /// It is not fit.
    Unfit { cause: Cause, reason: String },
    /// The disk failed: another time it may do.
    Disk { reason: String },
}

impl<D: Disk> Slots<D> {
    /// Begin a run of the program: hands the active bundle, verified now, to `ready`, which makes a model of it and proves
    /// it by the golden vectors on this processor.
    ///
    /// A start on trial is counted, durably, before anything of the bundle is read, so that a model that kills the program
    /// uses up its starts. When they are used up, when the file is not accepted, or when `ready` says no, the last good model is
    /// tried, and if it is fit the pointer returns to it. When the disk fails, it stands in for this run.
    ///
    /// # Errors
    /// When no model is active or none is fit.
    pub fn start<M>(&mut self, mut ready: impl FnMut(&Bundle) -> Result<M, String>) -> Result<Started<M>, StartError> {
        self.running = None;
        let (_lock, mut state) = self.begin()?;
        let active = state.active.clone().ok_or(StartError::NothingActive)?;
        let attempt = self.count_start(&mut state).and_then(|()| self.make_ready(&active, &mut ready));
        match attempt {
            Ok(model) => Ok(self.started(model, active, state.on_trial())),
            Err(fault) => self.start_last_good(state, active, fault, &mut ready),
        }
    }

    /// One healthy answer to a real image. As many as the trial asks for, in one run, make the model good.
    ///
    /// # Errors
    /// When that could not be written; the next answer tries again.
    pub fn answered(&mut self) -> Result<Option<Change>, SlotsError> {
        let Some(running) = &mut self.running else { return Ok(None) };
        running.answers = running.answers.saturating_add(1);
        match running.trial {
            Some(trial) if running.answers >= trial.answers => self.mark_good(),
            _ => Ok(None),
        }
    }

    /// The running model is good: its trial ends. `None` when it is not on trial, or an operator activated another meanwhile.
    ///
    /// # Errors
    /// When that could not be written; it is on trial still.
    pub fn mark_good(&mut self) -> Result<Option<Change>, SlotsError> {
        let change = match self.begin_for_running()? {
            Some((_lock, mut state)) => {
                let change = state.mark_good();
                if change.is_some() {
                    self.save(&state)?;
                }
                change
            }
            None => None,
        };
        if let Some(running) = &mut self.running {
            running.trial = None;
        }
        Ok(change)
    }

    /// The running model is not healthy: the last good one becomes the active one. The caller then starts again. `None` when
    /// an operator activated another meanwhile.
    ///
    /// A model on trial that has no good one behind it is retired.
    ///
    /// # Errors
    /// When a good model fails and there is nothing to return to: it keeps its place. Or when the disk refuses.
    pub fn fail(&mut self, reason: &str) -> Result<Option<Change>, ReturnError> {
        let Some((_lock, mut state)) = self.begin_for_running()? else { return Ok(None) };
        let change = match self.check_last_good(&state) {
            Ok(()) => state.return_to_last_good(Cause::Health, reason),
            // Another time it may be readable.
            Err(ReturnError::Untrusted { model, source }) if is_disk_failure(&source) => {
                return Err(ReturnError::Untrusted { model, source });
            }
            Err(_) if state.trial.is_some() => state.retire(Cause::Health, reason),
            Err(error) => return Err(error),
        };
        self.save(&state)?;
        self.running = None;
        Ok(change)
    }

    /// The program ends because it was asked to: a start that a trial was counted is given back, since nothing went wrong.
    ///
    /// # Errors
    /// When that could not be written; the start stays counted.
    pub fn end_cleanly(&mut self) -> Result<(), SlotsError> {
        if self.running.as_ref().is_some_and(|running| running.trial.is_some())
            && let Some((_lock, mut state)) = self.begin_for_running()?
        {
            state.uncount_start();
            self.save(&state)?;
        }
        self.running = None;
        Ok(())
    }

    /// As [`Slots::begin`], if what runs here is still the active model.
    fn begin_for_running(&mut self) -> Result<Option<(D::Lock, State)>, SlotsError> {
        let Some(running) = &self.running else { return Ok(None) };
        let (lock, state) = self.begin()?;
        Ok((state.active.as_ref() == Some(&running.model)).then_some((lock, state)))
    }

    fn count_start(&self, state: &mut State) -> Result<(), Fault> {
        if state.trial.is_none() {
            return Ok(());
        }
        if !state.count_start() {
            let reason = "its trial used up all starts without enough healthy answers".to_owned();
            return Err(Fault::Unfit { cause: Cause::StartsUsedUp, reason });
        }
        // A trial that is not counted would never end.
        self.save(state).map_err(|error| {
            let reason = format!("its trial's start could not be counted: {}", in_words(&error));
            Fault::Disk { reason }
        })
    }

    fn make_ready<M>(&self, model: &Named, ready: impl FnOnce(&Bundle) -> Result<M, String>) -> Result<M, Fault> {
        let bundle = self.load(&model.digest).map_err(|error| match in_words(&error) {
            reason if is_disk_failure(&error) => Fault::Disk { reason },
            reason => Fault::Unfit { cause: Cause::Unreadable, reason },
        })?;
        ready(&bundle).map_err(|reason| Fault::Unfit { cause: Cause::NotReady, reason })
    }

    /// Start the last good model, as `active` has a `fault`. The pointer moves only once it is known to be fit.
    fn start_last_good<M>(
        &mut self,
        mut state: State,
        active: Named,
        fault: Fault,
        ready: impl FnOnce(&Bundle) -> Result<M, String>,
    ) -> Result<Started<M>, StartError> {
        let Some(running) = state.last_good.clone() else { return Err(self.no_model(state, active, &fault, None)) };
        let model = match self.make_ready(&running, ready) {
            Ok(model) => model,
            Err(other) => return Err(self.no_model(state, active, &fault, Some((running, other)))),
        };
        let Fault::Unfit { cause, reason } = fault else {
            return Ok(self.stand_in(model, running, fault.reason().to_owned()));
        };
        let change = state.return_to_last_good(cause, &reason);
        Ok(match self.save(&state) {
            Ok(()) => Started { changes: change.into_iter().collect(), ..self.started(model, running, None) },
            Err(error) => self.stand_in(model, running, format!("{reason}; {}", in_words(&error))),
        })
    }

    /// No model runs, not even `last_good`. A trial that used up its starts is over then; else all stays as it is: a key that
    /// is missing from the configuration, or a disk that comes back, should not cost the device its models.
    fn no_model(
        &self,
        mut state: State,
        active: Named,
        fault: &Fault,
        last_good: Option<(Named, Fault)>,
    ) -> StartError {
        let is_over = matches!(fault, Fault::Unfit { cause: Cause::StartsUsedUp, .. });
        let may_return = matches!(last_good, Some((_, Fault::Disk { .. })));
        let retired = (is_over && !may_return).then(|| state.retire(Cause::StartsUsedUp, fault.reason())).flatten();
        // Unwritten it is said again at the next start.
        let retired = retired.filter(|_| self.save(&state).is_ok());
        let last_good = last_good.map_or_else(
            || "there is no last good one".to_owned(),
            |(model, fault)| format!("nor the last good {model} ({})", fault.reason()),
        );
        let reason = format!("not {active} ({}), {last_good}", fault.reason());
        StartError::NoModel { active, reason, changes: retired.into_iter().collect() }
    }

    fn stand_in<M>(&mut self, model: M, running: Named, reason: String) -> Started<M> {
        Started { stands_in: Some(reason), ..self.started(model, running, None) }
    }

    fn started<M>(&mut self, model: M, running: Named, trial: Option<OnTrial>) -> Started<M> {
        self.running = Some(Running { model: running.clone(), trial, answers: 0 });
        Started { model, running, trial, changes: Vec::new(), stands_in: None }
    }
}

impl Fault {
    fn reason(&self) -> &str {
        match self {
            Self::Unfit { reason, .. } | Self::Disk { reason } => reason,
        }
    }
}
