//! The operator's word: which model answers from the next start on.

use remedis_bundle::Bundle;

use crate::change::{Cause, Change, Named};
use crate::disk::Disk;
use crate::error::{ActivateError, ReturnError};
use crate::slots::{Allow, Slots, TrialRules};
use crate::state::State;

impl<D: Disk> Slots<D> {
    /// Make the bundle whose digest begins with `digest_prefix` the active one, on trial by `rules`.
    ///
    /// Its signature is checked again, then `prove` shows that it does on this device what it did where it was made: the
    /// golden vectors on this processor. Then the pointer moves, in one step. Its trial starts with the next
    /// [`Slots::start`]; a program that is running keeps its model until then.
    ///
    /// # Errors
    /// When there is not exactly one such bundle, it is not accepted, not wanted without the operator's word, not proven, or
    /// the disk refuses.
    pub fn activate<M>(
        &mut self,
        digest_prefix: &str,
        rules: TrialRules,
        allow: Allow,
        prove: impl FnOnce(&Bundle) -> Result<M, String>,
    ) -> Result<Change, ActivateError> {
        let (_lock, mut state) = self.begin()?;
        let digest = self.find(digest_prefix)??;
        let bundle = self.load(&digest).map_err(ActivateError::Untrusted)?;
        let model = Named::of(&bundle);
        check_place(&state, &model)?;
        let overrides = state.admit_again(&model, allow)?;
        if let Err(reason) = prove(&bundle) {
            return Err(ActivateError::NotProven { model, reason });
        }
        let change = state.begin_trial(model, rules, overrides);
        self.save(&state)?;
        Ok(change)
    }

    /// Make the last good model the active one again, because an operator wants it. The one that was active counts as
    /// refused, for `reason`.
    ///
    /// # Errors
    /// When there is no last good model, its file is no longer accepted, or the disk refuses.
    pub fn rollback(&mut self, reason: &str) -> Result<Change, ReturnError> {
        let (_lock, mut state) = self.begin()?;
        self.check_last_good(&state)?;
        let change = state.return_to_last_good(Cause::Operator, reason).ok_or(ReturnError::NoLastGood)?;
        self.save(&state)?;
        Ok(change)
    }

    /// That there is a last good model whose bundle is accepted now.
    pub(crate) fn check_last_good(&self, state: &State) -> Result<(), ReturnError> {
        let model = state.last_good.clone().ok_or(ReturnError::NoLastGood)?;
        match self.load(&model.digest) {
            Ok(_) => Ok(()),
            Err(source) => Err(ReturnError::Untrusted { model, source: source.into() }),
        }
    }
}

/// Whether `model` has a place already that it should keep.
fn check_place(state: &State, model: &Named) -> Result<(), ActivateError> {
    let has_starts = state.trial.as_ref().is_none_or(|trial| trial.starts_left > 0);
    if state.active.as_ref() == Some(model) && has_starts {
        return Err(ActivateError::AlreadyActive { model: model.clone() });
    }
    if state.last_good.as_ref() == Some(model) && state.trial.is_some() {
        return Err(ActivateError::IsLastGood { model: model.clone() });
    }
    Ok(())
}
