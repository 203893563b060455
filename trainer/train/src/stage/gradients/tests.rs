//! Ranks as threads of one process: what they must agree on does not depend on what carries their messages. Steps in 16 bits.

use burn::module::ModuleMapper;
use burn::tensor::{DType, FloatDType, Int};
use remedis_model::{BackboneForm, BitConfig, ClassifierHead, ProjectionHead, Weights};
use remedis_views::Key;

use super::*;
use crate::loss::{cross_entropy, nt_xent, unit_length};
use crate::optimiser;

const SIZE: usize = 32;
const STEPS: usize = 20;
/// Images (two views of half as many) in a batch.
const BATCH: usize = 16;
const CLASSES: usize = 3;

/// Runs `work` as each of `count` ranks.
fn as_ranks(count: usize, work: impl Fn(&Ranks) + Sync) {
    std::thread::scope(|scope| {
        for ranks in remedis_ranks::threads(count).unwrap() {
            let work = &work;
            scope.spawn(move || work(&ranks));
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

fn contrastive_network(device: &Device) -> Contrastive {
    let backbone = backbone(device);
    let projection = ProjectionHead::new(backbone.embedding_size(), 16, device, 3);
    Contrastive { backbone, projection }
}

/// A contrastive step of this rank, from `ranks` on in one go or `at_once` views at a time.
fn contrastive_step(
    network: &Contrastive,
    step: usize,
    ranks: &Ranks,
    at_once: usize,
    (precision, loss_scale): (Precision, f64),
) -> Judged {
    let device = Device::flex().autodiff();
    let own = BATCH / 2 / ranks.count();
    let view = |view: usize| (ranks.rank() * own..(ranks.rank() + 1) * own).map(move |i| view * BATCH / 2 + i);
    let x = tensor(step, view(0).chain(view(1)), &device);
    let share = Share { ranks, at_once, sight: Sight::AllPairs, device: &device, precision, loss_scale };
    judge(network, x, &share, |network: &Contrastive, embedding| {
        let projected = unit_length(network.projection.forward(embedding));
        let [a, b]: [Tensor<2>; 2] = projected.chunk(2, 0).try_into().unwrap();
        nt_xent(a, b, 0.2)
    })
}

fn contrastive(ranks: &Ranks, at_once: usize) {
    let plain = (Precision::F32, 1.0);
    check(
        contrastive_network(&Device::flex().autodiff()),
        ranks,
        |network, step, ranks| contrastive_step(network, step, ranks, at_once, plain),
        |network, step| contrastive_step(network, step, &Ranks::alone(), 0, plain),
    );
}

/// A supervised step of this rank.
fn supervised_step(
    network: &Classifier,
    step: usize,
    ranks: &Ranks,
    (precision, loss_scale): (Precision, f64),
) -> Judged {
    let device = Device::flex().autodiff();
    let own = BATCH / ranks.count();
    let images = ranks.rank() * own..(ranks.rank() + 1) * own;
    let classes: Vec<i64> = images.clone().map(|image| (image % CLASSES) as i64).collect();
    let share = Share { ranks, at_once: 0, sight: Sight::Own, device: &device, precision, loss_scale };
    judge(network, tensor(step, images, &device), &share, |network, embedding| {
        let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
        cross_entropy(network.head.forward(embedding), classes)
    })
}

fn supervised(ranks: &Ranks) {
    let device = Device::flex().autodiff();
    let (network, plain) = (Classifier::new(backbone(&device), CLASSES, &device), (Precision::F32, 1.0));
    let one = |network: &Classifier, step| supervised_step(network, step, &Ranks::alone(), plain);
    check(network, ranks, |network, step, ranks| supervised_step(network, step, ranks, plain), one);
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

/// Types of all gradients, in the order of the network's parameters.
struct Types<'a> {
    gradients: &'a GradientsParams,
    found: Vec<DType>,
}

impl ModuleVisitor for Types<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.extend(self.gradients.get::<D>(param.id).map(|gradient| gradient.dtype()));
    }
}

/// Rounds every weight to bfloat16, and keeps it in 32 bits.
struct Round;

impl ModuleMapper for Round {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| weight.cast(FloatDType::BF16).cast(FloatDType::F32).detach().require_grad())
    }
}

/// Gradients of the head are as near as one rounding. On the way down every layer rounds again and turns some ReLU whose input lies
/// near zero, so that those of the first layers lie far from the ones in 32 bits: as far, within a few times, as those of a network
/// that computes in 32 bits with weights that were rounded once. (Flex adds up `f16` in `f16`, which costs what its mantissa gains.)
///
/// Supervised, with a head that is not zero: the batch normalisation of a contrastive head widens the little in which the embeddings
/// of a new network differ, and any rounding with it.
#[test]
fn a_step_in_16_bits_has_the_loss_and_gradients_of_32_within_rounding_and_gives_gradients_in_32() {
    let device = Device::flex().autodiff();
    let (backbone, mut chance) = (backbone(&device), Key::new(5, "head").chance());
    let weight = (0..backbone.embedding_size() * CLASSES).map(|_| chance.uniform(-0.1, 0.1)).collect();
    let head = ClassifierHead::of(weight, vec![0.0; CLASSES], &device);
    let (network, alone) = (Classifier { backbone, head }, Ranks::alone());
    let expected = supervised_step(&network, 0, &alone, (Precision::F32, 1.0));
    let one = each(&network, &expected.gradients);
    let offs = |precision: Precision, scale: f64| {
        let found = supervised_step(&network, 0, &alone, (precision, scale));
        let mut types = Types { gradients: &found.gradients, found: Vec::new() };
        network.visit(&mut types);
        assert!(types.found.len() == one.len() && types.found.iter().all(|it| *it == DType::F32), "{:?}", types.found);
        let loss = (found.loss / expected.loss - 1.0).abs();
        assert!(loss < 1.0 / 128.0, "{precision}: loss off by {loss:.1e}");
        let unscale = |values: &[f32]| values.iter().map(|value| value / scale as f32).collect::<Vec<_>>();
        let own = each(&network, &found.gradients);
        let offs: Vec<f64> = own.iter().zip(&one).map(|(own, one)| off(&unscale(own), one)).collect();
        // Weight and bias of the head are the last.
        assert!(offs.iter().rev().take(2).all(|off| *off < 1.0 / 16.0), "{precision}: {offs:.4?}");
        offs
    };
    let rounded = supervised_step(&network.clone().map(&mut Round), 0, &alone, (Precision::F32, 1.0));
    let once: Vec<f64> = each(&network, &rounded.gradients).iter().zip(&one).map(|(own, one)| off(own, one)).collect();
    let mean = |offs: &[f64]| offs.iter().sum::<f64>() / offs.len() as f64;
    for offs in [offs(Precision::Bf16, 1.0), offs(Precision::F16, 1024.0)] {
        assert!(mean(&offs) < 4.0 * mean(&once), "{offs:.4?}, rounded once {once:.4?}");
    }
}

#[test]
fn the_contrastive_loss_falls_in_16_bits_alone_in_parts_and_between_ranks() {
    let falls = |ranks: &Ranks, at_once, precision: (Precision, f64)| {
        let mut network = contrastive_network(&Device::flex().autodiff());
        let mut optimiser = optimiser::sgd(0.0);
        let losses: Vec<f32> = (0..12)
            .map(|_| {
                let Judged { loss, mut gradients } = contrastive_step(&network, 0, ranks, at_once, precision);
                let mut unscaled = Unscale { gradients: &mut gradients, scale: precision.1 };
                network.visit(&mut unscaled);
                network = optimiser.step(0.02, network.clone(), gradients);
                ranks.sum(vec![loss as f32])[0]
            })
            .collect();
        assert!(losses[11] < 0.8 * losses[0], "{precision:?} {at_once}: {losses:?}");
    };
    for precision in [(Precision::Bf16, 1.0), (Precision::F16, 4096.0)] {
        falls(&Ranks::alone(), 0, precision);
        falls(&Ranks::alone(), 4, precision);
        as_ranks(2, |ranks| falls(ranks, 0, precision));
    }
}

struct Unscale<'a> {
    gradients: &'a mut GradientsParams,
    scale: f64,
}

impl ModuleVisitor for Unscale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient.div_scalar(self.scale));
        }
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
