//! The wish to end, known to every thread at once.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Set once, never unset.
#[derive(Debug, Default)]
pub struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Asks every thread to end.
    pub fn set(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether it is time to end.
    pub fn is_set(&self) -> bool {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is time to end, at most `limit`; tells whether it is.
    pub fn wait(&self, limit: Duration) -> bool {
        let guard = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _timeout) =
            self.changed.wait_timeout_while(guard, limit, |is_set| !*is_set).unwrap_or_else(PoisonError::into_inner);
        *guard
    }
}
