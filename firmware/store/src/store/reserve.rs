//! A little room kept for the day the disk is full: removing answers writes to the log before it frees anything.

use crate::lock::beside;
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{self, OpenOptions};
use std::path::Path;

/// Enough for the log of one batch of removals, several times over.
const BYTES: u64 = 1 << 20;

/// Keeps the room, where there is some and the file system can promise it. The store works without.
pub(super) fn set_aside(path: &Path) {
    let place = beside(path, ".reserve");
    let kept = OpenOptions::new().write(true).create(true).truncate(false).open(&place);
    if kept.is_ok_and(|file| fallocate(&file, FallocateFlags::empty(), 0, BYTES).is_err()) {
        let _half_kept = fs::remove_file(&place);
    }
}

/// Gives the room back to the disk. False when there was none.
pub(super) fn give_up(path: &Path) -> bool {
    fs::remove_file(beside(path, ".reserve")).is_ok()
}
