//! Hostile images over the link.

use crate::lies::{DEEP_COLOUR, Dicom, GREY, noise, png};
use crate::place::Place;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

#[test]
fn every_image_that_lies_is_unreadable_on_the_link_and_the_next_is_answered() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let (honest, photo) = (noise(64), fs::read(&place.yard.images("cells_a")?[0])?);
    let scan = |rows, columns, n_bytes| Dicom { rows, columns, n_bytes };
    let lies = [
        honest[..honest.len() / 2].to_vec(),
        [&photo[..photo.len() / 2], &[0xff, 0xd9]].concat(),
        png(60_000, 60_000, GREY, 0),
        png(4_000, 4_000, GREY, 0),
        png(8_192, 8_192, DEEP_COLOUR, 512),
        scan(65_535, 65_535, 4).file(&[0; 4]),
        scan(64, 64, 0xffff_fff0).deflated(2_048),
        scan(64, 64, 8_192).with_parts(50 << 20),
    ];
    // After each lie something honest.
    let images = lies.iter().flat_map(|lie| [lie, &honest]);
    let decisions = sent(&place, images)?;
    ensure!(decisions.len() == 2 * lies.len(), "every frame is answered: {decisions:?}");
    for (at, decision) in decisions.iter().enumerate() {
        ensure!((decision == "unreadable") == (at % 2 == 0), "image {at} of {decisions:?}");
    }
    for _ in &lies {
        let line = place.device.wait_for("unreadable ")?;
        ensure!(line.contains("source=link") && line.contains("reason=unreadable image: "), "the log says why: {line}");
    }
    place.serves_folder("hostile frames")?;
    place.stayed_small()?;
    place.end()
}

/// What the device decides of each of these images, sent in turn.
fn sent<'a>(place: &Place, images: impl Iterator<Item = &'a Vec<u8>>) -> Result<Vec<String>> {
    let (set, journal) = (place.yard.at("set"), place.yard.at("hostile.jsonl"));
    fs::create_dir(&set)?;
    let (mut table, mut n_frames) = (String::from("file,label\n"), 0);
    for (number, image) in images.enumerate() {
        fs::write(set.join(format!("{number}.png")), image)?;
        writeln!(table, "{number}.png,any")?;
        n_frames = number + 1;
    }
    fs::write(set.join("labels.csv"), table)?;
    let mut hardware = Command::new(place.yard.remedis());
    hardware.arg("simulate").arg(&set).arg("--frames").arg(n_frames.to_string()).arg("--link");
    let output = hardware.arg(place.yard.at("line")).arg("--journal").arg(&journal).output()?;
    ensure!(output.status.success(), "the hardware got every answer: {output:?}");
    let answers = fs::read_to_string(journal)?;
    let decision = |line: &str| {
        let answer: Value = serde_json::from_str(line)?;
        answer["decision"].as_str().map(str::to_owned).context("an answer decides")
    };
    answers.lines().map(decision).collect()
}
