//! Which stages a run has, how many steps each takes and how many images it sees: for what is left, and for `check`.

use std::collections::BTreeSet;

use remedis_data::Split;
use remedis_train::{FinetuneRule, Plan, grid_names, hyper_rule};

use super::sets::Sets;
use super::teach;
use super::until::Until;
use crate::progress::Planned;

/// Steps of each kind of stage, worked out as the stages do; the images that one step forwards and takes backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) steps: u64,
    pub(crate) images: u64,
}

impl Course {
    fn passes(epochs: usize, n: usize, batch: usize, views: usize) -> Self {
        Self { steps: (epochs * n).div_ceil(batch.max(1)) as u64, images: (views * batch) as u64 }
    }

    /// Images over the whole stage.
    pub(crate) fn total_images(self) -> u64 {
        self.steps * self.images
    }
}

/// Stage 1 on `n` labelled natural images.
pub(crate) fn pretrain(plan: &Plan, n: usize) -> Course {
    Course::passes(plan.pretrain.epochs, n, plan.pretrain.batch, 1)
}

/// Stage 2 on `n` images of `n_patients` patients, those of no known patient counting as one each.
pub(crate) fn contrast(plan: &Plan, n: usize, n_patients: usize) -> Course {
    Course::passes(plan.contrast.epochs, n, plan.contrast.batch.min(n_patients), 2)
}

/// Labels that stage 3 takes here, of `n` images.
pub(crate) fn labels(plan: &Plan, n: usize) -> usize {
    if plan.finetune.n_labels == 0 { n } else { plan.finetune.n_labels.min(n) }
}

/// Stage 3 on `n` labelled images, each time.
pub(crate) fn finetune(plan: &Plan, n: usize) -> Course {
    let (steps, batch) = match plan.finetune.rule {
        FinetuneRule::Plan => (plan.finetune.steps, plan.finetune.batch),
        FinetuneRule::HyperRule => {
            let rule = hyper_rule(n, [plan.input.size_px; 2]);
            (rule.steps, rule.batch)
        }
    };
    Course { steps: steps as u64, images: batch as u64 }
}

/// The teacher to itself, on `n` images.
pub(crate) fn self_distil(plan: &Plan, n: usize) -> Course {
    Course::passes(plan.self_distil.epochs, n, plan.self_distil.batch, 1)
}

/// The student in eight bits, on `n` images.
pub(crate) fn quantisation_aware(plan: &Plan, n: usize) -> Course {
    Course::passes(plan.quantise.qat_epochs, n, plan.distil.batch, 1)
}

/// Stage 4 on `n` images.
pub(crate) fn distil(plan: &Plan, n: usize) -> Course {
    Course::passes(plan.distil.epochs, n, plan.distil.batch, 1)
}

/// Images of the training split of `data`, and patients they come from.
pub(crate) fn training_images(sets: &Sets) -> (usize, usize) {
    let rows = sets.data.rows(&[Split::Train]);
    let patients = rows.iter().map(|&row| sets.data.index.rows[row].patient.as_ref());
    let (named, unnamed): (Vec<_>, Vec<_>) = patients.partition(Option::is_some);
    (rows.len(), named.into_iter().collect::<BTreeSet<_>>().len() + unnamed.len())
}

/// Labelled natural images to train on.
pub(crate) fn natural_images(sets: &Sets) -> Option<usize> {
    let natural = sets.natural.as_ref()?;
    let is_labelled = |row: &usize| natural.index.rows[*row].label.is_some();
    Some(natural.rows(&[Split::Train]).iter().filter(|row| is_labelled(row)).count())
}

/// Every stage of a run in order, by the name that it announces itself with.
pub(crate) fn planned(plan: &Plan, sets: &Sets, until: Until) -> Vec<Planned> {
    let (n, n_patients) = training_images(sets);
    let trained = |name: &str, course: Course| Planned { name: name.to_owned(), images: course.total_images() };
    let mut stages = vec![(Until::Pretrain, Planned::untrained("load"))];
    stages.extend(natural_images(sets).map(|n| (Until::Pretrain, trained("pretrain", pretrain(plan, n)))));
    if plan.contrast.epochs > 0 {
        stages.push((Until::Contrast, trained("contrast", contrast(plan, n, n_patients))));
    }
    let n_labels = labels(plan, n);
    let mut arms = ["finetune_baseline", "finetune_remedis"].map(|name| grid_names(plan, name, n_labels)).concat();
    if sets.shifted.is_some() {
        arms.extend(teach::adaptations(plan));
    }
    stages.extend(arms.iter().map(|name| (Until::Finetune, trained(name, finetune(plan, n_labels)))));
    if plan.self_distil.epochs > 0 {
        stages.push((Until::Distill, trained("self_distil", self_distil(plan, n))));
    }
    stages.push((Until::Distill, trained("distil", distil(plan, n))));
    stages.push((Until::Export, Planned::untrained("quantise")));
    if plan.quantise.qat_epochs > 0 {
        stages.push((Until::Export, trained("quantisation_aware", quantisation_aware(plan, n))));
    }
    stages.extend(["compare", "bundle"].map(|name| (Until::Export, Planned::untrained(name))));
    stages.push((Until::End, Planned::untrained("report")));
    stages.into_iter().filter(|(stage, _)| *stage <= until).map(|(_, planned)| planned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The demo's stages as its `metrics.jsonl` counts them: 2,000 images, 70 % of them to train on.
    #[test]
    fn steps_are_those_that_the_stages_take() {
        let plan = Plan::demo();
        assert_eq!(pretrain(&plan, 1400), Course { steps: 175, images: 32 });
        assert_eq!(contrast(&plan, 1400, 1400), Course { steps: 329, images: 128 });
        assert_eq!(contrast(&plan, 1400, 20), Course { steps: 1050, images: 40 });
        assert_eq!(finetune(&plan, 160), Course { steps: 80, images: 32 });
        assert_eq!(distil(&plan, 1400), Course { steps: 263, images: 32 });
        let mut plan = plan;
        plan.finetune.rule = FinetuneRule::HyperRule;
        assert_eq!(finetune(&plan, 160), Course { steps: 500, images: 512 });
    }
}
