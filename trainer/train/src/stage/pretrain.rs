//! Stage 1: supervised on natural images.
//!
//! Source: Kolesnikov et al. 2020, "Big Transfer (BiT)", with the schedule shortened: SGD momentum 0.9, warm-up, then cosine (as
//! google-research/big_vision trains it) or steps (as the paper), global clipping at 1, softmax over all classes or a sigmoid of
//! each, crops and mirrors.

use remedis_model::{Backbone, Classifier};

use super::classify::{Classify, begin_head, classifier, classify};
use super::run::{Course, finish, finished, place, unwatched};
use crate::pool::Pool;
use crate::session::{Session, TrainError};

/// Trains a backbone from noise on the labelled images of `pool`; the classifier head is thrown away.
///
/// # Errors
/// If there are no labelled images, training diverges, was asked to stop, or a checkpoint cannot be read or written.
pub fn pretrain(session: &mut Session, pool: &Pool) -> Result<Backbone, TrainError> {
    let config = session.plan.pretrain.clone();
    let labelled = pool.labelled();
    let n_classes = labelled.iter().filter_map(|&i| pool.labels[i]).max().map_or(0, |most| most + 1);
    let course = Course {
        name: "pretrain".to_owned(),
        section: "pretrain",
        total: (config.epochs * labelled.len()).div_ceil(config.batch) as u64,
        images_per_step: config.batch,
        learning_rate: config.learning_rate,
        warm_up: config.warm_up,
        fall: config.schedule.fall(&config.decay_at),
        clip_norm: config.clip_norm,
        precision: session.plan.precision,
        place: place(session, "pretrain", &config, &[&pool.sha256()]),
    };
    let fresh: Classifier = classifier(session, n_classes.max(1), "pretrain", &session.device);
    if let Some(backbone) = finished(session, &course, fresh.backbone)? {
        return Ok(backbone);
    }
    let settings = Classify {
        loss: config.loss,
        weight_decay: config.weight_decay,
        batch: config.batch,
        augment: config.augment,
        mixup: config.mixup,
        n_classes,
    };
    let device = session.device.clone().autodiff();
    let start = begin_head(classifier(session, n_classes.max(1), "pretrain", &device), config.loss, &device);
    let trained = classify(session, &course, start, pool, &settings, &mut unwatched)?;
    finish(&course, &trained.backbone)
}
