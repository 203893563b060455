//! Our own link: a million frames over lines that do everything wrong, and how much of a line is image.
//!
//! Simulated: bytes and time are numbers, so a seed decides and the number of threads does not.

mod bench;
mod errors;
mod share;

use crate::{Outcome, Scale};

/// Runs both parts.
///
/// # Errors
/// Never; the signature is that of all campaigns.
pub fn run(scale: Scale, seed: u64) -> anyhow::Result<Outcome> {
    let (errors, mut broken) = errors::run(scale, seed);
    let (share, too_slow) = share::run(scale);
    broken.extend(too_slow);
    Ok(Outcome { tables: vec![errors, share], broken })
}
