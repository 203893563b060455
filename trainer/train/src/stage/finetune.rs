//! Stage 3: all weights, few labels, a short schedule.
//!
//! After BiT-HyperRule (Kolesnikov et al. 2020): a fixed number of steps whatever the number of labels, SGD momentum 0.9,
//! a zero-initialised head. With the plan's own numbers a cosine instead of steps, as the runs are shorter than its 500.

use remedis_metrics::{argmax, balanced_accuracy, negative_log_likelihood};
use remedis_model::{Backbone, Classifier, Weights};

use super::classify::{Classify, classifier, classify};
use super::run::{Best, Course, finish_with, finished, is_watched, place};
use crate::evaluate::logits;
use crate::hyper_rule::hyper_rule;
use crate::plan::{FinetuneConfig, FinetuneRule, HeadLoss, Plan, Taken};
use crate::pool::Pool;
use crate::session::{Session, TrainError};

/// What fine-tuning starts from.
#[derive(Clone, Debug)]
pub enum Start {
    /// A backbone; the classifier head starts at zero.
    Backbone(Backbone),
    /// A whole classifier, to adapt it to a new site.
    Classifier(Classifier),
}

impl Start {
    /// The classifier fine-tuning starts from: `fresh`, with these weights in it.
    pub(super) fn into_classifier(self, mut fresh: Classifier) -> Result<Classifier, String> {
        match self {
            Self::Backbone(backbone) => {
                fresh.backbone = Weights::of(&backbone).apply(fresh.backbone)?;
                Ok(fresh)
            }
            Self::Classifier(classifier) => Weights::of(&classifier).apply(fresh),
        }
    }

    pub(super) fn sha256(&self) -> String {
        match self {
            Self::Backbone(backbone) => Weights::of(backbone).sha256(),
            Self::Classifier(classifier) => Weights::of(classifier).sha256(),
        }
    }
}

/// Fine-tunes `start` on *all* labelled images of `pool`; [`draw_labels`](crate::draw_labels) makes a pool of few labels.
///
/// `name` names the checkpoint and the stage; give every arm of a comparison its own.
///
/// # Errors
/// If there are no labelled images, a label is not below `n_classes`, training diverges, was asked to stop, or a checkpoint
/// cannot be read or written.
///
/// # Panics
/// If `start` is not of the plan's backbone and, for a classifier, of `n_classes` classes.
pub fn finetune(
    session: &mut Session,
    name: &str,
    start: Start,
    pool: &Pool,
    n_classes: usize,
) -> Result<Classifier, TrainError> {
    let config = settled(session.plan, pool.labelled().len());
    finetune_with(session, &config, name, start, pool, None, n_classes)
}

/// [`finetune`], where the plan takes the best network instead of the last chosen by the labelled images of `val`, of the same site.
///
/// # Errors
/// As [`finetune`], and if a label of `val` is not below `n_classes`.
///
/// # Panics
/// As [`finetune`].
pub fn finetune_watched(
    session: &mut Session,
    name: &str,
    start: Start,
    pool: &Pool,
    val: &Pool,
    n_classes: usize,
) -> Result<Classifier, TrainError> {
    let config = settled(session.plan, pool.labelled().len());
    let val = labelled(val, name, n_classes)?;
    finetune_with(session, &config, name, start, pool, Some(&val), n_classes)
}

/// The numbers of one fine-tuning on `n_labelled` images, without a grid: the plan's, or those of the rule that the plan names.
pub(super) fn settled(plan: &Plan, n_labelled: usize) -> FinetuneConfig {
    let config = FinetuneConfig { grid_rates: vec![], grid_decays: vec![], ..plan.finetune.clone() };
    match config.rule {
        FinetuneRule::Plan => config,
        FinetuneRule::HyperRule => hyper_rule(n_labelled, [plan.input.size_px; 2]).apply(&config),
    }
}

/// [`finetune`] with numbers that need not be the plan's; the fully labelled `val` is read only where it chooses.
pub(super) fn finetune_with(
    session: &mut Session,
    config: &FinetuneConfig,
    name: &str,
    start: Start,
    pool: &Pool,
    val: Option<&Pool>,
    n_classes: usize,
) -> Result<Classifier, TrainError> {
    let val = val.filter(|val| config.result == Taken::Best && !val.is_empty());
    let mut data = vec![pool.sha256(), start.sha256()];
    data.extend(val.map(Pool::sha256));
    let data: Vec<&str> = data.iter().map(String::as_str).collect();
    let course = Course {
        name: name.to_owned(),
        section: "finetune",
        total: config.steps as u64,
        images_per_step: config.batch,
        learning_rate: config.learning_rate,
        warm_up: config.warm_up,
        fall: config.schedule.fall(&config.decay_at),
        clip_norm: config.clip_norm,
        precision: session.plan.precision,
        place: place(session, name, &(config, n_classes), &data),
    };
    let fresh = classifier(session, n_classes, "finetune", &session.device);
    if let Some(done) = finished(session, &course, fresh)? {
        return Ok(done);
    }
    let fresh = classifier(session, n_classes, "finetune", &session.device.clone().autodiff());
    let start =
        start.into_classifier(fresh).unwrap_or_else(|wrong| panic!("fine-tuning from another network: {wrong}"));
    let settings = Classify {
        loss: HeadLoss::Softmax,
        weight_decay: config.weight_decay,
        batch: config.batch,
        augment: config.augment,
        mixup: config.mixup,
        n_classes,
    };
    let (preprocessing, plain) = (session.plan.input.preprocessing(), session.device.clone());
    let mut watched = val.filter(|_| session.ranks.is_first()).map(|val| (val, Best::of(&course)));
    let trained = classify(session, &course, start, pool, &settings, &mut |done, network, _| {
        let Some((val, best)) = watched.as_mut().filter(|_| done > 0 && is_watched(done, course.total)) else {
            return Ok(());
        };
        let (accuracy, loss) = scores(&logits(network, val, &preprocessing, &plain), val);
        match accuracy.zip(loss) {
            Some((accuracy, loss)) => best.offer(done, vec![accuracy, -loss], network),
            None => Ok(()),
        }
    })?;
    finish_with(session, &course, &trained, config.result)
}

/// The labelled images of a pool that is to choose.
pub(super) fn labelled(val: &Pool, stage: &str, n_classes: usize) -> Result<Pool, TrainError> {
    match val.labels.iter().flatten().find(|&&label| label >= n_classes) {
        Some(&found) => Err(TrainError::UnknownLabel { stage: stage.to_owned(), n_classes, found }),
        None => Ok(val.subset(&val.labelled())),
    }
}

/// Balanced accuracy of answers to the images of a fully labelled pool, and their cross-entropy in nats.
pub(super) fn scores(answers: &[Vec<f32>], pool: &Pool) -> (Option<f64>, Option<f64>) {
    let labels: Vec<usize> = pool.labels.iter().flatten().copied().collect();
    let decisions: Vec<usize> = answers.iter().map(|row| argmax(row).unwrap_or(usize::MAX)).collect();
    (balanced_accuracy(&labels, &decisions), negative_log_likelihood(answers, &labels, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_plans_or_the_rules_and_never_a_grid() {
        let mut plan = Plan::demo();
        plan.finetune.grid_rates = vec![0.1];
        let settled_by = |rule| {
            let mut plan = plan.clone();
            plan.finetune.rule = rule;
            settled(&plan, 30)
        };
        let by_plan = settled_by(FinetuneRule::Plan);
        assert_eq!((by_plan.steps, by_plan.learning_rate), (80, 0.1));
        let by_rule = settled_by(FinetuneRule::HyperRule);
        assert_eq!((by_rule.steps, by_rule.learning_rate), (500, 0.003));
        assert!(by_plan.grid_rates.is_empty() && by_rule.grid_rates.is_empty());
    }
}
