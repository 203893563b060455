//! The store and the audit log by their public door: what they keep, what they refuse, and what survives power cuts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod answers;
mod audit;
mod opening;
mod retention;
mod sample;
mod torn;

/// A folder in memory where the system has one, for tests of thousands of commits that no real power cut interrupts.
fn folder_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_no_such_folder| tempfile::tempdir()).unwrap()
}
