//! Supervised training of a classifier, shared by pretraining and fine-tuning.

use burn::tensor::{Device, Int, Tensor};
use remedis_model::{Classifier, ClassifierHead};
use remedis_ranks::Ranks;
use remedis_views::{Key, Policy, mixup};

use super::gradients::{Share, Sight, judge};
use super::network;
use super::run::{After, Course, run};
use crate::loader::{Draw, draw_batch, to_tensor, views_of};
use crate::loss;
use crate::optimiser;
use crate::plan::HeadLoss;
use crate::pool::Pool;
use crate::session::{Session, TrainError};

/// What both supervised stages set.
pub(super) struct Classify {
    pub(super) loss: HeadLoss,
    pub(super) weight_decay: f64,
    pub(super) batch: usize,
    pub(super) augment: Policy,
    /// Alpha of mixup, 0 for none.
    pub(super) mixup: f32,
    pub(super) n_classes: usize,
}

/// A new classifier of the plan's backbone, seeded by the plan and the stage.
pub(super) fn classifier(session: &Session, n_classes: usize, stage: &str, device: &Device) -> Classifier {
    let seed = Key::new(session.plan.seed, stage);
    network::classifier(session.plan, n_classes, network::seed(seed), device)
}

/// `classifier` with a head that begins as this loss wants it: at zero, or finding every class unlikely.
pub(super) fn begin_head(classifier: Classifier, loss: HeadLoss, device: &Device) -> Classifier {
    match loss {
        HeadLoss::Softmax => classifier,
        HeadLoss::Sigmoid => {
            let (embedding, n_classes) = (classifier.backbone.embedding_size(), classifier.n_classes());
            let (weight, bias) = (vec![0.0; embedding * n_classes], vec![loss::SIGMOID_BIAS; n_classes]);
            Classifier { head: ClassifierHead::of(weight, bias, device), ..classifier }
        }
    }
}

/// One batch: prepared views and their classes.
struct Batch {
    views: Vec<f32>,
    classes: Vec<i64>,
    /// Share of each image's own label, where images are mixed with those counted from the end.
    own: Option<f32>,
}

/// The places of a batch that are this rank's: as many from the front as from the back, so that images counted from the end, which
/// mixup mixes with those counted from the front, are the same rank's.
fn own_places(batch: usize, ranks: &Ranks) -> Vec<usize> {
    if !ranks.are_several() {
        return (0..batch).collect();
    }
    let half = batch / (2 * ranks.count());
    let front = ranks.rank() * half..(ranks.rank() + 1) * half;
    let back = batch - front.end..batch - front.start;
    front.chain(back).collect()
}

/// Trains on the labelled images of `pool`; `after` watches.
pub(super) fn classify(
    session: &mut Session,
    course: &Course,
    start: Classifier,
    pool: &Pool,
    settings: &Classify,
    after: After<Classifier>,
) -> Result<Classifier, TrainError> {
    let labels = check_labels(course, pool, settings.n_classes)?;
    let ranks = session.ranks.clone();
    if ranks.are_several() {
        let multiple = 2 * ranks.count();
        if !settings.batch.is_multiple_of(multiple) {
            let (stage, section, batch) = (course.name.clone(), course.section, settings.batch);
            return Err(TrainError::Uneven { stage, section, batch, ranks: ranks.count(), multiple });
        }
        if start.backbone.sees_the_batch() {
            return Err(TrainError::SeesTheBatch { stage: course.name.clone() });
        }
    }
    let own = own_places(settings.batch, &ranks);
    let preprocessing = session.plan.input.preprocessing();
    let (views, key) = (settings.augment.views(), Key::new(session.plan.seed, course.section));
    let mixing = Key::new(session.plan.seed, "mixup");
    let draw = |step| {
        let drawn = draw_batch(key, labels.len(), settings.batch, step);
        let labelled = |draw: Draw| (Draw { index: labels[draw.index].0, ..draw }, labels[draw.index].1);
        let (places, classes): (Vec<_>, Vec<_>) = own.iter().map(|&place| labelled(drawn[place])).unzip();
        let mut views = views_of(pool, &places, 0, &views, key, &preprocessing);
        let own = (settings.mixup > 0.0).then(|| Key { epoch: step, ..mixing }.chance().beta(settings.mixup));
        if let Some(own) = own {
            mixup(&mut views, places.len(), own);
        }
        Batch { views, classes, own }
    };
    let device = session.device.clone().autodiff();
    let optimiser = optimiser::sgd(settings.weight_decay);
    let precision = course.precision;
    let share = Share { ranks: &ranks, at_once: 0, sight: Sight::Own, device: &device, precision, loss_scale: 1.0 };
    let step = |network: &Classifier, batch: Batch, loss_scale| {
        let x = to_tensor(batch.views, &preprocessing, &device);
        judge(network, x, &Share { loss_scale, ..share }, |network, embedding| {
            let classes = Tensor::<1, Int>::from_data(batch.classes.as_slice(), &device);
            let logits = network.head.forward(embedding);
            let against = |logits, classes| match settings.loss {
                HeadLoss::Softmax => loss::cross_entropy(logits, classes),
                HeadLoss::Sigmoid => loss::sigmoid_cross_entropy(logits, loss::one_hot(classes, settings.n_classes)),
            };
            let loss = against(logits.clone(), classes.clone());
            match batch.own {
                None => loss,
                // Either loss is linear in its targets, so this is the loss against the mixed ones.
                Some(own) => {
                    let partners = against(logits, classes.flip([0]));
                    loss.mul_scalar(own) + partners.mul_scalar(1.0 - own)
                }
            }
        })
    };
    run(session, course, start, optimiser, draw, step, after)
}

/// Positions and classes of the labelled images.
fn check_labels(course: &Course, pool: &Pool, n_classes: usize) -> Result<Vec<(usize, i64)>, TrainError> {
    let stage = || course.name.clone();
    let labels: Vec<_> = pool.labels.iter().enumerate().filter_map(|(i, label)| Some((i, (*label)?))).collect();
    if labels.is_empty() {
        return Err(TrainError::TooFew { stage: stage(), what: "labelled images", expected: 1, found: 0 });
    }
    if let Some(&(_, found)) = labels.iter().find(|(_, label)| *label >= n_classes) {
        return Err(TrainError::UnknownLabel { stage: stage(), n_classes, found });
    }
    Ok(labels.into_iter().map(|(i, label)| (i, label as i64)).collect())
}
