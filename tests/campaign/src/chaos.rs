//! The device killed at random moments, its files torn, its disk full and read-only: nothing that was acknowledged is lost, nothing is
//! answered twice, and the audit chain verifies or names its break.

mod books;
mod disks;
mod kills;
mod torn;

use crate::{Outcome, Scale, Table};
use remedis_programs::Yard;

/// Runs all parts, each in a yard of its own.
///
/// # Errors
/// When the programs are not built, or something around the device fails: the promises are then neither kept nor broken.
pub fn run(scale: Scale, seed: u64) -> anyhow::Result<Outcome> {
    let n_kills = match scale {
        Scale::Small => 200,
        Scale::Full => 1000,
    };
    let mut outcome = kills::run(&yard()?, n_kills, seed)?;
    outcome.and(torn::run(&yard()?, seed)?);
    outcome.and(disks::run(yard)?);
    Ok(outcome)
}

fn yard() -> anyhow::Result<Yard> {
    Yard::find()?.ok_or_else(|| anyhow::anyhow!("a built device and a tiny run are needed (see above)"))
}

/// What became of the images of one input.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    acknowledged: usize,
    journalled: usize,
    lost: usize,
    twice: usize,
}

impl Fate {
    const COLUMNS: [&'static str; 6] = ["input", "given", "acknowledged", "journalled", "lost", "twice"];

    fn row(&self, table: &mut Table, input: &str, given: &str) {
        table.row(&[&input, &given, &self.acknowledged, &self.journalled, &self.lost, &self.twice]);
    }

    /// The promises that this breaks.
    fn broken(&self, input: &str, when: &str) -> Option<String> {
        let Self { lost, twice, .. } = self;
        (lost + twice > 0)
            .then(|| format!("{input}, {when}: {lost} acknowledged answers are lost, {twice} were given twice"))
    }
}
