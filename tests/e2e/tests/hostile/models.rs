//! Models that are exchanged under way: by the operator, and back by the device itself.

use crate::place::{Place, in_time};
use anyhow::{Context, Result, bail, ensure};
use remedis_bundle::{Bundle, BundleBuilder, SigningKey, TrustedKeys};
use remedis_programs::{Said, say};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_new_model_answers_without_a_restart_and_the_last_good_one_returns_by_word_or_by_itself() -> Result<()> {
    let Some(mut place) = Place::start()? else { return Ok(()) };
    let first = version_of(&place)?;
    in_time("the first model is good", || {
        place.serves_folder("the start").is_ok() && role_of(&place, &first) == "active"
    })?;

    // A newer one, on trial until it has answered three images.
    let newer = put_in(&place, "9.1.0", &[])?;
    models(&place, &["activate", &newer])?;
    in_time("the newer model answers", || answered_by(&place).is_ok_and(|version| version == "9.1.0"))?;
    in_time("it is good", || answered_by(&place).is_ok() && role_of(&place, "9.1.0") == "active")?;

    // Back by the operator's word.
    models(&place, &["rollback", "--reason", "too many doubts"])?;
    in_time("the first model answers again", || answered_by(&place).is_ok_and(|version| version == first))?;
    let refused = try_models(&place, &["activate", &newer]);
    ensure!(refused.code == Some(2) && refused.err.contains("too many doubts"), "it failed before: {refused:?}");

    // An older one comes in by the operator's word only, and the log says whose word it was.
    let old = bundle(&place, "0.0.1")?;
    let refused = try_models(&place, &["install", &old]);
    ensure!(refused.code == Some(2) && refused.err.contains("0.0.1"), "a downgrade is refused: {refused:?}");
    let old = put_in(&place, "0.0.1", &["--allow-downgrade"])?;
    models(&place, &["activate", &old, "--allow-downgrade"])?;
    in_time("the older model answers", || answered_by(&place).is_ok_and(|version| version == "0.0.1"))?;
    let activated = place.audited("bundle_activated")?;
    let overrides: Vec<&Value> = activated.iter().map(|event| &event["overrides"]).collect();
    ensure!(overrides.last() == Some(&&json!(["downgrade"])), "the log says so: {overrides:?}");

    // It answers too little in each of its three runs: the one it replaced returns by itself.
    for _ in 0..3 {
        place.device.kill()?;
        place.start_again()?;
    }
    in_time("the last good model answers", || answered_by(&place).is_ok_and(|version| version == first))?;
    let visitor = place.log_in()?;
    place.serves_page(&visitor)?;
    let rolled_back = place.audited("bundle_rolled_back")?;
    ensure!(
        rolled_back.len() == 2 && rolled_back[1]["version"] == first.as_str(),
        "both are written down: {rolled_back:?}"
    );
    place.end()
}

/// Has one more file answered: the version of the model that did it.
fn answered_by(place: &Place) -> Result<String> {
    place.serves_folder("a change of the model")?;
    let records = place.yard.journal(&place.yard.at("answers.sqlite"))?;
    let last = records.last().context("something was answered")?;
    last["model"]["version"].as_str().map(str::to_owned).with_context(|| format!("an answer names its model: {last}"))
}

/// The version of the tiny run's model.
fn version_of(place: &Place) -> Result<String> {
    Ok(genuine(place)?.manifest().version.clone())
}

fn genuine(place: &Place) -> Result<Bundle> {
    let trusted = TrustedKeys::from_texts(&[fs::read_to_string(place.yard.tiny().key())?])?;
    Ok(Bundle::open(&place.yard.tiny().bundle(), &trusted)?)
}

/// The tiny run's bundle as another version: its path.
fn bundle(place: &Place, version: &str) -> Result<String> {
    let genuine = genuine(place)?;
    let mut manifest = genuine.manifest().clone();
    version.clone_into(&mut manifest.version);
    let sections: Vec<String> =
        genuine.sections().map(|(name, _)| name.to_owned()).filter(|name| name != "manifest.json").collect();
    let builder = sections.iter().fold(BundleBuilder::new(manifest), |builder, name| {
        builder.section(name, genuine.section(name).unwrap_or_default())
    });
    let key = SigningKey::load(&place.yard.tiny().folder.join("run/keys/signing.key"), None)?;
    let path = place.yard.at(&format!("{version}.remedis"));
    fs::write(&path, builder.seal(&key)?)?;
    path.to_str().map(str::to_owned).context("temporary folders have names of text")
}

/// Installs the tiny run's model as another version: the beginning of its digest.
fn put_in(place: &Place, version: &str, flags: &[&str]) -> Result<String> {
    let path = bundle(place, version)?;
    models(place, &[&["install", path.as_str()], flags].concat())?;
    let slot = slot_of(place, version).with_context(|| format!("{version} is installed"))?;
    slot["digest"].as_str().map(str::to_owned).context("a slot has a digest")
}

fn role_of(place: &Place, version: &str) -> String {
    slot_of(place, version).and_then(|slot| slot["role"].as_str().map(str::to_owned)).unwrap_or_default()
}

fn slot_of(place: &Place, version: &str) -> Option<Value> {
    let list = try_models(place, &["list", "--json"]);
    let slots = list.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    slots.into_iter().find(|slot| slot["version"] == version)
}

fn try_models(place: &Place, arguments: &[&str]) -> Said {
    let settings = place.yard.at("device.toml");
    let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"models", &settings];
    all.extend(arguments.iter().map(|argument| argument as &dyn AsRef<std::ffi::OsStr>));
    say(place.yard.device(), &all)
}

fn models(place: &Place, arguments: &[&str]) -> Result<()> {
    match try_models(place, arguments) {
        Said { code: Some(0), .. } => Ok(()),
        said => bail!("models {arguments:?}: {said:?}"),
    }
}
