//! The server over real sockets: what it shows, whom it lets in, and what it survives.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod access;
mod client;
#[path = "../device/mod.rs"]
mod device;
mod hostile;
mod pages;
mod slow;
