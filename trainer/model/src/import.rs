//! Weights that others trained, and our own, from files into networks.
//!
//! One door for every form: [`WeightFile::open`] finds the format by content (`remedis-weights` reads it), [`WeightFile::fill`] finds
//! the names by the tensors that are there (ours, BiT's in TensorFlow, PyTorch and timm, torchvision's ResNet and MobileNetV2,
//! EfficientNet-PyTorch's). Every tensor of the network must be in the file with its shape, and every
//! tensor of the file must have a place in the network: a file for another network says so instead of half fitting.
//!
//! Weights expect images as they were trained with, of pixels 0 to 255: BiT's `(x - 127.5) / 127.5`, EfficientNet-Lite's
//! `(x - 127) / 128`, torchvision's `(x / 255 - mean) / deviation` with the mean 0.485, 0.456, 0.406 and the deviation 0.229, 0.224,
//! 0.225 of red, green and blue.

mod error;
mod fill;
mod naming;

use std::path::Path;

use burn::module::Module;
use remedis_weights::TensorFile;

use crate::backbone::{Backbone, BitResNet};
use crate::head::Classifier;
use crate::inverted_residual::{Convention, InvertedResidualNet};
use crate::student::Student;
pub use error::ImportError;
use naming::HEAD_BIASES;

/// A network that files can be read into.
pub trait Importable: Module {
    /// How it pads and normalises, where the network could be built otherwise.
    fn convention(&self) -> Option<Convention>;
}

impl Importable for BitResNet {
    fn convention(&self) -> Option<Convention> {
        None
    }
}

impl Importable for Backbone {
    fn convention(&self) -> Option<Convention> {
        match self {
            Self::Bit(network) => Importable::convention(network),
            Self::InvertedResidual(network) => Importable::convention(network),
        }
    }
}

impl Importable for Classifier {
    fn convention(&self) -> Option<Convention> {
        self.backbone.convention()
    }
}

impl Importable for Student {
    fn convention(&self) -> Option<Convention> {
        None
    }
}

impl Importable for InvertedResidualNet {
    fn convention(&self) -> Option<Convention> {
        Some(Self::convention(self))
    }
}

/// What becomes of the classifier head of a network that has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The file's comes along; its classes must be as many as the network's ([`WeightFile::n_classes`]).
    Imported,
    /// The network keeps its own, for other classes; the file's, if it has one, is passed over.
    Own,
}

/// A file of weights whose names, shapes and types are known, and whose numbers are not read yet.
pub struct WeightFile(TensorFile);

impl WeightFile {
    /// Opens a file of any format, whatever its name ends with.
    ///
    /// # Errors
    /// If the file cannot be read, is of no known format, or is damaged where it lists its tensors.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        Ok(Self(TensorFile::open(path)?))
    }

    fn of_safetensors(file: &[u8]) -> Result<Self, ImportError> {
        Ok(Self(TensorFile::of_safetensors(file.to_vec())?))
    }

    /// Classes of the classifier in the file, or `None` when no tensor has the name of a classifier's biases.
    #[must_use]
    pub fn n_classes(&self) -> Option<usize> {
        let is_bias = |name: &str| HEAD_BIASES.iter().any(|bias| naming::prefix(name, bias).is_some());
        let mut shapes = self.0.entries().iter().filter(|(name, _)| is_bias(name)).map(|(_, entry)| &entry.shape[..]);
        match (shapes.next(), shapes.next()) {
            (Some(&[n]), None) if n > 0 => Some(n),
            _ => None,
        }
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.entries().keys().map(String::as_str)
    }
}

/// Puts the weights of the file at `path` into `network`.
///
/// ```no_run
/// use burn::tensor::Device;
/// use remedis_model::{BitConfig, Head, import};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let backbone = import("BiT-M-R50x1.npz".as_ref(), BitConfig::r50x1().init(&Device::flex(), 0), Head::Own)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// See [`WeightFile::open`] and [`WeightFile::fill`].
pub fn import<M: Importable>(path: &Path, network: M, head: Head) -> Result<M, ImportError> {
    WeightFile::open(path)?.fill(network, head)
}

/// [`WeightFile::fill`] from a safetensors file in memory, classifier included.
///
/// # Errors
/// [`ImportError`] if the file is no safetensors, or does not hold exactly this network.
pub fn import_efficientnet(network: InvertedResidualNet, file: &[u8]) -> Result<InvertedResidualNet, ImportError> {
    WeightFile::of_safetensors(file)?.fill(network, Head::Imported)
}

/// [`WeightFile::n_classes`] of a safetensors file in memory.
///
/// # Errors
/// If the file is no safetensors or has no classifier.
pub fn efficientnet_classes(file: &[u8]) -> Result<usize, ImportError> {
    WeightFile::of_safetensors(file)?.n_classes().ok_or(ImportError::NoClassifier)
}

#[cfg(test)]
mod tests;
