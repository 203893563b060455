//! Stage 4: the teacher's answers, learned by a network small enough for the device.
//!
//! Source: Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and consistent" (`FunMatch`): teacher and student
//! see the same view or mixture of views, the teacher answers online, no labels. With a pull on the embedding, so that the student
//! keeps a space in which a new head can be trained.

use burn::module::Module;
use burn::tensor::Device;
use remedis_imaging::Preprocessing;
use remedis_model::{Classifier, Student, Weights};
use remedis_views::{Key, Policy, Views, roll_mixup};

use super::gradients::Judged;
use super::network::{self, Adapter};
use super::run::{Course, finish, finished, place, run, unwatched};
use crate::loader::{draw_batch, to_tensor, views_of};
use crate::loss;
use crate::optimiser;
use crate::pool::Pool;
use crate::schedule::Fall;
use crate::session::{Session, TrainError};

/// What is trained: the student, and a linear map to the teacher's embedding that is thrown away afterwards.
#[derive(Module, Debug)]
struct Pupil {
    student: Student,
    adapter: Adapter,
}

/// Trains a student from noise on all images of `pool`, labelled or not; labels are not read.
///
/// Every rank trains the whole student by itself, as its batch normalisation must see the whole batch: call it in one process.
///
/// # Errors
/// If there are fewer than two images, training diverges, was asked to stop, or a checkpoint cannot be read or written.
pub fn distil(session: &mut Session, teacher: &Classifier, pool: &Pool) -> Result<Student, TrainError> {
    let config = session.plan.distil.clone();
    if pool.len() < 2 {
        let stage = "distil".to_owned();
        return Err(TrainError::TooFew { stage, what: "images", expected: 2, found: pool.len() });
    }
    let plain = session.device.clone().without_autodiff();
    let teacher = teacher.valid().to_device(&plain);
    let (n_classes, embedding) = (teacher.n_classes(), teacher.backbone.embedding_size());
    let course = Course {
        name: "distil".to_owned(),
        section: "distil",
        total: (config.epochs * pool.len()).div_ceil(config.batch) as u64,
        images_per_step: config.batch,
        learning_rate: config.learning_rate,
        warm_up: config.warm_up,
        fall: Fall::Cosine,
        clip_norm: config.clip_norm,
        precision: session.plan.precision,
        place: place(
            session,
            "distil",
            &(&config, &session.plan.student),
            &[&pool.sha256(), &Weights::of(&teacher).sha256()],
        ),
    };
    let seed = network::seed(Key::new(session.plan.seed, "distil"));
    if let Some(done) = finished(session, &course, network::student(session.plan, n_classes, seed, &plain))? {
        return Ok(done);
    }
    let device = session.device.clone().autodiff();
    let student = network::student(session.plan, n_classes, seed, &device);
    let adapter = network::adapter(&student, embedding, seed, &device);

    let mixed = Mixed::new(session, "distil", pool, config.augment, config.batch, config.mixup);
    let optimiser = optimiser::sgd(config.weight_decay);
    let start = Pupil { student, adapter };
    let images = |batch: Vec<f32>, device: &Device| course.precision.of_images(to_tensor(batch, &mixed.input, device));
    let step = |pupil: &Pupil, batch: Vec<f32>, scale| {
        let (teacher_embedding, teacher_logits) = network::teach(&teacher, images(batch.clone(), &plain), &device);
        let (student_embedding, student_logits) = network::learn(&pupil.student, images(batch, &device));
        let answers = loss::distillation(student_logits, teacher_logits, config.temperature);
        let places = loss::embedding_distance(pupil.adapter.forward(student_embedding), teacher_embedding);
        Judged::of(answers + places.mul_scalar(config.embedding_weight), pupil, scale)
    };
    let trained = run(session, &course, start, optimiser, |step| mixed.batch(step), step, &mut unwatched)?;
    finish(&course, &trained.student)
}

/// The batches of every distillation: views of all images, each mixed with the one before it.
pub(super) struct Mixed<'a> {
    pool: &'a Pool,
    /// What the views become.
    pub(super) input: Preprocessing,
    views: Views,
    batch: usize,
    /// Alpha of mixup; 0 leaves views as they are.
    alpha: f32,
    key: Key,
    mixing: Key,
}

impl<'a> Mixed<'a> {
    /// Those of `stage`.
    pub(super) fn new(
        session: &Session,
        stage: &str,
        pool: &'a Pool,
        augment: Policy,
        batch: usize,
        alpha: f32,
    ) -> Self {
        let seed = session.plan.seed;
        let (key, mixing) = (Key::new(seed, stage), Key::new(seed, &format!("{stage} mixup")));
        let (input, views) = (session.plan.input.preprocessing(), augment.views());
        Self { pool, input, views, batch, alpha, key, mixing }
    }

    /// The images of a step, one after the other.
    pub(super) fn batch(&self, step: u64) -> Vec<f32> {
        let draws = draw_batch(self.key, self.pool.len(), self.batch, step);
        let mut views = views_of(self.pool, &draws, 0, &self.views, self.key, &self.input);
        if self.alpha > 0.0 {
            let weight = Key { epoch: step, ..self.mixing }.chance().beta(self.alpha);
            roll_mixup(&mut views, draws.len(), weight);
        }
        views
    }
}
