//! The signed bundle of a quantised network, with golden vectors that prove a runtime computes what we computed.
//!
//! A golden vector is a synthetic image, never a patient's, with the logits of [`QuantGraph::run`]. Runtimes may round
//! an 8-bit value the other way (tract runs the QDQ model in float), so their logits may differ by the tolerance, which
//! is measured on the network itself. Only images whose decision no such difference can change are chosen, whether a gate or the
//! confidence decides.

use remedis_bundle::{
    BundleBuilder, Gates, Golden, GoldenVector, Manifest, ModelEntry, OperatingPoint, Preprocessing,
    ProbabilityCalibration, Provenance, SigningKey,
};
use remedis_imaging::{Gate, Image, Quality, encode_png, normalise, resize};

use crate::gates::Seen;
use crate::graph::QuantGraph;
use crate::onnx::{INPUT, INT8_FORMAT, OUTPUT, write_onnx};

/// Name of the section that holds the model.
const MODEL_SECTION: &str = "model.onnx";
/// What a decision is called when no class is sure enough.
const CANNOT_SAY: &str = "cannot say";
/// One stored value in this many is moved by one step when the tolerance is measured. Float runtimes flip fewer than
/// one in a thousand.
const FLIP_ONE_IN: u64 = 100;
/// Trials per image when the tolerance is measured.
const N_TRIALS: u64 = 4;
/// Head-room over the largest difference measured.
const SAFETY: f32 = 2.0;
/// A measure of a picture nearer to its limit than this, relative to itself and at least to 1, is no base for a decision.
const NEAR: f64 = 1e-6;

/// What a manifest says beyond the network itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// What it is for, and what it is not for.
    pub intended_use: String,
    /// Class names, in the order of the logits.
    pub classes: Vec<String>,
    /// How an image becomes the network's input.
    pub preprocessing: Preprocessing,
    /// How logits become probabilities.
    pub probability_calibration: ProbabilityCalibration,
    /// Where "cannot say" begins, and what was measured there.
    pub operating_point: OperatingPoint,
    /// What a picture must be like for that.
    pub gates: Option<Gates>,
    /// Where the network comes from.
    pub provenance: Provenance,
}

/// Why golden vectors cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoldenError {
    /// The manifest and the network do not belong together.
    #[error("{found} class names for a network of {expected} logits")]
    Classes {
        /// Logits of the network.
        expected: usize,
        /// Names given.
        found: usize,
    },
    /// The preprocessing makes another input than the network reads.
    #[error("preprocessing makes an input of {found:?}, the network reads {expected:?} (channel, height, width)")]
    Input {
        /// What the network reads.
        expected: [usize; 3],
        /// What the preprocessing makes.
        found: [usize; 3],
    },
    /// An image the preprocessing refuses.
    #[error("cannot prepare golden image {index}")]
    Prepare {
        /// Its position among the images.
        index: usize,
        /// What the preprocessing said.
        source: remedis_imaging::PrepareError,
    },
    /// Every decision could be changed by rounding.
    #[error(
        "none of {n_images} images is decided by more than the tolerance of {tolerance}: train longer, or give more images"
    )]
    NoneDecided {
        /// Images given.
        n_images: usize,
        /// Largest accepted difference of a logit.
        tolerance: f32,
    },
}

/// Why a bundle cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// No golden vectors.
    #[error("cannot make golden vectors")]
    Golden(#[from] GoldenError),
    /// The bundle format refused.
    #[error("cannot seal the bundle")]
    Bundle(#[from] remedis_bundle::SealBundleError),
}

/// Golden vectors and the images they read, as `(section name, PNG bytes)`.
#[derive(Clone, Debug)]
pub struct GoldenSet {
    /// What the manifest holds.
    pub golden: Golden,
    /// The sections it names.
    pub sections: Vec<(String, Vec<u8>)>,
}

/// The bytes of a bundle of `graph`, signed with `key`.
///
/// `images` are synthetic candidates for golden vectors; at most `n_golden` of them are kept.
///
/// # Errors
/// If no golden vector can be made, or the bundle format refuses the manifest.
pub fn bundle(
    description: &Description,
    graph: &QuantGraph,
    images: &[Image],
    n_golden: usize,
    key: &SigningKey,
) -> Result<Vec<u8>, SealError> {
    let GoldenSet { golden, sections } = golden(description, graph, images, n_golden)?;
    let model = ModelEntry {
        section: MODEL_SECTION.to_owned(),
        format: INT8_FORMAT.to_owned(),
        input: INPUT.to_owned(),
        output: OUTPUT.to_owned(),
    };
    let manifest = Manifest {
        format_version: Manifest::format_version_for(&description.preprocessing, description.gates.as_ref()),
        name: description.name.clone(),
        version: description.version.clone(),
        intended_use: description.intended_use.clone(),
        classes: description.classes.clone(),
        preprocessing: description.preprocessing.clone(),
        probability_calibration: description.probability_calibration.clone(),
        operating_point: description.operating_point.clone(),
        gates: description.gates.clone(),
        model,
        golden,
        provenance: description.provenance.clone(),
    };
    let mut builder = BundleBuilder::new(manifest).section(MODEL_SECTION, write_onnx(graph));
    for (name, png) in sections {
        builder = builder.section(&name, png);
    }
    Ok(builder.seal(key)?)
}

/// Chooses at most `n_golden` of `images` as golden vectors: the first surely decided one of each class in turn.
///
/// # Errors
/// If the description does not fit the network, an image cannot be prepared, or no image is decided surely enough.
pub fn golden(
    description: &Description,
    graph: &QuantGraph,
    images: &[Image],
    n_golden: usize,
) -> Result<GoldenSet, GoldenError> {
    check(description, graph)?;
    let prepare = |(index, image): (usize, &Image)| -> Result<_, GoldenError> {
        let resized =
            resize(image, &description.preprocessing).map_err(|source| GoldenError::Prepare { index, source })?;
        let quality = Quality::measure([image.width, image.height], &resized);
        Ok((normalise(&resized, &description.preprocessing), quality))
    };
    let measured = images.iter().enumerate().map(prepare).collect::<Result<Vec<_>, _>>()?;
    let (prepared, qualities): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
    let logits = graph.run_all(&prepared);
    let tolerance = tolerance(graph, &prepared, &logits);
    let decided: Vec<(usize, String)> = (0..images.len())
        .filter_map(|index| Some((index, decision(description, &qualities[index], &logits[index], tolerance)?)))
        .collect();
    if decided.is_empty() {
        return Err(GoldenError::NoneDecided { n_images: images.len(), tolerance });
    }
    let mut chosen = GoldenSet { golden: Golden { tolerance, vectors: Vec::new() }, sections: Vec::new() };
    for (index, decision) in spread(decided).into_iter().take(n_golden) {
        let input = format!("golden/{:02}.png", chosen.sections.len());
        chosen.sections.push((input.clone(), encode_png(&images[index])));
        chosen.golden.vectors.push(GoldenVector { input, logits: logits[index].clone(), decision });
    }
    Ok(chosen)
}

fn check(description: &Description, graph: &QuantGraph) -> Result<(), GoldenError> {
    if description.classes.len() != graph.n_logits() {
        return Err(GoldenError::Classes { expected: graph.n_logits(), found: description.classes.len() });
    }
    let preprocessing = &description.preprocessing;
    let found = [preprocessing.channels.count(), preprocessing.height as usize, preprocessing.width as usize];
    if found == graph.input { Ok(()) } else { Err(GoldenError::Input { expected: graph.input, found }) }
}

/// Largest change of a logit when one stored value in [`FLIP_ONE_IN`] lies a step off, with head-room.
fn tolerance(graph: &QuantGraph, prepared: &[Vec<f32>], logits: &[Vec<f32>]) -> f32 {
    let mut largest = 0.0f32;
    for (index, (image, logits)) in prepared.iter().zip(logits).enumerate() {
        for trial in 0..N_TRIALS {
            let mut state = index as u64 * N_TRIALS + trial;
            let flipped = graph.watch(image, |value, stored| flip_some(stored, value, &mut state));
            largest = flipped.iter().zip(logits).fold(largest, |largest, (a, b)| largest.max((a - b).abs()));
        }
    }
    // Where no flip shows, what is left is the rounding of the logits themselves.
    let magnitude = logits.iter().flatten().fold(1.0f32, |largest, logit| largest.max(logit.abs()));
    (SAFETY * largest).max(1e-5 * magnitude)
}

fn flip_some(stored: &mut [i8], value: usize, state: &mut u64) {
    for (position, stored) in stored.iter_mut().enumerate() {
        *state = scrambled(*state ^ ((value as u64) << 40) ^ position as u64);
        if state.is_multiple_of(FLIP_ONE_IN) {
            *stored = if *state & (1 << 50) == 0 { stored.saturating_add(1) } else { stored.saturating_sub(1) };
        }
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood 2014).
fn scrambled(state: u64) -> u64 {
    let mut bits = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The decision on a picture and its `logits`, if no change of each logit by up to `tolerance` makes another one.
fn decision(description: &Description, quality: &Quality, logits: &[f32], tolerance: f32) -> Option<String> {
    match gated(description, quality, logits, tolerance)? {
        true => confident(description, logits, tolerance),
        false => Some(CANNOT_SAY.to_owned()),
    }
}

/// Whether every gate passes; `None` where one is too near to its limit.
fn gated(description: &Description, quality: &Quality, logits: &[f32], tolerance: f32) -> Option<bool> {
    let Some(gates) = &description.gates else { return Some(true) };
    let seen = Seen::new(quality.clone(), logits);
    let results = seen.results(&description.preprocessing, gates);
    let is_near = |result: &remedis_imaging::GateResult| {
        // The energy changes by no more than the logits do.
        let by_logits = if result.gate == Gate::Energy { f64::from(tolerance) } else { 0.0 };
        result.is_near(by_logits + NEAR * result.value.abs().max(1.0))
    };
    (!results.iter().any(is_near)).then(|| results.iter().all(|result| result.passed))
}

/// The decision of the operating point, if no change of each logit by up to `tolerance` makes another one.
fn confident(description: &Description, logits: &[f32], tolerance: f32) -> Option<String> {
    let (best, &largest) = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let second = logits
        .iter()
        .enumerate()
        .filter(|&(class, _)| class != best)
        .map(|(_, &logit)| logit)
        .fold(f32::NEG_INFINITY, f32::max);
    let threshold = f64::from(description.operating_point.confidence_threshold);
    let confidence = |shift: f32| {
        let temperature = f64::from(description.probability_calibration.temperature);
        let other = |&logit: &f32| ((f64::from(logit) - f64::from(largest) - f64::from(shift)) / temperature).exp();
        // The best class's own term is 1 whatever the shift.
        1.0 / (1.0
            + logits.iter().enumerate().filter(|&(class, _)| class != best).map(|(_, logit)| other(logit)).sum::<f64>())
    };
    // The best logit down and all others up is a shift by twice the tolerance; so is the reverse.
    let (least, most) = (confidence(-2.0 * tolerance), confidence(2.0 * tolerance));
    if largest - second <= 2.0 * tolerance {
        return None;
    }
    // The device's confidence has 32 bits: a rounding for each class and for each operation after the sum. It can reach 1.
    let rounding = f64::from(f32::EPSILON) * (logits.len() + 4) as f64;
    if least >= threshold + rounding {
        Some(description.classes[best].clone())
    } else if most < threshold - rounding {
        Some(CANNOT_SAY.to_owned())
    } else {
        None
    }
}

/// Reorders so that the first image of every decision comes before the second of any.
fn spread(decided: Vec<(usize, String)>) -> Vec<(usize, String)> {
    let mut ranked: Vec<(usize, usize, String)> = Vec::with_capacity(decided.len());
    for (index, decision) in decided {
        let rank = ranked.iter().filter(|(_, _, earlier)| *earlier == decision).count();
        ranked.push((rank, index, decision));
    }
    ranked.sort_by_key(|&(rank, index, _)| (rank, index));
    ranked.into_iter().map(|(_, index, decision)| (index, decision)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use remedis_bundle::{Channels, Depth, Measured, Resize};

    use super::*;
    use crate::calibrate::calibrate_images;
    use crate::quantise::quantise;
    use crate::random_net::{Random, residual_net};

    fn description(threshold: f32) -> Description {
        let [_, height, width] = residual_net(0).input.map(|size| size as u32);
        let preprocessing = Preprocessing {
            width,
            height,
            channels: Channels::Rgb,
            depth_bits: Depth::Eight,
            resize: Resize::Stretch,
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
        };
        let coverage = Measured { value: None, low: None, high: None, n: 0 };
        Description {
            name: "cells".into(),
            version: "1".into(),
            intended_use: "tests".into(),
            classes: ["a", "b", "c", "d", "e"].map(String::from).to_vec(),
            preprocessing,
            probability_calibration: ProbabilityCalibration { temperature: 1.0 },
            operating_point: OperatingPoint {
                confidence_threshold: threshold,
                measured_on: "nothing".into(),
                coverage,
                classes: vec![],
            },
            gates: None,
            provenance: Provenance { plan_sha256: "0".repeat(64), seed: 0, data: vec![], tools: BTreeMap::new() },
        }
    }

    /// Discs of random place and colour.
    fn pictures(n: usize) -> Vec<Image> {
        let mut random = Random(7);
        let Preprocessing { width, height, .. } = description(0.0).preprocessing;
        let picture = |_| {
            let [x, y, size, red, green, blue] = [(); 6].map(|()| random.unit());
            let inside = |at: u32| {
                let (dx, dy) = ((at % width) as f32 / width as f32 - x, (at / width) as f32 / height as f32 - y);
                dx * dx + dy * dy < size * 0.2
            };
            let colour = [red, green, blue].map(|level| (level * 255.0) as u8);
            let pixels = (0..width * height).flat_map(|at| if inside(at) { colour } else { [200; 3] });
            Image::new(width, height, Channels::Rgb, pixels.collect::<Vec<u8>>())
        };
        (0..n).map(picture).collect()
    }

    fn network(description: &Description, pictures: &[Image]) -> QuantGraph {
        let float = residual_net(6);
        quantise(&float, &calibrate_images(&float, pictures, &description.preprocessing, 99.99).unwrap()).unwrap()
    }

    #[test]
    fn golden_vectors_hold_the_logits_and_decisions_that_rounding_cannot_change() {
        let (description, pictures) = (description(0.5), pictures(40));
        let graph = network(&description, &pictures);
        let set = golden(&description, &graph, &pictures, 6).unwrap();
        assert!(!set.sections.is_empty() && set.sections.len() <= 6);
        assert!(set.golden.tolerance > 0.0);
        for (vector, (name, png)) in set.golden.vectors.iter().zip(&set.sections) {
            assert_eq!(&vector.input, name);
            let image = remedis_imaging::decode(png, Depth::Eight).unwrap();
            let prepared = remedis_imaging::prepare(&image, &description.preprocessing).unwrap();
            assert_eq!(vector.logits, graph.run(&prepared), "{name}");
            let mut sorted = vector.logits.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            assert!(sorted[0] - sorted[1] > 2.0 * set.golden.tolerance, "{name}: {sorted:?}");
        }
    }

    #[test]
    fn a_threshold_of_one_makes_every_golden_decision_cannot_say() {
        let (description, pictures) = (description(1.1), pictures(20));
        let graph = network(&description, &pictures);
        let set = golden(&description, &graph, &pictures, 3).unwrap();
        assert!(set.golden.vectors.iter().all(|vector| vector.decision == "cannot say"));
    }

    #[test]
    fn a_decision_on_the_edge_is_not_golden() {
        let description = description(0.5);
        assert_eq!(confident(&description, &[3.0, 0.0, 0.0, 0.0, 0.0], 0.1).as_deref(), Some("a"));
        assert_eq!(confident(&description, &[3.0, 2.9, 0.0, 0.0, 0.0], 0.1), None);
        assert_eq!(confident(&description, &[0.5, 0.1, 0.1, 0.1, 0.1], 0.1).as_deref(), Some("cannot say"));
        // Confidence e^1.4 / (e^1.4 + 4) = 0.503: above the threshold by less than the tolerance is worth.
        assert_eq!(confident(&description, &[1.4, 0.0, 0.0, 0.0, 0.0], 0.1), None);
    }

    #[test]
    fn a_confidence_that_rounds_to_a_threshold_of_one_is_not_golden() {
        let description = description(1.0);
        let logits = [40.0, 0.0, 0.0, 0.0, 0.0];
        // The device says a class here; in 64 bits it could not say.
        assert_eq!(remedis_plan::probabilities(&logits, 1.0)[0], 1.0);
        assert_eq!(confident(&description, &logits, 0.1), None);
        assert_eq!(confident(&description, &[3.0, 0.0, 0.0, 0.0, 0.0], 0.1).as_deref(), Some("cannot say"));
    }

    /// Gates that `pictures` pass, measured on them.
    fn gates(description: &Description, graph: &QuantGraph, pictures: &[Image]) -> Gates {
        let of = |image| Quality::of(image, &description.preprocessing).unwrap();
        let run = |image| graph.run(&remedis_imaging::prepare(image, &description.preprocessing).unwrap());
        let known: Vec<Quality> = pictures.iter().map(of).collect();
        let seen: Vec<Seen> = pictures.iter().map(|image| Seen::new(of(image), &run(image))).collect();
        crate::fit_gates(&known, &seen, &description.preprocessing, "tests".to_owned()).unwrap()
    }

    #[test]
    fn a_gate_decides_before_the_confidence() {
        let (mut description, pictures) = (description(0.0), pictures(20));
        let graph = network(&description, &pictures);
        let fitted = gates(&description, &graph, &pictures);
        description.gates = Some(fitted.clone());
        let decisions = |description: &Description| -> Vec<String> {
            let set = golden(description, &graph, &pictures, 20).unwrap();
            set.golden.vectors.into_iter().map(|vector| vector.decision).collect()
        };
        assert!(decisions(&description).iter().all(|decision| decision != "cannot say"));
        let mut none = fitted.clone();
        none.quality.min_width = 1000;
        description.gates = Some(none);
        assert!(decisions(&description).iter().all(|decision| decision == "cannot say"));
        let mut strange = fitted;
        strange.in_distribution.max_energy = -1e3;
        description.gates = Some(strange);
        assert!(decisions(&description).iter().all(|decision| decision == "cannot say"));
    }

    #[test]
    fn a_measure_at_its_limit_is_not_golden() {
        let (mut description, pictures) = (description(0.0), pictures(2));
        let graph = network(&description, &pictures);
        let mut gates = gates(&description, &graph, &pictures);
        let logits = [3.0, 0.0, 0.0, 0.0, 0.0];
        gates.in_distribution.max_energy = remedis_imaging::energy(&logits) + 0.05;
        description.gates = Some(gates.clone());
        let quality = Quality::of(&pictures[0], &description.preprocessing).unwrap();
        let decide = |description: &Description, tolerance| decision(description, &quality, &logits, tolerance);
        assert_eq!(decide(&description, 0.01).as_deref(), Some("a"));
        assert_eq!(decide(&description, 0.1), None);
        gates.quality.min_sharpness = quality.sharpness;
        description.gates = Some(gates);
        assert_eq!(decide(&description, 0.01), None);
    }

    #[test]
    fn other_class_names_or_another_input_are_refused() {
        let (mut description, pictures) = (description(0.5), pictures(4));
        let graph = network(&description, &pictures);
        description.preprocessing.width += 1;
        assert!(matches!(golden(&description, &graph, &pictures, 1), Err(GoldenError::Input { .. })));
        description.classes.pop();
        let error = golden(&description, &graph, &pictures, 1).unwrap_err();
        assert_eq!(error.to_string(), "4 class names for a network of 5 logits");
    }
}
