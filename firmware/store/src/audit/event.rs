//! What is worth a line of the audit log.

use super::Changed;
use serde::{Deserialize, Serialize};

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970-01-01 UTC by the device's own clock.
    pub unix_ms: u64,
    /// Which start of the device: [`Opened::boot`](crate::Opened::boot).
    pub boot: u64,
}

/// Something that changes what the device does. Holds no patient data, no token and no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The device's program started.
    Started {
        /// Its version.
        version: String,
    },
    /// It ended by itself.
    Stopped {
        /// Why.
        reason: String,
    },
    /// A configuration is in force.
    Configuration {
        /// SHA-256 of all settings in words, in hexadecimal.
        digest: String,
        /// Settings that differ from the configuration before, and their values from now on: none for one that is gone.
        changed: Changed,
    },
    /// A bundle answers from the start on: said at every start, so that no move that a power cut kept out of the log goes unseen.
    BundleInUse {
        /// SHA-256 of the bundle in hexadecimal.
        digest: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// A bundle was put on the device.
    BundleInstalled {
        /// SHA-256 of the bundle in hexadecimal.
        digest: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Rules that would have refused it, had the operator not said otherwise: `downgrade`, `other_name`, `refused_before`.
        overrides: Vec<String>,
    },
    /// A bundle answers from now on.
    BundleActivated {
        /// SHA-256 of the bundle in hexadecimal.
        digest: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// As for [`Event::BundleInstalled`].
        overrides: Vec<String>,
    },
    /// The device went back to this bundle.
    BundleRolledBack {
        /// SHA-256 of the bundle in hexadecimal.
        digest: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Why.
        reason: String,
    },
    /// A bundle was not accepted. What it says of itself may be a lie.
    BundleRefused {
        /// SHA-256 of the bundle in hexadecimal.
        digest: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Why.
        reason: String,
    },
    /// The clock was set.
    ClockJumped {
        /// By how much, in milliseconds.
        by_ms: i64,
    },
    /// Bundles are checked, or people logged in, by other keys.
    KeyChanged {
        /// Files that differ from the ones before, and the SHA-256 of each from now on: none for one that no longer counts.
        changed: Changed,
    },
    /// Somebody logged in, or tried to.
    OperatorLogin {
        /// Whether it was the right token.
        ok: bool,
    },
    /// Wrong tokens that are not written one by one.
    LoginsRefused {
        /// How many since the last line about logins.
        count: u64,
    },
    /// Somebody who was logged in did something.
    OperatorAction {
        /// What.
        what: String,
    },
    /// Answers cannot be kept.
    StoreFault {
        /// Why.
        what: String,
    },
    /// Answers are kept again.
    StoreRecovered,
    /// The line that should be here was never finished.
    ChainRestarted {
        /// How much of it there was.
        torn_bytes: u64,
        /// The file beside the log that keeps it.
        kept_in: String,
    },
}
