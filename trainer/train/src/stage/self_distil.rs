//! Between stages 3 and 4: the teacher's answers, learned by a network of its own form.
//!
//! Source: Chen et al. 2020, "Big Self-Supervised Models are Strong Semi-Supervised Learners" (`SimCLRv2`), section 2: the fine-tuned
//! network answers on unlabelled images, and a network of the same form that learns these answers becomes the better teacher of
//! the small one. No labels are read.

use burn::module::Module;
use burn::tensor::Device;
use remedis_model::{Classifier, Weights};

use super::classify::classifier;
use super::distil::Mixed;
use super::finetune::Start;
use super::gradients::Judged;
use super::run::{Course, finish, finished, place, run, unwatched};
use crate::loader::to_tensor;
use crate::loss;
use crate::optimiser;
use crate::pool::Pool;
use crate::schedule::Fall;
use crate::session::{Session, TrainError};

/// Trains `start` to answer as `teacher` does on all images of `pool`, labelled or not. With `epochs` 0, the teacher comes back.
///
/// Start from the contrastive backbone: from the teacher's own weights there is nothing to learn, as both see the same views.
///
/// # Errors
/// If there are no images, training diverges, was asked to stop, or a checkpoint cannot be read or written.
///
/// # Panics
/// If teacher or `start` is not of the plan's backbone, or `start` is a classifier of other classes.
pub fn self_distil(
    session: &mut Session,
    teacher: &Classifier,
    start: Start,
    pool: &Pool,
) -> Result<Classifier, TrainError> {
    let config = session.plan.self_distil.clone();
    if config.epochs == 0 {
        return Ok(teacher.clone());
    }
    if pool.is_empty() {
        let stage = "self_distil".to_owned();
        return Err(TrainError::TooFew { stage, what: "images", expected: 1, found: 0 });
    }
    let plain = session.device.clone().without_autodiff();
    let teacher = teacher.valid().to_device(&plain);
    let n_classes = teacher.n_classes();
    let course = Course {
        name: "self_distil".to_owned(),
        section: "self_distil",
        total: (config.epochs * pool.len()).div_ceil(config.batch) as u64,
        images_per_step: config.batch,
        learning_rate: config.learning_rate,
        warm_up: config.warm_up,
        fall: Fall::Cosine,
        clip_norm: config.clip_norm,
        precision: session.plan.precision,
        place: place(
            session,
            "self_distil",
            &config,
            &[&pool.sha256(), &Weights::of(&teacher).sha256(), &start.sha256()],
        ),
    };
    if let Some(done) = finished(session, &course, classifier(session, n_classes, "self_distil", &plain))? {
        return Ok(done);
    }
    let device = session.device.clone().autodiff();
    let fresh = classifier(session, n_classes, "self_distil", &device);
    let pupil =
        start.into_classifier(fresh).unwrap_or_else(|wrong| panic!("self-distillation from another network: {wrong}"));

    let mixed = Mixed::new(session, "self_distil", pool, config.augment, config.batch, config.mixup);
    let optimiser = optimiser::sgd(config.weight_decay);
    let images = |batch: Vec<f32>, device: &Device| course.precision.of_images(to_tensor(batch, &mixed.input, device));
    let step = |pupil: &Classifier, batch: Vec<f32>, scale| {
        let answers = teacher.forward(images(batch.clone(), &plain)).to_device(&device);
        let pupils = pupil.forward(images(batch, &device));
        Judged::of(loss::distillation(pupils, answers, config.temperature), pupil, scale)
    };
    let trained = run(session, &course, pupil, optimiser, |step| mixed.batch(step), step, &mut unwatched)?;
    finish(&course, &trained)
}
