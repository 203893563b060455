//! What a file can lie about.

use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::BitConfig;

/// A network of one unit a block, 4 to 128 channels.
fn network() -> BitResNet {
    BitConfig { units: [1, 1, 1, 1], width: 0.0625, channels: 3 }.init(&Device::flex(), 1)
}

fn written(folder: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The refusal of a file of these bytes for [`network`].
fn told(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    import(&written(&folder, bytes), network(), Head::Own).unwrap_err().to_string()
}

fn golden(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/golden", name].iter().collect();
    std::fs::read(path).unwrap()
}

const GOLDEN: [&str; 6] =
    ["bit.npz", "bit.pth", "bit_timm.safetensors", "efficientnet_lite.safetensors", "mobilenet_v2.pth", "resnet18.pth"];

/// Reads all there is to read: a name or number that is not the network's hides none.
fn read_all(path: &Path) -> Result<(), ImportError> {
    let mut file = WeightFile::open(path)?;
    for (name, entry) in &file.entries {
        // Shapes of the honest files have fewer numbers.
        let n = entry.shape.iter().try_fold(1_usize, |n, size| n.checked_mul(*size)).filter(|n| *n < 100_000);
        if let (Some(n), Some(size)) = (n, entry.kind.size()) {
            file.container.bytes(name, n * size).map_err(|error| file.container.refusal(name, error))?;
        }
    }
    Ok(())
}

#[test]
fn files_cut_anywhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in GOLDEN {
        let whole = golden(name);
        read_all(&written(&folder, &whole)).unwrap();
        for length in (0..40).map(|i| i * whole.len() / 40).chain([1, 7, 8, 9, 12, 300, whole.len() - 1]) {
            assert!(read_all(&written(&folder, &whole[..length])).is_err(), "{length} bytes of {name}");
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
            let _ = read_all(&written(&folder, &changed));
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
    assert!(file(length, header, 8).contains("lacks"));
    let huge = header.replace("[2]", "[9223372036854775807,9]");
    assert!(file(huge.len() as u64, &huge, 8).contains("damaged"));
}

/// A zip of members, each with a name and content.
fn zipped(members: &[(&str, &[u8])], compression: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(compression)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An array as NumPy writes it, of version 1.
fn array(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// What is said of an `.npz` with the network's tensors, all zeros, but for the last normalisation's shift.
fn npz_with(beta: &[u8]) -> String {
    let own = Weights::of(&network());
    let all: BTreeSet<&str> = own.tensors().map(|(name, _)| name).collect();
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, values) in own.tensors().filter(|(name, _)| *name != "group_norm.beta") {
        let shape = match values.shape[..] {
            [out, channels, height, width] => format!("({height}, {width}, {channels}, {out})"),
            _ => format!("({},)", values.values.len()),
        };
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let (theirs, _) = Naming::Bit.place(name, &all).unwrap();
        members.push((format!("{theirs}.npy"), array(&header, &vec![0; 4 * values.values.len()])));
    }
    members.push(("resnet/group_norm/beta.npy".to_owned(), beta.to_vec()));
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder, &zipped(&members, CompressionMethod::Deflated));
    import(&path, network(), Head::Own).map_or_else(|error| error.to_string(), |_| "imported".to_owned())
}

#[test]
fn an_array_is_not_believed() {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (128,), }\n";
    let data = [0; 512];
    assert_eq!(npz_with(&array(header, &data)), "imported");
    assert_eq!(npz_with(&array(&header.replace("False", "True"), &data)), "imported");
    let shape = |shape: &str| npz_with(&array(&header.replace("(128,)", shape), &data));
    assert!(shape("(127,)").contains("resnet/group_norm/beta has the shape [127], the network expects [128]"));
    assert!(shape("(18446744073709551615, 18446744073709551615)").contains("has the shape [18446744073709551615, "));
    for wrong in ["(-1,)", "(18446744073709551616,)", "(1.5,)", "[128]", "()[", "(((128,),),)", ""] {
        let said = shape(wrong);
        assert!(said.contains("damaged") || said.contains("the network expects"), "{wrong}: {said}");
    }
    let descr = npz_with(&array(&header.replace("<f4", "<f8"), &data));
    assert_eq!(descr, "resnet/group_norm/beta holds <f8, expected F32, F16 or BF16; convert the file first");
    let object = npz_with(&array(&header.replace("<f4", "|O"), &data));
    assert!(object.contains("holds |O"), "{object}");
    for length in [0, 511, 513] {
        let said = npz_with(&array(header, &vec![0; length]));
        assert!(said.contains("beta: the array is not as long as its header says"), "{length}: {said}");
    }
    assert!(npz_with(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("longer than that of any plain array"));
    assert!(npz_with(b"\x93NUMPY\x09\x00\x10\x00").contains("version"));
    assert!(npz_with(b"GIF89a\x00\x00\x00").contains("it is no NumPy array"));
    assert!(npz_with(&array(header, &[0xff; 512])).contains("not finite"));
}

/// 256 MB of zeros in 250 kB: what is read of them is what the network has room for.
#[test]
fn a_bomb_does_not_go_off() {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (128,), }\n";
    let bomb = array(header, &vec![0; 256 << 20]);
    assert!(npz_with(&bomb).contains("the array is not as long as its header says"));
    let pickled = [("archive/data.pkl", &bomb[..1 << 20]), ("archive/version", b"3")];
    assert!(told(&zipped(&pickled, CompressionMethod::Deflated)).contains("torch.save never does"));
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
            assert!(said.contains("damaged") || said.contains("lacks"), "{said}");
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
