//! Every call to the disk fails once, in every operation.

use std::io::ErrorKind;

use crate::rig::disk::SimulatedDisk;
use crate::rig::scenario::{LIFE, Step};
use crate::rig::{bundles, fit, open, view};
use remedis_slots::{Allow, InstallError, Slots, TrialRules};

/// The disk and the program before operation `index` of the device's life.
fn before(index: usize) -> (SimulatedDisk, Slots<SimulatedDisk>) {
    let disk = SimulatedDisk::default();
    let mut slots = open(&disk);
    for step in &LIFE[..index] {
        (step.operation)(&mut slots).unwrap();
    }
    (disk, slots)
}

#[test]
fn a_call_that_fails_is_told_and_leaves_the_old_models() {
    let (mut n_faults, mut n_told) = (0, 0);
    for (index, Step { name, operation, is_start }) in LIFE.iter().enumerate() {
        let (disk, mut slots) = before(index);
        let old = view(&slots, &disk);
        operation(&mut slots).unwrap();
        let new = view(&slots, &disk);
        for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
            for n in 1.. {
                let (disk, mut slots) = before(index);
                disk.fail_call(n, kind);
                let told = operation(&mut slots);
                let Some(call) = disk.heal() else { break };
                n_faults += 1;
                n_told += u32::from(told.is_err());
                let found = view(&open(&disk), &disk);
                let where_ = format!("{name}: call {n}, {call}, {kind}: {told:?}");
                // Names that could not be synced may have been kept, and a start that fails later is counted.
                let may_be_new = told.is_ok() || call == "sync_folder" || *is_start;
                assert!(found == old || may_be_new && found == new, "{where_}: {found:#?}");
                let again = operation(&mut slots);
                assert!(again.is_ok() || call == "sync_folder", "{where_}, then {again:?}");
                if !may_be_new {
                    assert_eq!(view(&open(&disk), &disk), new, "{where_}, then again");
                }
            }
        }
    }
    println!("{n_faults} faults in {} operations: {n_told} told, the rest harmless", LIFE.len());
    assert!(n_told > 300, "the test has lost its teeth: {n_told}");
}

#[test]
fn a_disk_that_writes_other_bytes_is_found_out_before_the_bundle_gets_a_name() {
    let disk = SimulatedDisk::default();
    let mut slots = open(&disk);
    disk.miswrite();
    let error = slots.install(bundles::sealed("cells", "1").as_slice(), Allow::default()).unwrap_err();
    assert!(matches!(error, InstallError::ReadBack { .. }), "{error}");
    assert_eq!(slots.list().unwrap().len(), 0);
}

#[test]
fn on_a_full_disk_the_last_good_model_stands_in_for_one_on_trial() {
    let disk = SimulatedDisk::default();
    let mut slots = open(&disk);
    let (one, two) = (bundles::sealed("cells", "1"), bundles::sealed("cells", "2"));
    for bytes in [&one, &two] {
        slots.install(bytes.as_slice(), Allow::default()).unwrap();
        slots.activate(&bundles::digest(bytes), TrialRules::default(), Allow::default(), fit).unwrap();
        if bytes == &one {
            slots.start(fit).unwrap();
            slots.mark_good().unwrap();
        }
    }
    let pointer = disk.content("state.json");
    disk.refuse_writes(true);
    let started = slots.start(fit).unwrap();
    assert_eq!((started.model, started.trial), (bundles::digest(&one), None));
    assert!(started.stands_in.is_some() && started.changes.is_empty());
    assert_eq!([slots.answered().unwrap(), slots.mark_good().unwrap(), slots.fail("no").unwrap()], [None, None, None]);
    assert_eq!(disk.content("state.json"), pointer);
    disk.refuse_writes(false);
    let started = slots.start(fit).unwrap();
    assert_eq!((started.model, started.trial.unwrap().starts_left), (bundles::digest(&two), 2));
}

#[test]
fn a_good_model_starts_on_a_disk_that_takes_no_writes() {
    let (disk, mut slots) = before(5);
    disk.refuse_writes(true);
    let started = slots.start(fit).unwrap();
    assert!(started.stands_in.is_none() && started.changes.is_empty());
}
