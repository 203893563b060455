//! How long the rest of a run may take.

use std::time::Duration;

/// One stage of a run, before it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    /// The name that it announces itself with.
    pub(crate) name: String,
    /// Images (of a pair both views) that it trains on; 0 for a stage without steps.
    pub(crate) images: u64,
}

impl Planned {
    /// A stage without optimiser steps.
    pub(crate) fn untrained(name: impl Into<String>) -> Self {
        Self { name: name.into(), images: 0 }
    }
}

/// Time for the stages after `stage`, when one image costs there what it costs in `stage`, which takes `whole` in all.
///
/// Distillation costs less than that (its teacher only answers), so the run tends to be done earlier. What is not training is not
/// counted. `None` when `stage` is not planned or trains on nothing.
pub(super) fn later(planned: &[Planned], stage: &str, whole: Duration) -> Option<Duration> {
    let place = planned.iter().position(|planned| planned.name == stage)?;
    let here = planned[place].images;
    let later: u64 = planned[place + 1..].iter().map(|planned| planned.images).sum();
    (here > 0).then(|| whole.mul_f64(later as f64 / here as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_stages_take_time_by_their_images() {
        let stage = |name: &str, images| Planned { name: name.to_owned(), images };
        let planned =
            [stage("pretrain", 100), stage("contrast", 400), Planned::untrained("quantise"), stage("distil", 50)];
        let a_minute = Duration::from_secs(60);
        assert_eq!(later(&planned, "pretrain", a_minute), Some(Duration::from_secs(270)));
        assert_eq!(later(&planned, "distil", a_minute), Some(Duration::ZERO));
        assert_eq!(later(&planned, "quantise", a_minute), None);
        assert_eq!(later(&planned, "another", a_minute), None);
    }
}
