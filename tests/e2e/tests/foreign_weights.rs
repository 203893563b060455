//! Weights that others trained: imported, quantised, compiled, and run by the engine as the trainer's reference has it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::path::{Path, PathBuf};

use remedis_inference::{Arithmetic, Network};
use remedis_plan::{Engine, Family, Plan, Shape, onnx};
use remedis_programs::{peer_python, peer_says, program, say, skip};

/// Side of the input; small, to be quick.
const SIZE: usize = 64;
const N_CLASSES: usize = 1000;
/// Least share of decisions that eight bits keep. Measured: 92 %.
const LEAST_AGREEMENT: f64 = 0.8;

/// The folder of real data, or `None`, saying so.
fn data() -> Option<PathBuf> {
    let data = std::env::var_os("REMEDIS_DATA").map(PathBuf::from);
    if data.is_none() {
        skip("REMEDIS_DATA is not set");
    }
    data
}

fn array(path: &Path) -> Vec<f32> {
    npyz::NpyFile::new(std::fs::read(path).unwrap().as_slice()).unwrap().into_vec().unwrap()
}

#[test]
fn efficientnet_lite0_runs_wholly_in_integers_and_as_the_reference() {
    let (Some(data), Some(train), Some(remedis)) = (data(), program("remedis-train"), program("remedis")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let [model, sample, half] = ["lite0.onnx", "sample", "half.onnx"].map(|name| folder.path().join(name));
    let said = say(
        &train,
        &[
            &"quantize",
            &"--weights",
            &data.join("weights/efficientnet_lite0_imagenet.safetensors"),
            &"--architecture",
            &"efficientnet-lite0",
            &"--images",
            &data.join("natural_caltech101"),
            &"--size",
            &SIZE.to_string(),
            &"--calibration",
            &"48",
            &"--evaluation",
            &"96",
            &"--output",
            &model,
            &"--sample",
            &sample,
            &"--half",
            &half,
            &"--json",
        ],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    println!("{}", said.out);
    let results: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&results["n_evaluation_images"], &results["n_classes"]), (&96.into(), &N_CLASSES.into()));
    assert!(results["agreement"]["value"].as_f64().unwrap() >= LEAST_AGREEMENT, "{}", said.out);

    let bytes = std::fs::read(&model).unwrap();
    let reading = onnx::read(bytes.as_slice()).unwrap();
    let graph = reading.whole().expect("no node of Lite0 is left in float");
    let inputs = array(&sample.join("inputs.npy"));
    let expected = array(&sample.join("int8.npy"));
    assert_eq!(expected.len(), inputs.len() / (3 * SIZE * SIZE) * N_CLASSES);
    let shape = Shape { height: SIZE, width: SIZE, channels: 3 };
    for family in Family::ALL {
        check(Plan::compile(graph, &[shape], family).unwrap(), &inputs, &expected);
    }
    let plan = folder.path().join("lite0.plan");
    let said = say(&remedis, &[&"compile", &model, &"--output", &plan]);
    assert_eq!(said.code, Some(0), "{said:?}");
    check(Plan::open(&plan).unwrap(), &inputs, &expected);

    let [half_bytes, float_bytes] = ["half_bytes", "float_bytes"].map(|key| results[key].as_u64().unwrap());
    assert!(half_bytes * 100 < float_bytes * 53, "{half_bytes} of {float_bytes} bytes");
    let bytes = std::fs::read(&half).unwrap();
    assert_eq!(bytes.len() as u64, half_bytes);
    half_keeps_decisions(&bytes, &inputs, &array(&sample.join("float.npy")));

    let Some(python) = peer_python() else { return };
    let said = peer_says(
        &python,
        "semantics.py",
        &[&model, &"--ours", &remedis, &"--inputs", &sample.join("inputs.npy"), &"--count", &"48"],
    );
    println!("{}", said.out);
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// Weights of half precision, and then arithmetic of it too, change logits by less than decisions are apart.
fn half_keeps_decisions(onnx: &[u8], inputs: &[f32], expected: &[f32]) {
    let shape = [3, SIZE, SIZE];
    for (arithmetic, tolerance) in [(Arithmetic::Single, 0.02), (Arithmetic::Half, 0.05)] {
        let network = Network::load_float(onnx, arithmetic, shape, N_CLASSES).unwrap();
        for (image, expected) in inputs.chunks_exact(3 * SIZE * SIZE).zip(expected.chunks_exact(N_CLASSES)).take(4) {
            let found = network.run(image).unwrap();
            let largest = expected.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
            let apart = found.iter().zip(expected).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            eprintln!("{}: {:.4} % of the largest logit off", network.engine(), 100.0 * apart / largest);
            assert!(apart > 0.0 && apart <= tolerance * largest, "{arithmetic:?}: {apart} of {largest}");
        }
    }
}

/// Every logit of every image is the reference's, to the bit, and so is every decision.
fn check(plan: Plan, inputs: &[f32], expected: &[f32]) {
    let mut engine = Engine::new(plan, 2);
    let mut logits = vec![0.0; N_CLASSES];
    for (image, expected) in inputs.chunks_exact(3 * SIZE * SIZE).zip(expected.chunks_exact(N_CLASSES)) {
        engine.run(&[image], &mut [&mut logits]);
        assert_eq!(logits, expected, "{:?}", engine.backend());
    }
}

#[test]
fn weights_that_are_none_are_refused_with_the_file_and_the_form_expected() {
    let Some(train) = program("remedis-train") else { return };
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("weights.pth");
    std::fs::write(&weights, b"PK\x03\x04 not what it should be").unwrap();
    let output = folder.path().join("model.onnx");
    let said = say(
        &train,
        &[
            &"quantize",
            &"--weights",
            &weights,
            &"--architecture",
            &"efficientnet-lite0",
            &"--images",
            &folder.path(),
            &"--size",
            &"64",
            &"--output",
            &output,
        ],
    );
    assert_eq!(said.code, Some(2), "{said:?}");
    for words in [weights.to_str().unwrap(), "the safetensors file is damaged"] {
        assert!(said.err.contains(words), "expected {words:?} in {said:?}");
    }
    assert!(!output.exists());
}
