//! Long campaigns against the device: what they tried, how often, and what came of it, as a table.
//!
//! `cargo xtask campaign --list` names them, `cargo xtask campaign NAME` runs one in full; their small forms are tests. A campaign is
//! deterministic by its seed wherever it simulates, fails when a promise is broken, and prints the table either way.

pub mod chaos;
mod fault;
mod line;
pub mod link;
pub mod openmv;
mod pieces;
pub mod soak;
mod table;

pub use table::Table;

/// How much to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Seconds: the form that is a test.
    Small,
    /// Minutes to hours: the form whose table is quoted.
    Full,
}

/// A campaign by its name.
pub struct Campaign {
    /// As the command line calls it.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Runs it from a seed.
    pub run: fn(Scale, u64) -> anyhow::Result<Outcome>,
}

/// What came of a campaign.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was tried and found.
    pub tables: Vec<Table>,
    /// Promises that were broken, in words; empty when all were kept.
    pub broken: Vec<String>,
}

impl Outcome {
    /// Takes another part's outcome in.
    fn and(&mut self, part: Self) {
        self.tables.extend(part.tables);
        self.broken.extend(part.broken);
    }
}

/// All campaigns.
pub const ALL: &[Campaign] = &[
    Campaign {
        name: "link",
        about: "our own link: a million frames with errors of every kind, and the share of the line that is image",
        run: link::run,
    },
    Campaign {
        name: "openmv",
        about: "OpenMV's protocol: 100,000 frames with errors of every kind, and the share of the line that is image",
        run: openmv::run,
    },
    Campaign {
        name: "chaos",
        about: "the device: a thousand SIGKILLs over all inputs, torn writes, a full and a read-only disk",
        run: chaos::run,
    },
    Campaign {
        name: "soak",
        about: "the device: 50,000 images over link and folder at once; memory, latency by stage, age of what is shown",
        run: soak::run,
    },
];
