use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::TensorView;

use super::*;
use crate::{Convention, InvertedResidualConfig, StageConfig};

type File = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn config() -> InvertedResidualConfig {
    let stages = vec![
        StageConfig { repeats: 1, kernel: 3, stride: 1, expansion: 1, channels: 2 },
        StageConfig { repeats: 1, kernel: 3, stride: 1, expansion: 2, channels: 2 },
    ];
    let convention = Convention::Tensorflow;
    InvertedResidualConfig { channels: 1, stem: 2, stages, embedding: 3, n_classes: 4, convention }
}

/// A file with every tensor of the small network, each value its position.
fn file() -> File {
    let network = config().init(&Device::flex(), 1);
    let entry = |(name, values): (&str, &Values)| {
        let mut shape = values.shape.clone();
        if shape.len() == 2 {
            shape.reverse();
        }
        let bytes = (0..values.values.len()).flat_map(|i| (i as f32).to_le_bytes()).collect();
        (file_name(name), (Dtype::F32, shape, bytes))
    };
    Weights::of(&network).tensors().map(entry).collect()
}

fn bytes(file: &File) -> Vec<u8> {
    let views =
        file.iter().map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn import(file: &File) -> Result<Weights, ImportError> {
    import_efficientnet(config().init(&Device::flex(), 2), &bytes(file)).map(|network| Weights::of(&network))
}

fn refusal(change: impl FnOnce(&mut File)) -> String {
    let mut file = file();
    change(&mut file);
    import(&file).unwrap_err().to_string()
}

#[test]
fn every_tensor_finds_its_place_and_the_matrix_is_turned() {
    let mut counted = file();
    counted.insert("_bn0.num_batches_tracked".to_owned(), (Dtype::I64, vec![], vec![0; 8]));
    let weights = import(&counted).unwrap();
    let of = |name: &str| weights.tensors().find(|(found, _)| *found == name).unwrap().1.clone();
    assert_eq!(of("head.weight").shape, [3, 4]);
    assert_eq!(of("head.weight").values, [0., 3., 6., 9., 1., 4., 7., 10., 2., 5., 8., 11.]);
    assert_eq!(of("blocks.1.project.norm.running_mean").values, [0., 1.]);
    assert_eq!(efficientnet_classes(&bytes(&counted)).unwrap(), 4);
}

#[test]
fn names_are_those_of_efficientnet_pytorch() {
    for (own, theirs) in [
        ("stem.weight", "_conv_stem.weight"),
        ("stem.norm.gamma", "_bn0.weight"),
        ("blocks.12.expand.norm.beta", "_blocks.12._bn0.bias"),
        ("blocks.0.depthwise.weight", "_blocks.0._depthwise_conv.weight"),
        ("blocks.3.project.norm.running_var", "_blocks.3._bn2.running_var"),
        ("top.norm.running_mean", "_bn1.running_mean"),
        ("head.bias", "_fc.bias"),
    ] {
        assert_eq!(file_name(own), theirs);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let missing = refusal(|file| drop(file.remove("_blocks.1._bn2.bias")));
    assert!(missing.contains("lacks 1 of the network's tensors: _blocks.1._bn2.bias;"), "{missing}");
    let unknown = refusal(|file| {
        for i in 0..7 {
            file.insert(format!("_blocks.{i}._se_reduce.weight"), (Dtype::F32, vec![1], vec![0; 4]));
        }
    });
    assert!(unknown.contains("has 7 tensors") && unknown.contains("_blocks.0._se_reduce.weight"), "{unknown}");
    assert!(unknown.contains("and 2 more"), "{unknown}");
    let shape = refusal(|file| drop(file.insert("_fc.bias".to_owned(), (Dtype::F32, vec![2], vec![0; 8]))));
    assert_eq!(shape, "_fc.bias has the shape [2], the network expects [4]");
    let of_doubles = refusal(|file| drop(file.insert("_fc.bias".to_owned(), (Dtype::F64, vec![4], vec![0; 32]))));
    assert!(of_doubles.contains("_fc.bias holds F64, expected F32 or F16"), "{of_doubles}");
    let infinite = refusal(|file| drop(file.insert("_fc.bias".to_owned(), (Dtype::F32, vec![4], vec![0xff; 16]))));
    assert!(infinite.contains("_fc.bias holds a value that is not finite"), "{infinite}");
    let no_file = import_efficientnet(config().init(&Device::flex(), 2), b"PK").unwrap_err().to_string();
    assert!(no_file.contains("expected a safetensors file"), "{no_file}");
}

/// Largest difference of a logit from onnxruntime's, whose float sums run in another order; logits reach 21. Measured: 3e-5.
const TOLERANCE: f32 = 2e-4;

/// The image of `tools/peers/lite0/golden.py`.
fn image(size: usize) -> Vec<f32> {
    let value = |c: usize, y: usize, x: usize| ((x * x + 3 * y * y + x * y) / 16 + 50 * c) % 256;
    let positions = (0..3).flat_map(|c| (0..size).flat_map(move |y| (0..size).map(move |x| (c, y, x))));
    positions.map(|(c, y, x)| (value(c, y, x) as f32 - 127.0) / 128.0).collect()
}

#[test]
fn efficientnet_lite0_gives_the_logits_of_onnxruntime() {
    let Some(data) = std::env::var_os("REMEDIS_DATA") else {
        println!("skipped: REMEDIS_DATA is not set");
        return;
    };
    let file = std::fs::read(Path::new(&data).join("weights/efficientnet_lite0_imagenet.safetensors")).unwrap();
    let device = Device::flex();
    let config = InvertedResidualConfig::efficientnet_lite0(efficientnet_classes(&file).unwrap());
    let network = import_efficientnet(config.init(&device, 0), &file).unwrap();
    let golden = include_str!("../../../../tools/peers/lite0/golden.txt");
    for line in golden.lines() {
        let mut numbers = line.split(' ');
        let size: usize = numbers.next().unwrap().parse().unwrap();
        let expected: Vec<f32> = numbers.map(|number| number.parse().unwrap()).collect();
        let x = Tensor::from_data(TensorData::new(image(size), [1, 3, size, size]), &device);
        let logits: Vec<f32> = network.forward(x).into_data().try_to_vec().unwrap();
        assert_eq!(logits.len(), expected.len());
        let worst = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{size} pixels: largest difference of a logit {worst}");
        assert!(worst < TOLERANCE, "{size} pixels: a logit is {worst} away");
    }
}
