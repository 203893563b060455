//! What happened to the models: one value an outcome, for an audit log.

use std::fmt;

use remedis_bundle::Bundle;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// One model, so that people know it and nothing else can be meant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// SHA-256 of its bundle's payload.
    pub digest: Digest,
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
}

impl Named {
    /// The model in `bundle`.
    ///
    /// # Panics
    /// Never: a bundle's digest is a SHA-256.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        let manifest = bundle.manifest();
        let digest = Digest::parse(bundle.digest()).expect("a bundle's digest is 64 lower-case hexadecimal digits");
        Self { digest, name: manifest.name.clone(), version: manifest.version.clone() }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short: String = self.digest.as_str().chars().take(12).collect();
        write!(out, "{} {} ({short})", self.name, self.version)
    }
}

/// What a model on trial has left to show.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OnTrial {
    /// Starts of the program that are left, the present one not counted.
    pub starts_left: u32,
    /// Healthy answers in one run that make it good.
    pub answers: u32,
}

/// Why a model lost its place.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// An operator said so.
    Operator,
    /// The device found it unhealthy while it ran.
    Health,
    /// It used up the starts of its trial without enough healthy answers.
    StartsUsedUp,
    /// Its file is missing, damaged, or no longer by a trusted key.
    Unreadable,
    /// It could not be made ready: its golden vectors came out wrong here, or the program cannot run it.
    NotReady,
}

/// What was tried when something was refused.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Taking a bundle in.
    Install,
    /// Making an installed one the active one.
    Activate,
}

/// A rule that would have refused a model, had the operator not said otherwise.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    /// Its version is lower than the highest that was good here, or has no order with it.
    Downgrade,
    /// Its name is not that of the active model.
    OtherName,
    /// It lost its place here before.
    RefusedBefore,
}

impl Override {
    /// As the audit log calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Downgrade => "downgrade",
            Self::OtherName => "other_name",
            Self::RefusedBefore => "refused_before",
        }
    }
}

/// An outcome for the audit log.
///
/// Moves of the pointer carry a `number` that grows by one each time and is kept with the pointer: a log whose last number is
/// lower than [`crate::Slots::last_change`]'s lost its last entry to a power cut, and can be completed from there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Change {
    /// A bundle was taken in; nothing uses it yet.
    Installed {
        /// The model.
        model: Named,
        /// What the operator allowed.
        overrides: Vec<Override>,
        /// The same bundle was there and good already.
        was_there: bool,
    },
    /// A model is the active one from the next start on, on trial.
    Activated {
        /// Of this move.
        number: u64,
        /// The model.
        model: Named,
        /// The active one before.
        from: Option<Named>,
        /// What it has to show.
        trial: OnTrial,
        /// What the operator allowed.
        overrides: Vec<Override>,
    },
    /// The active model's trial has ended well.
    MarkedGood {
        /// Of this move.
        number: u64,
        /// The model.
        model: Named,
    },
    /// The last good model is the active one again.
    RolledBack {
        /// Of this move.
        number: u64,
        /// The model that lost its place.
        from: Named,
        /// The last good one.
        to: Named,
        /// Who or what moved it.
        cause: Cause,
        /// In words.
        reason: String,
    },
    /// A model failed its trial and there is no good one to return to: none answers until another is activated.
    Retired {
        /// Of this move.
        number: u64,
        /// The model.
        model: Named,
        /// What it failed by.
        cause: Cause,
        /// In words.
        reason: String,
    },
    /// A bundle's file is gone.
    Removed {
        /// Which one it was.
        digest: Digest,
    },
    /// Something was asked for and not done; nothing changed.
    Refused {
        /// What was asked for.
        step: Step,
        /// The model, where the bundle is genuine.
        model: Option<Named>,
        /// In words.
        reason: String,
    },
}

impl Change {
    /// A refusal for the reason that `error` and its causes give.
    pub(crate) fn refused(step: Step, model: Option<Named>, error: &dyn std::error::Error) -> Self {
        Self::Refused { step, model, reason: in_words(error) }
    }
}

/// An error and its causes in one line.
pub(crate) fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed { model, was_there: true, .. } => write!(out, "{model} was installed already"),
            Self::Installed { model, overrides, .. } => write!(out, "installed {model}{}", allowed(overrides)),
            Self::Activated { model, trial, overrides, .. } => {
                let OnTrial { starts_left, answers } = trial;
                write!(out, "activated {model}{}: {starts_left} starts to give {answers} answers", allowed(overrides))
            }
            Self::MarkedGood { model, .. } => write!(out, "{model} is good"),
            Self::RolledBack { from, to, reason, .. } => write!(out, "returned from {from} to {to}: {reason}"),
            Self::Retired { model, reason, .. } => write!(out, "{model} is retired, no model answers: {reason}"),
            Self::Removed { digest } => write!(out, "removed {digest}"),
            Self::Refused { step: Step::Install, reason, .. } => write!(out, "did not install: {reason}"),
            Self::Refused { step: Step::Activate, reason, .. } => write!(out, "did not activate: {reason}"),
        }
    }
}

fn allowed(overrides: &[Override]) -> String {
    let words = |which: &Override| match which {
        Override::Downgrade => ", a downgrade that was allowed",
        Override::OtherName => ", of another name, which was allowed",
        Override::RefusedBefore => ", which failed here before and was allowed",
    };
    overrides.iter().map(words).collect()
}
