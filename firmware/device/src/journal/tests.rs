use super::*;
use proptest::prelude::*;
use tempfile::TempDir;

fn entry(frame_id: u64) -> Entry {
    Entry {
        frame_id,
        image_crc32: 7,
        image_bytes: 9,
        image_sha256: "ab".repeat(32),
        verdict: Verdict::Class { index: 1, name: "ring".into(), confidence: 0.75 },
        probabilities: vec![0.25, 0.75],
        bundle_digest: "0123456789abcdef".repeat(4),
        model: "cells 1.0.0".into(),
        latency_ms: 12,
        unix_ms: 1_700_000_000_000,
    }
}

/// A journal with the answers to frames 1 to `n`, its bytes, and where each record starts.
fn written(n: u64) -> (TempDir, PathBuf, Vec<u8>, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    let mut starts = Vec::new();
    for frame_id in 1..=n {
        starts.push(journal.end);
        journal.append(&entry(frame_id)).unwrap();
    }
    drop(journal);
    let bytes = fs::read(&path).unwrap();
    (folder, path, bytes, starts)
}

#[test]
fn answers_are_found_after_reopening() {
    let (_folder, path, ..) = written(3);
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    assert_eq!(recovered, Recovered { n_records: 3, torn: None });
    assert_eq!(journal.find(2).unwrap(), Some(entry(2)));
    assert_eq!(journal.find(4).unwrap(), None);
    journal.append(&entry(4)).unwrap();
    assert_eq!(journal.find(4).unwrap(), Some(entry(4)));
}

#[test]
fn cut_at_every_byte_of_the_last_record_loses_only_that_record() {
    let (_folder, path, bytes, starts) = written(3);
    let last = starts[2] as usize;
    for cut in last..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let (mut journal, recovered) = Journal::open(&path).unwrap();
        assert_eq!(recovered.n_records, 2, "cut at {cut}");
        assert_eq!(recovered.torn.as_ref().map_or(0, |torn| torn.length), (cut - last) as u64, "cut at {cut}");
        if let Some(torn) = recovered.torn {
            assert_eq!(fs::read(torn.kept_in).unwrap(), bytes[last..cut], "the tail is kept");
        }
        assert_eq!(journal.find(3).unwrap(), None);
        journal.append(&entry(3)).unwrap();
        drop(journal);
        assert_eq!(fs::read(&path).unwrap(), bytes, "and the journal goes on as if nothing had happened");
    }
}

#[test]
fn every_flipped_bit_before_the_last_record_is_found_and_nothing_is_changed() {
    let (_folder, path, bytes, starts) = written(3);
    for at in HEADER.len()..starts[2] as usize {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            fs::write(&path, &damaged).unwrap();
            let record_index = starts.iter().rposition(|&start| start <= at as u64).unwrap();
            match Journal::open(&path).unwrap_err() {
                OpenJournalError::Damaged { offset, n_records, .. } => {
                    assert_eq!((offset, n_records), (starts[record_index], record_index as u64), "bit {bit} of {at}");
                }
                other => panic!("bit {bit} of {at}: {other}"),
            }
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }
}

#[test]
fn every_flipped_bit_of_the_last_record_takes_that_record_only() {
    let (_folder, path, bytes, starts) = written(2);
    for at in starts[1] as usize..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        let (_, recovered) = Journal::open(&path).unwrap();
        assert_eq!(recovered.n_records, 1, "byte {at}");
        assert!(recovered.torn.is_some(), "byte {at}");
    }
}

#[test]
fn a_record_cut_out_of_the_middle_breaks_the_chain() {
    let (_folder, path, bytes, starts) = written(3);
    let without = [&bytes[..starts[1] as usize], &bytes[starts[2] as usize..]].concat();
    fs::write(&path, without).unwrap();
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("not chained"), "{error}");
}

#[test]
fn some_other_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "dear diary, today").unwrap();
    assert!(matches!(Journal::open(&path), Err(OpenJournalError::NotAJournal { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"dear diary, today");
}

#[test]
fn a_second_writer_is_kept_out() {
    let (_folder, path, ..) = written(1);
    let (_first, _) = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(OpenJournalError::InUse)));
}

#[test]
fn the_same_image_is_answered_again_and_another_under_its_number_refused() {
    use remedis_link::{Format, FrameHeader, Known, NakReason};
    let same = FrameHeader { id: 1, format: Format::Png, width: 0, height: 0, length: 9, crc: 7 };
    assert_eq!(entry(1).known(&same), Known::Answered(entry(1).outcome()));
    let other = FrameHeader { crc: 8, ..same };
    assert_eq!(entry(1).known(&other), Known::Refuse(NakReason::IdReused));
}

#[test]
fn the_hardware_hears_class_confidence_and_model() {
    let outcome = entry(5).outcome();
    assert_eq!((outcome.frame_id, outcome.class, outcome.confidence), (5, 1, 7500));
    assert_eq!(outcome.model, [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let file = [&HEADER[..], &bytes].concat();
        let _any = scan(&mut io::Cursor::new(file), |_, _| {});
    }
}
