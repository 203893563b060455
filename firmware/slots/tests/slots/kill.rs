//! A real process on a real folder is killed at random moments; whoever comes next finds good models.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use remedis_bundle::TrustedKeys;
use remedis_slots::{Allow, Slots, TrialRules};

use crate::rig::{bundles, fit};

const KILLS: u64 = 40;
const FOLDER: &str = "REMEDIS_SLOTS_KILLED_FOLDER";
const VERSIONS: [&str; 3] = ["1", "2", "3"];

/// Runs as the process that is killed: installs, activates, starts, fails, rolls back and removes until then.
#[test]
#[ignore = "a_killed_process_leaves_models_that_start runs and kills it"]
fn killed_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let key = std::fs::read_to_string(folder.join("key.pub")).unwrap();
    let trusted = TrustedKeys::from_texts(&[key]).unwrap();
    let mut slots = Slots::open(&folder.join("models"), trusted).unwrap();
    let word = Allow { downgrade: true, other_name: false, refused_before: true };
    for step in 0_usize.. {
        let bytes = std::fs::read(folder.join(VERSIONS[step % VERSIONS.len()])).unwrap();
        println!("step");
        slots.install(bytes.as_slice(), word).unwrap();
        // Refused where it is active already.
        let _ = slots.activate(&bundles::digest(&bytes), TrialRules { starts: 2, answers: 1 }, word, fit);
        slots.start(fit).unwrap();
        match step % 4 {
            0 | 1 => drop(slots.answered().unwrap()),
            2 => drop(slots.fail("it is killed soon")),
            _ => drop(slots.rollback("it is killed soon")),
        }
        slots.prune(0).unwrap();
    }
}

/// Numbers that look random, the same in every run.
fn scattered(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

#[test]
fn a_killed_process_leaves_models_that_start() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    std::fs::write(folder.path().join("key.pub"), bundles::key().public_key()).unwrap();
    for version in VERSIONS {
        std::fs::write(folder.path().join(version), bundles::sealed("cells", version)).unwrap();
    }
    let mut slots = Slots::open(&models, bundles::trusted()).unwrap();
    let first = bundles::sealed("cells", "1");
    slots.install(first.as_slice(), Allow::default()).unwrap();
    slots.activate(&bundles::digest(&first), TrialRules::default(), Allow::default(), fit).unwrap();
    slots.start(fit).unwrap();
    slots.mark_good().unwrap();
    let mut leftovers = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::killed_process", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let n_steps = 1 + scattered(kill) as usize % 5;
        assert_eq!(lines.filter(|line| line.ends_with("step")).take(n_steps).count(), n_steps, "it died by itself");
        // Somewhere in the step that it has just begun.
        (0..scattered(kill + KILLS) % 2_000_000).for_each(|turn| _ = std::hint::black_box(turn));
        child.kill().unwrap();
        child.wait().unwrap();
        let names = std::fs::read_dir(&models).unwrap().map(|entry| entry.unwrap().file_name());
        leftovers += names.filter(|name| name.to_string_lossy().starts_with(".unfinished-")).count();
        let mut slots = Slots::open(&models, bundles::trusted()).unwrap();
        assert!(slots.list().unwrap().iter().all(|slot| slot.content.is_ok()), "after kill {kill}");
        slots.start(fit).unwrap_or_else(|error| panic!("after kill {kill}: {error}"));
    }
    println!("{KILLS} kills, {leftovers} unfinished files left and cleared, every start gave a verified model");
}
