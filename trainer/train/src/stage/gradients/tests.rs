//! Ranks as threads of one process: what they must agree on does not depend on what carries their messages.

use std::sync::{Arc, Barrier, Mutex};

use burn::tensor::Int;
use remedis_model::{BackboneForm, BitConfig, ProjectionHead, Weights};
use remedis_ranks::Exchange;
use remedis_views::Key;

use super::*;
use crate::loss::{cross_entropy, nt_xent, unit_length};
use crate::optimiser;

const SIZE: usize = 32;
const STEPS: usize = 20;
/// Images (two views of half as many) in a batch.
const BATCH: usize = 16;
const CLASSES: usize = 3;

/// A rank that exchanges through memory shared with the others.
struct InMemory {
    rank: usize,
    count: usize,
    shared: Arc<Shared>,
}

struct Shared {
    barrier: Barrier,
    slots: Mutex<Vec<Vec<f32>>>,
}

impl InMemory {
    /// What every rank gave, in their order.
    fn all(&self, own: &[f32]) -> Vec<Vec<f32>> {
        self.shared.slots.lock().unwrap()[self.rank] = own.to_vec();
        self.shared.barrier.wait();
        let all = self.shared.slots.lock().unwrap().clone();
        self.shared.barrier.wait();
        all
    }
}

impl Exchange for InMemory {
    fn rank(&self) -> usize {
        self.rank
    }
    fn count(&self) -> usize {
        self.count
    }
    fn local_rank(&self) -> usize {
        self.rank
    }
    fn sum(&self, values: &mut [f32]) {
        let all = self.all(values);
        for (i, value) in values.iter_mut().enumerate() {
            *value = all.iter().map(|slot| slot[i]).sum();
        }
    }
    fn gather(&self, values: &[f32]) -> Vec<f32> {
        self.all(values).concat()
    }
    fn broadcast(&self, _bytes: &mut Vec<u8>) {
        unreachable!("gradients are not broadcast")
    }
    fn abort(&self, code: i32) -> ! {
        panic!("aborted with {code}")
    }
}

/// Runs `work` as each of `count` ranks.
fn as_ranks(count: usize, work: impl Fn(&Ranks) + Sync) {
    if count == 1 {
        work(&Ranks::alone());
        return;
    }
    let shared = Arc::new(Shared { barrier: Barrier::new(count), slots: Mutex::new(vec![Vec::new(); count]) });
    std::thread::scope(|scope| {
        for rank in 0..count {
            let (shared, work) = (Arc::clone(&shared), &work);
            scope.spawn(move || work(&Ranks::over(move || Ok(InMemory { rank, count, shared })).unwrap()));
        }
    });
}

/// Image `image` of step `step`, in some class.
fn image(step: usize, image: usize) -> Vec<f32> {
    let key = Key { epoch: step as u64, sample: image as u64, ..Key::new(5, "ranks") };
    let mut chance = key.chance();
    let level = (image % CLASSES) as f32 / 2.0 - 0.5;
    (0..3 * SIZE * SIZE).map(|_| level + chance.uniform(-0.5, 0.5)).collect()
}

fn tensor(step: usize, images: impl Iterator<Item = usize>, device: &Device) -> Tensor<4> {
    let values: Vec<Vec<f32>> = images.map(|number| image(step, number)).collect();
    Tensor::from_data(TensorData::new(values.concat(), [values.len(), 3, SIZE, SIZE]), device)
}

fn backbone(device: &Device) -> Backbone {
    BackboneForm::Bit(BitConfig::small()).init(device, 3)
}

#[derive(Module, Debug)]
struct Contrastive {
    backbone: Backbone,
    projection: ProjectionHead,
}

impl Headed for Contrastive {
    fn backbone(&self) -> &Backbone {
        &self.backbone
    }
}

/// Twenty steps of `judge`, the rate rising to `SimCLR`'s for small batches. Before each, loss and every gradient are held against
/// those of one process with the same weights and the whole batch: a run of its own would leave this one where a rounding decides
/// on which side of a ReLU an activation falls.
fn check<M: Module>(
    mut network: M,
    ranks: &Ranks,
    judge: impl Fn(&M, usize, &Ranks) -> Judged,
    expected: impl Fn(&M, usize) -> Judged,
) {
    let mut optimiser = optimiser::lars(1e-6);
    for step in 0..STEPS {
        let (found, expected) = (judge(&network, step, ranks), expected(&network, step));
        let loss = f64::from(ranks.sum(vec![found.loss as f32])[0]);
        assert!(
            (loss - expected.loss).abs() <= 1e-5 * expected.loss,
            "step {step}: loss {loss}, alone {}",
            expected.loss
        );
        let (own, one) = (each(&network, &found.gradients), each(&network, &expected.gradients));
        assert_eq!(own.len(), one.len());
        for (number, (own, one)) in own.iter().zip(&one).enumerate() {
            assert!(off(own, one) <= 1e-5, "step {step}, gradient {number}: off by {:.1e}", off(own, one));
        }
        let rate = 0.075 * (BATCH as f64 / 2.0).sqrt() * (step + 1) as f64 / STEPS as f64;
        network = optimiser.step(rate, network, found.gradients);
    }
    let digest: Vec<f32> = Weights::of(&network).sha256().bytes().map(f32::from).collect();
    let times: Vec<f32> = digest.iter().map(|byte| byte * ranks.count() as f32).collect();
    assert_eq!(ranks.sum(digest), times, "ranks end with other weights");
}

/// The gradients in the order of the network's parameters.
fn each<M: Module>(network: &M, gradients: &GradientsParams) -> Vec<Vec<f32>> {
    let mut each = Each { gradients, found: Vec::new() };
    network.visit(&mut each);
    each.found
}

struct Each<'a> {
    gradients: &'a GradientsParams,
    found: Vec<Vec<f32>>,
}

impl ModuleVisitor for Each<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.extend(self.gradients.get::<D>(param.id).map(floats));
    }
}

fn length(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// Length of the difference of two lists, as a share of the second's.
fn off(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let (apart, whole) = (length(found.iter().zip(expected).map(|(a, b)| a - b)), length(expected.iter().copied()));
    if whole == 0.0 { apart } else { apart / whole }
}

fn contrastive(ranks: &Ranks, at_once: usize) {
    let device = Device::flex().autodiff();
    let backbone = backbone(&device);
    let projection = ProjectionHead::new(backbone.embedding_size(), 16, &device, 3);
    let of = |network: &Contrastive, step: usize, ranks: &Ranks, at_once: usize| {
        let own = BATCH / 2 / ranks.count();
        let view = |view: usize| (ranks.rank() * own..(ranks.rank() + 1) * own).map(move |i| view * BATCH / 2 + i);
        let x = tensor(step, view(0).chain(view(1)), &device);
        let share = Share { ranks, at_once, sight: Sight::AllPairs, device: &device };
        judge(network, x, &share, |network: &Contrastive, embedding| {
            let projected = unit_length(network.projection.forward(embedding));
            let [a, b]: [Tensor<2>; 2] = projected.chunk(2, 0).try_into().unwrap();
            nt_xent(a, b, 0.2)
        })
    };
    check(
        Contrastive { backbone, projection },
        ranks,
        |network, step, ranks| of(network, step, ranks, at_once),
        |network, step| of(network, step, &Ranks::alone(), 0),
    );
}

fn supervised(ranks: &Ranks) {
    let device = Device::flex().autodiff();
    let of = |network: &Classifier, step: usize, ranks: &Ranks| {
        let own = BATCH / ranks.count();
        let images = ranks.rank() * own..(ranks.rank() + 1) * own;
        let classes: Vec<i64> = images.clone().map(|image| (image % CLASSES) as i64).collect();
        let share = Share { ranks, at_once: 0, sight: Sight::Own, device: &device };
        judge(network, tensor(step, images, &device), &share, |network, embedding| {
            let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
            cross_entropy(network.head.forward(embedding), classes)
        })
    };
    let network = Classifier::new(backbone(&device), CLASSES, &device);
    check(network, ranks, of, |network, step| of(network, step, &Ranks::alone()));
}

#[test]
fn contrastive_steps_of_two_and_four_ranks_are_those_of_one() {
    for count in [2, 4] {
        as_ranks(count, |ranks| contrastive(ranks, 0));
    }
}

#[test]
fn a_batch_in_parts_has_the_gradients_of_the_whole() {
    as_ranks(1, |ranks| contrastive(ranks, 4));
    as_ranks(2, |ranks| contrastive(ranks, 4));
}

#[test]
fn supervised_steps_of_two_and_four_ranks_are_those_of_one() {
    for count in [2, 4] {
        as_ranks(count, supervised);
    }
}

#[test]
fn views_come_together_from_rank_to_rank() {
    // Two ranks with two images of one number: first views 1, 2 and 5, 6.
    assert_eq!(
        views_together(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 2, 2),
        [1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]
    );
}
