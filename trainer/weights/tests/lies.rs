//! What a file can lie about.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

mod common;

use std::path::PathBuf;

use common::{read_all, written, zipped};
use zip::CompressionMethod;

/// What is said of a file of these bytes when all of it is read.
fn told(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    read_all(&written(folder.path(), bytes)).map_or_else(|error| error.to_string(), |()| "read".to_owned())
}

fn golden(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../model/tests/golden", name].iter().collect();
    std::fs::read(path).unwrap()
}

/// Small files of every format, as the programs write them.
const GOLDEN: [&str; 6] =
    ["bit.npz", "bit.pth", "bit_timm.safetensors", "efficientnet_lite.safetensors", "mobilenet_v2.pth", "resnet18.pth"];

#[test]
fn files_cut_anywhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in GOLDEN {
        let whole = golden(name);
        read_all(&written(folder.path(), &whole)).unwrap();
        for length in (0..40).map(|i| i * whole.len() / 40).chain([1, 7, 8, 9, 12, 300, whole.len() - 1]) {
            assert!(read_all(&written(folder.path(), &whole[..length])).is_err(), "{length} bytes of {name}");
        }
    }
}

/// Whatever is changed where lengths and names are, something is said or something is read, and nothing falls over.
#[test]
fn changed_bytes_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    for name in GOLDEN {
        let whole = golden(name);
        let ends = (0..whole.len()).step_by(3).take(150).chain((whole.len() - 450..whole.len()).step_by(3));
        for (turn, position) in ends.enumerate() {
            let mut changed = whole.clone();
            changed[position] = [0xff, 0x00, changed[position] ^ 1, 0x7f][turn % 4];
            let _ = read_all(&written(folder.path(), &changed));
        }
    }
}

#[test]
fn other_files_are_named_by_how_they_begin() {
    assert!(told(b"\x89HDF\r\n\x1a\n").contains("found a file that begins with 89 48 44 46 0d 0a 1a 0a"));
    assert!(told(b"").contains("begins with nothing"));
    assert!(told(b"\x80").contains("the PyTorch file is damaged"));
    assert!(told(b"PK\x03\x04").contains("the npz file is damaged"));
}

#[test]
fn a_safetensors_header_is_not_believed() {
    let file = |length: u64, header: &str, data: usize| {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        told(&bytes)
    };
    let header = r#"{"stem.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let length = header.len() as u64;
    assert!(file(u64::MAX, header, 8).contains("its header would have 18446744073709551615 bytes"));
    assert!(file(length, header, 7).contains("its tensors have 8 bytes, the file has 7 for them"));
    assert!(file(length, header, 9).contains("its tensors have 8 bytes, the file has 9 for them"));
    assert!(file(length, &header.replace("[2]", "[3]"), 8).contains("damaged"));
    assert_eq!(file(length, header, 8), "read");
    let huge = header.replace("[2]", "[9223372036854775807,9]");
    assert!(file(huge.len() as u64, &huge, 8).contains("damaged"));
}

/// `posix.system("touch …")`, as a pickle of protocol 2 says it.
#[test]
fn a_pickle_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let command = format!("touch {}", touched.display());
    let mut call = b"cposix\nsystem\nX".to_vec();
    call.extend_from_slice(&(command.len() as u32).to_le_bytes());
    call.extend_from_slice(command.as_bytes());
    call.extend_from_slice(b"\x85R");
    // By itself, and as a value of a dictionary.
    let alone = [b"\x80\x02", &call[..], b"."].concat();
    let inside = [b"\x80\x02}X\x01\x00\x00\x00a", &call[..], b"s."].concat();
    for pickle in [&alone, &inside] {
        let stored = zipped(&[("archive/data.pkl", pickle)], CompressionMethod::Stored);
        for file in [pickle, &stored] {
            let said = told(file);
            assert!(said.contains("damaged") || said == "read", "{said}");
            assert!(!touched.exists());
        }
    }
}

#[test]
fn a_deeply_nested_pickle_is_refused() {
    let mut pickle = b"\x80\x02".to_vec();
    pickle.resize(pickle.len() + 100_000, b'(');
    pickle.resize(pickle.len() + 100_000, b't');
    pickle.push(b'.');
    assert!(told(&pickle).contains("the PyTorch file is damaged"));
}
