//! Random lives with random power cuts keep the promises that no single operation shows.

use proptest::prelude::*;
use remedis_slots::{Allow, Change, InstallError, Refusal, Role, Slots, TrialRules};

use crate::rig::disk::SimulatedDisk;
use crate::rig::{bundles, fit, open, view};

/// Versions in rising order.
const VERSIONS: [&str; 4] = ["1", "1.1", "2-rc.1", "2"];
const STARTS: u32 = 3;

#[derive(Clone, Copy, Debug)]
enum Act {
    Install(usize),
    Activate(usize),
    Start,
    MarkGood,
    Fail,
    RollBack,
    EndCleanly,
    Prune,
    Remove(usize),
}

/// What an observer who forgets nothing knows of a device.
#[derive(Clone, Debug, Default)]
struct Observer {
    /// How often the model on trial was handed out.
    handed: u32,
    /// Index of the highest version that was good.
    highest: Option<usize>,
}

fn act() -> impl Strategy<Value = Act> {
    let version = 0..VERSIONS.len();
    prop_oneof![
        3 => version.clone().prop_map(Act::Install),
        3 => version.clone().prop_map(Act::Activate),
        5 => Just(Act::Start),
        2 => Just(Act::MarkGood),
        1 => Just(Act::Fail),
        1 => Just(Act::RollBack),
        1 => Just(Act::EndCleanly),
        1 => Just(Act::Prune),
        1 => version.prop_map(Act::Remove),
    ]
}

/// Does `act`, and notes what an observer sees.
fn perform(slots: &mut Slots<SimulatedDisk>, act: Act, observer: &mut Observer) {
    let word = Allow { downgrade: true, other_name: false, refused_before: true };
    let rules = TrialRules { starts: STARTS, answers: 1 };
    let digest = |version: usize| bundles::digest(&bundles::sealed("cells", VERSIONS[version]));
    match act {
        Act::Install(version) => {
            let installed = slots.install(bundles::sealed("cells", VERSIONS[version]).as_slice(), Allow::default());
            let is_refused = matches!(installed, Err(InstallError::NotAllowed(Refusal::Downgrade { .. })));
            assert_eq!(is_refused, observer.highest.is_some_and(|highest| version < highest), "{installed:?}");
        }
        Act::Activate(version) => {
            if slots.activate(&digest(version), rules, word, fit).is_ok() {
                observer.handed = 0;
            }
        }
        Act::Start => {
            if let Ok(started) = slots.start(fit) {
                observer.handed += u32::from(started.trial.is_some());
            }
        }
        Act::MarkGood => {
            if let Some(Change::MarkedGood { model, .. }) = slots.mark_good().unwrap() {
                let version = VERSIONS.iter().position(|version| *version == model.version);
                observer.highest = observer.highest.max(version);
            }
        }
        Act::Fail => drop(slots.fail("an observer wants it")),
        Act::RollBack => drop(slots.rollback("an observer wants it")),
        Act::EndCleanly => {
            let left = |slots: &Slots<SimulatedDisk>| starts_left(slots);
            let before = left(slots);
            slots.end_cleanly().unwrap();
            observer.handed -= u32::from(left(slots) > before);
        }
        Act::Prune => drop(slots.prune(1).unwrap()),
        Act::Remove(version) => drop(slots.remove(&digest(version))),
    }
}

fn starts_left(slots: &Slots<SimulatedDisk>) -> Option<u32> {
    slots.list().unwrap().into_iter().find_map(|slot| match slot.role {
        Role::OnTrial(trial) => Some(trial.starts_left),
        _ => None,
    })
}

/// Whether a model would start.
fn is_fit(disk: &SimulatedDisk) -> bool {
    open(&SimulatedDisk::of(disk.image())).start(fit).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_life_gives_a_trial_more_starts_or_takes_a_downgrade_in(
        acts in proptest::collection::vec((act(), proptest::option::weighted(0.4, (any::<usize>(), any::<usize>()))), 1..25),
    ) {
        let mut disk = SimulatedDisk::default();
        let (mut slots, mut observer) = (open(&disk), Observer::default());
        for (act, cut) in acts {
            let (old, remembered, had_good) = (view(&slots, &disk), observer.clone(), observer.highest.is_some());
            disk.take_history();
            perform(&mut slots, act, &mut observer);
            let moments = disk.take_history();
            if let (Some((moment, survivor)), false) = (cut, moments.is_empty()) {
                let new = view(&slots, &disk);
                let survivors = moments[moment % moments.len()].survivors();
                disk = SimulatedDisk::of(survivors[survivor % survivors.len()].clone());
                slots = open(&disk);
                let found = view(&slots, &disk);
                prop_assert!(found == old || found == new || matches!(act, Act::Prune), "{act:?}: {found:#?}");
                prop_assert!(found.pointer == old.pointer || found.pointer == new.pointer);
                if found.pointer == old.pointer {
                    observer = remembered;
                }
            }
            if let Some(left) = starts_left(&slots) {
                prop_assert!(left == 0 || left + observer.handed == STARTS, "{left} left, handed out {} times", observer.handed);
                prop_assert!(observer.handed <= STARTS);
            }
            prop_assert!(!had_good || is_fit(&disk), "{act:?} left a device without a model");
        }
    }
}
