//! What the arrays of a file can lie about.

use zip::CompressionMethod;

use super::*;
use crate::BitConfig;
use common::{written, zipped};

#[path = "../../../../weights/tests/common/mod.rs"]
#[expect(dead_code, reason = "files are read into networks here")]
mod common;

/// A network of one unit a block, 4 to 128 channels.
fn network() -> BitResNet {
    BitConfig { units: [1, 1, 1, 1], width: 0.0625, channels: 3 }.init(&Device::flex(), 1)
}

/// The refusal of a file of these bytes for [`network`].
fn told(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    import(&written(folder.path(), bytes), network(), Head::Own).unwrap_err().to_string()
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
    let path = written(folder.path(), &zipped(&members, CompressionMethod::Deflated));
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
