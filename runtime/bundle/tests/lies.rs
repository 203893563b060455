//! One test per lie that a bundle file can tell.
#![cfg(feature = "sign")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use remedis_bundle::{
    Bundle, BundleBuilder, Channels, ClassOperatingPoint, Depth, FORMAT_VERSION, Flagged, Gates, Golden, GoldenVector,
    InDistribution, Manifest, Measured, ModelEntry, OpenBundleError, OperatingPoint, Parts, Preprocessing,
    ProbabilityCalibration, Provenance, QualityLimits, Resize, SealBundleError, SigningKey, TrustedKeys,
};
use sha2::{Digest, Sha256};

fn manifest() -> Manifest {
    let class = |name: &str| ClassOperatingPoint {
        class: name.to_owned(),
        sensitivity: Measured { value: Some(0.9), low: Some(0.8), high: Some(0.95), n: 50 },
        specificity: Measured::default(),
    };
    Manifest {
        format_version: FORMAT_VERSION,
        name: "cells".to_owned(),
        version: "1".to_owned(),
        intended_use: "tests".to_owned(),
        classes: vec!["lymphocyte".to_owned(), "monocyte".to_owned()],
        preprocessing: Preprocessing {
            width: 64,
            height: 64,
            channels: Channels::Rgb,
            depth_bits: Depth::Eight,
            resize: Resize::Stretch,
            mean: vec![0.5; 3],
            std: vec![0.5; 3],
        },
        probability_calibration: ProbabilityCalibration { temperature: 1.5 },
        operating_point: OperatingPoint {
            confidence_threshold: 0.6,
            measured_on: "validation".to_owned(),
            coverage: Measured::default(),
            classes: vec![class("lymphocyte"), class("monocyte")],
        },
        gates: None,
        model: ModelEntry {
            section: "model.onnx".to_owned(),
            format: "onnx-qdq-13".to_owned(),
            input: "input".to_owned(),
            output: "logits".to_owned(),
        },
        golden: Golden {
            tolerance: 0.1,
            vectors: vec![GoldenVector {
                input: "golden/0.png".to_owned(),
                logits: vec![1.0, -1.0],
                decision: "lymphocyte".to_owned(),
            }],
        },
        provenance: Provenance { plan_sha256: "00".to_owned(), seed: 7, data: vec![], tools: BTreeMap::new() },
    }
}

fn grey(depth_bits: Depth) -> Manifest {
    let (mean, std) = (vec![0.5], vec![0.5]);
    let preprocessing = Preprocessing { channels: Channels::Grey, depth_bits, mean, std, ..manifest().preprocessing };
    Manifest { format_version: Manifest::format_version_for(&preprocessing, None), preprocessing, ..manifest() }
}

/// Limits on pictures of three channels.
fn gated() -> Manifest {
    let quality = QualityLimits {
        min_width: 32,
        min_height: 32,
        min_aspect: 0.8,
        max_aspect: 1.25,
        min_mean: 0.2,
        max_mean: 0.9,
        max_black_share: 0.1,
        max_white_share: 0.3,
        min_sharpness: 12.5,
    };
    let in_distribution =
        InDistribution { mean: vec![0.5; 6], whitening: vec![0.1; 21], max_distance: 4.0, max_energy: -1.5 };
    let share = |value| Measured { value: Some(value), low: Some(0.0), high: Some(1.0), n: 9 };
    let flagged = Flagged {
        images: "in_distribution".to_owned(),
        quality: share(0.25),
        unlike: share(0.5),
        either: share(0.625),
    };
    let measured_on = "validation".to_owned();
    let gates = Gates { quality, in_distribution, quantile: 0.995, measured_on, flagged: vec![flagged] };
    Manifest { format_version: 3, gates: Some(gates), ..manifest() }
}

/// As above: without gates there is no trace of them, and with them a program that would not apply them does not open the bundle.
#[test]
fn no_gates_are_not_written_and_gates_are_a_newer_format() {
    let written = serde_json::to_string(&manifest()).unwrap();
    assert!(!written.contains("gates"), "{written}");
    assert_eq!(serde_json::from_str::<Manifest>(&written).unwrap().gates, None);
    let gates = gated().gates;
    let version = |manifest: Manifest, gates| Manifest::format_version_for(&manifest.preprocessing, gates);
    assert_eq!(version(grey(Depth::Eight), None), 1);
    assert_eq!([grey(Depth::Eight), grey(Depth::Sixteen)].map(|manifest| version(manifest, gates.as_ref())), [3, 3]);
    let key = SigningKey::generate().unwrap();
    let trusted = TrustedKeys::from_texts(&[key.public_key()]).unwrap();
    let bytes = builder(gated()).seal(&key).unwrap();
    assert_eq!(Bundle::from_bytes(&bytes, &trusted).unwrap().manifest(), &gated());
}

#[test]
fn gates_that_contradict_themselves_are_not_sealed() {
    fn check(change: impl Fn(&mut Gates), words: &str) {
        let mut wrong = gated();
        change(wrong.gates.as_mut().unwrap());
        let error = builder(wrong).seal(&SigningKey::generate().unwrap()).unwrap_err();
        let SealBundleError::Refused(OpenBundleError::Contradiction { reason }) = &error else { panic!("{error:?}") };
        assert!(reason.contains(words), "expected {words:?} in {reason:?}");
    }
    check(|gates| gates.quality.min_height = 0, "should be positive");
    check(|gates| gates.quality.min_aspect = -1.0, "should be positive");
    check(|gates| gates.quality.max_aspect = 0.5, "no aspect is from 0.8 to 0.5");
    check(|gates| gates.quality.min_mean = 0.95, "no mean is from 0.95 to 0.9");
    check(|gates| gates.quality.max_white_share = 1.5, "shares of black and white");
    check(|gates| gates.quality.min_sharpness = -0.5, "sharpness");
    check(|gates| gates.in_distribution.mean.truncate(2), "6 values");
    check(|gates| gates.in_distribution.whitening.push(0.0), "triangle");
    check(|gates| gates.in_distribution.max_distance = 0.0, "positive");
    check(|gates| gates.quantile = 1.0, "quantile");
    let old = Manifest { format_version: 2, ..gated() };
    let error = builder(old).seal(&SigningKey::generate().unwrap()).unwrap_err();
    let is_said = matches!(&error, SealBundleError::Refused(OpenBundleError::Contradiction { reason }) if reason.contains("format_version 3"));
    assert!(is_said, "{error:?}");
}

/// What was written before there was a choice stays as it was, byte by byte; a program of that time refuses the rest as newer.
#[test]
fn a_depth_of_8_bits_is_not_written_and_16_bits_are_a_newer_format() {
    let written = serde_json::to_string(&grey(Depth::Eight).preprocessing).unwrap();
    let of_old = r#"{"width":64,"height":64,"channels":"grey","resize":"stretch","mean":[0.5],"std":[0.5]}"#;
    assert_eq!(written, of_old);
    assert_eq!(serde_json::from_str::<Preprocessing>(of_old).unwrap().depth_bits, Depth::Eight);
    assert_eq!([grey(Depth::Eight), grey(Depth::Sixteen)].map(|manifest| manifest.format_version), [1, 2]);
    let key = SigningKey::generate().unwrap();
    let trusted = TrustedKeys::from_texts(&[key.public_key()]).unwrap();
    let bytes = builder(grey(Depth::Sixteen)).seal(&key).unwrap();
    assert_eq!(Bundle::from_bytes(&bytes, &trusted).unwrap().manifest(), &grey(Depth::Sixteen));
}

fn builder(manifest: Manifest) -> BundleBuilder {
    BundleBuilder::new(manifest).section("model.onnx", *b"model").section("golden/0.png", *b"picture")
}

fn sealed() -> (Vec<u8>, TrustedKeys) {
    let key = SigningKey::generate().unwrap();
    let trusted = TrustedKeys::from_texts(&[key.public_key()]).unwrap();
    (builder(manifest()).seal(&key).unwrap(), trusted)
}

/// Sign `payload` whatever it holds, as a holder of the key could.
fn forge(key: &SigningKey, payload: &[u8]) -> Result<Vec<u8>, OpenBundleError> {
    match key.seal(payload) {
        Ok(bytes) => Ok(bytes),
        Err(SealBundleError::Refused(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_was_sealed_comes_back() {
    let (bytes, trusted) = sealed();
    let bundle = Bundle::from_bytes(&bytes, &trusted).unwrap();
    assert_eq!(bundle.manifest(), &manifest());
    assert_eq!(bundle.model(), b"model");
    assert_eq!(bundle.section("golden/0.png"), Some(&b"picture"[..]));
    assert_eq!(bundle.section("absent"), None);
    assert_eq!(trusted.ids(), [bundle.signer()]);
}

#[test]
fn the_digest_depends_on_the_content_alone() {
    let seal = || builder(manifest()).seal(&SigningKey::generate().unwrap()).unwrap();
    let digest = |bytes: &[u8]| Parts::split(bytes).unwrap().digest;
    assert_eq!(digest(&seal()), digest(&seal()));
}

#[test]
fn another_key_is_named() {
    let (bytes, trusted) = sealed();
    let other = TrustedKeys::from_texts(&[SigningKey::generate().unwrap().public_key()]).unwrap();
    let error = Bundle::from_bytes(&bytes, &other).unwrap_err();
    assert!(error.to_string().contains(trusted.ids()[0]) && error.to_string().contains(other.ids()[0]), "{error}");
}

#[test]
fn every_truncation_says_that_bytes_are_missing() {
    let (bytes, trusted) = sealed();
    for length in 1..bytes.len() {
        let error = Bundle::from_bytes(&bytes[..length], &trusted).unwrap_err();
        let is_right = if length < 8 {
            matches!(error, OpenBundleError::Length { .. } | OpenBundleError::NotABundle { .. })
        } else {
            matches!(error, OpenBundleError::Length { .. })
        };
        assert!(is_right, "{length}: {error}");
    }
    assert!(matches!(Bundle::from_bytes(&[], &trusted), Err(OpenBundleError::NotABundle { .. })));
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let (bytes, trusted) = sealed();
    let payload = Parts::split(&bytes).unwrap().payload.len();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let Err(error) = Bundle::from_bytes(&bytes, &trusted) else {
            // The untrusted comment is the one line that nobody signs; minisign says so in its name.
            assert!((56..56 + 40).contains(&at), "byte {at} is not protected");
            continue;
        };
        if at >= bytes.len() - payload {
            assert!(matches!(error, OpenBundleError::Damaged { .. }), "{at}: {error}");
        }
    }
}

#[test]
fn a_changed_payload_with_a_fitting_digest_is_a_forgery() {
    let (bytes, trusted) = sealed();
    let genuine = Parts::split(&bytes).unwrap();
    let forger = SigningKey::generate().unwrap();
    let other = builder(Manifest { version: "2".to_owned(), ..manifest() }).seal(&forger).unwrap();
    let mut forged = other[..56].to_vec();
    forged[12..16].copy_from_slice(&(genuine.signature.len() as u32).to_le_bytes());
    forged.extend(genuine.signature.as_bytes());
    forged.extend(Parts::split(&other).unwrap().payload);
    assert!(matches!(Bundle::from_bytes(&forged, &trusted), Err(OpenBundleError::BadSignature { .. })));
}

#[test]
fn newer_versions_are_told_from_damage() {
    let (mut bytes, trusted) = sealed();
    bytes[8] = 2;
    let error = Bundle::from_bytes(&bytes, &trusted).unwrap_err();
    assert_eq!(error.to_string(), "the bundle has container version 2, this program reads up to 1: update the program");
    let key = SigningKey::generate().unwrap();
    let newer = Manifest { format_version: 9, ..manifest() };
    let error = builder(newer).seal(&key).unwrap_err();
    assert!(matches!(error, SealBundleError::Refused(OpenBundleError::NewerFormat { found: 9, .. })), "{error}");
}

#[test]
fn manifests_that_contradict_themselves_are_not_sealed() {
    let changes: [fn(&mut Manifest); 10] = [
        |manifest| manifest.classes.truncate(1),
        |manifest| manifest.classes[1] = manifest.classes[0].clone(),
        |manifest| manifest.preprocessing.mean.truncate(1),
        |manifest| manifest.preprocessing.std[0] = 0.0,
        |manifest| manifest.preprocessing.depth_bits = Depth::Sixteen,
        |manifest| *manifest = Manifest { format_version: 1, ..grey(Depth::Sixteen) },
        |manifest| manifest.probability_calibration.temperature = -1.0,
        |manifest| manifest.operating_point.confidence_threshold = 1.5,
        |manifest| manifest.golden.vectors.clear(),
        |manifest| manifest.golden.vectors[0].logits.push(0.0),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut wrong = manifest();
        change(&mut wrong);
        let error = builder(wrong).seal(&SigningKey::generate().unwrap()).unwrap_err();
        let is_right = matches!(error, SealBundleError::Refused(OpenBundleError::Contradiction { .. }));
        assert!(is_right, "change {index}: {error:?}");
    }
}

#[test]
fn lying_section_tables_are_refused() {
    let key = SigningKey::generate().unwrap();
    let (bytes, _) = sealed();
    let honest = Parts::split(&bytes).unwrap().payload.to_vec();
    let mut many = honest.clone();
    many[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut huge = honest.clone();
    let length_at = 4 + 2 + "manifest.json".len();
    huge[length_at..length_at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut left_over = honest.clone();
    left_over.push(0);
    let mut checksum = honest.clone();
    checksum[length_at + 8] ^= 1;
    for payload in [&b""[..], b"\0\0", &many, &huge, &left_over] {
        assert!(matches!(forge(&key, payload), Err(OpenBundleError::Sections { .. })));
    }
    assert!(matches!(forge(&key, &checksum), Err(OpenBundleError::Checksum { .. })));
    assert!(matches!(forge(&key, &0u32.to_le_bytes()), Err(OpenBundleError::MissingSection { .. })));
    let twice = builder(manifest()).section("model.onnx", *b"again").seal(&key);
    assert!(matches!(twice, Err(SealBundleError::Refused(OpenBundleError::Sections { .. }))));
    let absent = BundleBuilder::new(manifest()).seal(&key);
    assert!(matches!(absent, Err(SealBundleError::Refused(OpenBundleError::MissingSection { .. }))));
}

/// The honest payload with its manifest changed by `change`, lengths kept and checksum made to fit.
fn with_manifest(honest: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut payload = honest.to_vec();
    let length_at = 4 + 2 + "manifest.json".len();
    let length = u64::from_le_bytes(payload[length_at..length_at + 8].try_into().unwrap()) as usize;
    let key = b"\"format_version\"";
    let first_key = payload.windows(key.len()).position(|window| window == key).unwrap();
    let start = payload[..first_key].iter().rposition(|byte| *byte == b'{').unwrap();
    change(&mut payload[start..start + length]);
    let checksum = Sha256::digest(&payload[start..start + length]);
    payload[length_at + 8..length_at + 40].copy_from_slice(&checksum);
    payload
}

#[test]
fn a_key_that_no_manifest_has_is_named() {
    let key = SigningKey::generate().unwrap();
    let (bytes, _) = sealed();
    let misspelt = with_manifest(Parts::split(&bytes).unwrap().payload, |manifest| {
        let at = manifest.windows(6).position(|window| window == b"\"seed\"").unwrap();
        manifest[at..at + 6].copy_from_slice(b"\"sead\"");
    });
    let Err(error @ OpenBundleError::Manifest(_)) = forge(&key, &misspelt) else { panic!("it opened") };
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("unknown field `sead`"), "{error:?}");
}

#[test]
fn keys_survive_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, public) = (folder.path().join("k.key"), folder.path().join("k.pub"));
    let key = SigningKey::generate().unwrap();
    key.save(&secret, &public).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&secret).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let bytes = builder(manifest()).seal(&SigningKey::load(&secret, None).unwrap()).unwrap();
    let trusted = TrustedKeys::from_arguments(&[public.to_str().unwrap()]).unwrap();
    Bundle::from_bytes(&bytes, &trusted).unwrap();
    let error = TrustedKeys::from_texts(&["not a key"]).unwrap_err();
    assert!(error.to_string().contains("minisign public key"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn random_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..400), keep in 0usize..64) {
        let (genuine, trusted) = sealed_once();
        prop_assert!(Bundle::from_bytes(&bytes, trusted).is_err());
        let mut mixed = genuine[..keep].to_vec();
        mixed.extend(&bytes);
        prop_assert!(Bundle::from_bytes(&mixed, trusted).is_err());
    }

    #[test]
    fn a_signed_manifest_with_damage_opens_only_as_what_it_says(at in 0.0_f64..1.0, value: u8) {
        let (genuine, _) = sealed_once();
        static KEY: std::sync::OnceLock<SigningKey> = std::sync::OnceLock::new();
        let key = KEY.get_or_init(|| SigningKey::generate().unwrap());
        let damaged = with_manifest(Parts::split(genuine).unwrap().payload, |manifest| {
            manifest[(at * manifest.len() as f64) as usize] = value;
        });
        if let Ok(bytes) = forge(key, &damaged) {
            let trusted = TrustedKeys::from_texts(&[key.public_key()]).unwrap();
            let opened = Bundle::from_bytes(&bytes, &trusted).unwrap();
            let text = opened.section("manifest.json").unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Manifest>(text).unwrap(), opened.manifest());
        }
    }

    #[test]
    fn signed_rubbish_never_opens(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let key = SigningKey::generate().unwrap();
        prop_assert!(forge(&key, &payload).is_err());
    }
}

fn sealed_once() -> &'static (Vec<u8>, TrustedKeys) {
    static SEALED: std::sync::OnceLock<(Vec<u8>, TrustedKeys)> = std::sync::OnceLock::new();
    SEALED.get_or_init(sealed)
}
