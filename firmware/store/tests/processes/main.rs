//! The store and the audit log where processes are killed and disks fill up.
//!
//! A program of its own: until a process that was forked off becomes another program it holds its parent's locks, so a store
//! that another test has just let go may seem to be in use.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod disk;
mod kill;
#[path = "../store/sample.rs"]
mod sample;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// For the same reason the tests here run one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
