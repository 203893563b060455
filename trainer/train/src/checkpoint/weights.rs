//! The weights of any network, by name, outside of Burn.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use safetensors::Dtype;
use sha2::{Digest, Sha256};

use super::file::Entry;
use super::{floats, hex};

/// Every floating-point tensor of a network by its dotted name, batch statistics included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(BTreeMap<String, Values>);

#[derive(Clone, Debug, PartialEq)]
struct Values {
    /// Burn's id of the parameter, by which the optimiser knows it.
    id: u64,
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Tensor name under which the ids are kept; the ids themselves follow the order of the names.
const IDS: &str = "ids";

impl Weights {
    /// Reads the weights of a network.
    #[must_use]
    pub fn of<M: Module>(network: &M) -> Self {
        let mut reader = Reader::default();
        // Batch statistics of the last steps are merged by `valid`.
        network.valid().visit(&mut reader);
        reader.weights
    }

    /// Puts these weights into a network of the same form, on the network's device.
    ///
    /// # Errors
    /// In words, if a tensor is missing or has another shape.
    pub fn apply<M: Module>(&self, network: M) -> Result<M, String> {
        let mut writer = Writer { weights: self, path: Vec::new(), wrong: None };
        let network = network.map(&mut writer);
        writer.wrong.map_or(Ok(network), Err)
    }

    /// SHA-256 in hex over names, shapes and bits.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, entry) in &self.0 {
            hasher.update(name);
            hasher.update([0]);
            for &size in &entry.shape {
                hasher.update((size as u64).to_le_bytes());
            }
            for value in &entry.values {
                hasher.update(value.to_le_bytes());
            }
        }
        hex(&hasher.finalize())
    }

    /// As tensors of a file, each name after `prefix`. Ids are kept only under a prefix: a final network needs none.
    pub(super) fn entries(&self, prefix: &str) -> Vec<(String, Entry)> {
        let tensor = |values: &Values| Entry {
            dtype: Dtype::F32,
            shape: values.shape.clone(),
            bytes: values.values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        let mut entries: Vec<_> = self.0.iter().map(|(name, v)| (format!("{prefix}{name}"), tensor(v))).collect();
        if !prefix.is_empty() {
            let ids = self.0.values().flat_map(|values| values.id.to_le_bytes()).collect();
            entries.push((IDS.to_owned(), Entry::bytes(ids)));
        }
        entries
    }

    /// From the tensors of a file whose names begin with `prefix`.
    pub(super) fn from_entries(entries: BTreeMap<String, Entry>, prefix: &str) -> Self {
        let ids: Vec<u64> = entries.get(IDS).map_or(Vec::new(), |entry| {
            entry.bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
        });
        let named = entries.into_iter().filter_map(|(name, entry)| {
            let name = name.strip_prefix(prefix)?.to_owned();
            (entry.dtype == Dtype::F32).then_some((name, entry))
        });
        let values = named.enumerate().map(|(i, (name, entry))| {
            let values = entry.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name, Values { id: ids.get(i).copied().unwrap_or(0), shape: entry.shape, values })
        });
        Self(values.collect())
    }
}

#[derive(Default)]
struct Reader {
    weights: Weights,
    path: Vec<String>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let values = Values { id: param.id.val(), shape: tensor.dims().to_vec(), values: floats(tensor) };
        self.weights.0.insert(self.path.join("."), values);
    }
}

struct Writer<'a> {
    weights: &'a Weights,
    path: Vec<String>,
    wrong: Option<String>,
}

impl ModuleMapper for Writer<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let expected = param.lazy_shape().to_vec();
        let Some(saved) = self.weights.0.get(&name) else {
            self.wrong.get_or_insert(format!("it holds no {name}"));
            return param;
        };
        if saved.shape != expected {
            let found = &saved.shape;
            self.wrong.get_or_insert(format!("{name} has the shape {found:?}, the network expects {expected:?}"));
            return param;
        }
        let (id, old, mapper) = param.consume();
        let id = if saved.id == 0 { id } else { ParamId::from(saved.id) };
        let data = TensorData::new(saved.values.clone(), saved.shape.clone());
        let new = Tensor::from_data(data, &old.device()).set_require_grad(old.is_require_grad());
        Param::from_mapped_value(id, new, mapper)
    }
}
