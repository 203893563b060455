//! `cargo xtask sanitize`: the tests of kernels and plans under AddressSanitizer.
//!
//! The kernels are the only `unsafe` of the runtime: a read past a buffer's end gives right answers until it does not. Of the
//! other tools, ThreadSanitizer and MemorySanitizer need a standard library built with them (`-Zbuild-std`, so `rust-src`), and
//! Miri needs `rust-src` and does not know the vector instructions; none is used here.

use anyhow::Result;

use crate::nightly::{self, HOST};
use crate::step::{self, Outcome, execute};

/// Cases of each property; the sanitizer makes them a few times slower than the tests of `cargo xtask check` run them.
const PROPTEST_CASES: &str = "64";

/// Run the tests, documentation tests apart.
///
/// # Errors
/// If one fails or touches memory that is not its own.
pub(crate) fn run() -> Result<Outcome> {
    let mut cargo = match nightly::cargo("-Zsanitizer=address", &step::cache().join("sanitize")) {
        Ok(cargo) => cargo,
        Err(skipped) => return Ok(skipped),
    };
    cargo
        .args(["test", "-q", "--target", HOST, "--lib", "--tests", "-p", "remedis-kernels", "-p", "remedis-plan"])
        .current_dir(step::root())
        .env("PROPTEST_CASES", PROPTEST_CASES);
    execute(&mut cargo).map(|()| Outcome::Passed)
}
