//! Files of other programs against what their own networks answer: `golden/`, made by `tools/peers/torch_import.py`.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use remedis_model::{
    BitConfig, Classifier, Convention, Head, ImportError, InvertedResidualConfig, StageConfig, Stem, StudentConfig,
    WeightFile, import,
};
use serde_json::Value;

/// Largest difference from PyTorch; answers are about 1.
const TOLERANCE: f32 = 1e-4;
const CLASSES: usize = 5;

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden", name].iter().collect()
}

/// The image of `torch_import.py`.
fn image(size: usize) -> Tensor<4> {
    let value = |c: usize, y: usize, x: usize| ((x * x + 3 * y * y + x * y) / 16 + 50 * c) % 256;
    let positions = (0..3).flat_map(|c| (0..size).flat_map(move |y| (0..size).map(move |x| (c, y, x))));
    let values = positions.map(|(c, y, x)| (value(c, y, x) as f32 - 127.0) / 128.0).collect();
    Tensor::from_data(TensorData::new(values, [1, 3, size, size]), &Device::flex())
}

/// Holds `what` of `network`, for every image size, against `forward`.
fn compare(network: &str, what: &str, forward: impl Fn(Tensor<4>) -> Tensor<2>) {
    let answers: Value = serde_json::from_str(include_str!("golden/answers.json")).unwrap();
    for answer in answers[network].as_array().unwrap() {
        let size = answer["size"].as_u64().unwrap() as usize;
        let expected: Vec<f32> = answer[what].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let found: Vec<f32> = forward(image(size)).into_data().try_to_vec().unwrap();
        assert_eq!(found.len(), expected.len());
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        eprintln!("{network}, {size} pixels: {what} off by {worst:.1e}");
        assert!(worst < TOLERANCE, "{network}, {size} pixels: {found:?} {expected:?}");
    }
}

fn bit() -> BitConfig {
    BitConfig { units: [1, 2, 1, 1], width: 0.0625, channels: 3 }
}

fn resnet(n_classes: usize) -> StudentConfig {
    StudentConfig { channels: 3, stem: Stem::Seven, blocks: [2, 1, 1, 1], width: 4, n_classes }
}

fn stages(rows: &[(usize, usize, usize, usize, usize)]) -> Vec<StageConfig> {
    let stage = |&(repeats, kernel, stride, expansion, channels): &_| StageConfig {
        repeats,
        kernel,
        stride,
        expansion,
        channels,
    };
    rows.iter().map(stage).collect()
}

fn mobilenet() -> InvertedResidualConfig {
    let stages = stages(&[
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 3, 2, 6, 32),
        (1, 3, 2, 6, 64),
        (1, 3, 1, 6, 96),
        (1, 3, 2, 6, 160),
        (1, 3, 1, 6, 80),
    ]);
    InvertedResidualConfig { stages, ..InvertedResidualConfig::mobilenet_v2(CLASSES) }
        .scaled(0.1)
        .with_convention(Convention::Pytorch)
}

fn lite() -> InvertedResidualConfig {
    let stages = stages(&[(1, 3, 1, 1, 8), (2, 3, 2, 6, 8), (2, 5, 2, 6, 12), (1, 3, 2, 6, 16), (1, 5, 2, 6, 24)]);
    InvertedResidualConfig { stem: 8, stages, embedding: 40, ..InvertedResidualConfig::efficientnet_lite0(CLASSES) }
}

/// Google's names in an `.npz`; big_transfer's PyTorch names in a saved run, under `model.module.`; timm's in a safetensors file.
#[test]
fn bit_answers_as_timms_with_and_without_its_head() {
    for name in ["bit.npz", "bit.pth", "bit_timm.safetensors"] {
        let device = Device::flex();
        let backbone = import(&file(name), bit().init(&device, 1), Head::Own).unwrap();
        compare("bit", "embedding", |x| backbone.forward(x));
        let mut weights = WeightFile::open(&file(name)).unwrap();
        let n_classes = weights.n_classes().unwrap();
        let classifier = Classifier::new(bit().init(&device, 2), n_classes, &device);
        let classifier = weights.fill(classifier, Head::Imported).unwrap();
        compare("bit", "logits", |x| classifier.forward(x));
    }
}

#[test]
fn resnet_answers_as_torchvisions() {
    let network = import(&file("resnet18.pth"), resnet(CLASSES).init(&Device::flex(), 1), Head::Imported).unwrap();
    compare("resnet18", "logits", |x| network.forward(x));
}

#[test]
fn mobilenet_v2_answers_as_torchvisions() {
    let network = import(&file("mobilenet_v2.pth"), mobilenet().init(&Device::flex(), 1), Head::Imported).unwrap();
    compare("mobilenet_v2", "logits", |x| network.forward(x));
}

#[test]
fn efficientnet_lite_answers_as_timms() {
    let network =
        import(&file("efficientnet_lite.safetensors"), lite().init(&Device::flex(), 1), Head::Imported).unwrap();
    compare("efficientnet_lite", "logits", |x| network.forward(x));
}

#[test]
fn a_head_for_other_classes_stays_as_it_is() {
    let network = import(&file("resnet18.pth"), resnet(7).init(&Device::flex(), 1), Head::Own).unwrap();
    let logits: Vec<f32> = network.forward(image(45)).into_data().try_to_vec().unwrap();
    assert_eq!(logits, [0.0; 7]);
    let refusal = import(&file("resnet18.pth"), resnet(7).init(&Device::flex(), 1), Head::Imported).unwrap_err();
    assert_eq!(refusal.to_string(), "fc.bias has the shape [5], the network expects [7]");
}

#[test]
fn weights_of_another_padding_are_refused() {
    let other = mobilenet().with_convention(Convention::Tensorflow).init(&Device::flex(), 1);
    let refusal = import(&file("mobilenet_v2.pth"), other, Head::Imported).unwrap_err();
    assert!(matches!(refusal, ImportError::Convention { expected: Convention::Pytorch, .. }), "{refusal}");
    let other = lite().with_convention(Convention::Pytorch).init(&Device::flex(), 1);
    let refusal = import(&file("efficientnet_lite.safetensors"), other, Head::Imported).unwrap_err();
    assert!(matches!(refusal, ImportError::Convention { expected: Convention::Tensorflow, .. }), "{refusal}");
}

#[test]
fn a_file_of_another_network_says_what_it_lacks() {
    let device = Device::flex();
    let deeper = BitConfig { units: [1, 2, 2, 1], ..bit() };
    let refusal = import(&file("bit.npz"), deeper.init(&device, 1), Head::Own).unwrap_err().to_string();
    assert!(
        refusal.starts_with("the file lacks 9 of the network's tensors: resnet/block3/unit02/a/group_norm/beta, "),
        "{refusal}"
    );
    let shallower = BitConfig { units: [1, 1, 1, 1], ..bit() };
    let refusal = import(&file("bit.npz"), shallower.init(&device, 1), Head::Own).unwrap_err().to_string();
    assert!(
        refusal.starts_with("the file has 9 tensors that the network does not have: resnet/block2/unit02/"),
        "{refusal}"
    );
    let wider = BitConfig { width: 0.125, ..bit() };
    let refusal = import(&file("bit.npz"), wider.init(&device, 1), Head::Own).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "resnet/block1/unit01/a/standardized_conv2d/kernel has the shape [1, 1, 4, 4], the network expects [1, 1, 8, 8]"
    );
    let student = import(&file("bit.npz"), resnet(CLASSES).init(&device, 1), Head::Imported).unwrap_err();
    assert!(matches!(student, ImportError::Missing { .. }), "{student}");
}
