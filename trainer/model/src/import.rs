//! Weights that others trained, from safetensors files with PyTorch's names.
//!
//! Every tensor of the network must be in the file with its shape, and every tensor of the file must have a place in the
//! network: a file for another network says so instead of half fitting.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::inverted_residual::InvertedResidualNet;
use crate::weights::{Values, Weights};

/// Names listed in a message; a file for another network would fill pages.
const N_LISTED: usize = 5;

/// Convolutions: our name, theirs, and theirs for the batch normalisation after it.
const CONVOLUTIONS: [(&str, &str, &str); 5] = [
    ("stem", "_conv_stem", "_bn0"),
    ("expand", "_expand_conv", "_bn0"),
    ("depthwise", "_depthwise_conv", "_bn1"),
    ("project", "_project_conv", "_bn2"),
    ("top", "_conv_head", "_bn1"),
];

/// Why a file's weights do not go into a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not a safetensors file.
    #[error("expected a safetensors file with PyTorch's tensor names")]
    Format(#[from] SafeTensorError),
    /// Tensors of the network that the file does not have.
    #[error("the file lacks {n} of the network's tensors: {names}; is it for this architecture?")]
    Missing {
        /// How many.
        n: usize,
        /// The first of them, by the file's names.
        names: String,
    },
    /// Tensors of the file that the network does not have.
    #[error("the file has {n} tensors that the network does not have: {names}; is it for this architecture?")]
    Unknown {
        /// How many.
        n: usize,
        /// The first of them.
        names: String,
    },
    /// A tensor of another shape.
    #[error("{name} has the shape {found:?}, the network expects {expected:?}")]
    Shape {
        /// The file's name for it.
        name: String,
        /// What the network has.
        expected: Vec<usize>,
        /// What the file has.
        found: Vec<usize>,
    },
    /// A tensor of another type.
    #[error("{name} holds {found}, expected F32 or F16; convert the file first")]
    Type {
        /// The file's name for it.
        name: String,
        /// What it holds.
        found: Dtype,
    },
    /// A value that no trained network has.
    #[error("{name} holds a value that is not finite; is the file damaged?")]
    NotFinite {
        /// The file's name for it.
        name: String,
    },
}

/// Puts the weights of a safetensors `file`, named as in EfficientNet-PyTorch, into `network`.
///
/// Kernels are `[out, in / groups, height, width]`, `_fc.weight` `[class, embedding]`. Counters of batches
/// (`num_batches_tracked`) are passed over; they decide nothing.
///
/// Names: <https://github.com/lukemelas/EfficientNet-PyTorch>, `model.py`.
///
/// # Errors
/// [`ImportError`] if the file is no safetensors, or does not hold exactly this network.
///
/// # Panics
/// Never: every tensor is checked before it is put into its place.
pub fn import_efficientnet(network: InvertedResidualNet, file: &[u8]) -> Result<InvertedResidualNet, ImportError> {
    let file = SafeTensors::deserialize(file)?;
    let own = Weights::of(&network);
    let places: BTreeMap<String, (&str, &Values)> =
        own.tensors().map(|(name, values)| (file_name(name), (name, values))).collect();
    let unknown: Vec<&str> =
        file.names().into_iter().filter(|name| !places.contains_key(*name) && !is_counter(name)).collect();
    let missing: Vec<&str> = places.keys().map(String::as_str).filter(|name| file.tensor(name).is_err()).collect();
    if !missing.is_empty() {
        return Err(ImportError::Missing { n: missing.len(), names: listed(missing) });
    }
    if !unknown.is_empty() {
        return Err(ImportError::Unknown { n: unknown.len(), names: listed(unknown) });
    }
    let imported = places
        .into_iter()
        .map(|(name, (own, values))| Ok((own.to_owned(), tensor(&file, name, values)?)))
        .collect::<Result<Weights, ImportError>>()?;
    Ok(imported.apply(network).expect("names and shapes were just checked"))
}

/// Number of classes of the network in a safetensors `file`, named as for [`import_efficientnet`].
///
/// # Errors
/// If the file is no safetensors or has no classifier.
pub fn efficientnet_classes(file: &[u8]) -> Result<usize, ImportError> {
    let missing = |_| ImportError::Missing { n: 1, names: "_fc.bias".to_owned() };
    let bias = SafeTensors::deserialize(file)?.tensor("_fc.bias").map_err(missing)?.shape().to_vec();
    match bias[..] {
        [n] if n > 0 => Ok(n),
        _ => Err(ImportError::Shape { name: "_fc.bias".to_owned(), expected: vec![1000], found: bias }),
    }
}

/// The file's name for a tensor of the network.
fn file_name(own: &str) -> String {
    let (block, rest) = match own.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) {
        Some((block, rest)) => (format!("_blocks.{block}."), rest),
        None => (String::new(), own),
    };
    let (part, leaf) = rest.split_once('.').unwrap_or((rest, ""));
    let Some((_, conv, norm)) = CONVOLUTIONS.into_iter().find(|(own, ..)| *own == part) else {
        return format!("_fc.{leaf}");
    };
    let leaf = match leaf.strip_prefix("norm.") {
        None => return format!("{block}{conv}.{leaf}"),
        Some("gamma") => "weight",
        Some("beta") => "bias",
        Some(statistic) => statistic,
    };
    format!("{block}{norm}.{leaf}")
}

fn is_counter(name: &str) -> bool {
    name.ends_with(".num_batches_tracked")
}

/// The file's tensor `name` for the place of `own`, whose axes are swapped if it is a matrix.
fn tensor(file: &SafeTensors, name: String, own: &Values) -> Result<Values, ImportError> {
    let found = file.tensor(&name)?;
    let is_matrix = own.shape.len() == 2;
    let mut expected = own.shape.clone();
    if is_matrix {
        expected.reverse();
    }
    if found.shape() != expected {
        return Err(ImportError::Shape { name, expected, found: found.shape().to_vec() });
    }
    let values: Vec<f32> = match found.dtype() {
        Dtype::F32 => found.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => {
            found.data().as_chunks::<2>().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        other => return Err(ImportError::Type { name, found: other }),
    };
    if !values.iter().all(|value| value.is_finite()) {
        return Err(ImportError::NotFinite { name });
    }
    let values = if is_matrix { transposed(&values, expected[1]) } else { values };
    Ok(Values { id: 0, shape: own.shape.clone(), values })
}

fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect()
}

fn listed(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    let more = names.len().saturating_sub(N_LISTED);
    names.truncate(N_LISTED);
    let listed = names.join(", ");
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}

#[cfg(test)]
mod tests;
