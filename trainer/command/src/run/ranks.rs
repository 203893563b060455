//! What a process owes the others of its launch: to take them along when it fails, as they would wait for it for ever.

use anyhow::Result;
use remedis_ranks::Ranks;

use super::Outcome;

/// Ends all ranks when this one fails or panics.
pub(super) struct Guard {
    ranks: Ranks,
    is_armed: bool,
}

impl Guard {
    pub(super) fn of(ranks: &Ranks) -> Self {
        Self { ranks: ranks.clone(), is_armed: ranks.are_several() }
    }

    /// Looks at how this rank ended: what all ranks ended alike needs no more.
    pub(super) fn release(mut self, outcome: &Result<Outcome>) {
        if let (Err(error), true) = (outcome, self.is_armed) {
            eprintln!(
                "error: rank {} of {} failed, which ends all ranks: {error:#}\nthe same command goes on from the last checkpoint",
                self.ranks.rank(),
                self.ranks.count()
            );
            self.ranks.abort(2);
        }
        self.is_armed = false;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_armed {
            self.ranks.abort(2);
        }
    }
}
