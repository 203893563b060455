//! Weights as tensors of a safetensors file.

use std::collections::BTreeMap;

use half::f16;
use remedis_model::{Values, Weights};
use safetensors::Dtype;

use super::file::Entry;

/// Tensor name under which the ids are kept; the ids themselves follow the order of the names.
const IDS: &str = "ids";

/// A network under way, each name after `prefix`: every bit, and the ids by which the optimiser knows its tensors.
pub(super) fn exact(weights: &Weights, prefix: &str) -> Vec<(String, Entry)> {
    let ids = weights.tensors().flat_map(|(_, values)| values.id.to_le_bytes()).collect();
    let named = weights.tensors().map(|(name, values)| (format!("{prefix}{name}"), single(values)));
    named.chain([(IDS.to_owned(), Entry::bytes(ids))]).collect()
}

/// A finished network, already rounded by [`Weights::rounded_to_half`]: kernels take 16 bits, half the file.
pub(super) fn finished(weights: &Weights) -> Vec<(String, Entry)> {
    let entry = |values: &Values| if values.fits_half() { half(values) } else { single(values) };
    weights.tensors().map(|(name, values)| (name.to_owned(), entry(values))).collect()
}

fn single(values: &Values) -> Entry {
    let bytes = values.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Entry { dtype: Dtype::F32, shape: values.shape.clone(), bytes }
}

fn half(values: &Values) -> Entry {
    let bytes = values.values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
    Entry { dtype: Dtype::F16, shape: values.shape.clone(), bytes }
}

/// From the tensors of a file whose names begin with `prefix`.
pub(super) fn read(entries: BTreeMap<String, Entry>, prefix: &str) -> Weights {
    let ids: Vec<u64> = entries.get(IDS).map_or(Vec::new(), |entry| {
        entry.bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
    });
    let named = entries.into_iter().filter_map(|(name, entry)| {
        let name = name.strip_prefix(prefix)?.to_owned();
        Some((name, floats(&entry)?, entry.shape))
    });
    named
        .enumerate()
        .map(|(i, (name, values, shape))| (name, Values { id: ids.get(i).copied().unwrap_or(0), shape, values }))
        .collect()
}

fn floats(entry: &Entry) -> Option<Vec<f32>> {
    match entry.dtype {
        Dtype::F32 => Some(entry.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F16 => {
            Some(entry.bytes.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
        }
        _ => None,
    }
}
