//! Small genuine bundles.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use remedis_bundle::{
    Bundle, BundleBuilder, Channels, ClassOperatingPoint, Depth, Golden, GoldenVector, Manifest, Measured, ModelEntry,
    OperatingPoint, Parts, Preprocessing, ProbabilityCalibration, Provenance, Resize, SigningKey, TrustedKeys,
};

/// The key that the device trusts.
pub(crate) fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate().unwrap())
}

pub(crate) fn trusted() -> TrustedKeys {
    TrustedKeys::from_texts(&[key().public_key()]).unwrap()
}

/// The bundle of model `name`, `version`, by the trusted key.
pub(crate) fn sealed(name: &str, version: &str) -> Vec<u8> {
    static SEALED: Mutex<BTreeMap<(String, String), Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut sealed = SEALED.lock().unwrap();
    sealed.entry((name.to_owned(), version.to_owned())).or_insert_with(|| sealed_by(key(), name, version)).clone()
}

pub(crate) fn sealed_by(key: &SigningKey, name: &str, version: &str) -> Vec<u8> {
    let builder = BundleBuilder::new(manifest(name, version));
    builder.section("model.onnx", model(name, version)).section("golden/0.png", *b"picture").seal(key).unwrap()
}

/// SHA-256 of the payload of a bundle file.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Parts::split(bytes).unwrap().digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// That `bundle` has the model that its manifest names, whole.
pub(crate) fn assert_genuine(bundle: &Bundle) {
    let Manifest { name, version, .. } = bundle.manifest();
    assert_eq!(bundle.model(), model(name, version));
}

fn model(name: &str, version: &str) -> Vec<u8> {
    format!("weights of {name} {version}; ").repeat(40).into_bytes()
}

fn manifest(name: &str, version: &str) -> Manifest {
    let class = |name: &str| ClassOperatingPoint {
        class: name.to_owned(),
        sensitivity: Measured::default(),
        specificity: Measured::default(),
    };
    let golden = GoldenVector { input: "golden/0.png".to_owned(), logits: vec![1.0, -1.0], decision: "no".to_owned() };
    Manifest {
        gates: None,
        format_version: 1,
        name: name.to_owned(),
        version: version.to_owned(),
        intended_use: "tests".to_owned(),
        classes: vec!["no".to_owned(), "yes".to_owned()],
        preprocessing: Preprocessing {
            width: 64,
            height: 64,
            channels: Channels::Grey,
            depth_bits: Depth::Eight,
            resize: Resize::Stretch,
            mean: vec![0.5],
            std: vec![0.5],
        },
        probability_calibration: ProbabilityCalibration { temperature: 1.0 },
        operating_point: OperatingPoint {
            confidence_threshold: 0.6,
            measured_on: "validation".to_owned(),
            coverage: Measured::default(),
            classes: vec![class("no"), class("yes")],
        },
        model: ModelEntry {
            section: "model.onnx".to_owned(),
            format: "onnx-qdq-13".to_owned(),
            input: "input".to_owned(),
            output: "logits".to_owned(),
        },
        golden: Golden { tolerance: 0.0, vectors: vec![golden] },
        provenance: Provenance { plan_sha256: "00".to_owned(), seed: 7, data: vec![], tools: BTreeMap::new() },
    }
}
