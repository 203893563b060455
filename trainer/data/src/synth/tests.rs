use remedis_imaging::encode_png;

use super::*;
use crate::{Index, audit};

fn small() -> SynthConfig {
    SynthConfig { n_cells_a: 120, n_cells_b: 60, n_natural: 56, ..SynthConfig::new(7) }
}

#[test]
fn the_drawn_sets_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    synth(&small(), folder.path()).unwrap();
    for (set, images, classes) in [("cells_a", 120, 5), ("cells_b", 60, 5), ("natural", 56, 14)] {
        let index = Index::open(&folder.path().join(set)).unwrap();
        assert_eq!((index.rows.len(), index.classes().len()), (images, classes), "{set}");
        let report = audit(&index);
        assert!(report.is_fit(), "{set}: {:?}", report.errors);
        assert_eq!(report.sizes["64 x 64"], images);
    }
    assert_eq!(Index::open(&folder.path().join("cells_a")).unwrap().classes(), CELL_CLASSES);
}

#[test]
fn one_thread_draws_what_many_draw() {
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    synth(&small(), many.path()).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| synth(&small(), one.path())).unwrap();
    for set in ["cells_a", "cells_b", "natural"] {
        let (one, many) = (one.path().join(set), many.path().join(set));
        let table = |folder: &Path| std::fs::read_to_string(folder.join("labels.csv")).unwrap();
        assert_eq!(table(&one), table(&many));
        let (one, many) = (Index::open(&one).unwrap(), Index::open(&many).unwrap());
        assert!((0..one.rows.len()).all(|row| one.read(row).unwrap() == many.read(row).unwrap()));
    }
}

#[test]
fn a_cell_depends_on_class_seed_and_site() {
    let cell = |class, seed, site| draw_cell(class, seed, site, 32);
    assert_eq!(cell(0, 1, Site::A), cell(0, 1, Site::A));
    for other in [cell(1, 1, Site::A), cell(0, 2, Site::A), cell(0, 1, Site::B)] {
        assert_ne!(cell(0, 1, Site::A), other);
    }
}

#[test]
fn sizes_beyond_use_are_refused() {
    let config = SynthConfig { size_px: 8, ..small() };
    let error = synth(&config, Path::new("/nonexistent")).unwrap_err();
    assert!(matches!(error, SynthError::Size { found: 8 }), "{error:?}");
}

/// Writes sheets to look at, where `REMEDIS_SHEETS` names a folder: rows are classes, cells of site A before site B.
#[test]
fn contact_sheets() {
    let Some(folder) = std::env::var_os("REMEDIS_SHEETS") else {
        println!("skipped: REMEDIS_SHEETS is not set");
        return;
    };
    let write = |name: &str, rows: Vec<Vec<Image>>| {
        let (columns, side) = (rows[0].len(), 64);
        let mut pixels = Vec::<u8>::new();
        for row in &rows {
            for line in 0..side {
                row.iter().for_each(|image| pixels.extend(&image.as_u8()[line * side * 3..(line + 1) * side * 3]));
            }
        }
        let (width, height) = ((columns * side) as u32, (rows.len() * side) as u32);
        let sheet = Image::new(width, height, remedis_imaging::Channels::Rgb, pixels);
        std::fs::write(Path::new(&folder).join(name), encode_png(&sheet)).unwrap();
    };
    let cells = |site, class| (0..8).map(move |number| cell::draw(class, 1, number, number, site, 64));
    write("cells.png", (0..5).map(|class| cells(Site::A, class).chain(cells(Site::B, class)).collect()).collect());
    let patterns = |class| (0..12).map(|number| pattern::draw(class, 1, number * 14 + class as u64, 64)).collect();
    write("natural.png", (0..14).map(patterns).collect());
}
