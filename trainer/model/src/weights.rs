//! The weights of any network, by name, outside of Burn.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use half::f16;
use sha2::{Digest, Sha256};

/// Every floating-point tensor of a network by its dotted name, batch statistics included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(BTreeMap<String, Values>);

/// One tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Burn's id of the parameter, by which the optimiser knows it; 0 keeps that of the network it is put into.
    pub id: u64,
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

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
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Values)> {
        self.0.iter().map(|(name, values)| (name.as_str(), values))
    }

    /// As a file of 16-bit kernels keeps them: tensors of two and more axes rounded to the nearest half-precision number
    /// (IEEE 754 binary16, 11 significant bits). Biases, gains and batch statistics stay, as does a tensor with a value
    /// that would round to infinity.
    #[must_use]
    pub fn rounded_to_half(mut self) -> Self {
        for values in self.0.values_mut().filter(|values| values.fits_half()) {
            for value in &mut values.values {
                *value = f16::from_f32(*value).to_f32();
            }
        }
        self
    }
}

impl FromIterator<(String, Values)> for Weights {
    fn from_iter<T: IntoIterator<Item = (String, Values)>>(tensors: T) -> Self {
        Self(tensors.into_iter().collect())
    }
}

impl Values {
    /// Whether 16 bits hold these: a kernel, and none of its values beyond 65,504.
    #[must_use]
    pub fn fits_half(&self) -> bool {
        self.shape.len() > 1 && self.values.iter().all(|value| f16::from_f32(*value).is_finite())
    }
}

/// Which variant an enum of networks holds is no part of its tensors' names.
fn is_named(container_type: &str) -> bool {
    !container_type.starts_with("Enum:")
}

fn enter(path: &mut Vec<String>, name: &str, container_type: &str) {
    if is_named(container_type) {
        path.push(name.to_owned());
    }
}

fn exit(path: &mut Vec<String>, container_type: &str) {
    if is_named(container_type) {
        path.pop();
    }
}

#[derive(Default)]
struct Reader {
    weights: Weights,
    path: Vec<String>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        enter(&mut self.path, name, container_type);
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        exit(&mut self.path, container_type);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let (id, shape) = (param.id.val(), tensor.dims().to_vec());
        let values = tensor.into_data().convert::<f32>().try_to_vec().expect("the data was just converted to f32");
        let values = Values { id, shape, values };
        self.weights.0.insert(self.path.join("."), values);
    }
}

struct Writer<'a> {
    weights: &'a Weights,
    path: Vec<String>,
    wrong: Option<String>,
}

impl ModuleMapper for Writer<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        enter(&mut self.path, name, container_type);
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        exit(&mut self.path, container_type);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BitConfig, StudentConfig};
    use burn::tensor::Device;

    #[test]
    fn a_trained_student_comes_back_with_its_batch_statistics() {
        let student = StudentConfig::small(3).init(&Device::flex().autodiff(), 1);
        let _ = student.forward(Tensor::ones([2, 3, 32, 32], &Device::flex().autodiff()).mul_scalar(0.5));
        let weights = Weights::of(&student);
        let mean = weights.tensors().find(|(name, _)| *name == "stem.norm.running_mean").unwrap().1;
        assert_ne!(mean.values, vec![0.0; 16]);
        let copy = weights.apply(StudentConfig::small(3).init(&Device::flex(), 2)).unwrap();
        assert_eq!(Weights::of(&copy).sha256(), weights.sha256());
    }

    #[test]
    fn names_follow_the_fields() {
        let weights = Weights::of(&BitConfig::small().init(&Device::flex(), 1));
        let names: Vec<_> = weights.tensors().map(|(name, _)| name).collect();
        for name in [
            "stem.weight",
            "block1.0.a.group_norm.gamma",
            "block4.0.b.conv.weight",
            "block2.0.projection.weight",
            "group_norm.beta",
        ] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
    }

    #[test]
    fn half_precision_takes_kernels_whose_values_fit_and_nothing_else() {
        let values = |shape: &[usize], values: &[f32]| Values { id: 0, shape: shape.to_vec(), values: values.to_vec() };
        // 1 + 2^-11 lies halfway between two numbers of 11 bits; the tie goes to the even one, 1.
        let weights: Weights = [
            ("bias".to_owned(), values(&[1], &[1.000_488_3])),
            ("kernel".to_owned(), values(&[1, 2], &[1.000_488_3, -0.1])),
            ("large".to_owned(), values(&[1, 1], &[70_000.7])),
        ]
        .into_iter()
        .collect();
        let rounded = weights.clone().rounded_to_half();
        let of = |name: &str| rounded.tensors().find(|(found, _)| *found == name).unwrap().1.values.clone();
        assert_eq!((of("bias"), of("large")), (vec![1.000_488_3], vec![70_000.7]));
        assert_eq!(of("kernel"), [1.0, -0.099_975_586]);
        assert_eq!(rounded.clone().rounded_to_half(), rounded);
    }
}
