//! Ctrl-C and SIGTERM ask for a stop: the running stage saves and the program ends. A second one ends it at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A flag that the first signal sets.
pub(crate) fn on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Order matters: the shutdown looks at the flag before this signal sets it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop)).context("watching for Ctrl-C")?;
        flag::register(signal, Arc::clone(&stop)).context("watching for Ctrl-C")?;
    }
    Ok(stop)
}
