//! Clipping, and what an overflow does.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use remedis_model::Weights;

use super::*;
use crate::optimiser;
use crate::plan::Plan;

#[test]
fn a_gradient_of_norm_five_is_clipped_to_one_and_keeps_its_direction() {
    let device = Device::flex().autodiff();
    let network = LinearConfig::new(2, 1).with_bias(false).init(&device);
    let x = Tensor::<2>::from_data([[3.0, 4.0]], &device);
    let gradients = || GradientsParams::from_grads(network.forward(x.clone()).sum().backward(), &network);
    let mut clipped = gradients();
    let norm = clip(&network, &mut clipped, 1.0, 1.0);
    assert!((norm - 5.0).abs() < 1e-6, "{norm}");
    let left = floats(clipped.get::<2>(network.weight.id).unwrap());
    assert!((left[0] - 0.6).abs() < 1e-6 && (left[1] - 0.8).abs() < 1e-6, "{left:?}");
    let mut whole = gradients();
    clip(&network, &mut whole, 1.0, 9.0);
    assert_eq!(floats(whole.get::<2>(network.weight.id).unwrap()), [3.0, 4.0]);
}

#[test]
fn scaled_gradients_are_clipped_by_the_norm_that_they_have_without_the_scale() {
    let device = Device::flex().autodiff();
    let network = LinearConfig::new(2, 1).with_bias(false).init(&device);
    let x = Tensor::<2>::from_data([[3.0, 4.0]], &device);
    let mut gradients = Judged::of(network.forward(x).sum(), &network, 1024.0).gradients;
    assert_eq!(floats(gradients.get::<2>(network.weight.id).unwrap()), [3072.0, 4096.0]);
    assert_eq!(clip(&network, &mut gradients, 1024.0, 9.0), 5.0);
    assert_eq!(floats(gradients.get::<2>(network.weight.id).unwrap()), [3.0, 4.0]);
}

/// Hears the steps, and asks to stop after one of them.
struct Steps<'a> {
    stop: &'a AtomicBool,
    after: Option<u64>,
    heard: Vec<StepRecord>,
}

impl Observer for Steps<'_> {
    fn stage(&mut self, _name: &str, _total_steps: u64) {}
    fn step(&mut self, record: &StepRecord) {
        self.stop.store(Some(record.step) == self.after, Ordering::SeqCst);
        self.heard.push(record.clone());
    }
    fn note(&mut self, _text: &str) {}
    fn watch(&mut self, _record: &crate::session::WatchRecord) {}
}

fn linear(device: &Device) -> Linear {
    let weight = Tensor::from_data([[0.5], [-0.25]], device);
    Linear { weight: Param::from_tensor(weight), bias: None }
}

/// Eight steps in `precision`, whose gradients are infinite at the steps (from 0) in `overflows`, in the folder `out`.
fn eight_steps(
    out: &std::path::Path,
    precision: Precision,
    overflows: &[u64],
    after: Option<u64>,
) -> (Result<String, TrainError>, Vec<StepRecord>) {
    let (plan, stop) = (Plan { precision, ..Plan::tiny() }, AtomicBool::new(false));
    let mut steps = Steps { stop: &stop, after, heard: Vec::new() };
    let mut session = Session {
        plan: &plan,
        out,
        device: Device::flex(),
        ranks: Ranks::alone(),
        observer: &mut steps,
        save_every: Duration::MAX,
        keep: 2,
        stop: &stop,
    };
    let course = Course {
        name: "overflow".to_owned(),
        section: "contrast",
        total: 8,
        images_per_step: 1,
        learning_rate: 0.1,
        warm_up: 0.0,
        fall: Fall::Cosine,
        clip_norm: 1.0,
        precision,
        place: place(&session, "overflow", &8, &[]),
    };
    let device = Device::flex().autodiff();
    let judge = |network: &Linear, step: u64, scale: f64| {
        let x = Tensor::<2>::from_data([[step as f32, 1.0]], &device);
        let loss = network.forward(x).square().sum();
        let blown = if overflows.contains(&step) { f32::INFINITY } else { 1.0 };
        Judged { loss: 1.0, ..Judged::of(loss.mul_scalar(blown), network, scale) }
    };
    let optimiser = optimiser::sgd(0.0);
    let trained = run(&mut session, &course, linear(&device), optimiser, |step| step, judge, &mut unwatched);
    (trained.map(|network| Weights::of(&network).sha256()), steps.heard)
}

#[test]
fn a_step_that_overflows_is_left_out_and_told_and_the_next_has_half_the_scale() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, steps) = eight_steps(folder.path(), Precision::F16, &[2, 3], None);
    assert!(trained.is_ok());
    let told: Vec<_> = steps.iter().map(|step| (step.loss_scale, step.skipped_steps)).collect();
    assert_eq!(told[..5], [(65_536.0, 0), (65_536.0, 0), (65_536.0, 1), (32_768.0, 2), (16_384.0, 2)]);
    assert!(steps.iter().all(|step| step.gradient_norm.is_finite() != [3, 4].contains(&step.step)));
}

#[test]
fn a_run_cut_after_an_overflow_goes_on_with_its_scale_bit_for_bit() {
    let (straight, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (expected, all) = eight_steps(straight.path(), Precision::F16, &[2, 6], None);
    let (stopped, first) = eight_steps(cut.path(), Precision::F16, &[2, 6], Some(4));
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 4, .. })));
    let (resumed, rest) = eight_steps(cut.path(), Precision::F16, &[2, 6], None);
    assert_eq!(resumed.unwrap(), expected.unwrap());
    let told = |steps: &[StepRecord]| {
        steps.iter().map(|step| (step.step, step.loss_scale, step.skipped_steps)).collect::<Vec<_>>()
    };
    assert_eq!([told(&first), told(&rest)].concat(), told(&all));
    assert_eq!(told(&all)[7], (8, 16_384.0, 2));
}

#[test]
fn without_a_scale_and_at_the_end_of_all_scales_an_overflow_is_a_divergence() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, steps) = eight_steps(folder.path(), Precision::Bf16, &[2], None);
    assert!(matches!(ended, Err(TrainError::Diverged { step: 3, .. })));
    assert_eq!(steps.len(), 2);
}
