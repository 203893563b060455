use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::naming::Naming;
use super::*;
use crate::{InvertedResidualConfig, StageConfig, Stem, StudentConfig, Values, Weights};

type File = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn config() -> InvertedResidualConfig {
    let stages = vec![
        StageConfig { repeats: 1, kernel: 3, stride: 1, expansion: 1, channels: 2 },
        StageConfig { repeats: 1, kernel: 3, stride: 1, expansion: 2, channels: 2 },
    ];
    let convention = Convention::Tensorflow;
    InvertedResidualConfig { channels: 1, stem: 2, stages, embedding: 3, n_classes: 4, convention }
}

/// What `naming` calls our tensor `own` of a network with these tensors.
fn name(naming: Naming, own: &str, all: &[&str]) -> String {
    let all: BTreeSet<&str> = all.iter().copied().chain([own]).collect();
    naming.place(own, &all).unwrap().0
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
        (self::name(Naming::EfficientNetPytorch, name, &[]), (Dtype::F32, shape, bytes))
    };
    Weights::of(&network).tensors().map(entry).collect()
}

fn bytes(file: &File) -> Vec<u8> {
    let views =
        file.iter().map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn fill(file: &File) -> Result<Weights, ImportError> {
    import_efficientnet(config().init(&Device::flex(), 2), &bytes(file)).map(|network| Weights::of(&network))
}

fn refusal(change: impl FnOnce(&mut File)) -> String {
    let mut file = file();
    change(&mut file);
    fill(&file).unwrap_err().to_string()
}

#[test]
fn every_tensor_finds_its_place_and_the_matrix_is_turned() {
    let mut counted = file();
    counted.insert("_bn0.num_batches_tracked".to_owned(), (Dtype::I64, vec![], vec![0; 8]));
    let weights = fill(&counted).unwrap();
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
        assert_eq!(name(Naming::EfficientNetPytorch, own, &[]), theirs);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let missing = refusal(|file| drop(file.remove("_blocks.1._bn2.bias")));
    assert!(missing.contains("lacks 1 of the network's tensors: _blocks.1._bn2.bias;"), "{missing}");
    let misspelt = refusal(|file| {
        let bias = file.remove("_blocks.1._bn2.bias").unwrap();
        file.insert("_blocks.1._bn2.beta".to_owned(), bias);
    });
    assert!(misspelt.contains("_blocks.1._bn2.bias (similar names in it: _blocks.1._bn2.beta)"), "{misspelt}");
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
    assert!(of_doubles.contains("_fc.bias holds F64, expected F32, F16 or BF16"), "{of_doubles}");
    let infinite = refusal(|file| drop(file.insert("_fc.bias".to_owned(), (Dtype::F32, vec![4], vec![0xff; 16]))));
    assert!(infinite.contains("_fc.bias holds a value that is not finite"), "{infinite}");
}

#[test]
fn names_are_those_of_other_programs() {
    let blocks = ["blocks.0.project.weight", "blocks.1.expand.weight", "blocks.1.project.weight"];
    for (naming, own, theirs) in [
        (Naming::Bit, "stem.weight", "resnet/root_block/standardized_conv2d/kernel"),
        (Naming::Bit, "block3.11.c.group_norm.gamma", "resnet/block3/unit12/c/group_norm/gamma"),
        (Naming::Bit, "block1.0.projection.weight", "resnet/block1/unit01/a/proj/standardized_conv2d/kernel"),
        (Naming::Bit, "backbone.block1.0.b.conv.weight", "resnet/block1/unit01/b/standardized_conv2d/kernel"),
        (Naming::Bit, "head.linear.weight", "resnet/head/conv2d/kernel"),
        (Naming::BitPytorch, "block2.1.c.conv.weight", "body.block2.unit02.conv3.weight"),
        (Naming::BitPytorch, "group_norm.beta", "head.gn.bias"),
        (Naming::BitTimm, "block4.2.a.group_norm.beta", "stages.3.blocks.2.norm1.bias"),
        (Naming::TorchvisionResNet, "group2.0.shortcut.norm.running_mean", "layer2.0.downsample.1.running_mean"),
        (Naming::TorchvisionResNet, "group4.1.b.weight", "layer4.1.conv2.weight"),
        (Naming::TorchvisionMobileNet, "blocks.0.project.norm.beta", "features.1.conv.2.bias"),
        (Naming::TorchvisionMobileNet, "blocks.1.depthwise.norm.gamma", "features.2.conv.1.1.weight"),
        (Naming::TorchvisionMobileNet, "blocks.1.project.weight", "features.2.conv.2.weight"),
        (Naming::TorchvisionMobileNet, "top.weight", "features.3.0.weight"),
        (Naming::TorchvisionMobileNet, "head.bias", "classifier.1.bias"),
    ] {
        assert_eq!(name(naming, own, &blocks), theirs);
    }
}

/// A file as the trainer's checkpoints are: names under `prefix`, kernels in 16 bits where all values fit, the rest in 32.
fn checkpoint(weights: &Weights, prefix: &str) -> File {
    let entry = |(name, values): (&str, &Values)| {
        let (dtype, bytes) = if values.fits_half() {
            (Dtype::F16, values.values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect())
        } else {
            (Dtype::F32, values.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        };
        (format!("{prefix}{name}"), (dtype, values.shape.clone(), bytes))
    };
    weights.tensors().map(entry).collect()
}

#[test]
fn our_own_checkpoints_come_back_and_a_backbone_comes_out_of_a_classifier() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("finetune.safetensors");
    let classifier = |seed| Classifier::new(crate::BitConfig::small().init(&device, seed), 3, &device);
    let weights = Weights::of(&classifier(1)).rounded_to_half();
    std::fs::write(&path, bytes(&checkpoint(&weights, ""))).unwrap();
    let back = import(&path, classifier(2), Head::Imported).unwrap();
    assert_eq!(Weights::of(&back).sha256(), weights.sha256());
    let backbone = import(&path, crate::BitConfig::small().init(&device, 2), Head::Own).unwrap();
    assert_eq!(Weights::of(&backbone).sha256(), Weights::of(&back.backbone).sha256());

    let student = StudentConfig { stem: Stem::Three, ..StudentConfig::small(3) };
    let weights = Weights::of(&student.init(&device, 1)).rounded_to_half();
    let mut partial = checkpoint(&weights, "weights.");
    partial.insert("optimiser".to_owned(), (Dtype::U8, vec![3], vec![1, 2, 3]));
    std::fs::write(&path, bytes(&partial)).unwrap();
    let back = import(&path, student.init(&device, 2), Head::Imported).unwrap();
    assert_eq!(Weights::of(&back).sha256(), weights.sha256());
}

#[test]
fn a_network_that_is_there_twice_is_not_guessed() {
    let device = Device::flex();
    let weights = Weights::of(&StudentConfig::small(3).init(&device, 1));
    let mut both = checkpoint(&weights, "model.");
    both.extend(checkpoint(&weights, "ema."));
    let mut file = WeightFile::of_safetensors(&bytes(&both)).unwrap();
    let refusal = file.fill(StudentConfig::small(3).init(&device, 2), Head::Imported).unwrap_err().to_string();
    assert!(refusal.starts_with("the file holds this network 2 times, under ema., model.;"), "{refusal}");
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

mod lies;
