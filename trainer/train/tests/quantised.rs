//! Training in eight bits, through the exporter: what it is for, and that it can be interrupted.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

mod common;

use std::path::Path;

use burn::tensor::Device;
use common::pool;
use remedis_export::{FloatGraph, Ranges, calibrate, float_graph, quantise};
use remedis_metrics::softmax;
use remedis_model::{Classifier, Layer};
use remedis_train::{Plan, Session, Start, Stored, TrainError, distil, finetune, logits, pretrain, quantisation_aware};

fn plan() -> Plan {
    let mut plan = Plan::tiny();
    (plan.pretrain.batch, plan.pretrain.epochs) = (8, 4);
    (plan.finetune.batch, plan.finetune.steps) = (8, 20);
    (plan.distil.batch, plan.distil.epochs) = (8, 20);
    (plan.quantise.qat_epochs, plan.quantise.learning_rate) = (20, 0.01);
    plan
}

/// Runs one stage in `out`, asking it to stop after step `at`; also the losses of its steps.
fn stage<R>(out: &Path, plan: &Plan, at: Option<u64>, stage: impl FnOnce(&mut Session) -> R) -> (R, Vec<f64>) {
    let (result, steps, _) = common::stage(out, plan, at, stage);
    (result, steps.iter().map(|step| step.loss).collect())
}

/// A teacher, its student's layers, and ranges a quarter as wide as the student's values need.
fn narrow(out: &Path) -> (Classifier, Vec<Layer>, Ranges) {
    let (plan, pool) = (plan(), pool());
    let train = |session: &mut Session| -> Result<_, TrainError> {
        let start = Start::Backbone(pretrain(session, &pool)?);
        let teacher = finetune(session, "teacher", start, &pool, 2)?;
        let student = distil(session, &teacher, &pool)?;
        Ok((teacher, student.layers()))
    };
    let (teacher, layers) = stage(out, &plan, None, train).0.unwrap();
    let mut ranges = calibrate(&graph(&layers), &pool.prepared(&plan.input.preprocessing()), 100.0).unwrap();
    for range in &mut ranges.values[1..] {
        (range.low, range.high) = (range.low / 4.0, range.high / 4.0);
    }
    (teacher, layers, ranges)
}

fn graph(layers: &[Layer]) -> FloatGraph {
    float_graph(layers, [3, 32, 32])
}

fn stored(layers: &[Layer], ranges: &Ranges) -> Vec<Stored> {
    let int8 = quantise(&graph(layers), ranges).unwrap();
    int8.activations.iter().map(|a| Stored { scale: a.scale, zero_point: a.zero_point }).collect()
}

/// Kullback-Leibler divergence of the integer network's answers from the teacher's at temperature 2, in nats.
fn distance(layers: &[Layer], ranges: &Ranges, teacher: &Classifier) -> f64 {
    let (pool, input) = (pool(), plan().input.preprocessing());
    let theirs = logits(teacher, &pool, &input, &Device::flex());
    let ours = quantise(&graph(layers), ranges).unwrap().run_all(&pool.prepared(&input));
    let divergence = |(ours, theirs): (&Vec<f32>, &Vec<f32>)| {
        let [q, p] = [ours, theirs].map(|row| softmax(row, 2.0));
        p.iter().zip(&q).map(|(p, q)| f64::from(*p) * (f64::from(*p) / f64::from(*q)).ln()).sum::<f64>()
    };
    ours.iter().zip(&theirs).map(divergence).sum::<f64>() / ours.len() as f64
}

#[test]
fn a_student_in_ranges_too_narrow_for_it_finds_back_to_its_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let (teacher, layers, ranges) = narrow(folder.path());
    let stored = stored(&layers, &ranges);
    let train = |session: &mut Session| quantisation_aware(session, &teacher, layers.clone(), &stored, &pool());
    let (trained, losses) = stage(folder.path(), &plan(), None, train);
    let trained = trained.unwrap();
    let (before, after) = (distance(&layers, &ranges, &teacher), distance(&trained, &ranges, &teacher));
    eprintln!("{before} nats from the teacher before, {after} after");
    assert!(after < 0.5 * before, "{after} from the teacher, {before} before; losses {losses:?}");
    // The exporter stores every value as training thought.
    assert_eq!(self::stored(&trained, &ranges), stored);
}

#[test]
fn training_in_eight_bits_resumes_bit_for_bit_and_is_left_out_without_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (teacher, layers, ranges) = narrow(folder.path());
    let stored = stored(&layers, &ranges);
    let train = |session: &mut Session| quantisation_aware(session, &teacher, layers.clone(), &stored, &pool());
    let (straight, all) = stage(folder.path(), &plan(), None, train);

    let cut = tempfile::tempdir().unwrap();
    let (stopped, first) = stage(cut.path(), &plan(), Some(5), train);
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 5, total: 40, .. })));
    let (resumed, rest) = stage(cut.path(), &plan(), None, train);
    assert_eq!([first, rest].concat(), all);
    assert!(resumed.unwrap() == straight.unwrap());
    assert!(stage(cut.path(), &plan(), None, train).1.is_empty());

    let mut none = plan();
    none.quantise.qat_epochs = 0;
    assert!(stage(cut.path(), &none, None, train).0.unwrap() == layers);
}
