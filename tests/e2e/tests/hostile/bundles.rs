//! Bundles that nobody should install.

use crate::place::{Place, in_time};
use anyhow::{Context, Result, ensure};
use remedis_programs::{Said, say};
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn a_bundle_that_is_none_or_cut_or_changed_or_by_a_stranger_is_refused_and_the_model_stays() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let _hardware = place.hardware()?;
    place.serves_everybody("the start")?;
    let active = active(&place)?;
    let whole = fs::read(place.yard.tiny().bundle())?;
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let by_a_stranger = signed_by_a_stranger(&place)?;
    // What each is, and what is said of it: what was expected, what was found, what to do.
    let cases: [(&str, &[u8], [&str; 3]); 4] = [
        (
            "garbage",
            &[0x55; 4096],
            ["not a REMEDIS bundle: expected it to start with", "found [55", "give the file that training wrote"],
        ),
        ("cut", &whole[..whole.len() / 2], ["should have", "bytes, found", "copy it again"]),
        ("changed", &changed, ["should have sha256", "found", "copy it again"]),
        ("by a stranger", &by_a_stranger, ["was signed with key", "trusted: ", "remedis bundle sign"]),
    ];
    for (number, (name, bytes, words)) in cases.into_iter().enumerate() {
        let at = place.yard.at("hostile.remedis");
        fs::write(&at, bytes)?;
        refuses(&install(&place, &at), &words).with_context(|| format!("a bundle that is {name}"))?;
        // The command leaves that to the device.
        let audited = || place.audited("bundle_refused").unwrap_or_default();
        in_time("the refusal in the audit log", || audited().len() == number + 1)?;
        let reason = audited()[number]["reason"].to_string();
        ensure!(words.iter().all(|word| reason.contains(word)), "{name}: the audit log says why: {reason}");
        place.serves_everybody(name)?;
        ensure!(self::active(&place)? == active, "the model stays after {name}");
    }
    ensure!(place.yard.files("models")?.len() == 3, "nothing of them is left: {:?}", place.yard.files("models")?);
    place.end()
}

fn install(place: &Place, bundle: &Path) -> Said {
    say(place.yard.device(), &[&"models", &place.yard.at("device.toml"), &"install", &bundle])
}

/// The work was not done, and the error holds every one of `words`.
fn refuses(said: &Said, words: &[&str]) -> Result<()> {
    ensure!(said.code == Some(2), "refused, found {said:?}");
    words.iter().try_for_each(|word| {
        ensure!(said.err.contains(word), "expected {word:?} in {}", said.err);
        Ok(())
    })
}

/// The digest of the model that answers.
fn active(place: &Place) -> Result<String> {
    let said = say(place.yard.device(), &[&"models", &place.yard.at("device.toml"), &"list", &"--json"]);
    let slots = said.out.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let is_active = |slot: &&Value| slot["role"] == "active";
    let slot = slots.iter().find(is_active).with_context(|| format!("a model is active: {said:?}"))?;
    Ok(slot["digest"].to_string())
}

/// The bundle, signed anew by somebody whom the device does not know.
fn signed_by_a_stranger(place: &Place) -> Result<Vec<u8>> {
    let (remedis, yard) = (place.yard.remedis(), &place.yard);
    let said = say(remedis, &[&"keys", &"generate", &"--out", &yard.at("stranger")]);
    ensure!(said.code == Some(0), "a key is made: {said:?}");
    let (key, output) = (yard.at("stranger/signing.key"), yard.at("stranger.remedis"));
    let bundle = yard.tiny().bundle();
    let said = say(remedis, &[&"bundle", &"sign", &bundle, &"--secret-key", &key, &"--output", &output]);
    ensure!(said.code == Some(0), "the bundle is signed anew: {said:?}");
    Ok(fs::read(output)?)
}
