//! Why a file's weights do not go into a network.

use crate::inverted_residual::Convention;

/// Names listed in a message; a file for another network would fill pages.
const N_LISTED: usize = 5;
/// Names of a file that are compared with a missing one; a hostile file has millions.
const N_COMPARED: usize = 10_000;
/// Least similarity (Jaro and Winkler's, 0 to 1) of a name that is worth telling.
const SIMILAR: f64 = 0.85;

/// Why a file's weights do not go into a network. A file's names are as the file has them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] remedis_weights::TensorFileError),
    /// Tensors of the network that the file does not have.
    #[error("the file lacks {n} of the network's tensors: {names}{similar}; is it for this architecture?")]
    Missing {
        /// How many.
        n: usize,
        /// The first of them, by the file's names.
        names: String,
        /// Names of the file that are like the first missing ones, or nothing.
        similar: String,
    },
    /// Tensors of the file that the network does not have.
    #[error("the file has {n} tensors that the network does not have: {names}; is it for this architecture?")]
    Unknown {
        /// How many.
        n: usize,
        /// The first of them.
        names: String,
    },
    /// The network is in the file more than once.
    #[error("the file holds this network {n} times, under {prefixes}; save the one that is wanted by itself")]
    Ambiguous {
        /// How often.
        n: usize,
        /// What comes before the tensors' names.
        prefixes: String,
    },
    /// Weights of a network that pads and normalises in another way.
    #[error(
        "these are weights of {names}, which pads and normalises by the convention {expected:?}; the network was built with \
         {found:?} and would be wrong with them"
    )]
    Convention {
        /// Whose names the file has.
        names: &'static str,
        /// The convention of the weights.
        expected: Convention,
        /// The convention of the network.
        found: Convention,
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
    #[error("{name} holds {found}, expected F32, F16 or BF16; convert the file first")]
    Type {
        /// The file's name for it.
        name: String,
        /// What it holds, as the file says it.
        found: String,
    },
    /// A value that no trained network has.
    #[error("{name} holds a value that is not finite; is the file damaged?")]
    NotFinite {
        /// The file's name for it.
        name: String,
    },
    /// No classifier's biases are in the file.
    #[error("the file has no classifier, whose biases would tell the number of classes")]
    NoClassifier,
}

impl ImportError {
    /// Tensors that are `missing`, beside those that the file `has`.
    pub(super) fn missing<'a>(missing: Vec<&str>, has: impl Iterator<Item = &'a str>) -> Self {
        let others: Vec<&str> = has.take(N_COMPARED).collect();
        let mut similar: Vec<&str> = Vec::new();
        for name in missing.iter().take(N_LISTED) {
            let scores = others.iter().map(|other| (strsim::jaro_winkler(name, other), *other));
            let closest = scores.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score >= SIMILAR);
            similar.extend(closest.map(|(_, other)| other).filter(|other| !similar.contains(other)));
        }
        let similar =
            if similar.is_empty() { String::new() } else { format!(" (similar names in it: {})", listed(similar)) };
        Self::Missing { n: missing.len(), names: listed(missing), similar }
    }

    /// Tensors that have no place.
    pub(super) fn unknown(names: Vec<&str>) -> Self {
        Self::Unknown { n: names.len(), names: listed(names) }
    }

    /// The network under several `prefixes`.
    pub(super) fn ambiguous(prefixes: Vec<&str>) -> Self {
        Self::Ambiguous { n: prefixes.len(), prefixes: listed(prefixes) }
    }
}

/// The first of some names, sorted, and how many more there are.
fn listed(mut names: Vec<&str>) -> String {
    let more = names.len().saturating_sub(N_LISTED);
    names.sort_unstable();
    names.truncate(N_LISTED);
    let listed: Vec<String> = names.into_iter().map(|name| name.escape_debug().to_string()).collect();
    let listed = listed.join(", ");
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}
