//! The loop all stages share: forward, backward, clip, optimiser step, observer, checkpoint.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use remedis_ops as ops;
use remedis_ranks::Ranks;
use serde::Serialize;

use super::gradients::Judged;
use crate::checkpoint::{Finished, Place, Score, floats};
use crate::plan::Taken;
use crate::precision::{LossScale, Precision};
use crate::schedule::Fall;
use crate::session::{Observer, Session, StepRecord, TrainError};

/// How often a stage is looked at, beside its beginning.
const LOOKS: u64 = 10;
/// Batches made ahead of the step that uses them.
pub(crate) const AHEAD: usize = 2;
/// Changes when the arithmetic of training changes, so that older checkpoints are not taken for this code's.
const CODE: &str = "train-5";

/// What decides the course of one stage.
pub(super) struct Course {
    pub(super) name: String,
    /// Section of the plan that holds the learning rate, for error messages.
    pub(super) section: &'static str,
    pub(super) total: u64,
    /// Images (or views) forwarded in a step.
    pub(super) images_per_step: usize,
    pub(super) learning_rate: f64,
    /// Share of the steps.
    pub(super) warm_up: f64,
    pub(super) fall: Fall,
    pub(super) clip_norm: f64,
    pub(super) precision: Precision,
    pub(super) place: Place,
}

/// Where a stage keeps its checkpoints: the key covers the code, the seed, the input, the stage's own settings and all data.
pub(super) fn place(session: &Session, name: &str, settings: &impl Serialize, data: &[&str]) -> Place {
    let plan = session.plan;
    let shared = json(&(plan.seed, plan.precision, &plan.input, &plan.backbone));
    let own = json(settings);
    let mut decides = vec![CODE, name, &shared, &own];
    decides.extend(data);
    Place::new(session.out, name, &decides).among(&session.ranks).keeping(session.keep)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("settings hold only numbers, strings and lists, which JSON can write")
}

/// The network of an earlier, finished run of the same stage, if there is one.
pub(super) fn finished<M: Module>(session: &mut Session, course: &Course, fresh: M) -> Result<Option<M>, TrainError> {
    match course.place.finished(fresh)? {
        Finished::Yes(network) => {
            session.observer.note(&format!("{}: already trained, checkpoint used", course.name));
            Ok(Some(network.valid()))
        }
        Finished::Stale => {
            let name = &course.name;
            session.observer.note(&format!("{name}: the checkpoint is of another plan or other data; training again"));
            Ok(None)
        }
        Finished::No => Ok(None),
    }
}

/// Saves the finished network and hands it out without autodiff.
pub(super) fn finish<M: Module>(course: &Course, network: &M) -> Result<M, TrainError> {
    if !course.place.is_alike_everywhere(network) {
        return Err(TrainError::Drifted { stage: course.name.clone() });
    }
    Ok(course.place.finish(network.valid())?)
}

/// [`finish`] with the network that the plan takes: the last, or the one that was watched at its best.
pub(super) fn finish_with<M: Module>(
    session: &mut Session,
    course: &Course,
    last: &M,
    taken: Taken,
) -> Result<M, TrainError> {
    let best = match taken {
        Taken::Last => None,
        Taken::Best => course.place.best(last.valid())?,
    };
    let Some((score, best)) = best else {
        if taken == Taken::Best {
            session.observer.note(&format!("{}: no labels to watch it by, so its last network is taken", course.name));
        }
        return finish(course, last);
    };
    if !course.place.is_alike_everywhere(last) {
        return Err(TrainError::Drifted { stage: course.name.clone() });
    }
    let (name, step, total) = (&course.name, score.step, course.total);
    let numbers: Vec<_> = score.numbers.iter().map(|number| format!("{number:.3}")).collect();
    let numbers = numbers.join(", ");
    session.observer.note(&format!("{name}: its network after step {step} of {total} is taken, its best ({numbers})"));
    let best = finish(course, &best)?;
    course.place.remove_best()?;
    Ok(best)
}

/// Keeps the best network of a stage beside its checkpoints.
pub(super) struct Best {
    place: Place,
    score: Option<Score>,
}

impl Best {
    /// That of an interrupted run of the same stage, or none yet.
    ///
    /// It may be of a later step than the run goes on from: that step comes again, with the same score.
    pub(super) fn of(course: &Course) -> Self {
        Self { score: course.place.best_score(), place: course.place.clone() }
    }

    /// Saves `network` after `step` steps if these numbers are the best so far.
    pub(super) fn offer<M: Module>(&mut self, step: u64, numbers: Vec<f64>, network: &M) -> Result<(), TrainError> {
        let score = Score { step, numbers };
        if score.beats(self.score.as_ref()) {
            self.place.save_best(&score, network)?;
            self.score = Some(score);
        }
        Ok(())
    }
}

/// What hears of the network before the first step and after each: the steps done, the network, and whom to tell.
pub(super) type After<'a, M> = &'a mut dyn FnMut(u64, &M, &mut dyn Observer) -> Result<(), TrainError>;

/// For stages whose network nobody watches.
pub(super) fn unwatched<M>(_step: u64, _network: &M, _observer: &mut dyn Observer) -> Result<(), TrainError> {
    Ok(())
}

/// Whether a stage is looked at after this many of its steps: every tenth of it, and at its end.
pub(super) fn is_watched(done: u64, total: u64) -> bool {
    let every = (total / LOOKS).max(1);
    done.is_multiple_of(every) && done + every / 2 < total || done == total
}

/// Trains `network` for the whole course, or from where an interrupted run left it.
///
/// `draw` makes the batch of a step, on a thread of its own, a little ahead; it must depend on nothing but the step. `judge` is given
/// the loss scale, too. A step whose gradients overflow half precision is left out, its batch with it.
pub(super) fn run<M: Module + Sync, B: Send>(
    session: &mut Session,
    course: &Course,
    network: M,
    optimiser: ModuleOptimizer,
    draw: impl Fn(u64) -> B + Send,
    judge: impl FnMut(&M, B, f64) -> Judged + Send,
    after: After<M>,
) -> Result<M, TrainError> {
    course.precision.check(&session.device)?;
    session.observer.stage(&course.name, course.total);
    let (first, trained) = match course.place.progress()? {
        Some(progress) => {
            let (step, scale) = (progress.step, progress.loss_scale.clone());
            for wrong in &progress.passed_over {
                session.observer.note(&format!("{wrong}; the one before it is used"));
            }
            session.observer.note(&format!("{}: going on after step {step} of {}", course.name, course.total));
            let (network, optimiser) = course.place.restore(progress, network, optimiser)?;
            (step, Trained { network, optimiser, scale })
        }
        None => (0, Trained { network, optimiser, scale: LossScale::new(course.precision) }),
    };
    let (sender, batches) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || send_batches(&sender, first..course.total, draw));
        steps(session, course, first, trained, batches, judge, after)
    })
}

/// Makes batches until all are made or nobody wants them any more.
pub(crate) fn send_batches<B>(sender: &SyncSender<B>, steps: std::ops::Range<u64>, draw: impl Fn(u64) -> B) {
    for step in steps {
        if sender.send(draw(step)).is_err() {
            return;
        }
    }
}

/// What steps change.
struct Trained<M> {
    network: M,
    optimiser: ModuleOptimizer,
    scale: LossScale,
}

fn steps<M: Module + Sync, B: Send>(
    session: &mut Session,
    course: &Course,
    first: u64,
    Trained { mut network, mut optimiser, mut scale }: Trained<M>,
    batches: Receiver<B>,
    mut judge: impl FnMut(&M, B, f64) -> Judged + Send,
    after: After<M>,
) -> Result<M, TrainError> {
    if first == 0 {
        after(0, &network, session.observer)?;
    }
    let mut saved = Instant::now();
    let mut began = Instant::now();
    for step in first..course.total {
        let Ok(batch) = batches.recv() else { break };
        let waited = began.elapsed();
        let loss_scale = scale.factor();
        let (loss, gradients, gradient_norm) = among_threads(|| {
            let Judged { loss, mut gradients } = judge(&network, batch, loss_scale);
            let gradient_norm = clip(&network, &mut gradients, loss_scale, course.clip_norm);
            (loss, gradients, gradient_norm)
        });
        let loss = whole(loss, &session.ranks);
        let learning_rate = learning_rate(course, step);
        if loss.is_finite() && gradient_norm.is_finite() {
            network = among_threads(|| optimiser.step(learning_rate, network, gradients));
            scale.keep();
        } else if !(loss.is_finite() && scale.back_off()) {
            let (stage, stage_section) = (course.name.clone(), course.section);
            return Err(TrainError::Diverged { stage, stage_section, step: step + 1, loss, gradient_norm });
        }

        let took = began.elapsed().as_secs_f64().max(1e-9);
        session.observer.step(&StepRecord {
            stage: course.name.clone(),
            step: step + 1,
            total: course.total,
            loss,
            learning_rate,
            gradient_norm,
            loss_scale,
            skipped_steps: scale.skipped(),
            images_per_second: course.images_per_step as f64 / took,
            waiting_share: waited.as_secs_f64() / took,
        });
        let done = step + 1;
        after(done, &network, session.observer)?;
        let stops = session.ranks.any(session.stop.load(Ordering::SeqCst)) && done < course.total;
        if stops || saved.elapsed() >= session.save_every {
            course.place.save_progress(done, &network, &optimiser, &scale)?;
            saved = Instant::now();
        }
        if stops {
            return Err(TrainError::Interrupted { stage: course.name.clone(), step: done, total: course.total });
        }
        began = Instant::now();
    }
    Ok(network)
}

/// The loss of the whole batch from this rank's part of it.
fn whole(part: f64, ranks: &Ranks) -> f64 {
    if ranks.are_several() { f64::from(ranks.sum(vec![part as f32])[0]) } else { part }
}

/// Runs `work` on one of the threads that compute.
///
/// A step starts hundreds of parallel loops. From another thread each of them would wait for a computing thread to wake up and
/// then wake this one.
pub(crate) fn among_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

fn learning_rate(course: &Course, step: u64) -> f64 {
    course.fall.rate(step, course.total, course.warm_up, course.learning_rate)
}

/// Divides all gradients by the loss scale, and scales them down to a global norm of at most `limit`; returns the norm before.
fn clip<M: Module>(network: &M, gradients: &mut GradientsParams, loss_scale: f64, limit: f64) -> f64 {
    let mut norm = Norm { gradients, squares: 0.0 };
    network.visit(&mut norm);
    let norm = norm.squares.sqrt() / loss_scale;
    let factor = if norm > limit { limit / norm } else { 1.0 } / loss_scale;
    if factor != 1.0 {
        network.visit(&mut Scale { gradients, factor });
    }
    norm
}

struct Norm<'a> {
    gradients: &'a GradientsParams,
    squares: f64,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.squares += f64::from(floats(ops::squares(gradient.clone(), gradient, 0.0))[0]);
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

#[cfg(test)]
mod tests;
