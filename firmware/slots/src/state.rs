//! The pointer file's content, and how it moves: pure functions, no disk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::change::{Cause, Change, Named, OnTrial, Override};
use crate::version::higher;
use crate::{Allow, Digest, Refusal, StateError, TrialRules, version};

/// Version of the pointer file that this crate reads and writes.
const FORMAT: u32 = 1;
/// Refused models that are remembered; the oldest are forgotten first.
const MAX_REFUSED: usize = 32;
/// Characters of a reason that are kept.
const MAX_REASON: usize = 500;

/// Which model answers, which one returns, and what may follow.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    format: u32,
    /// Moves so far.
    number: u64,
    pub(crate) active: Option<Named>,
    /// The good model before the active one.
    pub(crate) last_good: Option<Named>,
    /// The active one's, until it is good.
    pub(crate) trial: Option<Trial>,
    /// By name of the model, the highest version that was good here. Never falls, whatever becomes of the files.
    highest: BTreeMap<String, String>,
    /// Oldest first.
    refused: Vec<Refused>,
    pub(crate) last_change: Option<Change>,
}

/// The active model's trial.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    pub(crate) starts_left: u32,
    /// Starts at the beginning.
    starts: u32,
    pub(crate) answers: u32,
    /// What was the last good one until the trial: it is so again when the trial fails.
    before: Option<Named>,
}

/// A model that lost its place.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    model: Named,
    reason: String,
}

/// The file: the state and a checksum over its compact JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    sha256: String,
    state: State,
}

impl State {
    /// Of a device that never had a model.
    pub(crate) fn new() -> Self {
        Self {
            format: FORMAT,
            number: 0,
            active: None,
            last_good: None,
            trial: None,
            highest: BTreeMap::new(),
            refused: Vec::new(),
            last_change: None,
        }
    }

    /// The pointer file's content.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(&Sealed { sha256: checksum(self)?, state: self.clone() })
    }

    /// The state that the pointer file's content says.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        #[derive(Deserialize)]
        struct Version {
            state: Format,
        }
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        // The version first: a newer state has keys that this program would call unknown.
        let Version { state: Format { format: found } } = serde_json::from_slice(bytes)?;
        if found > FORMAT {
            return Err(StateError::Newer { found, supported: FORMAT });
        }
        let Sealed { sha256: expected, state } = serde_json::from_slice(bytes)?;
        let found = checksum(&state)?;
        if found != expected {
            return Err(StateError::Damaged { expected, found });
        }
        match state.contradiction() {
            Some(reason) => Err(StateError::Contradiction { reason }),
            None => Ok(state),
        }
    }

    fn contradiction(&self) -> Option<&'static str> {
        let is_same = |left: &Option<Named>, right: &Option<Named>| left.is_some() && left == right;
        if self.format != FORMAT {
            return Some("its version should be 1");
        }
        if self.active.is_none() && (self.last_good.is_some() || self.trial.is_some()) {
            return Some("without an active model there is no last good one and no trial");
        }
        is_same(&self.active, &self.last_good).then_some("the active model should not be the last good one too")
    }

    /// What the active model has left to show.
    pub(crate) fn on_trial(&self) -> Option<OnTrial> {
        let Trial { starts_left, answers, .. } = self.trial.as_ref()?;
        Some(OnTrial { starts_left: *starts_left, answers: *answers })
    }

    /// The model, if `digest` may be needed: it is active, the last good one, or the one before that while a trial lasts.
    pub(crate) fn needed(&self, digest: &Digest) -> Option<&Named> {
        let before = self.trial.as_ref().and_then(|trial| trial.before.as_ref());
        [self.active.as_ref(), self.last_good.as_ref(), before]
            .into_iter()
            .flatten()
            .find(|model| model.digest == *digest)
    }

    /// Why the model with `digest` lost its place, if it did.
    pub(crate) fn refused(&self, digest: &Digest) -> Option<&str> {
        self.refused.iter().find(|refused| refused.model.digest == *digest).map(|refused| refused.reason.as_str())
    }

    /// Which rules the operator's word sets aside for `model`, or why it may not come here.
    pub(crate) fn admit(&self, model: &Named, allow: Allow) -> Result<Vec<Override>, Refusal> {
        let mut overrides = vec![];
        if let Some(active) = self.active.as_ref().filter(|active| active.name != model.name) {
            if !allow.other_name {
                return Err(Refusal::OtherName { model: model.clone(), active: active.name.clone() });
            }
            overrides.push(Override::OtherName);
        }
        let highest = self.highest.get(&model.name);
        if let Some(highest) = highest.filter(|highest| version::is_downgrade(&model.version, highest)) {
            if !allow.downgrade {
                return Err(Refusal::Downgrade { model: model.clone(), highest: highest.clone() });
            }
            overrides.push(Override::Downgrade);
        }
        Ok(overrides)
    }

    /// As [`State::admit`], for a model that is to answer: also not one that failed here before.
    pub(crate) fn admit_again(&self, model: &Named, allow: Allow) -> Result<Vec<Override>, Refusal> {
        let mut overrides = self.admit(model, allow)?;
        if let Some(reason) = self.refused(&model.digest) {
            if !allow.refused_before {
                return Err(Refusal::RefusedBefore { model: model.clone(), reason: reason.to_owned() });
            }
            overrides.push(Override::RefusedBefore);
        }
        Ok(overrides)
    }

    /// Make `model` the active one, on trial. The good model that was active becomes the last good one; one that was itself
    /// on trial does not.
    pub(crate) fn begin_trial(&mut self, model: Named, rules: TrialRules, overrides: Vec<Override>) -> Change {
        let from = self.active.replace(model.clone());
        let before = match self.trial.take() {
            Some(trial) => trial.before,
            None => std::mem::replace(&mut self.last_good, from.clone()),
        };
        let before = before.filter(|before| *before != model);
        let (starts, answers) = (rules.starts.max(1), rules.answers.max(1));
        self.trial = Some(Trial { starts_left: starts, starts, answers, before });
        let trial = OnTrial { starts_left: starts, answers };
        self.moved(|number| Change::Activated { number, model, from, trial, overrides })
    }

    /// Count one start of a trial; false when there is none left.
    pub(crate) fn count_start(&mut self) -> bool {
        let Some(trial) = &mut self.trial else { return true };
        let left = trial.starts_left.checked_sub(1);
        trial.starts_left = left.unwrap_or(0);
        left.is_some()
    }

    /// Take back the last [`State::count_start`].
    pub(crate) fn uncount_start(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.starts_left = trial.starts.min(trial.starts_left + 1);
        }
    }

    /// The trial has ended well. `None` when there is none.
    pub(crate) fn mark_good(&mut self) -> Option<Change> {
        self.trial.take()?;
        let model = self.active.clone()?;
        self.refused.retain(|refused| refused.model != model);
        let highest = higher(self.highest.get(&model.name).map(String::as_str), &model.version).to_owned();
        self.highest.insert(model.name.clone(), highest);
        Some(self.moved(|number| Change::MarkedGood { number, model }))
    }

    /// Make the last good model the active one again. `None` when there is none.
    pub(crate) fn return_to_last_good(&mut self, cause: Cause, reason: &str) -> Option<Change> {
        let to = self.last_good.take()?;
        let from = self.active.replace(to.clone())?;
        self.last_good = self.trial.take().and_then(|trial| trial.before);
        if cause != Cause::Unreadable {
            // A damaged file says nothing about the model: a fresh copy of it is welcome.
            self.refuse(&from, reason);
        }
        let reason = shortened(reason);
        Some(self.moved(|number| Change::RolledBack { number, from, to, cause, reason }))
    }

    /// The active model failed its trial and nothing can take its place. `None` when that was said already.
    pub(crate) fn retire(&mut self, cause: Cause, reason: &str) -> Option<Change> {
        let model = self.active.clone()?;
        let trial = self.trial.as_mut()?;
        if trial.starts_left == 0
            && matches!(&self.last_change, Some(Change::Retired { model: said, .. }) if *said == model)
        {
            return None;
        }
        trial.starts_left = 0;
        self.refuse(&model, reason);
        let reason = shortened(reason);
        Some(self.moved(|number| Change::Retired { number, model, cause, reason }))
    }

    fn refuse(&mut self, model: &Named, reason: &str) {
        self.refused.retain(|refused| refused.model != *model);
        self.refused.push(Refused { model: model.clone(), reason: shortened(reason) });
        let n_forgotten = self.refused.len().saturating_sub(MAX_REFUSED);
        self.refused.drain(..n_forgotten);
    }

    fn moved(&mut self, change: impl FnOnce(u64) -> Change) -> Change {
        self.number += 1;
        let change = change(self.number);
        self.last_change = Some(change.clone());
        change
    }
}

fn shortened(reason: &str) -> String {
    reason.chars().take(MAX_REASON).collect()
}

fn checksum(state: &State) -> Result<String, serde_json::Error> {
    Ok(hex(&Sha256::digest(serde_json::to_vec(state)?)))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
