//! Signals that ask for a stop: the running stage saves and the program ends with code 75.
//!
//! Ctrl-C, SIGTERM, SLURM's warning before a time limit or pre-emption (`--signal=USR1@60`), and SIGHUP of a terminal that closes.
//! Launchers and schedulers may send one more than once (`srun` and `mpirun` both hand it on), so only a second Ctrl-C, which a person
//! typed, ends the program at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// A flag that the first signal sets.
pub(crate) fn on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let ignored = ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
    for signal in [SIGINT, SIGTERM, SIGUSR1, SIGHUP] {
        // `nohup` ignores SIGHUP, a shell SIGINT of what it runs in the background: they mean it.
        if ignored >> (signal - 1) & 1 == 1 {
            continue;
        }
        if signal == SIGINT {
            // Order matters: the shutdown looks at the flag before this signal sets it.
            let shutdown = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop));
            shutdown.context("watching for Ctrl-C")?;
        }
        flag::register(signal, Arc::clone(&stop)).context("watching for signals")?;
    }
    Ok(stop)
}

/// Bit `n - 1` is set where signal `n` was ignored when the program began, as Linux's `/proc/self/status` says.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_ignores_is_read_from_the_mask() {
        // `nohup cat /proc/self/status`: SIGHUP is signal 1.
        assert_eq!(ignored("Name:\tcat\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\n"), 1);
        assert_eq!(ignored("SigIgn:\t0000000000001002\n") >> (SIGINT - 1) & 1, 1);
        assert_eq!(ignored(""), 0);
    }
}
