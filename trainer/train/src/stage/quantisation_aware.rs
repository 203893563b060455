//! After quantisation: the student learns to live with eight bits.
//!
//! Source: Jacob et al. 2018 for the fake quantisation (see `folded`), from the point that calibration found, as Qualcomm's
//! AIMET and TensorFlow advise; the loss is distillation again, so that no labels are needed. Ranges stay as calibrated and batch
//! normalisation stays folded: what comes out goes through the exporter with the same ranges.

use remedis_model::{Classifier, Layer, Weights};

use burn::module::Module;

use super::distil::Mixed;
use super::folded::{Folded, Stored};
use super::gradients::Judged;
use super::run::{Course, finish, finished, place, run, unwatched};
use crate::loader::to_tensor;
use crate::loss;
use crate::optimiser;
use crate::pool::Pool;
use crate::precision::Precision;
use crate::schedule::Fall;
use crate::session::{Session, TrainError};

/// Trains a distilled student further, in eight bits, on all images of `pool`; labels are not read.
///
/// `student` are its layers, `stored` tells how each value but the logits is stored in eight bits, the input first: the
/// activations of the quantised graph. The layers that come back have their batch normalisation folded. Views, batch,
/// temperature and mixup are those of the plan's `distil`. With `qat_epochs` 0, `student` comes back as it is.
///
/// # Errors
/// If there are no images, training diverges, was asked to stop, or a checkpoint cannot be read or written.
///
/// # Panics
/// If `stored` is of another student.
pub fn quantisation_aware(
    session: &mut Session,
    teacher: &Classifier,
    student: Vec<Layer>,
    stored: &[Stored],
    pool: &Pool,
) -> Result<Vec<Layer>, TrainError> {
    let (config, quantise) = (session.plan.distil.clone(), session.plan.quantise.clone());
    if quantise.qat_epochs == 0 {
        return Ok(student);
    }
    if pool.is_empty() {
        let stage = "quantisation_aware".to_owned();
        return Err(TrainError::TooFew { stage, what: "images", expected: 1, found: 0 });
    }
    let plain = session.device.clone().without_autodiff();
    let teacher = teacher.valid().to_device(&plain);
    let fresh = Folded::new(&student, &plain);
    let course = Course {
        name: "quantisation_aware".to_owned(),
        section: "quantise",
        total: (quantise.qat_epochs * pool.len()).div_ceil(config.batch) as u64,
        images_per_step: config.batch,
        learning_rate: quantise.learning_rate,
        warm_up: quantise.warm_up,
        fall: Fall::Cosine,
        clip_norm: config.clip_norm,
        // Steps between eight-bit values are finer than bf16's.
        precision: Precision::F32,
        place: place(
            session,
            "quantisation_aware",
            &(&config, quantise.qat_epochs, quantise.learning_rate, quantise.warm_up, stored),
            &[&pool.sha256(), &Weights::of(&teacher).sha256(), &Weights::of(&fresh).sha256()],
        ),
    };
    if let Some(done) = finished(session, &course, fresh)? {
        return Ok(done.into_layers(&student));
    }
    let device = session.device.clone().autodiff();
    let start = Folded::new(&student, &device);

    let mixed = Mixed::new(session, "quantisation_aware", pool, config.augment, config.batch, config.mixup);
    // Decay would shrink the scales that the weights were just fitted to.
    let optimiser = optimiser::sgd(0.0);
    let step = |pupil: &Folded, batch: Vec<f32>, scale| {
        let answers = teacher.forward(to_tensor(batch.clone(), &mixed.input, &plain)).to_device(&device);
        let pupils = pupil.forward(&student, stored, to_tensor(batch, &mixed.input, &device));
        Judged::of(loss::distillation(pupils, answers, config.temperature), pupil, scale)
    };
    let trained = run(session, &course, start, optimiser, |step| mixed.batch(step), step, &mut unwatched)?;
    Ok(finish(&course, &trained)?.into_layers(&student))
}
