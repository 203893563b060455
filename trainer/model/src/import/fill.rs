//! From the tensors of a file into the places of a network.

use std::collections::{BTreeMap, BTreeSet};

use remedis_weights::Entry;

use super::naming::{Layout, Naming, is_head};
use super::{Head, ImportError, Importable, WeightFile};
use crate::weights::{Values, Weights};

/// A tensor of the network that the file has to bring.
struct Place {
    own: String,
    /// Sizes of its axes in the network.
    shape: Vec<usize>,
    /// The file's name for it, whole.
    theirs: String,
    layout: Layout,
}

/// The names of the file, as far as they are known.
struct Found {
    naming: Naming,
    /// What comes before every name, as `state_dict.`.
    prefix: String,
    places: Vec<Place>,
}

impl WeightFile {
    /// Puts the weights of this file into `network`.
    ///
    /// The network may lie under a prefix (`state_dict.`, `module.`, `backbone.`); what lies beside it then is passed over, as
    /// are counters of batches (`num_batches_tracked`), which decide nothing, and a head that the network does not have.
    ///
    /// # Errors
    /// [`ImportError`] if the file does not hold exactly this network.
    ///
    /// # Panics
    /// Never: every tensor is checked before it is put into its place.
    pub fn fill<M: Importable>(&mut self, network: M, head: Head) -> Result<M, ImportError> {
        let own = Weights::of(&network);
        let takes = |name: &str| head == Head::Imported || !is_head(name);
        let found = self.find(&own, takes)?;
        let kept = own.tensors().filter(|(name, _)| !takes(name));
        let kept: Vec<(String, Values)> = kept.map(|(name, values)| (name.to_owned(), values.clone())).collect();
        drop(own);
        self.check_names(&found)?;
        if let (Some(expected), Some(has)) = (found.naming.convention(), network.convention())
            && expected != has
        {
            return Err(ImportError::Convention { names: found.naming.describe(), expected, found: has });
        }
        for place in &found.places {
            self.check(place)?;
        }
        let imported = found.places.into_iter().map(|place| {
            let values = self.read(&place)?;
            Ok((place.own, Values { id: 0, shape: place.shape, values }))
        });
        let imported = imported.chain(kept.into_iter().map(Ok)).collect::<Result<Weights, ImportError>>()?;
        Ok(imported.apply(network).expect("names and shapes were just checked"))
    }

    /// Whose names the file has, and under which prefix: those by which most tensors are found.
    fn find(&self, own: &Weights, takes: impl Fn(&str) -> bool) -> Result<Found, ImportError> {
        let all: BTreeSet<&str> = own.tensors().map(|(name, _)| name).collect();
        let mut best: Option<(usize, Found)> = None;
        for naming in Naming::ALL {
            let wanted = own.tensors().filter(|(name, _)| takes(name));
            let place = |(name, values): (&str, &Values)| {
                let (theirs, layout) = naming.place(name, &all)?;
                Some(Place { own: name.to_owned(), shape: values.shape.clone(), theirs, layout })
            };
            let Some(places) = wanted.map(place).collect::<Option<Vec<Place>>>() else { continue };
            let counts = prefixes(self.0.entries().keys(), &places);
            let complete: Vec<&str> =
                counts.iter().filter(|(_, n)| **n == places.len()).map(|(prefix, _)| prefix.as_str()).collect();
            if complete.len() > 1 {
                return Err(ImportError::ambiguous(complete));
            }
            let (prefix, n) = counts.into_iter().rev().max_by_key(|(_, n)| *n).unwrap_or_default();
            if best.as_ref().is_none_or(|(most, _)| n > *most) {
                best = Some((n, Found { naming, prefix, places }));
            }
        }
        let (_, mut found) = best.expect("our own names name every tensor");
        for place in &mut found.places {
            place.theirs.insert_str(0, &found.prefix);
        }
        Ok(found)
    }

    /// Refuses a file that lacks a tensor, or has one that has no place.
    fn check_names(&self, found: &Found) -> Result<(), ImportError> {
        let wanted: BTreeSet<&str> = found.places.iter().map(|place| place.theirs.as_str()).collect();
        let takes_head = found.places.iter().any(|place| is_head(&place.own));
        let without_place = self.names().filter(|name| {
            let beside = |rest| found.naming.is_beside(rest, takes_head);
            !wanted.contains(name) && name.strip_prefix(&found.prefix).is_some_and(|rest| !beside(rest))
        });
        let missing: Vec<&str> = wanted.iter().copied().filter(|name| !self.0.entries().contains_key(*name)).collect();
        if !missing.is_empty() {
            return Err(ImportError::missing(missing, without_place));
        }
        let unknown: Vec<&str> = without_place.collect();
        if unknown.is_empty() { Ok(()) } else { Err(ImportError::unknown(unknown)) }
    }

    fn check(&self, place: &Place) -> Result<(), ImportError> {
        let Place { theirs, shape, layout, .. } = place;
        let Entry { shape: found, kind, .. } = &self.0.entries()[theirs];
        let expected = layout.file_shape(shape);
        if *found != expected {
            return Err(ImportError::Shape { name: theirs.clone(), expected, found: found.clone() });
        }
        match kind.size() {
            Some(_) => Ok(()),
            None => Err(ImportError::Type { name: theirs.clone(), found: kind.describe() }),
        }
    }

    /// The numbers for a place that [`check`](Self::check) has passed.
    fn read(&mut self, place: &Place) -> Result<Vec<f32>, ImportError> {
        let mut values = self.0.read(&place.theirs, place.shape.iter().product())?;
        let entry = &self.0.entries()[&place.theirs];
        if !values.iter().all(|value| value.is_finite()) {
            return Err(ImportError::NotFinite { name: place.theirs.clone() });
        }
        if entry.is_reversed {
            let axes: Vec<usize> = (0..entry.shape.len()).rev().collect();
            let stored: Vec<usize> = entry.shape.iter().rev().copied().collect();
            values = permuted(&values, &stored, &axes);
        }
        Ok(match place.layout.axes() {
            Some(axes) => permuted(&values, &entry.shape, axes),
            None => values,
        })
    }
}

impl Layout {
    /// Sizes of a tensor's axes in the file, from those in the network.
    fn file_shape(self, own: &[usize]) -> Vec<usize> {
        match (self, own) {
            (Self::Hwio, &[out, channels, height, width]) => vec![height, width, channels, out],
            (Self::OutIn, &[channels, out]) => vec![out, channels],
            (Self::PointInOut, &[channels, out]) => vec![1, 1, channels, out],
            (Self::OutInPoint, &[channels, out]) => vec![out, channels, 1, 1],
            _ => own.to_vec(),
        }
    }

    /// Where each of our axes is among the file's, or `None` if the order is the same; axes of length 1 may be left over.
    fn axes(self) -> Option<&'static [usize]> {
        match self {
            Self::Same | Self::PointInOut => None,
            Self::Hwio => Some(&[3, 2, 0, 1]),
            Self::OutIn => Some(&[1, 0]),
            Self::OutInPoint => Some(&[1, 0, 2, 3]),
        }
    }
}

/// How many of the `places` are among the `names` under each prefix.
fn prefixes<'a>(names: impl Iterator<Item = &'a String>, places: &[Place]) -> BTreeMap<String, usize> {
    let wanted: BTreeSet<&str> = places.iter().map(|place| place.theirs.as_str()).collect();
    let mut counts = BTreeMap::new();
    for name in names {
        let starts = name.match_indices(['.', '/']).map(|(position, _)| position + 1);
        for start in std::iter::once(0).chain(starts) {
            let (prefix, end) = name.split_at(start);
            if wanted.contains(end) {
                *counts.entry(prefix.to_owned()).or_insert(0) += 1;
            }
        }
    }
    counts
}

/// Row-major `values` of `shape` with their axes in another order: axis `i` of the result is axis `axes[i]`.
fn permuted(values: &[f32], shape: &[usize], axes: &[usize]) -> Vec<f32> {
    let step = |axis: usize| -> usize { shape[axis + 1..].iter().product() };
    let axes: Vec<(usize, usize)> = axes.iter().map(|&axis| (shape[axis], step(axis))).collect();
    let mut starts = vec![0];
    for (size, step) in axes {
        starts = starts.iter().flat_map(|start| (0..size).map(move |i| start + i * step)).collect();
    }
    starts.into_iter().map(|position| values[position]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_change_places() {
        let values: Vec<f32> = (0..6).map(|i| i as f32).collect();
        assert_eq!(permuted(&values, &[2, 3], &[1, 0]), [0., 3., 1., 4., 2., 5.]);
        assert_eq!(permuted(&values, &[1, 2, 3, 1], &[3, 2, 0, 1]), [0., 3., 1., 4., 2., 5.]);
        assert_eq!(permuted(&values, &[2, 3, 1, 1], &[0, 1]), values);
    }
}
