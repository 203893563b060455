use remedis_imaging::{Channels, Depth, Resize, Samples};

use super::*;
use crate::geometry::Geometry;
use crate::index::{Row, Split};

fn row(file: &str) -> Row {
    let (label, patient) = (Some("cell".to_owned()), Some("P-7".to_owned()));
    Row { file: file.to_owned(), label, site: None, patient, split: Split::Train, group: None }
}

/// A file of three rows: kept at 6 x 4 and 3 x 2 pixels, kept at 3 x 2 alone, bad; of 8 bits a sample.
fn honest() -> Vec<u8> {
    of_depth(Depth::Eight)
}

/// Samples of 16 bits are those of 8 with a 7 in the lower byte.
fn of_depth(depth_bits: Depth) -> Vec<u8> {
    let (channels, resize) = (Channels::Grey, Resize::Stretch);
    let geometry = Geometry { width: 3, height: 2, channels, depth_bits, resize };
    let key = Key { set_sha256: "00".repeat(32), geometry, first_row: 10, n_rows: 3 };
    let image = |width, height, first: u8| {
        let samples = first..first + (width * height) as u8;
        let samples: Samples = match depth_bits {
            Depth::Eight => samples.collect::<Vec<u8>>().into(),
            Depth::Sixteen => samples.map(|sample| u16::from_be_bytes([sample, 7])).collect::<Vec<_>>().into(),
        };
        Image::new(width, height, Channels::Grey, samples)
    };
    let record = |file, content| Record { row: row(file), bytes: 9, sha256: Some(Digest::of(b"x")), content };
    let crc32 = |image: &Image| crc32fast::hash(&image.samples.to_le_bytes());
    let (small, twice, own) = (image(3, 2, 1), image(6, 4, 50), image(3, 2, 100));
    let picture = |width, height, input: &Image, twice: Option<&Image>| Content::Picture {
        width,
        height,
        likeness: None,
        input_crc32: crc32(input),
        twice_crc32: twice.map(crc32),
    };
    let mut encoder = Encoder::new(&key);
    encoder.add(record("a.png", picture(40, 30, &small, Some(&twice))), &[small, twice]);
    encoder.add(record("b.png", picture(2, 2, &own, None)), &[own]);
    encoder.add(record("c.png", Content::Bad { reason: "empty".to_owned() }), &[]);
    encoder.finish()
}

fn open(bytes: &[u8]) -> Result<(tempfile::TempDir, Shard), ShardError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard-00000.shard");
    std::fs::write(&path, bytes).unwrap();
    Shard::open(&path).map(|shard| (folder, shard))
}

/// The file with `from` replaced in its key or index by `to` of the same length, its checksum right again.
fn lying(from: &str, to: &str) -> ShardError {
    let mut bytes = honest();
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    mend(&mut bytes);
    open(&bytes).map(drop).unwrap_err()
}

/// Puts the right checksum into the head.
fn mend(bytes: &mut [u8]) {
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let key = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    let crc32 = head_crc32(&bytes[16..64 + key], &bytes[long(24)..]);
    bytes[12..16].copy_from_slice(&crc32.to_le_bytes());
}

#[test]
fn what_was_written_is_read() {
    let (_folder, shard) = open(&honest()).unwrap();
    assert_eq!((shard.key().first_row, shard.records().len()), (10, 3));
    assert_eq!(shard.records()[1].row, row("b.png"));
    let image = |at, detail| shard.image(at, detail).unwrap();
    let first = image(0, Detail::Input).unwrap();
    assert_eq!((first.width, first.height, first.as_u8()), (3, 2, &[1, 2, 3, 4, 5, 6][..]));
    let twice = image(0, Detail::Twice).unwrap();
    assert_eq!((twice.width, twice.height, twice.as_u8()[0], twice.as_u8()[23]), (6, 4, 50, 73));
    assert_eq!(image(1, Detail::Twice).unwrap().as_u8(), [100, 101, 102, 103, 104, 105]);
    assert_eq!(image(1, Detail::Twice), image(1, Detail::Input));
    assert_eq!(image(2, Detail::Input), None);
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let bytes = honest();
    for length in 0..bytes.len() {
        assert!(open(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
    }
    assert!(open(&[&bytes[..], b"x"].concat()).is_err());
}

#[test]
fn a_bit_flipped_anywhere_is_found_on_opening_or_on_reading() {
    let honest = honest();
    for at in 0..honest.len() {
        let mut bytes = honest.clone();
        bytes[at] ^= 1 << (at % 8);
        let Ok((_folder, shard)) = open(&bytes) else { continue };
        let read = |row| [Detail::Input, Detail::Twice].map(|detail| shard.image(row, detail));
        let is_found = (0..3).flat_map(read).any(|image| image.is_err());
        assert!(is_found, "byte {at} of {}", honest.len());
    }
}

#[test]
fn damage_is_said_with_both_checksums_and_what_to_do() {
    let mut bytes = honest();
    let first_pixel = bytes.windows(3).position(|window| window == [1, 2, 3]).unwrap();
    bytes[first_pixel] = 9;
    let (_folder, shard) = open(&bytes).unwrap();
    assert!(shard.image(1, Detail::Input).is_ok());
    let said = shard.image(0, Detail::Input).unwrap_err().to_string();
    // `python3 -c 'import zlib; print(hex(zlib.crc32(bytes([9,2,3,4,5,6]))), hex(zlib.crc32(bytes([1,2,3,4,5,6]))))'`
    let expected = "shard-00000.shard is damaged: CRC-32 of the picture of row 11 is 6da5f549, expected 81f67724; prepare the \
                    images again, which makes damaged files anew";
    assert_eq!(said, expected);
}

#[test]
fn numbers_that_lie_are_refused_with_what_was_expected_and_found() {
    for (from, to, words) in [
        ("\"n_rows\":3", "\"n_rows\":4", "the number of records is 3, expected 4"),
        ("\"width\":3,", "\"width\":0,", "the input's size is 0 x 2 pixels"),
        ("\"height\":2,", "\"height\":9,", "the end of the pixels is 278, expected 404"),
        (
            "\"width\":2,\"height\":2",
            "\"width\":9,\"height\":9",
            "whether a picture is kept at more than the input's size is",
        ),
        ("\"width\":40", "\"width\":04", "not in the form expected"),
        ("\"width\":40", "\"width\":-1", "not in the form expected"),
        ("\"split\":\"train\"", "\"split\":\"often\"", "the index is not in the form expected: wrong at line 1"),
        ("\"bytes\":9", "\"bites\":9", "not in the form expected"),
    ] {
        let said = lying(from, to).to_string();
        assert!(said.contains(words), "{to}: {said}");
        assert!(!said.contains("P-7"), "{said}");
    }
}

#[test]
fn lengths_that_lie_take_no_memory() {
    for (at, value) in
        [(16, u64::from(u32::MAX)), (24, 0), (24, u64::MAX), (32, u64::MAX), (24, 1 << 40), (32, 1 << 40)]
    {
        let mut bytes = honest();
        let width = if at == 16 { 4 } else { 8 };
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        assert!(matches!(open(&bytes), Err(ShardError::Contradiction { .. })), "{value} at {at}");
    }
    // The index one byte earlier: another last pixel, another index.
    let mut bytes = honest();
    let (index_at, length) = (u64::from_le_bytes(bytes[24..32].try_into().unwrap()), bytes.len() as u64);
    bytes[24..32].copy_from_slice(&(index_at - 1).to_le_bytes());
    bytes[32..40].copy_from_slice(&(length - index_at + 1).to_le_bytes());
    mend(&mut bytes);
    assert!(open(&bytes).is_err());
}

#[test]
fn sixteen_bits_are_kept_as_two_bytes_in_a_newer_version() {
    let bytes = of_depth(Depth::Sixteen);
    let (_folder, shard) = open(&bytes).unwrap();
    let image = |at, detail| shard.image(at, detail).unwrap().unwrap();
    let expected = Samples::from(vec![0x0107_u16, 0x0207, 0x0307, 0x0407, 0x0507, 0x0607]);
    assert_eq!(image(0, Detail::Input).samples, expected);
    assert_eq!(image(0, Detail::Twice).samples.len(), 24);
    assert_eq!((bytes[8], honest()[8]), (2, 1));
    // 6, 24 and 6 samples with a byte more, and the words of the key.
    assert_eq!(bytes.len() - honest().len(), 36 + ",\"depth_bits\":16".len());
}

/// What programs from before there was a choice read: no word of a depth, version 1.
#[test]
fn a_shard_of_8_bits_is_what_it_was() {
    let bytes = honest();
    let key = format!(
        r#"{{"set_sha256":"{}","geometry":{{"width":3,"height":2,"channels":"grey","resize":"stretch"}},"first_row":10,"n_rows":3}}"#,
        "00".repeat(32)
    );
    assert_eq!(&bytes[64..64 + key.len()], key.as_bytes());
    assert_eq!(bytes[64 + key.len()..][..6], [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_version_that_does_not_fit_the_depth_is_refused() {
    for (depth, version) in [(Depth::Eight, 2), (Depth::Sixteen, 1)] {
        let mut bytes = of_depth(depth);
        bytes[8] = version;
        let said = open(&bytes).map(drop).unwrap_err().to_string();
        let words = format!("its version, by the bits of a sample, is {version}, expected {}", 3 - version);
        assert!(said.contains(&words), "{said}");
    }
}

#[test]
fn other_files_and_other_versions_are_told_apart() {
    let said = |bytes: &[u8]| open(bytes).map(drop).unwrap_err().to_string();
    assert!(said(b"\x89PNG").contains("expected it to start with \"REMESHRD\", found [89, 50, 4e, 47]"));
    let mut bytes = honest();
    bytes[8] = 3;
    assert!(said(&bytes).contains("has version 3, expected 1 to 2; prepare the images again with this program"));
}
