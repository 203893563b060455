//! A sample on disk for a peer: both models, some inputs, and what we say they give.
//!
//! `tools/peers/agree.py` reads the folder and compares with onnxruntime. Arrays are NumPy `.npy` files, format 1.0.

use std::fs;
use std::io;
use std::path::Path;

use crate::graph::{FloatGraph, QuantGraph};
use crate::onnx::write_onnx;

/// Writes `float.onnx`, `int8.onnx`, `inputs.npy`, `float.npy` and `int8.npy` into `folder`, which is made if missing.
///
/// # Errors
/// If the folder or a file cannot be written.
///
/// # Panics
/// If a prepared image is not of the graphs' input size.
pub fn write_sample(folder: &Path, float: &FloatGraph, quant: &QuantGraph, prepared: &[Vec<f32>]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("float.onnx"), write_onnx(float))?;
    fs::write(folder.join("int8.onnx"), write_onnx(quant))?;
    let [channels, height, width] = float.input;
    fs::write(folder.join("inputs.npy"), npy(&[prepared.len(), channels, height, width], &prepared.concat()))?;
    let answers = [prepared.len(), float.n_logits()];
    fs::write(folder.join("float.npy"), npy(&answers, &float.run_all(prepared).concat()))?;
    fs::write(folder.join("int8.npy"), npy(&answers, &quant.run_all(prepared).concat()))
}

/// An array of `f32` in NumPy's format 1.0: magic, version, a text header padded to 64 bytes, then the values.
///
/// # Panics
/// If there are not as many values as `shape` asks for.
pub fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    assert_eq!(values.len(), shape.iter().product::<usize>(), "values for an array of {shape:?}");
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(padded).expect("the header of a few sizes is short").to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = padded - 1).bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::calibrate::calibrate;
    use crate::quantise::quantise;
    use crate::random_net::{images, inverted_net, residual_net};

    /// The Python of the test peers, if `tools/peers/install-peers.sh` has run.
    fn peer_python() -> Option<PathBuf> {
        let folder = std::env::var_os("REMEDIS_PEERS").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/remedis/peers")))?;
        Some(folder.join("bin/python")).filter(|python| python.exists())
    }

    #[test]
    fn onnxruntime_gives_our_float_logits_and_our_int8_decisions() {
        let Some(python) = peer_python() else {
            println!("skipped: no test peers; tools/peers/install-peers.sh installs them");
            return;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/peers/agree.py");
        for (seed, float) in [(0, residual_net(0)), (1, residual_net(1)), (2, inverted_net(2)), (3, inverted_net(3))] {
            let images = images(seed, &float, 200);
            let quant = quantise(&float, &calibrate(&float, &images[..50], 99.99).unwrap()).unwrap();
            let folder = tempfile::tempdir().unwrap();
            write_sample(folder.path(), &float, &quant, &images).unwrap();
            let output = Command::new(&python).arg(&script).arg(folder.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            println!("{said}");
            assert!(output.status.success(), "net {seed}: {said}{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    #[test]
    fn an_array_starts_with_a_header_that_numpy_reads() {
        let bytes = npy(&[2, 1], &[1.0, 2.0]);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert!(bytes[10..128].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, ), }"));
        assert_eq!((bytes[127], bytes.len()), (b'\n', 128 + 8));
    }
}
