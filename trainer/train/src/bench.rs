//! Training steps and the making of views, again and again: what `remedis-train bench` and `bench-input` time.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use remedis_imaging::{Channels, DecodeError, Depth, Preprocessing, Resize, decode};
use remedis_model::{BackboneForm, BitConfig, Classifier, InvertedResidualConfig, StudentConfig};
use remedis_ranks::Ranks;
use remedis_views::{Key, Policy, view};

use crate::checkpoint::floats;
use crate::loss::{Objective, cross_entropy};
use crate::optimiser;
use crate::precision::Precision;
use crate::stage::{AHEAD, Contrastive, Share, Sight, among_threads, send_batches};

/// Length of the logits.
const CLASSES: usize = 100;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchNetwork {
    /// BiT ResNet-50x1: bottlenecks with group normalisation and standardised weights.
    BitR50x1,
    /// ResNet-18 with batch normalisation.
    Resnet18,
    /// EfficientNet-Lite0: inverted residuals with batch normalisation.
    EfficientnetLite0,
}

/// What a step is given.
#[derive(Clone, Copy, Debug)]
pub enum Feed<'a> {
    /// One batch of noise, always the same.
    Noise,
    /// Two views of each of these JPEG files, decoded and drawn anew for every step while the one before computes.
    Pairs(&'a [Vec<u8>]),
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct StepTime {
    /// Waiting for the batch.
    pub waited: Duration,
    /// All of it, waiting included.
    pub took: Duration,
}

/// The size and number of images in a step, and how many steps.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// Images in a step; for pairs, both views count.
    pub batch: usize,
    /// Side of the images in pixels.
    pub size_px: usize,
    /// How many steps.
    pub count: usize,
}

/// Runs whole training steps and says how long each took: forward, cross-entropy over 100 classes, backward, SGD with momentum.
///
/// # Panics
/// If the loss is not finite, as times of a broken network mean nothing; if a file of the feed is no JPEG, see [`pairs_time`].
#[must_use]
pub fn step_times(network: BenchNetwork, feed: Feed, steps: Steps, device: &Device) -> Vec<StepTime> {
    let device = &device.clone().autodiff();
    match network {
        BenchNetwork::BitR50x1 => {
            let network = Classifier::new(BitConfig::r50x1().init(device, 1), CLASSES, device);
            fed(network, feed, steps, device, |network, x| network.forward(x))
        }
        BenchNetwork::Resnet18 => {
            let network = StudentConfig::resnet18(CLASSES).init(device, 1);
            fed(network, feed, steps, device, |network, x| network.forward(x))
        }
        BenchNetwork::EfficientnetLite0 => {
            let network = InvertedResidualConfig::efficientnet_lite0(CLASSES).init(device, 1);
            fed(network, feed, steps, device, |network, x| network.forward(x))
        }
    }
}

fn fed<M: Module + Sync>(
    network: M,
    feed: Feed,
    steps: Steps,
    device: &Device,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2> + Sync,
) -> Vec<StepTime> {
    match feed {
        Feed::Noise => {
            let mut chance = Key::new(1, "bench").chance();
            let values = steps.batch * 3 * steps.size_px * steps.size_px;
            let noise: Vec<f32> = (0..values).map(|_| chance.uniform(-1.0, 1.0)).collect();
            times(network, steps, device, forward, || noise.clone())
        }
        Feed::Pairs(jpegs) => std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(AHEAD);
            scope.spawn(move || {
                send_batches(&sender, 0..steps.count as u64, |step| {
                    pairs(jpegs, steps.batch / 2, steps.size_px, step).expect("the files were read before")
                });
            });
            let next = |batches: &Receiver<Vec<f32>>| batches.recv().expect("there is a batch for every step");
            times(network, steps, device, forward, || next(&batches))
        }),
    }
}

fn times<M: Module + Sync>(
    mut network: M,
    steps: Steps,
    device: &Device,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2> + Sync,
    mut next: impl FnMut() -> Vec<f32>,
) -> Vec<StepTime> {
    let shape = [steps.batch, 3, steps.size_px, steps.size_px];
    let classes: Vec<i64> = (0..steps.batch).map(|i| (i * 37 % CLASSES) as i64).collect();
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), device);
    let mut optimiser = optimiser::sgd(0.0);
    let mut times = Vec::new();
    for _ in 0..steps.count {
        let began = Instant::now();
        let batch = next();
        let waited = began.elapsed();
        network = among_threads(|| {
            let x = Tensor::<4>::from_data(TensorData::new(batch, shape), device);
            let loss = cross_entropy(forward(&network, x), classes.clone());
            let value = floats(loss.clone())[0];
            assert!(value.is_finite(), "the loss is {value}");
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            optimiser.step(0.01, network, gradients)
        });
        times.push(StepTime { waited, took: began.elapsed() });
    }
    times
}

/// Length of the projections of contrastive steps, `SimCLR`'s.
const PROJECTION: usize = 128;

/// Runs whole contrastive steps of a BiT backbone, each shared by `ranks`, and says how long each took: this rank's views forward,
/// embeddings gathered, NT-Xent over all of them, backward, gradients summed, LARS.
///
/// `steps.batch` counts pairs, of all ranks together. The views are noise.
///
/// # Panics
/// If the pairs cannot be shared evenly, or the loss is not finite.
#[must_use]
pub fn contrastive_times(config: &BitConfig, steps: Steps, ranks: &Ranks, device: &Device) -> Vec<StepTime> {
    assert!(steps.batch.is_multiple_of(ranks.count()), "{} pairs for {} ranks", steps.batch, ranks.count());
    let device = &device.clone().autodiff();
    let mut network = Contrastive::new(BackboneForm::Bit(*config).init(device, 1), PROJECTION, 1, device);
    let share = Share { ranks, at_once: 0, sight: Sight::AllPairs, device, precision: Precision::F32, loss_scale: 1.0 };
    let mut optimiser = optimiser::lars(1e-6);
    let shape = [2 * steps.batch / ranks.count(), config.channels, steps.size_px, steps.size_px];
    let mut chance = Key { sample: ranks.rank() as u64, ..Key::new(1, "bench") }.chance();
    let noise: Vec<f32> = (0..shape.iter().product()).map(|_| chance.uniform(-1.0, 1.0)).collect();
    let mut times = Vec::new();
    for _ in 0..steps.count {
        let began = Instant::now();
        network = among_threads(|| {
            let both = Tensor::<4>::from_data(TensorData::new(noise.clone(), shape), device);
            let judged = network.judge(both, &share, Objective::NtXent, 0.2);
            let loss = ranks.sum(vec![judged.loss as f32])[0];
            assert!(loss.is_finite(), "the loss is {loss}");
            optimiser.step(0.01, network, judged.gradients)
        });
        times.push(StepTime { waited: Duration::ZERO, took: began.elapsed() });
    }
    times
}

/// How long one thread takes to decode every file once and to make a pair of views of it, at `SimCLR`'s full strength.
///
/// # Errors
/// The first file that cannot be decoded.
pub fn pairs_time(jpegs: &[Vec<u8>], size_px: usize, round: u64) -> Result<Duration, DecodeError> {
    let began = Instant::now();
    for (sample, jpeg) in jpegs.iter().enumerate() {
        let pair = pair(jpeg, size_px, Key { epoch: round, sample: sample as u64, ..Key::new(1, "bench") })?;
        std::hint::black_box(pair);
    }
    Ok(began.elapsed())
}

/// `count` pairs: all first views, then all second ones, made on all threads.
fn pairs(jpegs: &[Vec<u8>], count: usize, size_px: usize, step: u64) -> Result<Vec<f32>, DecodeError> {
    let one = |i: usize| {
        let sample = (step as usize * count + i) % jpegs.len();
        pair(&jpegs[sample], size_px, Key { epoch: step, sample: i as u64, ..Key::new(1, "bench") })
    };
    let pairs = (0..count).into_par_iter().map(one).collect::<Result<Vec<_>, _>>()?;
    Ok([0, 1].into_iter().flat_map(|side| pairs.iter().flat_map(move |pair| pair[side].iter().copied())).collect())
}

fn pair(jpeg: &[u8], size_px: usize, key: Key) -> Result<[Vec<f32>; 2], DecodeError> {
    let image = decode(jpeg, Depth::Eight)?;
    let input = Preprocessing {
        width: size_px as u32,
        height: size_px as u32,
        channels: Channels::Rgb,
        depth_bits: Depth::Eight,
        resize: Resize::Stretch,
        mean: vec![0.5; 3],
        std: vec![0.5; 3],
    };
    let image = if image.channels == Channels::Rgb { image } else { image.to_rgb() };
    let views = Policy::SimClr.views();
    let seen = |number| {
        let key = Key { view: number, ..key };
        view(&image, [size_px; 2], &views, &mut key.chance()).into_input(&input)
    };
    Ok([seen(0), seen(1)])
}
