//! The stages that train, in order, and what they score: baseline and REMEDIS, here and at the new site.

use anyhow::Result;
use remedis_metrics::BootstrapConfig;
use remedis_model::{Backbone, Classifier};
use remedis_train::{
    GridCell, Plan, Pool, Session, Start, Watch, backbone, contrast, draw_labels, finetune, finetune_as, finetune_grid,
    finetune_watched, logits, pretrain,
};
use serde_json::json;

use super::evaluate::{LEAST_TEST_IMAGES, Measures, Scored};
use super::folder::Folder;
use super::probes;
use super::sets::Pools;
use super::ship::evenly;
use super::until::Until;
use crate::results::{Difference, Evaluation, ProbeResult};

/// Labelled images that vote while the contrastive stage is watched, and those that they vote on.
const WATCHED_TRAIN: usize = 1024;
const WATCHED_VAL: usize = 512;

/// The two arms of the comparison.
pub(super) const METHODS: [&str; 2] = ["baseline", "remedis"];

/// What training leaves behind.
pub(crate) struct Taught {
    /// The REMEDIS classifier in distribution: the student's teacher.
    pub(crate) teacher: Classifier,
    /// The backbone after the contrastive stage, from which the teacher was fine-tuned.
    pub(crate) start: Backbone,
    pub(crate) probes: Vec<ProbeResult>,
    pub(crate) evaluation: Vec<Evaluation>,
    pub(crate) differences: Vec<Difference>,
}

/// Everything evaluation needs beside the session.
pub(crate) struct Bench<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) pools: &'a Pools,
    pub(crate) classes: &'a [String],
    pub(crate) warnings: &'a mut Vec<String>,
    /// After which stage to end.
    pub(crate) until: Until,
}

/// Names of the fine-tunings at the new site, in order.
pub(crate) fn adaptations(plan: &Plan) -> Vec<String> {
    let fractions = plan.evaluate.fractions.iter().filter(|&&fraction| fraction > 0.0);
    fractions.flat_map(|&fraction| METHODS.map(|method| adaptation(method, fraction))).collect()
}

fn adaptation(method: &str, fraction: f64) -> String {
    format!("adapt_{method}_{}", (100.0 * fraction).round())
}

/// Trains both arms on the same labels and measures them in distribution and at the new site; `None` where the run ends before.
///
/// `start` takes the place of pretraining.
pub(crate) fn teach(session: &mut Session, bench: &mut Bench, start: Option<Backbone>) -> Result<Option<Taught>> {
    let (plan, pools, n_classes) = (session.plan, bench.pools, bench.classes.len());
    let pretrained = match (start, &pools.natural) {
        (Some(start), _) => start,
        (None, Some(natural)) => pretrain(session, natural)?,
        (None, None) => backbone(plan, plan.seed, &session.device),
    };
    if bench.until == Until::Pretrain {
        return Ok(None);
    }
    let watch = watch(pools, n_classes);
    let contrasted = contrast(session, pretrained.clone(), &pools.unlabelled, Some(&watch))?;
    if bench.until == Until::Contrast {
        return Ok(None);
    }
    let few = pools.train.subset(&draw_labels(&pools.train, plan.finetune.n_labels, n_classes, plan.seed));
    let probes = probes::measure(session, [&pretrained, &contrasted], [&few, &pools.val, &pools.test], n_classes);
    let (baseline, baseline_cell) = tuned(session, bench, METHODS[0], pretrained, &few)?;
    let (remedis, remedis_cell) = tuned(session, bench, METHODS[1], contrasted.clone(), &few)?;
    let (arms, cells) = ([baseline, remedis], [baseline_cell, remedis_cell]);

    let (mut evaluation, mut differences) = (Vec::new(), Vec::new());
    let here = Place { site: "in_distribution", fraction: None, n_labels: few.len() };
    measure(session, bench, &here, &pools.test, &arms, &mut evaluation, &mut differences)?;
    let fractions: &[f64] = if pools.has_new_site() { &plan.evaluate.fractions } else { &[] };
    for &fraction in fractions {
        let (adapted, n_labels) = adapt(session, bench, &arms, &cells, fraction)?;
        let there = Place { site: "shifted", fraction: Some(fraction), n_labels };
        if let Some(adapted) = adapted {
            measure(session, bench, &there, &pools.shifted_test, &adapted, &mut evaluation, &mut differences)?;
        }
    }
    let [_, teacher] = arms;
    Ok(Some(Taught { teacher, start: contrasted, probes, evaluation, differences }))
}

/// A start fine-tuned on `few`: once, or by the plan's grid, of which validation chooses and whose table is left in the run folder; then
/// also the chosen cell.
fn tuned(
    session: &mut Session,
    bench: &Bench,
    method: &str,
    start: Backbone,
    few: &Pool,
) -> Result<(Classifier, Option<GridCell>)> {
    let (name, config, n_classes) = (format!("finetune_{method}"), &session.plan.finetune, bench.classes.len());
    if config.grid_rates.is_empty() && config.grid_decays.is_empty() {
        let tuned = finetune_watched(session, &name, Start::Backbone(start), few, &bench.pools.val, n_classes)?;
        return Ok((tuned, None));
    }
    let grid = finetune_grid(session, &name, &Start::Backbone(start), few, &bench.pools.val, n_classes)?;
    let text = serde_json::to_vec_pretty(&json!({"chosen": grid.chosen, "cells": grid.cells}))?;
    bench.folder.write(&format!("grid_{method}.json"), &text)?;
    Ok((grid.classifier, grid.cells.into_iter().nth(grid.chosen)))
}

/// Labelled images by whose neighbours the contrastive stage is watched, evenly from the training and validation splits.
fn watch(pools: &Pools, n_classes: usize) -> Watch {
    let some = |pool: &Pool, n| {
        let labelled = pool.labelled();
        pool.subset(&evenly(labelled.len(), n).into_iter().map(|i| labelled[i]).collect::<Vec<_>>())
    };
    Watch { train: some(&pools.train, WATCHED_TRAIN), val: some(&pools.val, WATCHED_VAL), n_classes }
}

/// Both arms after a share of the new site's labels, at the numbers of the cell that each one's grid chose; `None` (and a warning) when that is no label at all.
fn adapt(
    session: &mut Session,
    bench: &mut Bench,
    arms: &[Classifier; 2],
    cells: &[Option<GridCell>; 2],
    fraction: f64,
) -> Result<(Option<[Classifier; 2]>, usize)> {
    if fraction == 0.0 {
        return Ok((Some(arms.clone()), 0));
    }
    let (adapt, n_classes) = (&bench.pools.adapt, bench.classes.len());
    let percent = (100.0 * fraction).round();
    let wanted = (fraction * adapt.len() as f64).round() as usize;
    if wanted == 0 {
        bench.warnings.push(format!(
            "{percent} % of the new site's {} labels is no label: that row is left out of the table",
            adapt.len()
        ));
        return Ok((None, 0));
    }
    let few = adapt.subset(&draw_labels(adapt, wanted, n_classes, session.plan.seed));
    let mut train = |which: usize| {
        let (name, start) = (adaptation(METHODS[which], fraction), Start::Classifier(arms[which].clone()));
        match &cells[which] {
            Some(cell) => finetune_as(session, &name, cell, start, &few, n_classes),
            None => finetune(session, &name, start, &few, n_classes),
        }
    };
    Ok((Some([train(0)?, train(1)?]), few.len()))
}

/// Where and after how many labels a measurement is taken.
struct Place {
    site: &'static str,
    fraction: Option<f64>,
    n_labels: usize,
}

fn measure(
    session: &Session,
    bench: &mut Bench,
    place: &Place,
    pool: &Pool,
    arms: &[Classifier; 2],
    evaluation: &mut Vec<Evaluation>,
    differences: &mut Vec<Difference>,
) -> Result<()> {
    let preprocessing = session.plan.input.preprocessing();
    let config = bootstrap(session.plan);
    let scored = arms.each_ref().map(|arm| Scored::new(pool, logits(arm, pool, &preprocessing, &session.device)));
    let (classes, few) = scored[0].measurable(bench.classes.len());
    if !few.is_empty() && place.fraction.is_none_or(|fraction| fraction == 0.0) {
        let names: Vec<&str> = few.iter().map(|&class| bench.classes[class].as_str()).collect();
        bench.warnings.push(format!(
            "{}: balanced accuracy and AUROC leave out {}, with fewer than {LEAST_TEST_IMAGES} test images there (these still \
             count against the other classes in AUROC)",
            place.site.replace('_', " "),
            names.join(", ")
        ));
    }
    let measures = scored.each_ref().map(|scored| Measures::new(scored, &classes));
    for ((method, scored), measures) in METHODS.into_iter().zip(&scored).zip(&measures) {
        let share = place.fraction.map_or(String::new(), |fraction| format!("_{}", (100.0 * fraction).round()));
        scored.save(bench.folder, &format!("{method}_{}{share}", place.site), bench.classes)?;
        let (balanced_accuracy, macro_auroc) = measures.estimates(&scored.clusters, &config);
        evaluation.push(Evaluation {
            method,
            site: place.site,
            fraction: place.fraction,
            n_labels: place.n_labels,
            n: scored.labels.len(),
            n_clusters: scored.n_clusters(),
            classes: classes.iter().map(|&class| bench.classes[class].clone()).collect(),
            balanced_accuracy,
            macro_auroc,
            chance: 1.0 / bench.classes.len() as f64,
        });
    }
    let (balanced_accuracy, macro_auroc) = measures[1].minus(&measures[0], &scored[0].clusters, &config);
    differences.push(Difference { site: place.site, fraction: place.fraction, balanced_accuracy, macro_auroc });
    Ok(())
}

/// The bootstrap of every interval of a run.
pub(crate) fn bootstrap(plan: &Plan) -> BootstrapConfig {
    BootstrapConfig { resamples: u32::try_from(plan.evaluate.resamples).unwrap_or(u32::MAX), seed: plan.seed }
}
