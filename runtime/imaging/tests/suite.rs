//! Real and deliberately broken files through the public door.
//!
//! The files are not in the repository: `REMEDIS_DATA` names the folder that holds `dicom_suite`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests; what was skipped or counted is printed"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use remedis_imaging::{Channels, DecodeError, Depth, DicomError, Image, Samples, decode, encode_png};

fn suite() -> Option<PathBuf> {
    let folder = std::env::var_os("REMEDIS_DATA").map(|data| Path::new(&data).join("dicom_suite"));
    if folder.is_none() {
        println!("skipped: REMEDIS_DATA is not set");
    }
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "dcm"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no file", folder.display());
    files
}

/// Rows of a comma-separated file without quoted commas, as cells by position.
fn table(file: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn chest_films_are_the_pictures_that_they_were_made_of() {
    let Some(folder) = suite().map(|suite| suite.join("cxr")) else { return };
    let mut compared = 0;
    for row in table(&folder.join("truth.csv")) {
        let film = decode(&std::fs::read(folder.join(&row[0])).unwrap(), Depth::Eight);
        if row[3].starts_with("JPEG 2000") {
            let is_named = matches!(
                film,
                Err(DecodeError::Dicom(DicomError::UnsupportedTransferSyntax { name: "JPEG 2000", .. }))
            );
            assert!(is_named, "{}: {film:?}", row[0]);
            continue;
        }
        let film = film.unwrap_or_else(|error| panic!("{}: {error:?}", row[0]));
        let truth = decode(&std::fs::read(folder.join(&row[1])).unwrap(), Depth::Eight).unwrap().to_grey();
        assert_eq!((film.width, film.height), (truth.width, truth.height), "{}", row[0]);
        let worst = film.as_u8().iter().zip(truth.as_u8()).map(|(a, b)| a.abs_diff(*b)).max();
        println!("{}: largest difference {worst:?}", row[0]);
        assert!(worst <= Some(1), "{}: off by {worst:?}", row[0]);
        compared += 1;
    }
    assert_eq!(compared, 17);
}

#[test]
fn valid_files_are_pictures_or_refused_by_name() {
    let Some(folder) = suite().map(|suite| suite.join("valid")) else { return };
    let (mut decoded, mut unsupported) = (0, 0);
    for file in files(&folder) {
        match decode(&std::fs::read(&file).unwrap(), Depth::Eight) {
            Ok(image) => {
                assert!(image.as_u8().iter().any(|&pixel| pixel != image.as_u8()[0]), "{} is flat", file.display());
                decoded += 1;
            }
            Err(DecodeError::Dicom(
                DicomError::UnsupportedTransferSyntax { .. }
                | DicomError::Unsupported { .. }
                | DicomError::Missing { .. },
            )) => unsupported += 1,
            // Twelve-bit JPEG, by the name that its reader has for it.
            Err(DecodeError::Jpeg(jpeg_error)) => {
                println!("{}: {jpeg_error}", file.display());
                unsupported += 1;
            }
            Err(other) => panic!("{}: {other:?}", file.display()),
        }
    }
    println!("{decoded} decoded, {unsupported} refused by name");
    assert!(decoded >= 50, "{decoded}");
}

/// Real films and slices of more than 8 bits, against what pydicom read in them (`manifest.csv`).
#[test]
fn deep_files_keep_their_levels_at_16_bits() {
    let Some(folder) = suite() else { return };
    let manifest = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let (mut compared, mut richer) = (0, 0);
    for line in manifest.lines().skip(1).filter(|line| line.starts_with("valid") && line.contains(",MONOCHROME")) {
        let bytes = std::fs::read(folder.join(line.split(',').next().unwrap())).unwrap();
        let [shallow, deep] = [Depth::Eight, Depth::Sixteen].map(|depth| decode(&bytes, depth));
        let (Ok(shallow), Ok(deep)) = (shallow, deep) else { continue };
        let Samples::Sixteen(samples) = &deep.samples else { panic!("{line}") };
        // One picture: no sample is more than a step of 8 bits, and a half for its rounding, from where 8 bits have it.
        let far = |(deep, shallow): (&u16, &u8)| u32::from(*deep).abs_diff(u32::from(*shallow) * 257);
        assert!(samples.iter().zip(shallow.as_u8()).map(far).max() <= Some(129), "{line}");
        let levels = |mut samples: Vec<u16>| {
            samples.sort_unstable();
            samples.dedup();
            samples.len()
        };
        let n_levels = levels(samples.clone());
        richer += usize::from(n_levels > levels(shallow.as_u8().iter().map(|&sample| sample.into()).collect()));
        compared += 1;
        println!("{}: {n_levels} levels", line.split(',').next().unwrap());
    }
    println!("{compared} compared, {richer} with more levels than at 8 bits");
    assert!(compared >= 20 && richer >= 15, "{compared} {richer}");
}

/// Chest films of 12 and 16 bits that were made of an 8-bit picture show that picture, within a step of 12 bits.
#[test]
fn deep_chest_films_are_the_pictures_that_they_were_made_of() {
    let Some(folder) = suite().map(|suite| suite.join("cxr")) else { return };
    let mut compared = 0;
    for row in table(&folder.join("truth.csv")).into_iter().filter(|row| row[5] != "8" && !row[3].starts_with("JPEG")) {
        let film = decode(&std::fs::read(folder.join(&row[0])).unwrap(), Depth::Sixteen).unwrap();
        let truth = decode(&std::fs::read(folder.join(&row[1])).unwrap(), Depth::Sixteen).unwrap().to_grey();
        let (Samples::Sixteen(film), Samples::Sixteen(truth)) = (&film.samples, &truth.samples) else { panic!() };
        let worst = film.iter().zip(truth).map(|(a, b)| a.abs_diff(*b)).max();
        println!("{}: largest difference {worst:?} of 65535", row[0]);
        assert!(worst <= Some(16), "{}: off by {worst:?}", row[0]);
        compared += 1;
    }
    assert!(compared >= 6, "{compared}");
}

#[test]
fn colours_are_those_of_the_reference_reader() {
    let Some(folder) = suite() else { return };
    let manifest = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let mut compared = 0;
    for line in manifest.lines().skip(1).filter(|line| line.starts_with("valid") && line.contains(",uint8,")) {
        let cells: Vec<&str> = line.rsplit(',').collect();
        let (mean, shape) = (cells[1].parse::<f64>().unwrap(), cells[5]);
        let file = line.split(',').next().unwrap();
        let Ok(image) = decode(&std::fs::read(folder.join(file)).unwrap(), Depth::Eight) else { continue };
        // Several frames, or a palette: the mean in the list is of something else.
        let is_plain = !line.contains(",PALETTE COLOR,");
        if image.channels == Channels::Grey || shape.matches('x').count() != 2 || !is_plain {
            continue;
        }
        let found = image.as_u8().iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / image.samples.len() as f64;
        println!("{file}: {found:.2} {mean:.2}");
        assert!((found - mean).abs() < 1.0, "{file}: the mean is {found}, the reference has {mean}");
        compared += 1;
    }
    assert!(compared >= 18, "{compared}");
}

#[test]
fn broken_files_are_answered_quickly() {
    let Some(suite) = suite() else { return };
    let (mut images, mut errors, mut slowest) = (0, 0, Duration::ZERO);
    for file in [files(&suite.join("broken")), files(&suite.join("mutants"))].concat() {
        let bytes = std::fs::read(&file).unwrap();
        let start = Instant::now();
        match decode(&bytes, Depth::Eight) {
            Ok(_) => images += 1,
            Err(_) => errors += 1,
        }
        let taken = start.elapsed();
        slowest = slowest.max(taken);
        assert!(taken < Duration::from_secs(5), "{} took {taken:?}", file.display());
    }
    println!("{images} pictures, {errors} errors, the slowest took {slowest:?}");
    assert!(errors > images);
}

#[test]
fn sixteen_bit_and_transparent_png_become_eight_bit() {
    let image = Image::new(2, 1, Channels::Rgb, vec![1_u8, 2, 3, 250, 251, 252]);
    assert_eq!(decode(&encode_png(&image), Depth::Eight).unwrap(), image);
    let grey = Image::new(1, 2, Channels::Grey, vec![9_u8, 200]);
    assert_eq!(decode(&encode_png(&grey), Depth::Eight).unwrap(), grey);
    for (colour, samples, expected) in [
        (image::ExtendedColorType::L16, vec![0x80, 0x80], vec![0x80]),
        (image::ExtendedColorType::La8, vec![7, 99], vec![7]),
        (image::ExtendedColorType::Rgba8, vec![1, 2, 3, 0], vec![1, 2, 3]),
    ] {
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        // The encoder wants samples in the byte order of this machine; 0x8080 is the same in both.
        image::ImageEncoder::write_image(encoder, &samples, 1, 1, colour).unwrap();
        assert_eq!(decode(&bytes, Depth::Eight).unwrap().as_u8(), expected, "{colour:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(start in 0_usize..4, mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut file: Vec<u8> = match start {
            0 => Vec::new(),
            1 => b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
            2 => vec![0xff, 0xd8, 0xff, 0xe0],
            _ => [vec![0; 128], b"DICM\x02\0\x10\0UI\x12\x001.2.840.10008.1.2\0".to_vec()].concat(),
        };
        file.append(&mut bytes);
        let _ = decode(&file, Depth::Eight);
    }

    #[test]
    fn damaged_pictures_never_panic(at in 0.0_f64..1.0, value: u8, cut in 0.0_f64..1.0) {
        let pixels: Vec<u8> = (0..48 * 40).map(|index: u32| (index * 7 % 251) as u8).collect();
        let mut bytes = encode_png(&Image::new(48, 40, Channels::Grey, pixels));
        let position = (at * bytes.len() as f64) as usize;
        bytes[position] ^= value;
        bytes.truncate(bytes.len() - (cut * cut * cut * bytes.len() as f64) as usize);
        let _ = decode(&bytes, Depth::Eight);
    }
}

#[test]
fn a_jpeg_that_ends_early_is_refused_not_grey_below() {
    let Some(folder) = suite().map(|suite| suite.with_file_name("fullsize")) else { return };
    let mut cut = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if !file.extension().is_some_and(|ending| ending == "jpg" || ending == "jpeg") {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        let whole = decode(&bytes, Depth::Eight).unwrap();
        assert!(whole.as_u8().iter().any(|&pixel| pixel != whole.as_u8()[0]), "{} is flat", file.display());
        for kept in (1..40).map(|part| bytes.len() * part / 40) {
            assert!(
                decode(&bytes[..kept], Depth::Eight).is_err(),
                "{} cut to {kept} of {} bytes",
                file.display(),
                bytes.len()
            );
            cut += 1;
        }
    }
    assert!(cut > 0, "there are JPEG files");
}
