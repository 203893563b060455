//! The models on a device: installed, active, last good one.
//!
//! A folder of bundle files named by their digest and one pointer file that says which of them answers. Whatever happens, a
//! power cut at any step included, the pointer names the model it named before or the one it should name after, and no bundle
//! is handed out whose signature was not checked at that moment. A newly activated model is on trial: it has so many starts
//! to give so many healthy answers, else the last good one returns by itself. `SLOTS.md` beside this crate's manifest
//! specifies the folder and gives the argument.
//!
//! This crate runs no model (callers hand in what proves one), reads no clock and writes no log: every outcome is a
//! [`Change`] for the caller's audit log.

mod activate;
mod change;
mod digest;
mod disk;
mod error;
mod health;
mod install;
mod slots;
mod state;
mod version;

pub use change::{Cause, Change, Named, OnTrial, Override, Step};
pub use digest::Digest;
pub use disk::{Disk, Folder, Found};
pub use error::{
    ActivateError, InstallError, NameError, Refusal, RemoveError, ReturnError, SlotsError, StartError, StateError,
};
pub use health::Started;
pub use slots::{Allow, Content, MAX_BUNDLE_BYTES, Role, Slot, Slots, TrialRules};
