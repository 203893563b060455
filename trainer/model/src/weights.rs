//! Weights in files, by name.
//!
//! A file is safetensors with one `f32` tensor for each parameter and each batch statistic, under the dotted path of its fields:
//! `backbone.block1.0.a.conv.weight`. Names and shapes must match exactly in both directions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

/// One tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// Why weights could not be saved or loaded. `file` is a file name, never a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file system refused.
    #[error("cannot {action} weights {file}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Not a safetensors file.
    #[error("weights {file} are damaged or not safetensors")]
    Format {
        /// The file.
        file: String,
        /// What the parser said.
        source: SafeTensorError,
    },
    /// The file is of another network.
    #[error(
        "weights {file} are of another network: missing {missing:?}, not expected {extra:?}, of another shape {reshaped:?}; \
         build the network with the configuration it was saved with"
    )]
    Mismatch {
        /// The file.
        file: String,
        /// Names the network has and the file lacks.
        missing: Vec<String>,
        /// Names the file has and the network lacks.
        extra: Vec<String>,
        /// `name: file has .., network expects ..`
        reshaped: Vec<String>,
    },
}

/// Every floating-point tensor of a network by name, batch statistics included.
#[must_use]
pub fn tensors<M: Module>(network: &M) -> BTreeMap<String, NamedTensor> {
    let mut reader = Reader::default();
    // `valid` brings the batch statistics of the last training steps in.
    network.valid().visit(&mut reader);
    reader.tensors
}

/// Saves a network's weights: the file holds the old content or the new, never a part.
///
/// # Errors
/// If the file cannot be written.
pub fn save<M: Module>(network: &M, path: &Path) -> Result<(), WeightsError> {
    let bytes: Vec<_> = tensors(network)
        .into_iter()
        .map(|(name, tensor)| {
            (name, tensor.shape, tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
        })
        .collect();
    let views: Result<Vec<_>, _> = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect();
    let whole = views
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|source| WeightsError::Format { file: file_name(path), source })?;
    write_whole(path, &whole).map_err(|source| WeightsError::File { action: "write", file: file_name(path), source })
}

/// Puts the weights of a file into a network of the same form, on the network's device.
///
/// # Errors
/// If the file cannot be read, is not safetensors, or its names and shapes are not exactly the network's.
pub fn load<M: Module>(network: M, path: &Path) -> Result<M, WeightsError> {
    let file = file_name(path);
    let bytes =
        std::fs::read(path).map_err(|source| WeightsError::File { action: "read", file: file.clone(), source })?;
    let found =
        SafeTensors::deserialize(&bytes).map_err(|source| WeightsError::Format { file: file.clone(), source })?;
    let expected = tensors(&network);
    let names: Vec<String> = found.names().into_iter().map(ToString::to_string).collect();
    let missing: Vec<_> = expected.keys().filter(|name| !names.contains(name)).cloned().collect();
    let mut extra: Vec<_> = names.into_iter().filter(|name| !expected.contains_key(name)).collect();
    extra.sort();
    let mut reshaped = Vec::new();
    let mut values = BTreeMap::new();
    for (name, tensor) in &expected {
        let Ok(view) = found.tensor(name) else { continue };
        if view.shape() != tensor.shape || view.dtype() != Dtype::F32 {
            let (shape, dtype) = (view.shape(), view.dtype());
            reshaped.push(format!("{name}: file has {shape:?} {dtype:?}, network expects {:?} F32", tensor.shape));
        }
        let floats = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        values.insert(name.clone(), floats);
    }
    if missing.is_empty() && extra.is_empty() && reshaped.is_empty() {
        return Ok(network.map(&mut Writer { values, path: Vec::new() }));
    }
    Err(WeightsError::Mismatch { file, missing, extra, reshaped })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".{}.{}.part", file_name(path), std::process::id()));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[derive(Default)]
struct Reader {
    tensors: BTreeMap<String, NamedTensor>,
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
        let data = param.val().into_data().convert::<f32>();
        let shape = param.lazy_shape().to_vec();
        let values = data.try_to_vec().expect("the data was just converted to f32");
        self.tensors.insert(self.path.join("."), NamedTensor { shape, values });
    }
}

struct Writer {
    values: BTreeMap<String, Vec<f32>>,
    path: Vec<String>,
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = self.values.remove(&self.path.join(".")).expect("names were compared before");
        let shape = param.lazy_shape().to_vec();
        let (id, old, mapper) = param.consume();
        let new = Tensor::from_data(TensorData::new(values, shape), &old.device());
        Param::from_mapped_value(id, new.set_require_grad(old.is_require_grad()), mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BitConfig, StudentConfig};
    use burn::tensor::Device;

    /// A file of its own for each test, removed at the end.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            Self(std::env::temp_dir().join(format!("remedis-model-{test}-{}.safetensors", std::process::id())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            // A test that failed before it saved has no file.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_trained_student_comes_back_with_its_batch_statistics() {
        let (file, device) = (Scratch::new("round-trip"), Device::flex().autodiff());
        let student = StudentConfig::small(3).init(&device, 1);
        let x = Tensor::ones([2, 3, 32, 32], &device).mul_scalar(0.5);
        let _ = student.forward(x);
        save(&student, &file.0).unwrap();
        let saved = tensors(&student);
        assert_ne!(saved["stem.norm.running_mean"].values, vec![0.0; 16]);
        let loaded = load(StudentConfig::small(3).init(&Device::flex(), 2), &file.0).unwrap();
        assert_eq!(tensors(&loaded), saved);
    }

    #[test]
    fn names_follow_the_fields() {
        let names: Vec<_> = tensors(&BitConfig::small().init(&Device::flex(), 1)).into_keys().collect();
        for name in [
            "stem.weight",
            "block1.0.a.group_norm.gamma",
            "block4.0.b.conv.weight",
            "block2.0.projection.weight",
            "group_norm.beta",
        ] {
            assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
        }
    }

    #[test]
    fn another_network_is_refused_by_the_names_of_its_tensors() {
        let (file, device) = (Scratch::new("mismatch"), Device::flex());
        let two_blocks = StudentConfig { blocks: [2, 1, 1, 1], ..StudentConfig::small(3) };
        save(&StudentConfig::small(4).init(&device, 1), &file.0).unwrap();
        let error = load(two_blocks.init(&device, 1), &file.0).unwrap_err().to_string();
        assert!(error.contains("missing [\"group1.1.a.norm.beta\""), "{error}");
        assert!(error.contains("not expected []"), "{error}");
        assert!(error.contains("head.weight: file has [128, 4] F32, network expects [128, 3] F32"), "{error}");
    }

    #[test]
    fn a_cut_file_is_refused() {
        let (file, device) = (Scratch::new("cut"), Device::flex());
        let student = StudentConfig::small(2).init(&device, 1);
        save(&student, &file.0).unwrap();
        let bytes = std::fs::read(&file.0).unwrap();
        std::fs::write(&file.0, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(load(student, &file.0), Err(WeightsError::Format { .. })));
    }
}
