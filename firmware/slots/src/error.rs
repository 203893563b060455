//! Why something was not done. Unless a variant says otherwise, nothing changed.

use remedis_bundle::OpenBundleError;

use crate::change::{Change, Named, Step};

/// What every operation can meet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotsError {
    /// Two writers would undo each other's work.
    #[error("another program is changing the models now: try again when it is done")]
    InUse,
    /// The disk refused. Where it is the last step that failed (`syncing the folder`), the change may have happened or not;
    /// the pointer is whole either way.
    #[error("the models' disk failed while {doing}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The pointer file is there and says nothing that can be relied on.
    #[error("state.json cannot be relied on: move it away, keep it for inquiry, and activate a model anew")]
    State(#[from] StateError),
}

/// Why the pointer file is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Not the JSON it should be.
    #[error("it cannot be read as JSON")]
    Json(#[from] serde_json::Error),
    /// Bytes changed after it was written.
    #[error("it is damaged: its content should have sha256 {expected}, found {found}")]
    Damaged {
        /// As it says.
        expected: String,
        /// As computed.
        found: String,
    },
    /// From the future.
    #[error("it has version {found}, this program reads {supported}: update the program")]
    Newer {
        /// Version found.
        found: u32,
        /// Version that is read.
        supported: u32,
    },
    /// It contradicts itself.
    #[error("it contradicts itself: {reason}")]
    Contradiction {
        /// What contradicts what.
        reason: &'static str,
    },
}

/// A genuine bundle that is not wanted without the operator's word. The word is one of [`crate::Allow`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A step back.
    #[error(
        "{model} would be a downgrade: version {highest} was good here already; allow downgrades to take it all the same"
    )]
    Downgrade {
        /// The model.
        model: Named,
        /// Highest version of this name that was good here.
        highest: String,
    },
    /// Another kind of model.
    #[error("{model} is another model than the active {active}; allow other names to take it all the same")]
    OtherName {
        /// The model.
        model: Named,
        /// Name of the active one.
        active: String,
    },
    /// It had its chance.
    #[error("{model} lost its place here before ({reason}); allow refused models to try it again")]
    RefusedBefore {
        /// The model.
        model: Named,
        /// What was said then.
        reason: String,
    },
}

impl Refusal {
    fn model(&self) -> &Named {
        match self {
            Self::Downgrade { model, .. } | Self::OtherName { model, .. } | Self::RefusedBefore { model, .. } => model,
        }
    }
}

/// Why a digest's beginning names no bundle.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// None is installed.
    #[error("no installed model's digest begins with {prefix:?}")]
    NotInstalled {
        /// What was asked for.
        prefix: String,
    },
    /// Several are.
    #[error("the digests of {n} installed models begin with {prefix:?}: give more of it")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many there are.
        n: usize,
    },
}

/// Why a bundle is not installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Busy, or the disk.
    #[error(transparent)]
    Slots(#[from] SlotsError),
    /// The bundle could not be read from where it comes.
    #[error("the bundle cannot be read from its source")]
    Source(#[source] std::io::Error),
    /// More than is taken.
    #[error("the bundle has more than {limit} bytes, which is all that is taken here")]
    TooLarge {
        /// Most bytes that are taken.
        limit: u64,
    },
    /// The disk did not keep what was written.
    #[error("the disk gave back other bytes than were written: sha256 {written} became {found}; it may be failing")]
    ReadBack {
        /// SHA-256 of what was written.
        written: String,
        /// SHA-256 of what was read back.
        found: String,
    },
    /// Not a bundle by a trusted key.
    #[error("the bundle is not accepted")]
    Untrusted(#[source] OpenBundleError),
    /// Not without the operator's word.
    #[error(transparent)]
    NotAllowed(#[from] Refusal),
}

impl InstallError {
    /// For the audit log.
    #[must_use]
    pub fn change(&self) -> Change {
        let model = match self {
            Self::NotAllowed(refusal) => Some(refusal.model().clone()),
            _ => None,
        };
        Change::refused(Step::Install, model, self)
    }
}

/// Why a model is not activated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivateError {
    /// Busy, or the disk.
    #[error(transparent)]
    Slots(#[from] SlotsError),
    /// Which one?
    #[error(transparent)]
    Name(#[from] NameError),
    /// The file is no longer a bundle by a trusted key.
    #[error("the installed bundle is not accepted any more: install it again")]
    Untrusted(#[source] OpenBundleError),
    /// Not without the operator's word.
    #[error(transparent)]
    NotAllowed(#[from] Refusal),
    /// Nothing to do.
    #[error("{model} is the active model already")]
    AlreadyActive {
        /// The model.
        model: Named,
    },
    /// A good model needs no trial.
    #[error("{model} is the last good model, while another is on trial: roll back to it instead")]
    IsLastGood {
        /// The model.
        model: Named,
    },
    /// It does not do here what it did where it was made.
    #[error("{model} did not prove itself on this device: {reason}")]
    NotProven {
        /// The model.
        model: Named,
        /// What was wrong.
        reason: String,
    },
}

impl ActivateError {
    /// For the audit log.
    #[must_use]
    pub fn change(&self) -> Change {
        let model = match self {
            Self::NotAllowed(refusal) => Some(refusal.model().clone()),
            Self::AlreadyActive { model } | Self::IsLastGood { model } | Self::NotProven { model, .. } => {
                Some(model.clone())
            }
            _ => None,
        };
        Change::refused(Step::Activate, model, self)
    }
}

/// Why there is no return to the last good model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReturnError {
    /// Busy, or the disk.
    #[error(transparent)]
    Slots(#[from] SlotsError),
    /// There is no other good model.
    #[error("there is no last good model to return to; the active one keeps its place")]
    NoLastGood,
    /// There is one, but its file cannot be read, or is no longer a bundle by a trusted key.
    #[error("the last good model {model} cannot be used; the active one keeps its place")]
    Untrusted {
        /// The last good model.
        model: Named,
        /// What is wrong with it.
        source: Box<OpenBundleError>,
    },
}

/// Why a bundle's file is not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// Busy, or the disk.
    #[error(transparent)]
    Slots(#[from] SlotsError),
    /// Which one?
    #[error(transparent)]
    Name(#[from] NameError),
    /// The device needs it.
    #[error("{model} is active or may have to return: activate another model first")]
    Needed {
        /// The model.
        model: Named,
    },
}

/// Why the program has no model to answer with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Busy, or the disk.
    #[error(transparent)]
    Slots(#[from] SlotsError),
    /// Nobody has activated one.
    #[error("no model is active: install a bundle and activate it")]
    NothingActive,
    /// The active one cannot be used, nor can the last good one.
    #[error("no model can be used, {reason}: install and activate a good one")]
    NoModel {
        /// The active model.
        active: Named,
        /// What is wrong with it, and with the last good one.
        reason: String,
        /// [`Change::Retired`] if this start has used up the trial; for the audit log.
        changes: Vec<Change>,
    },
}
