//! What the fuzz targets share.

#[path = "../../../runtime/plan/src/onnx/tests/builder.rs"]
#[expect(dead_code, reason = "the seeds need a part of it")]
pub(crate) mod builder;
#[path = "../../../runtime/plan/tests/common/random.rs"]
#[expect(dead_code, reason = "the seeds need no inputs to run")]
pub(crate) mod random;
pub mod seeds;
#[path = "../../../trainer/weights/tests/common/mod.rs"]
#[expect(dead_code, reason = "files are in memory here")]
mod weights;

/// For the builder, which names it so.
pub(crate) use remedis_plan::onnx;

use std::path::Path;

use remedis_link::{Decision, Outcome};
use remedis_plan::{Engine, MAGIC, Plan, VERSION};
use sha2::{Digest, Sha256};
use zip::CompressionMethod;

/// A plan file of a program and constants that `data` holds, cut where its first two bytes say: lengths and checksum are right,
/// so that what a fuzzer changes is what they guard.
#[must_use]
pub fn plan_file(data: &[u8]) -> Vec<u8> {
    let Some((cut, rest)) = data.split_first_chunk::<2>() else { return data.to_vec() };
    let (program, constants) = rest.split_at(usize::from(u16::from_le_bytes(*cut)).min(rest.len()));
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend((program.len() as u64).to_le_bytes());
    bytes.extend((constants.len() as u64).to_le_bytes());
    bytes.resize(64, 0);
    bytes.extend(program);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes.extend(constants);
    let checksum = crc32fast::hash(&bytes[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// A shard of a key, an index and pixels that `data` holds, cut where its first four bytes say: lengths and the head's checksum are
/// right, so that what a fuzzer changes is what they guard.
#[must_use]
pub fn shard_file(data: &[u8]) -> Vec<u8> {
    let Some((cuts, rest)) = data.split_first_chunk::<4>() else { return data.to_vec() };
    let cut = |at: usize| usize::from(u16::from_le_bytes([cuts[at], cuts[at + 1]]));
    let (key, rest) = rest.split_at(cut(0).min(rest.len()));
    let (index, pixels) = rest.split_at(cut(2).min(rest.len()));
    let mut bytes = remedis_data::MAGIC.to_vec();
    bytes.extend(shard_version(key).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend((key.len() as u64).to_le_bytes());
    bytes.extend(((64 + key.len() + pixels.len()) as u64).to_le_bytes());
    bytes.extend((index.len() as u64).to_le_bytes());
    bytes.resize(64, 0);
    bytes.extend(key);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[16..]);
    hasher.update(index);
    bytes[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    bytes.extend(pixels);
    bytes.extend(index);
    bytes
}

/// The version that a shard with this key has.
fn shard_version(key: &[u8]) -> u32 {
    let deep = b"\"depth_bits\":16";
    if key.windows(deep.len()).any(|window| window == deep) { 2 } else { 1 }
}

/// Reads all tensors of a file of weights, if it opens.
pub fn read_weights(path: &Path) {
    drop(weights::read_all(path));
}

/// Files of weights of each format with `data` where lengths and checksums guard it: a header and numbers of safetensors, cut where
/// the first two bytes say, an array of NumPy's, a pickle of PyTorch's.
pub fn weight_files(data: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let (cut, rest) = data.split_first_chunk::<2>().unwrap_or((&[0; 2], data));
    let header = usize::from(u16::from_le_bytes(*cut)).min(rest.len()) as u64;
    let safetensors = [&header.to_le_bytes(), rest].concat();
    let numpy = weights::zipped(&[("a.npy", rest)], CompressionMethod::Stored);
    let members = [("archive/data.pkl", rest), ("archive/version", b"3\n"), ("archive/data/0", &[1; 64])];
    let pytorch = weights::zipped(&members, CompressionMethod::Stored);
    [safetensors, numpy, pytorch].into_iter()
}

/// A payload of sections as a bundle has them, `manifest` among them; the checksums are right.
#[must_use]
pub fn payload(manifest: &[u8]) -> Vec<u8> {
    let sections: [(&str, &[u8]); 3] =
        [("manifest.json", manifest), ("model.onnx", b"model"), ("golden/0.png", b"picture")];
    let mut payload = (sections.len() as u32).to_le_bytes().to_vec();
    for (name, bytes) in sections {
        payload.extend((name.len() as u16).to_le_bytes());
        payload.extend(name.as_bytes());
        payload.extend((bytes.len() as u64).to_le_bytes());
        payload.extend(Sha256::digest(bytes));
    }
    sections.iter().for_each(|(_, bytes)| payload.extend(*bytes));
    payload
}

/// The bodies of packets in `data`, each behind a byte that is its length.
pub fn bodies(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first()?;
        let (body, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        data = rest;
        Some(body)
    })
}

/// The answer to every frame.
#[must_use]
pub fn outcome(frame_id: u64) -> Outcome {
    Outcome { frame_id, decision: Decision::Class, class: 1, confidence: 9000, model: [7; 8] }
}

/// Answers once, if that is no more work than a fuzzer has time for.
pub fn run(plan: &Plan) {
    let n_multiplications: u64 = plan.chains().flatten().map(|(_, _, n)| n).fold(0, u64::saturating_add);
    if plan.memory(1) > 1 << 22 || n_multiplications > 1 << 22 {
        return;
    }
    let inputs: Vec<Vec<f32>> = plan.program().inputs.iter().map(|input| vec![0.7; input.shape.volume()]).collect();
    let mut outputs: Vec<Vec<f32>> =
        plan.program().outputs.iter().map(|output| vec![0.0; output.shape.volume()]).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    Engine::new(plan.clone(), 1).run(&inputs, &mut outputs);
}
