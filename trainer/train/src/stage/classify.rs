//! Supervised training of a classifier, shared by pretraining and fine-tuning.

use burn::tensor::{Device, Int, Tensor, TensorData};
use remedis_model::Classifier;

use super::network;
use super::run::{Course, run};
use crate::augment::Policy;
use crate::chance::Key;
use crate::loader::{Draw, draw_batch, to_tensor, views_of};
use crate::loss;
use crate::optimiser;
use crate::pool::Pool;
use crate::session::{Session, TrainError};

/// What both supervised stages set.
pub(super) struct Classify {
    pub(super) weight_decay: f64,
    pub(super) batch: usize,
    pub(super) augment: Policy,
    pub(super) n_classes: usize,
}

/// A new classifier of the plan's backbone, seeded by the plan and the stage.
pub(super) fn classifier(session: &Session, n_classes: usize, stage: &str, device: &Device) -> Classifier {
    let seed = Key::new(session.plan.seed, stage);
    network::classifier(session.plan, n_classes, network::seed(seed), device)
}

/// One batch: prepared views and their classes.
struct Batch {
    views: Vec<Vec<f32>>,
    classes: Vec<i64>,
}

/// Trains on the labelled images of `pool`.
pub(super) fn classify(
    session: &mut Session,
    course: &Course,
    start: Classifier,
    pool: &Pool,
    settings: &Classify,
) -> Result<Classifier, TrainError> {
    let labels = check_labels(course, pool, settings.n_classes)?;
    let preprocessing = session.plan.input.preprocessing();
    let (views, key) = (settings.augment.views(), Key::new(session.plan.seed, course.section));
    let draw = |step| {
        let draws: Vec<_> = draw_batch(key, labels.len(), settings.batch, step)
            .into_iter()
            .map(|draw| (Draw { index: labels[draw.index].0, ..draw }, labels[draw.index].1))
            .collect();
        let (places, classes): (Vec<_>, Vec<_>) = draws.into_iter().unzip();
        Batch { views: views_of(pool, &places, 0, &views, key, &preprocessing), classes }
    };
    let device = session.device.clone().autodiff();
    let optimiser = optimiser::sgd(settings.weight_decay);
    run(session, course, start, optimiser, draw, |network, batch, _| {
        let x = to_tensor(&batch.views, &preprocessing, &device);
        let classes = TensorData::new(batch.classes.clone(), [batch.classes.len()]);
        let classes = Tensor::<1, Int>::from_data(classes, &device);
        loss::cross_entropy(network.forward(x), classes).into()
    })
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
