use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use remedis_imaging::{Channels, Depth, Preprocessing, Resize, encode_png};

use super::write::write_files;
use super::*;
use crate::audit::audit;
use crate::index::{Index, OpenIndexError, ReadImageError};

/// 12 x 8 pixels, grey.
fn geometry() -> Geometry {
    Geometry { width: 12, height: 8, channels: Channels::Grey, depth_bits: Depth::Eight, resize: Resize::CentreCrop }
}

fn input() -> Preprocessing {
    let Geometry { width, height, channels, depth_bits, resize } = geometry();
    Preprocessing { width, height, channels, depth_bits, resize, mean: vec![0.5], std: vec![0.5] }
}

/// Pictures below, at and above the input's size, in grey and colour, a copy in another split, and two files that are none.
fn set() -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let mut table = "file,label,patient,split,group\n".to_owned();
    let sizes = [(5, 4), (12, 8), (19, 30), (40, 40), (90, 33), (40, 40), (31, 17)];
    for (number, &(width, height)) in sizes.iter().enumerate() {
        let channels = if number % 2 == 0 { Channels::Grey } else { Channels::Rgb };
        let samples = width * height * channels.count() as u32;
        // The fourth and the sixth are the same file.
        let pixels: Vec<u8> = (0..samples).map(|at| (at * at % 251 * (1 + (number as u32 & 4 | 1))) as u8).collect();
        fs::write(
            folder.path().join(format!("{number}.png")),
            encode_png(&Image::new(width, height, channels, pixels)),
        )
        .unwrap();
        table +=
            &format!("{number}.png,{},p{number},{},\n", ["even", "odd"][number % 2], ["train", "test"][number / 5]);
    }
    fs::write(folder.path().join("broken.png"), &fs::read(folder.path().join("3.png")).unwrap()[..60]).unwrap();
    fs::write(folder.path().join("empty.png"), b"").unwrap();
    table += "broken.png,odd,,val,g1\nempty.png,,,val,\n";
    fs::write(folder.path().join("labels.csv"), table).unwrap();
    let index = Index::open(folder.path()).unwrap();
    (folder, index)
}

/// Two rows a file.
fn write(index: &Index, out: &Path) -> Result<Prepared, WriteShardsError> {
    write_files(index, "cells", &geometry(), out, 2, &mut |_| true)
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn a_prepared_set_is_the_set() {
    let (_set, direct) = set();
    let out = tempfile::tempdir().unwrap();
    let made = write(&direct, out.path()).unwrap();
    assert_eq!((made.n_images, made.n_bad, made.n_files, made.n_kept), (9, 2, 5, 0));
    let prepared = Index::open(out.path()).unwrap();
    assert_eq!((&prepared.rows, prepared.sha256()), (&direct.rows, direct.sha256()));
    assert_eq!((prepared.prepared_from(), prepared.geometry()), (Some("cells"), Some(&geometry())));
    for row in 0..9 {
        for detail in [Detail::Input, Detail::Twice] {
            let of = |index: &Index| index.resized(row, &input(), detail).map_err(|error| error.reason());
            assert_eq!(of(&prepared), of(&direct), "row {row}, {detail:?}");
            let refusal = |index: &Index| index.usable(row).map_err(|error| error.reason());
            assert_eq!(refusal(&prepared), refusal(&direct), "row {row}");
        }
    }
    let report = |index| serde_json::to_value(audit(index)).unwrap();
    assert_eq!(report(&prepared), report(&direct));
    assert!(matches!(prepared.read(0), Err(ReadImageError::OnlyPrepared { row: 0 })));
}

#[test]
fn threads_and_stops_change_no_byte_and_what_is_finished_is_kept() {
    let (_set, index) = set();
    let out = [0; 3].map(|_| tempfile::tempdir().unwrap());
    for (threads, out) in [1, 4].into_iter().zip(&out) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| write(&index, out.path())).unwrap();
    }
    assert_eq!(files(out[0].path()), files(out[1].path()));
    let stopped = |most: usize| {
        let mut watch = |through: usize| through < most;
        write_files(&index, "cells", &geometry(), out[2].path(), 2, &mut watch).map_err(|error| error.to_string())
    };
    let refusal = "stopped after 4 of 9 images; the same command goes on from there".to_owned();
    assert_eq!(stopped(6), Err(refusal));
    assert_eq!(files(out[2].path()).len(), 2);
    let unfinished = Index::open(out[2].path()).unwrap_err();
    assert!(matches!(unfinished, OpenIndexError::Shards(ShardError::Unfinished { .. })), "{unfinished:?}");
    let made = stopped(100).unwrap();
    assert_eq!((made.n_kept, made.n_images_kept, made.n_files), (2, 4, 5));
    assert_eq!(files(out[2].path()), files(out[0].path()));
}

#[test]
fn damaged_shards_and_shards_of_changed_files_are_made_anew() {
    let (set, index) = set();
    let out = tempfile::tempdir().unwrap();
    write(&index, out.path()).unwrap();
    let honest = files(out.path());
    let path = out.path().join("shard-00001.shard");
    let mut bytes = honest["shard-00001.shard"].clone();
    // Half of the file is index, so this is a pixel.
    let pixel = bytes.len() / 4;
    bytes[pixel] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(write(&index, out.path()).unwrap().n_kept, 4);
    assert_eq!(files(out.path()), honest);
    // Other bytes of the same length: the table and its SHA-256 stay.
    let file = set.path().join("4.png");
    let mut picture = fs::read(&file).unwrap();
    picture[60] ^= 1;
    fs::write(&file, picture).unwrap();
    let made = write(&index, out.path()).unwrap();
    assert_eq!((made.n_kept, made.n_bad), (4, 3));
}

#[test]
fn images_prepared_for_something_else_are_refused_with_both_and_what_to_do() {
    let (set, index) = set();
    let out = tempfile::tempdir().unwrap();
    write(&index, out.path()).unwrap();
    let prepared = Index::open(out.path()).unwrap();
    // Mean and deviation come after the pixels.
    assert_eq!(prepared.suits(&Preprocessing { mean: vec![0.1], ..input() }), Ok(()));
    let wanted = Preprocessing { width: 16, height: 16, ..input() };
    let said = prepared.suits(&wanted).unwrap_err().to_string();
    assert_eq!(
        said,
        "its images were prepared for 12 x 8 pixels, grey, cropped to the centre, but wanted is 16 x 16 pixels, grey, cropped to \
         the centre; prepare the original set again with `remedis-train prepare --size 16 --channels grey --out \
         ANOTHER_FOLDER`, change the plan's input, or name the original set"
    );
    let error = prepared.resized(0, &wanted, Detail::Input).unwrap_err();
    assert_eq!(error.reason(), said);
    let larger = Geometry { width: 24, ..geometry() };
    let other = write_files(&index, "cells", &larger, out.path(), 2, &mut |_| true).unwrap_err().to_string();
    assert!(
        other.contains("prepared from this set, for 12 x 8 pixels") && other.contains("wanted is 24 x 8"),
        "{other}"
    );
    let again = write(&prepared, out.path()).unwrap_err().to_string();
    assert!(again.contains("prepared already, for 12 x 8 pixels"), "{again}");
    let foreign = write(&index, set.path()).unwrap_err().to_string();
    assert!(
        foreign.contains("the folder is not empty: it has ") && foreign.contains("choose another --out"),
        "{foreign}"
    );
}

#[test]
fn a_folder_that_lies_is_refused() {
    let (_set, index) = set();
    let out = tempfile::tempdir().unwrap();
    write(&index, out.path()).unwrap();
    let manifest = String::from_utf8(files(out.path())["shards.json"].clone()).unwrap();
    let said = |from: &str, to: &str| {
        assert!(manifest.contains(from), "{manifest}");
        fs::write(out.path().join(MANIFEST), manifest.replacen(from, to, 1)).unwrap();
        match Index::open(out.path()).unwrap_err() {
            OpenIndexError::Shards(error) => error.to_string(),
            other => panic!("{other}"),
        }
    };
    for (from, to, words) in [
        ("\"format\": 1", "\"format\": 3", "shards.json has version 3, expected 1 to 2"),
        ("\"format\": 1", "\"format\": 2", "its format, by the bits of a sample, is 2, expected 1"),
        ("\"n_images\": 9", "\"n_images\": 8", "the number of its rows is 9, expected 8"),
        ("\"width\": 12", "\"width\": 13", "the input it was made for is 12 x 8 pixels"),
        ("\"set_sha256\": \"", "\"set_sha256\": \"0", "the SHA-256 of its set is "),
        ("\"n_rows\": 2", "\"n_rows\": 1", "which rows it has is 2 from 1 on, expected 1 from 1 on"),
        ("shard-00000.shard", "../etc/passwd.shard", "the name of a file is ../etc/passwd.shard"),
        ("shard-00000.shard", "shard-00001.shard", "which rows it has is 2 from 3 on, expected 2 from 1 on"),
        ("shard-00000.shard", "shard-00009.shard", "cannot read shard-00009.shard"),
        ("\"name\"", "\"nome\"", "shards.json: it is not in the form expected"),
    ] {
        let said = said(from, to);
        assert!(said.contains(words), "{to}: {said}");
    }
}

/// A set of 16-bit pictures whose upper byte is the same everywhere, one of 8 bits and one in colour.
fn deep_set() -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, image: &Image| fs::write(folder.path().join(name), encode_png(image)).unwrap();
    for number in 0..4_u16 {
        let samples = (0..40 * 30).map(|at: u16| 0x3fd0 + (at % 40) * 5 + number).collect::<Vec<u16>>();
        write(&format!("deep{number}.png"), &Image::new(40, 30, Channels::Grey, samples));
    }
    write("shallow.png", &Image::new(20, 20, Channels::Grey, (0..400_u32).map(|at| at as u8).collect::<Vec<_>>()));
    write("colour.png", &Image::new(20, 20, Channels::Rgb, (0..1200_u32).map(|at| at as u8).collect::<Vec<_>>()));
    let names = ["deep0", "deep1", "deep2", "deep3", "shallow", "colour"];
    let rows: String = names.iter().enumerate().map(|(at, name)| format!("{name}.png,{},train\n", at % 2)).collect();
    fs::write(folder.path().join("labels.csv"), format!("file,label,split\n{rows}")).unwrap();
    let index = Index::open(folder.path()).unwrap();
    (folder, index)
}

#[test]
fn a_set_of_16_bits_is_prepared_without_loss_and_the_same_set_at_8_bits_is_flat() {
    let (_set, direct) = deep_set();
    let deep = Preprocessing { depth_bits: Depth::Sixteen, ..input() };
    let out = tempfile::tempdir().unwrap();
    write_files(&direct, "films", &Geometry::of(&deep), out.path(), 4, &mut |_| true).unwrap();
    let prepared = Index::open(out.path()).unwrap();
    for row in 0..direct.rows.len() {
        for detail in [Detail::Input, Detail::Twice] {
            let of = |index: &Index, input| index.resized(row, input, detail).unwrap().samples;
            assert_eq!(of(&prepared, &deep), of(&direct, &deep), "row {row}, {detail:?}");
            assert_eq!(of(&direct, &deep).depth(), Depth::Sixteen);
        }
    }
    let levels = |input: &Preprocessing| {
        let samples = direct.resized(0, input, Detail::Twice).unwrap().samples;
        let bytes = samples.to_le_bytes();
        bytes.chunks(samples.depth().bytes()).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(levels(&input()), 1);
    assert!(levels(&deep) >= 24, "{}", levels(&deep));
    // The audit, which knows of no depth, says the same of both.
    let report = |index| serde_json::to_value(audit(index)).unwrap();
    assert_eq!(report(&prepared), report(&direct));
    // Prepared for another depth is prepared for another input.
    let said = prepared.suits(&input()).unwrap_err().to_string();
    assert!(said.contains("prepared for 12 x 8 pixels, grey, 16 bits, cropped"), "{said}");
    let shallow = tempfile::tempdir().unwrap();
    write(&direct, shallow.path()).unwrap();
    let said = Index::open(shallow.path()).unwrap().suits(&deep).unwrap_err().to_string();
    assert!(said.contains("--size 12 --channels grey --depth 16 --out"), "{said}");
}

/// The largest real set at hand, where `REMEDIS_DATA` names the folder that holds it; `--nocapture` prints sizes and rates.
#[test]
fn seventeen_thousand_cells_are_the_same_from_shards() {
    let Some(data) = std::env::var_os("REMEDIS_DATA") else {
        println!("skipped: REMEDIS_DATA is not set");
        return;
    };
    let direct = Index::open(&Path::new(&data).join("wbc_pbc")).unwrap();
    for side in [32, 64] {
        let geometry = Geometry {
            width: side,
            height: side,
            channels: Channels::Rgb,
            depth_bits: Depth::Eight,
            resize: Resize::CentreCrop,
        };
        let input = Preprocessing { width: side, height: side, channels: Channels::Rgb, ..input() };
        let out = tempfile::tempdir().unwrap();
        let start = std::time::Instant::now();
        let made = write_shards(&direct, "wbc_pbc", &geometry, out.path(), &mut |_| true).unwrap();
        let took = start.elapsed().as_secs_f64();
        println!(
            "input {side}: prepared {:.0} images/s, {} bytes in {} files",
            17_092.0 / took,
            made.bytes,
            made.n_files
        );
        let prepared = Index::open(out.path()).unwrap();
        let load = |name: &str, index: &Index| -> Vec<Image> {
            let start = std::time::Instant::now();
            let rows = (0..17_092).into_par_iter();
            let images = rows.map(|row| index.resized(row, &input, Detail::Twice).unwrap()).collect();
            println!("input {side}: {name} {:.0} images/s", 17_092.0 / start.elapsed().as_secs_f64());
            images
        };
        let (first, second) = (load("direct", &direct), load("shards", &prepared));
        assert!(first == second);
    }
}
