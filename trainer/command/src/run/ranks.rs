//! What a rank owes the others: to take them along when it fails, as they would wait for it for ever.

use anyhow::Result;
use remedis_ranks::Ranks;
use remedis_train::TrainError;

/// Ends all ranks when this one fails or panics.
pub(super) struct Guard {
    ranks: Ranks,
    is_armed: bool,
}

impl Guard {
    pub(super) fn of(ranks: &Ranks) -> Self {
        Self { ranks: ranks.clone(), is_armed: ranks.are_several() }
    }

    /// Looks at how this rank ended: what all ranks ended alike, by an interruption too, needs no more.
    pub(super) fn release<T>(mut self, outcome: &Result<T>) {
        let failure = outcome.as_ref().err().filter(|error| !is_interruption(error));
        if let (Some(error), true) = (failure, self.is_armed) {
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

fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TrainError::Interrupted { .. }))
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_armed {
            self.ranks.abort(2);
        }
    }
}
