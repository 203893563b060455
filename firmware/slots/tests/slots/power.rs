//! The power goes at every step of every operation, and takes of what was not synced whatever it can.

use std::collections::BTreeSet;

use crate::rig::disk::{Image, SimulatedDisk};
use crate::rig::scenario::{LIFE, Operation, start};
use crate::rig::{View, bundles, fit, view};
use remedis_slots::Slots;

/// What a device does with a disk: what it sees, which model it starts, and what it sees then.
type Outlook = (View, Option<String>, View);

#[derive(Debug, Default)]
struct Tally {
    /// Moments at which the power went.
    cuts: u64,
    /// Disks that it left.
    disks: u64,
    /// As before the operation.
    old: u64,
    /// As after it.
    new: u64,
    /// Anything else.
    broken: Vec<String>,
}

fn outlook(image: Image) -> Result<Outlook, String> {
    let disk = SimulatedDisk::of(image);
    let mut slots = Slots::on(disk.clone(), bundles::trusted()).map_err(|error| format!("{error:?}"))?;
    let seen = view(&slots, &disk);
    let running = slots.start(fit).ok().map(|started| started.model);
    let afterwards = view(&slots, &disk);
    Ok((seen, running, afterwards))
}

/// Cuts the power at every step of `operation`, and `depth` times more at every step of the start that follows.
fn cut_everywhere(
    tally: &mut [Tally],
    name: &str,
    disk: &SimulatedDisk,
    slots: &mut Slots<SimulatedDisk>,
    operation: Operation,
) {
    let (tally, deeper) = tally.split_first_mut().unwrap();
    let before = outlook(disk.image()).unwrap();
    let mut moments = vec![disk.image()];
    disk.take_history();
    operation(slots).unwrap();
    moments.extend(disk.take_history());
    let after = outlook(disk.image()).unwrap();
    let mut started_again = BTreeSet::new();
    for moment in moments {
        tally.cuts += 1;
        for survivor in moment.survivors() {
            tally.disks += 1;
            match outlook(survivor.clone()) {
                Ok(found) if found == before => tally.old += 1,
                Ok(found) if found == after => tally.new += 1,
                found => tally.broken.push(format!("{name}: {found:#?}\nbefore {before:#?}\nafter {after:#?}")),
            }
            // What is in an unfinished file is for the first cut to try.
            let mut visible = survivor.visible();
            visible
                .iter_mut()
                .filter(|(name, _)| name.starts_with(".unfinished-"))
                .for_each(|(_, bytes)| bytes.clear());
            let can_start = before.1.is_some() && after.1.is_some();
            if !deeper.is_empty() && can_start && started_again.insert(visible) {
                let disk = SimulatedDisk::of(survivor);
                let mut slots = Slots::on(disk.clone(), bundles::trusted()).unwrap();
                cut_everywhere(deeper, &format!("start after {name}"), &disk, &mut slots, start);
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_or_the_new_models() {
    let disk = SimulatedDisk::default();
    let mut slots = Slots::on(disk.clone(), bundles::trusted()).unwrap();
    let mut tally = [Tally::default(), Tally::default()];
    for step in LIFE {
        cut_everywhere(&mut tally, step.name, &disk, &mut slots, step.operation);
    }
    for (tally, what) in tally.iter().zip(["one cut", "a second cut while starting again"]) {
        let Tally { cuts, disks, old, new, broken } = tally;
        println!("{what}: {cuts} moments, {disks} different disks: {old} old, {new} new, {} broken", broken.len());
    }
    let broken: Vec<_> = tally.iter().flat_map(|tally| &tally.broken).collect();
    assert!(broken.is_empty(), "{} broken, the first: {}", broken.len(), broken[0]);
    let has_teeth = tally[0].disks > 1000 && tally.iter().all(|tally| tally.old > 500 && tally.new > 50);
    assert!(has_teeth, "the test has lost its teeth: {tally:?}");
}

/// The test above can fail: with a disk that forgets to sync, its claim is false.
#[test]
fn without_syncing_a_power_cut_would_be_noticed() {
    let disk = SimulatedDisk::that_never_syncs();
    let mut slots = Slots::on(disk.clone(), bundles::trusted()).unwrap();
    for step in &LIFE[..5] {
        (step.operation)(&mut slots).unwrap();
    }
    let whole = outlook(disk.image()).unwrap();
    let survivors = disk.image().survivors();
    assert!(survivors.into_iter().any(|survivor| outlook(survivor).ok() != Some(whole.clone())));
}
