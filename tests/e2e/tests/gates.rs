//! What a device answers to pictures that it should not judge, and where it says that an answer comes from.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::collections::BTreeMap;
use std::path::Path;

use remedis_bundle::{
    Bundle, ClassOperatingPoint, Gates, Measured, OperatingPoint, Preprocessing, ProbabilityCalibration, Provenance,
    SigningKey, TrustedKeys,
};
use remedis_export::graph::{FloatGraph, FloatWeights, Geometry, Node, Op, QuantGraph, Sides};
use remedis_export::{Activation, Description, Seen, bundle, calibrate_images, fit_gates, quantise};
use remedis_imaging::{Channels, Depth, Image, Quality, Resize, encode_png, prepare};
use remedis_inference::{Decision, Gate, Model};
use remedis_programs::{Tiny, program, say};
use serde_json::Value;

/// Side of the network's input and of the pictures.
const INPUT: usize = 16;
const SIDE: usize = 48;
/// Where the network looks, in pixels of its input: 4 x 4 of them.
const ROW: usize = 8;
const COLUMN: usize = 4;

/// `4 m` and `-4 m`, where `m` is the mean of what the network looks at.
fn network() -> FloatGraph {
    let looks = |at: usize| (ROW..ROW + 4).contains(&(at / INPUT)) && (COLUMN..COLUMN + 4).contains(&(at % INPUT));
    let weight = |sign: f32| (0..INPUT * INPUT).map(move |at| if looks(at) { sign * 4.0 / 16.0 } else { 0.0 });
    let conv = Op::Conv {
        input: 0,
        geometry: Geometry { kernel: [2, 1, INPUT, INPUT], stride: 1, padding: Sides::even(0), groups: 1 },
        weights: FloatWeights { values: weight(1.0).chain(weight(-1.0)).collect(), bias: vec![0.0; 2] },
        activation: Activation::Identity,
    };
    let weights = FloatWeights { values: vec![1.0, 0.0, 0.0, 1.0], bias: vec![0.0; 2] };
    let linear = Op::Linear { input: 1, weights, shape: [2, 2] };
    let node = |name: &str, op| Node { name: name.to_owned(), shape: [2, 1, 1], op };
    FloatGraph {
        input: [1, INPUT, INPUT],
        nodes: vec![node("look", conv), node("head", linear)],
        metadata: BTreeMap::new(),
    }
}

fn preprocessing() -> Preprocessing {
    let side = INPUT as u32;
    let (mean, std) = (vec![0.5], vec![0.25]);
    let (channels, depth_bits, resize) = (Channels::Grey, Depth::Eight, Resize::Stretch);
    Preprocessing { width: side, height: side, channels, depth_bits, resize, mean, std }
}

/// Grain about a middle grey, and where the network looks `step` more: bright or dark.
fn picture(number: u32, step: i32) -> Image {
    let grain =
        |at: usize| (((at as u32 + 1) * (number * 2 + 7)).wrapping_mul(2_654_435_761) >> 24) as i32 * 60 / 255 - 30;
    let scale = SIDE / INPUT;
    let is_in = |at: usize, first: usize| (first * scale..(first + 4) * scale).contains(&at);
    let value = |at: usize| {
        let step = if is_in(at / SIDE, ROW) && is_in(at % SIDE, COLUMN) { step } else { 0 };
        (128 + number as i32 % 9 + grain(at) + step) as u8
    };
    let side = SIDE as u32;
    Image::new(side, side, Channels::Grey, (0..SIDE * SIDE).map(value).collect::<Vec<u8>>())
}

/// Half of them bright, half dark where the network looks.
fn pictures(n: u32) -> Vec<Image> {
    (0..n).map(|number| picture(number, if number.is_multiple_of(2) { 60 } else { -60 })).collect()
}

fn gates(graph: &QuantGraph, pictures: &[Image]) -> Gates {
    let input = preprocessing();
    let qualities: Vec<Quality> = pictures.iter().map(|image| Quality::of(image, &input).unwrap()).collect();
    let logits = pictures.iter().map(|image| graph.run(&prepare(image, &input).unwrap()));
    let seen: Vec<Seen> = qualities.iter().cloned().zip(logits).map(|(of, logits)| Seen::new(of, &logits)).collect();
    fit_gates(&qualities, &seen, &input, "drawn pictures".to_owned()).unwrap()
}

fn model() -> Model {
    let (float, pictures) = (network(), pictures(60));
    let graph = quantise(&float, &calibrate_images(&float, &pictures, &preprocessing(), 100.0).unwrap()).unwrap();
    let classes = ["bright", "dark"].map(str::to_owned).to_vec();
    let point = |class: &String| ClassOperatingPoint {
        class: class.clone(),
        sensitivity: Measured::default(),
        specificity: Measured::default(),
    };
    let operating_point = OperatingPoint {
        confidence_threshold: 0.9,
        measured_on: "drawn pictures".to_owned(),
        coverage: Measured::default(),
        classes: classes.iter().map(point).collect(),
    };
    let description = Description {
        name: "spot".to_owned(),
        version: "1".to_owned(),
        intended_use: "tests".to_owned(),
        classes,
        preprocessing: preprocessing(),
        probability_calibration: ProbabilityCalibration { temperature: 1.0 },
        operating_point,
        gates: Some(gates(&graph, &pictures)),
        provenance: Provenance { plan_sha256: "0".repeat(64), seed: 0, data: vec![], tools: BTreeMap::new() },
    };
    let key = SigningKey::generate().unwrap();
    let bytes = bundle(&description, &graph, &pictures[..8], 4, &key).unwrap();
    let opened = Bundle::from_bytes(&bytes, &TrustedKeys::from_texts(&[key.public_key()]).unwrap()).unwrap();
    assert_eq!(opened.manifest().format_version, 3);
    Model::open(&opened).unwrap()
}

fn changed(image: &Image, change: impl Fn(f64) -> f64) -> Image {
    let samples = image.as_u8().iter().map(|&sample| change(f64::from(sample)).round().clamp(0.0, 255.0) as u8);
    Image::new(image.width, image.height, image.channels, samples.collect::<Vec<u8>>())
}

/// Where the network looks, one half is bright and the other dark, which no picture that it knows is.
fn torn(number: u32) -> Image {
    let (bright, dark) = (picture(number, 60), picture(number, -60));
    let middle = (ROW + 2) * SIDE / INPUT * SIDE;
    let samples = [&bright.as_u8()[..middle], &dark.as_u8()[middle..]].concat();
    Image::new(bright.width, bright.height, bright.channels, samples)
}

/// A fifth of the picture is of one level, and the rest is times `quarters` / 4, so that all is about as bright as before.
fn covered(image: &Image, level: u8, quarters: u16) -> Image {
    let covered = SIDE / 5 * SIDE;
    let rest = |sample: u8| (u16::from(sample) * quarters / 4).min(250) as u8;
    let samples = image.as_u8().iter().enumerate().map(|(at, &sample)| if at < covered { level } else { rest(sample) });
    Image::new(image.width, image.height, image.channels, samples.collect::<Vec<u8>>())
}

/// The mean over `2 * reach + 1` pixels each way.
fn blurred(image: &Image, reach: usize) -> Image {
    let mean = |at: usize| {
        let (row, column) = (at / SIDE, at % SIDE);
        let around = |at: usize| at.saturating_sub(reach)..(at + reach + 1).min(SIDE);
        let found: Vec<u32> = around(row)
            .flat_map(|row| around(column).map(move |column| u32::from(image.as_u8()[row * SIDE + column])))
            .collect();
        (found.iter().sum::<u32>() / found.len() as u32) as u8
    };
    Image::new(image.width, image.height, image.channels, (0..SIDE * SIDE).map(mean).collect::<Vec<u8>>())
}

fn cut(image: &Image, width: u32, height: u32) -> Image {
    let rows = image.as_u8().chunks(SIDE).take(height as usize);
    Image::new(width, height, image.channels, rows.flat_map(|row| row[..width as usize].to_vec()).collect::<Vec<u8>>())
}

#[test]
fn good_pictures_are_answered_and_each_lapse_has_its_reason() {
    let model = model();
    for (number, image) in pictures(100).iter().enumerate().skip(60) {
        let prediction = model.predict(image).unwrap();
        assert_eq!(prediction.decision.name(), ["bright", "dark"][number % 2], "{prediction:?}");
        assert_eq!(prediction.gates.len(), 10);
    }
    let good = picture(61, 60);
    let check = |image: &Image, code: &str, gate: Gate| {
        let prediction = model.predict(image).unwrap();
        let Decision::CannotSay { reason, best } = &prediction.decision else { panic!("it said {prediction:?}") };
        let failed = prediction.gates.iter().find(|result| !result.passed).map(|result| result.gate);
        assert_eq!((reason.code(), failed), (code, Some(gate)), "{reason}");
        assert_eq!(best.is_some(), gate == Gate::Confidence);
        assert_eq!(prediction.probabilities.len(), 2, "the trace is whole");
    };
    check(&cut(&good, 20, 48), "geometry", Gate::Width);
    check(&cut(&good, 48, 20), "geometry", Gate::Height);
    check(&cut(&good, 30, 48), "geometry", Gate::Aspect);
    check(&changed(&good, |sample| 0.1 * sample), "too_dark", Gate::Exposure);
    check(&changed(&good, |sample| 255.0 - 0.1 * (255.0 - sample)), "too_bright", Gate::Exposure);
    check(&covered(&good, 0, 5), "saturated", Gate::Black);
    check(&covered(&good, 255, 3), "saturated", Gate::White);
    check(&blurred(&good, 5), "blurred", Gate::Sharpness);
    check(&changed(&good, |sample| 130.0 + 2.0 * (sample - 133.0)), "unlike", Gate::Appearance);
    check(&torn(61), "unlike", Gate::Energy);
}

#[test]
fn a_heat_map_is_hottest_where_the_network_looks() {
    let model = model();
    let image = picture(61, 60);
    let map = model.heat_map(&image, 0, || true).unwrap().unwrap();
    assert_eq!((map.rows, map.columns, map.evaluations, map.is_whole), (8, 8, 81, true));
    assert_eq!(map.area, [0.0, 0.0, 1.0, 1.0]);
    // Places are 2 x 2 pixels of the input: rows 4 and 5, columns 2 and 3 are where it looks.
    let mut ranked: Vec<usize> = (0..64).collect();
    ranked.sort_by(|a, b| map.relevance[*b].total_cmp(&map.relevance[*a]));
    ranked.truncate(4);
    ranked.sort_unstable();
    assert_eq!(ranked, [4 * 8 + 2, 4 * 8 + 3, 5 * 8 + 2, 5 * 8 + 3], "{:?}", map.relevance);
    assert_eq!(map.relevance[0], 0.0);
    let other = model.heat_map(&image, 1, || true).unwrap().unwrap();
    assert!(other.relevance[ranked[0]] < 0.0, "the same place speaks against the other class");

    let mut left = 30;
    let keep_going = || {
        left -= 1;
        left >= 0
    };
    let part = model.heat_map(&image, 0, keep_going).unwrap().unwrap();
    assert_eq!((part.evaluations, part.is_whole), (30, false));
    assert_eq!(model.heat_map(&image, 0, || false).unwrap(), None);
}

fn darkened(from: &Path, to: &Path) {
    let image = remedis_imaging::decode(&std::fs::read(from).unwrap(), Depth::Eight).unwrap();
    std::fs::write(to, encode_png(&changed(&image, |sample| 0.1 * sample))).unwrap();
}

#[test]
fn the_programs_say_which_pictures_are_refused_and_why() {
    let (Some(tiny), Some(remedis)) = (Tiny::find(), program("remedis")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let dark = folder.path().join("dark.png");
    darkened(&tiny.set("cells_a").join("images/00000.jpg"), &dark);
    let said = say(&remedis, &[&"run", &tiny.bundle(), &"--key", &tiny.key(), &dark]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains(": cannot say: too dark: mean brightness ") && !said.out.contains("nearest"), "{said:?}");
    let said = say(&remedis, &[&"run", &tiny.bundle(), &"--key", &tiny.key(), &"--json", &dark]);
    let line: Value = serde_json::from_str(said.out.trim()).unwrap();
    assert_eq!((&line["decision"], &line["reason_code"]), (&"cannot say".into(), &"too_dark".into()), "{line}");
    assert!(line["class"].is_null() && line["nearest"].is_null() && line["confidence"].is_null(), "{line}");
    let failed: Vec<&Value> = line["gates"].as_array().unwrap().iter().filter(|gate| gate["passed"] == false).collect();
    assert_eq!(failed[0]["name"], "exposure", "{line}");
    assert!(failed[0]["value"].as_f64().unwrap() < failed[0]["low"].as_f64().unwrap(), "{line}");

    let said = say(&remedis, &[&"bundle", &"inspect", &tiny.bundle(), &"--key", &tiny.key()]);
    for words in
        ["gates: outside one of these", "sharpness ", "variance of the Laplacian", "in distribution", "natural"]
    {
        assert!(said.out.contains(words), "expected {words:?} in {}", said.out);
    }
    let results: Value = serde_json::from_slice(&std::fs::read(tiny.folder.join("run/results.json")).unwrap()).unwrap();
    let said = say(&remedis, &[&"bundle", &"inspect", &tiny.bundle(), &"--key", &tiny.key(), &"--json"]);
    let inspected: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(inspected["manifest"]["gates"], results["gates"]);
}
