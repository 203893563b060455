//! Training gives the same bits for any number of threads.
#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use std::process::Command;

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig, momentum::MomentumConfig};
use burn::tensor::{Device, Tensor, TensorData};
use remedis_model::{BitConfig, Classifier, StudentConfig, Weights};

/// Set in the processes that train; names the network.
const CHILD: &str = "REMEDIS_TRAIN_HERE";

/// Images in a step: enough that every operation has work for several threads.
const BATCH: usize = 64;

/// All bits after three steps, folded (FNV-1a).
fn train<M: Module>(mut network: M, device: &Device, forward: impl Fn(&M, Tensor<4>) -> Tensor<2>) -> u64 {
    let mut optimiser = SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init();
    let shape = [BATCH, 3, 64, 64];
    for step in 0..3_usize {
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|i: usize| ((i * 7919 + step * 31) % 1009) as f32 / 504.0 - 1.0).collect();
        let logits = forward(&network, Tensor::from_data(TensorData::new(values, shape), device));
        let wanted = Tensor::<2>::from_data(
            TensorData::new((0..3 * BATCH).map(|i| (i % 3) as f32).collect(), [BATCH, 3]),
            device,
        );
        let loss = (logits - wanted).powf_scalar(2.0).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimiser.step(0.1, network, gradients);
    }
    let weights = Weights::of(&network);
    let bits = weights.tensors().flat_map(|(_, tensor)| &tensor.values).map(|value| value.to_bits());
    bits.fold(0xcbf2_9ce4_8422_2325, |hash, bits| (hash ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn child() {
    let device = Device::flex().autodiff();
    let digest = match std::env::var(CHILD).as_deref() {
        Ok("bit") => {
            let classifier = Classifier::new(BitConfig::small().init(&device, 1), 3, &device);
            train(classifier, &device, |network, x| network.forward(x))
        }
        Ok("student") => train(StudentConfig::small(3).init(&device, 1), &device, |network, x| network.forward(x)),
        _ => return,
    };
    eprintln!("digest {digest:016x}");
}

fn digest_with(network: &str, threads: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program)
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, network)
        .env("RAYON_NUM_THREADS", threads)
        .output()
        .unwrap();
    let said = String::from_utf8(child.stderr).unwrap();
    said.lines().find(|line| line.starts_with("digest ")).unwrap_or_else(|| panic!("no digest in {said}")).to_owned()
}

#[test]
fn a_backbone_trained_with_one_thread_and_with_more_is_the_same() {
    let one = digest_with("bit", "1");
    assert_eq!(one, digest_with("bit", "2"));
    assert_eq!(one, digest_with("bit", "4"));
}

#[test]
fn a_student_trained_with_one_thread_and_with_more_is_the_same() {
    let one = digest_with("student", "1");
    assert_eq!(one, digest_with("student", "2"));
    assert_eq!(one, digest_with("student", "4"));
}
