//! Fine-tuning with several learning rates and weight decays, of which validation chooses.
//!
//! Source: Azizi et al. 2021 (`MICLe`), whose protocol REMEDIS keeps: all combinations of a few rates and decays, chosen on the
//! validation split of the source site. The new site has no say: its labels would no longer be a test.

use remedis_model::Classifier;
use serde::Serialize;

use super::finetune::{Start, finetune_with, labelled, scores, settled};
use crate::evaluate::logits;
use crate::plan::{FinetuneConfig, Plan};
use crate::pool::Pool;
use crate::session::{Session, TrainError};

/// One combination, and how it did on the validation images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridCell {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Mean over the classes of the share decided rightly; `None` if training diverged.
    pub balanced_accuracy: Option<f64>,
    /// Cross-entropy in nats; `None` if training diverged.
    pub loss: Option<f64>,
}

impl GridCell {
    /// Whether this cell did better: by balanced accuracy, then by loss. Of equals, neither.
    fn beats(&self, other: &Self) -> bool {
        let by_accuracy = self.balanced_accuracy.partial_cmp(&other.balanced_accuracy);
        // `None` is below every number.
        let by_loss = other.loss.partial_cmp(&self.loss);
        by_accuracy.zip(by_loss).is_some_and(|(accuracy, loss)| accuracy.then(loss).is_gt())
    }
}

/// A whole grid, done.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The classifier of the chosen cell.
    pub classifier: Classifier,
    /// Its place in `cells`.
    pub chosen: usize,
    /// Every combination: for each rate, each decay.
    pub cells: Vec<GridCell>,
}

/// Fine-tunes `start` on all labelled images of `train` once for each cell of the plan's grid; the labelled images of `val`, from the
/// same site, choose. Of equals the first is taken.
///
/// Every cell is a stage with checkpoints of its own, so an interrupted grid goes on where it was, and a grid that grows keeps what
/// it has. A cell that diverges is passed over. Where the plan names no rates (or decays), its one `learning_rate` (or
/// `weight_decay`) is tried; where it names neither, this is [`finetune`](crate::finetune).
///
/// # Errors
/// If there are no labelled images in `train` or `val`, a label is not below `n_classes`, every cell diverges (the first one's
/// error), training was asked to stop, or a checkpoint cannot be read or written.
///
/// # Panics
/// If `start` is not of the plan's backbone and, for a classifier, of `n_classes` classes.
pub fn finetune_grid(
    session: &mut Session,
    name: &str,
    start: &Start,
    train: &Pool,
    val: &Pool,
    n_classes: usize,
) -> Result<Grid, TrainError> {
    let val = labelled(val, name, n_classes)?;
    if val.is_empty() {
        let (stage, what) = (name.to_owned(), "labelled validation images");
        return Err(TrainError::TooFew { stage, what, expected: 1, found: 0 });
    }
    let (plan, mut cells) = (session.plan, Vec::new());
    let mut best: Option<(usize, Classifier)> = None;
    let mut diverged = None;
    for (name, config) in named_cells(name, &settled(plan, train.labelled().len()), &plan.finetune) {
        let trained = match finetune_with(session, &config, &name, start.clone(), train, Some(&val), n_classes) {
            Ok(classifier) => Some(classifier),
            Err(error @ TrainError::Diverged { .. }) => {
                session.observer.note(&format!("{error}; the grid goes on without this cell"));
                diverged.get_or_insert(error);
                None
            }
            Err(error) => return Err(error),
        };
        let answers = trained.as_ref().map(|it| logits(it, &val, &plan.input.preprocessing(), &session.device));
        let cell = judge(&config, answers.as_deref(), &val);
        if let (Some(accuracy), Some(loss)) = (cell.balanced_accuracy, cell.loss) {
            session.observer.note(&format!("{name}: balanced accuracy {accuracy:.3}, loss {loss:.3} in validation"));
        }
        let is_best = best.as_ref().is_none_or(|(at, _)| cell.beats(&cells[*at]));
        if let Some(classifier) = trained.filter(|_| is_best) {
            best = Some((cells.len(), classifier));
        }
        cells.push(cell);
    }
    match (best, diverged) {
        (Some((chosen, classifier)), _) => Ok(Grid { classifier, chosen, cells }),
        (None, Some(error)) => Err(error),
        (None, None) => unreachable!("a grid has at least one cell, which has trained or diverged"),
    }
}

/// Fine-tunes `start` on all labelled images of `pool` at the rate and weight decay of `cell`, the rest as [`finetune`](crate::finetune):
/// for a classifier that a grid chose and that is adapted to a new site, which has too few labels to choose by.
///
/// # Errors
/// As [`finetune`](crate::finetune).
///
/// # Panics
/// As [`finetune`](crate::finetune).
pub fn finetune_as(
    session: &mut Session,
    name: &str,
    cell: &GridCell,
    start: Start,
    pool: &Pool,
    n_classes: usize,
) -> Result<Classifier, TrainError> {
    let settled = settled(session.plan, pool.labelled().len());
    let (learning_rate, weight_decay) = (cell.learning_rate, cell.weight_decay);
    let config = FinetuneConfig { learning_rate, weight_decay, ..settled };
    finetune_with(session, &config, name, start, pool, None, n_classes)
}

/// Names of the stages that [`finetune_grid`] runs on `n_labelled` images under `name`, in their order.
#[must_use]
pub fn grid_names(plan: &Plan, name: &str, n_labelled: usize) -> Vec<String> {
    named_cells(name, &settled(plan, n_labelled), &plan.finetune).into_iter().map(|(name, _)| name).collect()
}

/// Every combination with the name of its stage. Names hold the numbers, not places, so that a longer list renames nothing.
fn named_cells(name: &str, settled: &FinetuneConfig, grid: &FinetuneConfig) -> Vec<(String, FinetuneConfig)> {
    if grid.grid_rates.is_empty() && grid.grid_decays.is_empty() {
        return vec![(name.to_owned(), settled.clone())];
    }
    let or_one = |many: &[f64], one| if many.is_empty() { vec![one] } else { many.to_vec() };
    let decays = or_one(&grid.grid_decays, settled.weight_decay);
    let cell = |learning_rate: f64, weight_decay: f64| {
        let name = format!("{name}_rate_{learning_rate}_decay_{weight_decay}");
        (name, FinetuneConfig { learning_rate, weight_decay, ..settled.clone() })
    };
    let rates = or_one(&grid.grid_rates, settled.learning_rate);
    rates.iter().flat_map(|&rate| decays.iter().map(move |&decay| (rate, decay))).map(|(r, d)| cell(r, d)).collect()
}

fn judge(config: &FinetuneConfig, answers: Option<&[Vec<f32>]>, val: &Pool) -> GridCell {
    let (balanced_accuracy, loss) = answers.map_or((None, None), |answers| scores(answers, val));
    let (learning_rate, weight_decay) = (config.learning_rate, config.weight_decay);
    GridCell { learning_rate, weight_decay, balanced_accuracy, loss }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(balanced_accuracy: Option<f64>, loss: Option<f64>) -> GridCell {
        GridCell { learning_rate: 0.1, weight_decay: 0.0, balanced_accuracy, loss }
    }

    #[test]
    fn accuracy_decides_then_loss_and_equals_do_not_beat_each_other() {
        let base = cell(Some(0.5), Some(1.0));
        assert!(cell(Some(0.6), Some(9.0)).beats(&base));
        assert!(!cell(Some(0.4), Some(0.1)).beats(&base));
        assert!(cell(Some(0.5), Some(0.9)).beats(&base));
        assert!(!cell(Some(0.5), Some(1.0)).beats(&base));
        assert!(!cell(Some(0.5), Some(1.1)).beats(&base));
        assert!(base.beats(&cell(None, None)) && !cell(None, None).beats(&base));
    }

    #[test]
    fn cells_are_named_by_their_numbers_rates_first() {
        let mut config = Plan::tiny().finetune;
        (config.grid_rates, config.grid_decays) = (vec![0.01, 0.1], vec![0.0, 1e-5]);
        assert_eq!(
            grid_names(&Plan { finetune: config, ..Plan::tiny() }, "teacher", 10),
            [
                "teacher_rate_0.01_decay_0",
                "teacher_rate_0.01_decay_0.00001",
                "teacher_rate_0.1_decay_0",
                "teacher_rate_0.1_decay_0.00001"
            ]
        );
    }

    #[test]
    fn an_empty_list_stands_for_the_plans_number_and_two_for_no_grid() {
        let mut config = Plan::tiny().finetune;
        assert_eq!(named_cells("teacher", &config, &config), [("teacher".to_owned(), config.clone())]);
        config.grid_rates = vec![0.5];
        let cells = named_cells("teacher", &config, &config);
        assert_eq!((cells.len(), cells[0].1.learning_rate, cells[0].1.weight_decay), (1, 0.5, 1e-4));
    }
}
