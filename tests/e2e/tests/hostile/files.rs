//! Hostile files in the watched folder.

use crate::lies::{
    COLOUR, DEEP_COLOUR, Dicom, GREY, Member, deflated_zeros, noise, png, png_with_a_profile, zip, zip_of_names,
};
use crate::place::{Place, in_time};
use anyhow::{Context, Result, ensure};
use remedis_programs::say;
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

/// A name, the file that lies, and what must be said of it.
type Lie = (&'static str, Vec<u8>, &'static str);

#[test]
fn every_image_that_lies_fails_with_a_reason_in_little_memory_and_the_next_is_answered() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let _hardware = place.hardware()?;
    place.serves_everybody("the start")?;
    for (name, bytes, words) in [images(&place)?, zips()].concat() {
        place.put(name, &bytes)?;
        let told = place.handed_back("failed", name)?;
        ensure!(why(&told).contains(words), "{name}: expected {words:?} in {told}");
        place.serves_everybody(name).with_context(|| format!("after {name}: {:?}", place.device.said()))?;
        place.stayed_small().with_context(|| format!("after {name}"))?;
    }
    place.end()
}

/// Why a file failed as a whole, or its one image.
fn why(told: &Value) -> &str {
    let image = &told["answers"][0];
    let reasons = [&told["refused"]["reason"], &image["reason"], &image["verdict"]["reason"]];
    reasons.into_iter().find_map(Value::as_str).unwrap_or_default()
}

fn images(place: &Place) -> Result<Vec<Lie>> {
    let (honest, photo) = (noise(64), fs::read(&place.yard.images("cells_a")?[0])?);
    let size = photo.windows(2).position(|pair| pair[0] == 0xff && (0xc0..=0xc2).contains(&pair[1]));
    let size = size.context("a JPEG tells its size")? + 5;
    let (mut wide, mut high) = (photo.clone(), photo.clone());
    wide[size..size + 4].copy_from_slice(&[0xff; 4]);
    high[size] += 1;
    let scan = |rows, columns, n_bytes| Dicom { rows, columns, n_bytes };
    Ok(vec![
        ("empty.png", vec![], "it has 0 bytes"),
        ("cut.png", honest[..honest.len() / 2].to_vec(), "cannot read the PNG"),
        ("says-60000.png", png(60_000, 60_000, GREY, 0), "a picture of 60000 x 60000 pixels"),
        ("too-little.png", png(4_000, 4_000, GREY, 0), "cannot read the PNG"),
        ("bomb.png", png(8_192, 8_192, DEEP_COLOUR, 512), "takes 939524096 bytes of memory"),
        ("line.png", png(1 << 26, 1, DEEP_COLOUR, 512), "Memory limit exceeded"),
        ("cut.jpg", photo[..photo.len() / 2].to_vec(), "the JPEG ends early"),
        ("cut-and-closed.jpg", [&photo[..photo.len() / 2], &[0xff, 0xd9]].concat(), "the JPEG ends early"),
        ("says-256-higher.jpg", high, "the JPEG ends early"),
        ("says-65535.jpg", wide, "a picture of 65535 x 65535 pixels"),
        ("cut.dcm", scan(64, 64, 8_192).file(&[0; 100]), "ends too early"),
        ("says-65535.dcm", scan(65_535, 65_535, 4).file(&[0; 4]), "a picture of 65535 x 65535 pixels"),
        ("too-little.dcm", scan(8_000, 8_000, 4).file(&[0; 4]), "the first frame needs 128000000 bytes"),
        ("says-4-gigabytes.dcm", scan(64, 64, 0xffff_fff0).file(&[0; 4]), "ends too early"),
        ("bomb.dcm", scan(64, 64, 0xffff_fff0).deflated(2_048), "deflated data set is larger than"),
        ("parts.dcm", scan(64, 64, 8_192).with_parts(50 << 20), "the attributes take more than"),
        ("elements.dcm", scan(64, 64, 8_192).with_elements(7 << 20), "the attributes take more than"),
    ])
}

fn zips() -> Vec<Lie> {
    let honest = noise(64);
    let bomb = |n_mebibytes, n_bytes| {
        let packed = deflated_zeros(n_mebibytes);
        zip(&[Member { name: "a.png", packed: &packed, is_deflated: true, n_bytes, crc: 0 }])
    };
    // As large as a file may be, each of them.
    let zeros = (deflated_zeros(64), crc32fast::hash(&vec![0; 64 << 20]));
    let large = |name| Member { name, packed: &zeros.0, is_deflated: true, n_bytes: 64 << 20, crc: zeros.1 };
    let large = ["1", "2", "3", "4", "5", "6"].map(large);
    let nested = zip(&[Member::stored("inner.zip", &zip(&[Member::stored("a.png", &honest)]))]);
    vec![
        ("bomb.zip", bomb(1_000, 1_000 << 20), "larger than"),
        ("larger-bomb.zip", bomb(4_000, 4_000 << 20), "the zip file holds 4194304000 bytes"),
        ("lying-bomb.zip", bomb(4_000, 100), "larger than its declared uncompressed size"),
        ("large.zip", zip(&large), "it has 67108864 bytes"),
        ("nested.zip", nested, "not a PNG, JPEG or DICOM file"),
        ("100000-names.zip", zip_of_names(100_000), "lists more than 10000 files"),
        ("million-names.zip", zip_of_names(1_300_000), "lists more than 10000 files"),
        ("cut.zip", zip(&[Member::stored("a.png", &honest)])[..honest.len() / 2].to_vec(), "no readable zip"),
    ]
}

#[test]
fn the_largest_image_that_is_taken_takes_no_more_memory_than_there_is() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let _hardware = place.hardware()?;
    place.serves_everybody("the start")?;
    place.put("largest.png", &png(8_192, 8_192, COLOUR, 192))?;
    place.handed_back("done", "largest.png")?;
    place.serves_everybody("the largest image")?;
    place.stayed_small()?;
    place.end()
}

#[test]
fn what_is_no_file_is_left_alone_and_said_so() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let inbox = place.yard.at("inbox");
    fs::create_dir(inbox.join("folder.png"))?;
    symlink("/dev/zero", inbox.join("endless.png"))?;
    symlink("/etc/passwd", inbox.join("secret.png"))?;
    let _socket = UnixListener::bind(inbox.join("socket.png"))?;
    let pipe = say("mkfifo".as_ref(), &[&inbox.join("pipe.png")]);
    ensure!(pipe.code == Some(0), "a pipe is made: {pipe:?}");
    place.device.wait_for("left_alone source=folder things={folder=1 link=2 pipe=1 socket=1}")?;
    place.serves_folder("what is no file")?;
    for name in ["folder.png", "endless.png", "secret.png", "socket.png", "pipe.png"] {
        ensure!(inbox.join(name).symlink_metadata().is_ok(), "{name} stays where it is");
    }
    ensure!(place.yard.files("inbox/failed")?.is_empty(), "nothing of them was handed back");
    // Larger than any disk, as it says.
    File::create(inbox.join("sparse.png"))?.set_len(1 << 40)?;
    let told = place.handed_back("failed", "sparse.png")?;
    ensure!(why(&told).contains("larger than 67108864 bytes"), "{told}");
    place.serves_folder("a file of a tebibyte")?;
    place.stayed_small()?;
    place.end()
}

#[test]
fn no_name_leads_out_of_the_folder_or_holds_it_up() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let honest = fs::read(&place.yard.images("cells_a")?[0])?;
    let paths = ["../../outside.png", "/tmp/../outside.png", "done/../../outside.png", "a\0b.png"];
    place.put("paths.zip", &zip(&paths.map(|name| Member::stored(name, &honest))))?;
    let told = place.handed_back("done", "paths.zip")?;
    let members = told["answers"].as_array().context("an answer an image")?;
    let members: Vec<&str> = members.iter().filter_map(|told| told["member"].as_str()).collect();
    ensure!(members == paths, "what they are called is told and nothing else: {told}");
    let outside = |folder: &str| place.yard.at(folder).join("outside.png").exists();
    ensure!(!["", "inbox", "inbox/done"].into_iter().any(outside), "nothing was written by those names");

    let longest = format!("{}.png", "a".repeat(251));
    for name in ["new\nline.png", "-rf", "\u{202e}gnp.exe", &longest] {
        place.put(name, &honest)?;
        in_time(name, || !place.yard.at("inbox").join(name).is_file())?;
        place.serves_folder(name)?;
    }
    // A profile of gigabytes is not looked at, and what is shown is the one pixel.
    place.put("profile.png", &png_with_a_profile(1_024))?;
    place.handed_back("done", "profile.png")?;
    place.stayed_small()?;
    let answers = place.yard.files("inbox/done")?;
    let answers = answers.iter().filter(|path| path.extension().is_some_and(|end| end == "json")).count();
    ensure!(answers == 10, "every one of them was answered: {answers}");
    place.end()
}
