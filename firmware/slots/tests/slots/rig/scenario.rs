//! A device's life in which every operation happens, each in every situation that it treats differently.

use remedis_bundle::SigningKey;
use remedis_slots::{Allow, InstallError, Slots, TrialRules};

use super::bundles::{digest, sealed, sealed_by};
use super::disk::SimulatedDisk;
use super::fit;

/// One operation; an error when it did not do what it does on a good disk.
pub(crate) type Operation = fn(&mut Slots<SimulatedDisk>) -> Result<(), String>;

const ALL: Allow = Allow { downgrade: true, other_name: true, refused_before: true };
const RULES: TrialRules = TrialRules { starts: 2, answers: 1 };

/// A named operation.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) operation: Operation,
    /// Whether it is counted although it fails.
    pub(crate) is_start: bool,
}

const fn step(name: &'static str, operation: Operation) -> Step {
    Step { name, operation, is_start: false }
}

const fn started(name: &'static str) -> Step {
    Step { name, operation: start, is_start: true }
}

/// In order; all succeed on a good disk.
pub(crate) const LIFE: &[Step] = &[
    step("start without a model", start_nothing),
    step("install the first", |slots| install(slots, "1")),
    step("activate the first", |slots| activate(slots, "1")),
    started("first start"),
    step("first answer makes it good", answer),
    started("start of a good model"),
    step("refuse a foreign bundle", refuse_foreign),
    step("install the second", |slots| install(slots, "2")),
    step("install the second again", |slots| install(slots, "2")),
    step("activate the second", |slots| activate(slots, "2")),
    started("its first start"),
    step("a clean stop", |slots| slots.end_cleanly().map_err(words)),
    started("its first start again"),
    step("its health fails", |slots| slots.fail("no answers").map(drop).map_err(words)),
    started("start of the last good"),
    step("activate the second once more", |slots| activate(slots, "2")),
    started("start it"),
    step("an answer makes it good", answer),
    step("install the third", |slots| install(slots, "3")),
    step("activate the third", |slots| activate(slots, "3")),
    started("it uses up a start"),
    started("and the last one"),
    started("so the last good returns"),
    step("remove the third", |slots| slots.remove(&digest(&sealed("cells", "3"))).map(drop).map_err(words)),
    step("roll back to the first", |slots| slots.rollback("an operator wants it").map(drop).map_err(words)),
    step("prune the second", |slots| slots.prune(0).map(drop).map_err(words)),
    step("install a downgrade", |slots| install(slots, "0.9")),
    step("activate the downgrade", |slots| activate(slots, "0.9")),
    started("start the downgrade"),
    step("it is good", answer),
];

pub(crate) fn start(slots: &mut Slots<SimulatedDisk>) -> Result<(), String> {
    let started = slots.start(fit).map_err(words)?;
    started.stands_in.map_or(Ok(()), Err)
}

fn start_nothing(slots: &mut Slots<SimulatedDisk>) -> Result<(), String> {
    match slots.start(fit) {
        Err(remedis_slots::StartError::NothingActive) => Ok(()),
        Err(error) => Err(words(error)),
        Ok(started) => panic!("{} is running", started.running),
    }
}

fn install(slots: &mut Slots<SimulatedDisk>, version: &str) -> Result<(), String> {
    slots.install(sealed("cells", version).as_slice(), ALL).map(drop).map_err(words)
}

fn refuse_foreign(slots: &mut Slots<SimulatedDisk>) -> Result<(), String> {
    let key = SigningKey::generate().unwrap();
    match slots.install(sealed_by(&key, "cells", "7").as_slice(), ALL) {
        Err(InstallError::Untrusted(_)) => Ok(()),
        Err(error) => Err(words(error)),
        Ok(change) => panic!("{change}"),
    }
}

fn activate(slots: &mut Slots<SimulatedDisk>, version: &str) -> Result<(), String> {
    slots.activate(&digest(&sealed("cells", version)), RULES, ALL, fit).map(drop).map_err(words)
}

fn answer(slots: &mut Slots<SimulatedDisk>) -> Result<(), String> {
    slots.answered().map(drop).map_err(words)
}

fn words(error: impl std::error::Error) -> String {
    error.to_string()
}
