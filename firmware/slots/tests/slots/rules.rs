//! What may be installed and activated, and what a trial does; each test on a real folder.

use std::path::Path;

use crate::rig::bundles::{digest, key, sealed, sealed_by, trusted};
use crate::rig::fit;
use remedis_bundle::{OpenBundleError, SigningKey, TrustedKeys};
use remedis_slots::{
    ActivateError, Allow, Cause, Change, InstallError, NameError, OnTrial, Override, Refusal, RemoveError, ReturnError,
    Role, Slots, SlotsError, StartError, StateError, Step, TrialRules,
};

const RULES: TrialRules = TrialRules { starts: 2, answers: 3 };
const NO: Allow = Allow { downgrade: false, other_name: false, refused_before: false };

fn open(folder: &Path) -> Slots {
    Slots::open(folder, trusted()).unwrap()
}

fn install(slots: &mut Slots, version: &str) -> String {
    let bytes = sealed("cells", version);
    slots.install(bytes.as_slice(), Allow { downgrade: true, ..NO }).unwrap();
    digest(&bytes)
}

fn activate(slots: &mut Slots, digest: &str) -> Change {
    slots.activate(digest, RULES, Allow { downgrade: true, ..NO }, fit).unwrap()
}

/// Install, activate and prove version `version`.
fn make_good(slots: &mut Slots, version: &str) -> String {
    let digest = install(slots, version);
    activate(slots, &digest);
    assert_eq!(slots.start(fit).unwrap().model, digest);
    assert!(matches!(slots.mark_good().unwrap(), Some(Change::MarkedGood { .. })));
    digest
}

fn roles(slots: &Slots) -> Vec<(String, Role)> {
    let mut roles: Vec<_> =
        slots.list().unwrap().into_iter().map(|slot| (slot.content.unwrap().version, slot.role)).collect();
    roles.sort_by(|left, right| left.0.cmp(&right.0));
    roles
}

#[test]
fn a_model_is_good_after_enough_answers_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    assert!(matches!(slots.start(fit), Err(StartError::NothingActive)));
    let one = install(&mut slots, "1");
    assert_eq!(roles(&slots), [("1".to_owned(), Role::Installed)]);
    activate(&mut slots, &one[..8]);
    let trial = OnTrial { starts_left: 1, answers: 3 };
    assert_eq!(slots.start(fit).unwrap().trial, Some(trial));
    assert_eq!(roles(&slots), [("1".to_owned(), Role::OnTrial(trial))]);
    assert_eq!([slots.answered().unwrap(), slots.answered().unwrap()], [None, None]);
    let mut slots = open(folder.path());
    assert_eq!(slots.start(fit).unwrap().trial, Some(OnTrial { starts_left: 0, answers: 3 }));
    assert_eq!(
        [slots.answered().unwrap(), slots.answered().unwrap()],
        [None, None],
        "answers of another run do not count"
    );
    let Some(Change::MarkedGood { number: 2, model }) = slots.answered().unwrap() else { panic!("not good") };
    assert_eq!((model.digest.as_str(), model.version.as_str()), (one.as_str(), "1"));
    assert_eq!(slots.answered().unwrap(), None);
    assert_eq!(roles(&slots), [("1".to_owned(), Role::Active)]);
}

#[test]
fn starts_that_are_used_up_bring_the_last_good_model_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = make_good(&mut slots, "1");
    let two = install(&mut slots, "2");
    activate(&mut slots, &two);
    for _ in 0..RULES.starts {
        // The program dies each time: nobody calls anything after start.
        assert_eq!(open(folder.path()).start(fit).unwrap().model, two);
    }
    let mut slots = open(folder.path());
    let started = slots.start(fit).unwrap();
    assert_eq!((started.model, started.trial), (one.clone(), None));
    let [Change::RolledBack { cause: Cause::StartsUsedUp, from, to, .. }] = started.changes.as_slice() else {
        panic!()
    };
    assert_eq!((from.digest.as_str(), to.digest.as_str()), (two.as_str(), one.as_str()));
    assert_eq!(slots.last_change().unwrap().as_ref(), started.changes.first());
    assert!(open(folder.path()).start(fit).unwrap().changes.is_empty());
}

#[test]
fn a_model_that_lost_its_place_needs_the_operators_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    make_good(&mut slots, "1");
    let two = install(&mut slots, "2");
    activate(&mut slots, &two);
    slots.start(fit).unwrap();
    let Some(Change::RolledBack { cause: Cause::Health, .. }) = slots.fail("no answer in time").unwrap() else {
        panic!()
    };
    let error = slots.activate(&two, RULES, NO, fit).unwrap_err();
    assert!(matches!(&error, ActivateError::NotAllowed(Refusal::RefusedBefore { .. })));
    let Change::Refused { step: Step::Activate, model: Some(model), reason } = error.change() else { panic!() };
    assert_eq!(model.digest.as_str(), two);
    assert!(reason.contains("no answer in time"), "{reason}");
    let again = slots.activate(&two, RULES, Allow { refused_before: true, ..NO }, fit).unwrap();
    assert!(matches!(again, Change::Activated { overrides, .. } if overrides == [Override::RefusedBefore]));
    slots.start(fit).unwrap();
    slots.mark_good().unwrap();
    assert_eq!(roles(&slots), [("1".to_owned(), Role::LastGood), ("2".to_owned(), Role::Active)]);
}

#[test]
fn a_downgrade_needs_the_operators_word_when_installed_and_when_activated() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    make_good(&mut slots, "1.9");
    let ten = make_good(&mut slots, "1.10");
    let old = sealed("cells", "1.10-rc.1");
    let error = slots.install(old.as_slice(), NO).unwrap_err();
    let InstallError::NotAllowed(Refusal::Downgrade { highest, .. }) = &error else { panic!("{error}") };
    assert_eq!(highest, "1.10");
    assert!(matches!(error.change(), Change::Refused { step: Step::Install, model: Some(_), .. }));
    let allowed = Allow { downgrade: true, ..NO };
    let installed = slots.install(old.as_slice(), allowed).unwrap();
    assert!(
        matches!(installed, Change::Installed { overrides, was_there: false, .. } if overrides == [Override::Downgrade])
    );
    let refused = slots.activate(&digest(&old), RULES, NO, fit);
    assert!(matches!(refused, Err(ActivateError::NotAllowed(Refusal::Downgrade { .. }))));
    let activated = slots.activate(&digest(&old), RULES, allowed, fit).unwrap();
    assert!(matches!(activated, Change::Activated { overrides, .. } if overrides == [Override::Downgrade]));
    slots.start(fit).unwrap();
    slots.mark_good().unwrap();
    // What was good once stays the mark, also when its file goes.
    activate(&mut slots, &install(&mut open(folder.path()), "1.11"));
    slots.start(fit).unwrap();
    slots.mark_good().unwrap();
    slots.remove(&ten).unwrap();
    assert!(matches!(slots.install(old.as_slice(), NO), Err(InstallError::NotAllowed(Refusal::Downgrade { .. }))));
}

#[test]
fn a_version_that_never_was_good_does_not_bar_older_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    make_good(&mut slots, "1");
    let broken = install(&mut slots, "9");
    activate(&mut slots, &broken);
    slots.start(fit).unwrap();
    slots.fail("it hangs").unwrap();
    slots.install(sealed("cells", "1.1").as_slice(), NO).unwrap();
}

#[test]
fn another_kind_of_model_needs_the_operators_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    make_good(&mut slots, "1");
    let chest = sealed("chest", "1");
    let error = slots.install(chest.as_slice(), NO).unwrap_err();
    let InstallError::NotAllowed(Refusal::OtherName { active, .. }) = &error else { panic!("{error}") };
    assert_eq!(active, "cells");
    let allowed = Allow { other_name: true, ..NO };
    let installed = slots.install(chest.as_slice(), allowed).unwrap();
    assert!(matches!(installed, Change::Installed { overrides, .. } if overrides == [Override::OtherName]));
    let error = slots.activate(&digest(&chest), RULES, NO, fit).unwrap_err();
    assert!(matches!(error, ActivateError::NotAllowed(Refusal::OtherName { .. })));
    slots.activate(&digest(&chest), RULES, allowed, fit).unwrap();
}

#[test]
fn nothing_of_an_unwanted_bundle_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path()).with_max_bytes(20_000);
    let (foreign, mut damaged) = (sealed_by(&SigningKey::generate().unwrap(), "cells", "1"), sealed("cells", "1"));
    damaged.pop();
    let error = slots.install(foreign.as_slice(), NO).unwrap_err();
    assert!(matches!(error, InstallError::Untrusted(OpenBundleError::UnknownKey { .. })), "{error}");
    let error = slots.install(damaged.as_slice(), NO).unwrap_err();
    assert!(matches!(error, InstallError::Untrusted(OpenBundleError::Length { .. })), "{error}");
    assert!(matches!(slots.install(std::io::repeat(7), NO), Err(InstallError::TooLarge { limit: 20_000 })));
    assert_eq!(slots.list().unwrap().len(), 0);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["lock"]);
}

#[test]
fn a_model_that_does_not_prove_itself_here_is_not_activated() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = install(&mut slots, "1");
    let error = slots.activate::<()>(&one, RULES, NO, |_| Err("golden vector 0 differs".to_owned())).unwrap_err();
    assert!(matches!(&error, ActivateError::NotProven { reason, .. } if reason == "golden vector 0 differs"));
    assert_eq!(roles(&slots), [("1".to_owned(), Role::Installed)]);
    assert!(matches!(slots.start(fit), Err(StartError::NothingActive)));
}

#[test]
fn a_damaged_active_file_is_never_run_and_a_fresh_copy_is_welcome() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = make_good(&mut slots, "1");
    let two = make_good(&mut slots, "2");
    let path = folder.path().join(format!("{two}.remedis"));
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let started = slots.start(fit).unwrap();
    assert_eq!(started.model, one);
    assert!(matches!(started.changes.as_slice(), [Change::RolledBack { cause: Cause::Unreadable, .. }]));
    assert!(matches!(slots.activate(&two, RULES, NO, fit), Err(ActivateError::Untrusted(_))));
    let installed = slots.install(sealed("cells", "2").as_slice(), NO).unwrap();
    assert!(matches!(installed, Change::Installed { was_there: false, .. }));
    slots.activate(&two, RULES, NO, fit).unwrap();
    assert_eq!(slots.start(fit).unwrap().model, two);
}

#[test]
fn another_genuine_bundle_under_the_active_ones_name_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = make_good(&mut slots, "1");
    let two = make_good(&mut slots, "2");
    std::fs::copy(folder.path().join(format!("{one}.remedis")), folder.path().join(format!("{two}.remedis"))).unwrap();
    assert!(matches!(
        slots.start(fit).unwrap().changes.as_slice(),
        [Change::RolledBack { cause: Cause::Unreadable, .. }]
    ));
}

#[test]
fn a_wrong_key_in_the_configuration_costs_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    make_good(&mut slots, "1");
    let two = make_good(&mut slots, "2");
    let wrong = TrustedKeys::from_texts(&[SigningKey::generate().unwrap().public_key()]).unwrap();
    let mut mistaken = Slots::open(folder.path(), wrong).unwrap();
    let Err(StartError::NoModel { changes, .. }) = mistaken.start(fit) else { panic!("it started") };
    assert_eq!(changes, []);
    assert_eq!(slots.start(fit).unwrap().model, two);
}

#[test]
fn a_good_model_that_cannot_be_made_ready_gives_way_to_the_last_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = make_good(&mut slots, "1");
    let two = make_good(&mut slots, "2");
    let started =
        slots.start(|bundle| if bundle.digest() == two { Err("wrong".to_owned()) } else { fit(bundle) }).unwrap();
    assert_eq!(started.model, one);
    assert!(matches!(started.changes.as_slice(), [Change::RolledBack { cause: Cause::NotReady, .. }]));
}

#[test]
fn a_first_model_that_fails_is_retired_and_said_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = install(&mut slots, "1");
    activate(&mut slots, &one);
    for _ in 0..RULES.starts {
        slots.start(fit).unwrap();
    }
    let Err(StartError::NoModel { changes, .. }) = slots.start(fit) else { panic!("it started") };
    assert!(matches!(changes.as_slice(), [Change::Retired { cause: Cause::StartsUsedUp, .. }]));
    let Err(StartError::NoModel { changes, .. }) = slots.start(fit) else { panic!("it started") };
    assert_eq!(changes, []);
    let two = install(&mut slots, "2");
    activate(&mut slots, &two);
    assert_eq!(slots.start(fit).unwrap().model, two);
    assert!(matches!(slots.fail("it hangs").unwrap(), Some(Change::Retired { cause: Cause::Health, .. })));
    assert!(matches!(slots.start(fit), Err(StartError::NoModel { changes, .. }) if changes.is_empty()));
}

#[test]
fn a_good_model_without_another_keeps_its_place_whatever_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = make_good(&mut slots, "1");
    assert!(matches!(slots.fail("too slow"), Err(ReturnError::NoLastGood)));
    assert!(matches!(slots.rollback("do not like it"), Err(ReturnError::NoLastGood)));
    assert_eq!(slots.start(fit).unwrap().model, one);
}

#[test]
fn a_failed_trial_leaves_the_last_good_model_before_it_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    make_good(&mut slots, "1");
    make_good(&mut slots, "2");
    activate(&mut slots, &install(&mut open(folder.path()), "3"));
    let kept = slots.prune(0).unwrap();
    assert_eq!(kept, [], "three are needed while a trial lasts");
    slots.start(fit).unwrap();
    slots.fail("no").unwrap();
    assert_eq!(roles(&slots)[..2], [("1".to_owned(), Role::LastGood), ("2".to_owned(), Role::Active)]);
    assert!(matches!(&roles(&slots)[2].1, Role::Refused { reason } if reason == "no"));
    assert!(matches!(slots.rollback("2 misses too much").unwrap(), Change::RolledBack { cause: Cause::Operator, .. }));
    assert_eq!(roles(&slots)[0].1, Role::Active);
}

#[test]
fn a_second_trial_in_a_row_returns_to_what_was_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = make_good(&mut slots, "1");
    activate(&mut slots, &install(&mut open(folder.path()), "2"));
    activate(&mut slots, &install(&mut open(folder.path()), "3"));
    assert!(matches!(slots.activate(&one, RULES, NO, fit), Err(ActivateError::IsLastGood { .. })));
    slots.start(fit).unwrap();
    slots.fail("no").unwrap();
    assert_eq!(slots.start(fit).unwrap().model, one);
}

#[test]
fn a_program_marks_good_only_what_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (mut device, mut operator) = (open(folder.path()), open(folder.path()));
    let two = install(&mut operator, "2");
    let three = install(&mut operator, "3");
    activate(&mut operator, &two);
    device.start(fit).unwrap();
    activate(&mut operator, &three);
    assert_eq!((device.mark_good().unwrap(), device.fail("late").unwrap()), (None, None));
    assert_eq!(device.end_cleanly().ok(), Some(()));
    let started = device.start(fit).unwrap();
    assert_eq!((started.model, started.trial), (three, Some(OnTrial { starts_left: 1, answers: 3 })));
}

#[test]
fn a_clean_stop_costs_a_trial_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    activate(&mut slots, &install(&mut open(folder.path()), "1"));
    for _ in 0..5 {
        assert_eq!(slots.start(fit).unwrap().trial.unwrap().starts_left, 1);
        slots.end_cleanly().unwrap();
        slots.end_cleanly().unwrap();
    }
}

#[test]
fn what_is_needed_is_not_removed_and_the_highest_versions_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = make_good(&mut slots, "1");
    make_good(&mut slots, "2");
    for version in ["0.9", "0.10", "0.2"] {
        install(&mut slots, version);
    }
    assert!(matches!(slots.remove(&one), Err(RemoveError::Needed { .. })));
    assert!(matches!(slots.remove("x"), Err(RemoveError::Name(NameError::NotInstalled { .. }))));
    assert!(matches!(slots.remove(""), Err(RemoveError::Name(NameError::NotInstalled { .. }))));
    assert_eq!(slots.prune(1).unwrap().len(), 2);
    assert_eq!(roles(&slots).into_iter().map(|(version, _)| version).collect::<Vec<_>>(), ["0.10", "1", "2"]);
}

#[test]
fn the_same_bundle_again_changes_nothing_and_a_new_signature_replaces_an_unknown_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    install(&mut slots, "1");
    let again = slots.install(sealed("cells", "1").as_slice(), NO).unwrap();
    assert!(matches!(again, Change::Installed { was_there: true, .. }));
    let successor = SigningKey::generate().unwrap();
    let mut slots = Slots::open(folder.path(), TrustedKeys::from_texts(&[successor.public_key()]).unwrap()).unwrap();
    assert!(matches!(slots.list().unwrap()[0].content, Err(OpenBundleError::UnknownKey { .. })));
    let signed_again = slots.install(sealed_by(&successor, "cells", "1").as_slice(), NO).unwrap();
    assert!(matches!(signed_again, Change::Installed { was_there: false, .. }));
    let content = slots.list().unwrap().remove(0).content.unwrap();
    assert!(successor.public_key() != key().public_key() && content.version == "1");
}

#[test]
fn a_second_writer_is_told_to_wait_and_readers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = install(&mut slots, "1");
    activate(&mut slots, &one);
    let held = std::fs::File::open(folder.path().join("lock")).unwrap();
    held.try_lock().unwrap();
    assert!(matches!(slots.start(fit), Err(StartError::Slots(SlotsError::InUse))));
    assert!(matches!(slots.install(sealed("cells", "2").as_slice(), NO), Err(InstallError::Slots(SlotsError::InUse))));
    assert!(matches!(slots.rollback(""), Err(ReturnError::Slots(SlotsError::InUse))));
    assert_eq!(open(folder.path()).list().unwrap().len(), 1);
    drop(held);
    assert_eq!(slots.start(fit).unwrap().trial.unwrap().starts_left, 1, "a start that was refused is not counted");
}

#[test]
fn a_pointer_file_that_lies_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    make_good(&mut open(folder.path()), "1");
    let path = folder.path().join("state.json");
    let honest = std::fs::read_to_string(&path).unwrap();
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let Err(SlotsError::State(error)) = Slots::open(folder.path(), trusted()) else { panic!("believed: {text}") };
        error
    };
    for length in 0..honest.len() {
        assert!(matches!(refused(&honest[..length]), StateError::Json(_)), "{length}");
    }
    let lowered = honest.replace(r#""cells": "1""#, r#""cells": "0""#);
    assert!(matches!(refused(&lowered), StateError::Damaged { .. }));
    assert!(matches!(refused(&honest.replace(r#""format": 1"#, r#""format": 2"#)), StateError::Newer { found: 2, .. }));
    std::fs::write(&path, &honest).unwrap();
    open(folder.path()).start(fit).unwrap();
}

#[test]
fn changes_are_lines_for_an_audit_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(folder.path());
    let one = install(&mut slots, "1");
    let change = activate(&mut slots, &one);
    let line = serde_json::to_string(&change).unwrap();
    let expected = format!(
        r#"{{"change":"activated","number":1,"model":{{"digest":"{one}","name":"cells","version":"1"}},"from":null,"trial":{{"starts_left":2,"answers":3}},"overrides":[]}}"#
    );
    assert_eq!(line, expected);
    assert_eq!(serde_json::from_str::<Change>(&line).unwrap(), change);
    assert_eq!(change.to_string(), format!("activated cells 1 ({}): 2 starts to give 3 answers", &one[..12]));
}
