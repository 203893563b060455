//! The four stages, driven through the public door on a pool small enough to read.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::module::Module;
use burn::tensor::Device;
use common::{Stopper, pool, stage};
use remedis_imaging::{Channels, Depth, Image};
use remedis_model::{Backbone, Classifier, Weights};
use remedis_ranks::Ranks;
use remedis_train::loss::Objective;
use remedis_train::{
    ContrastOptimiser, FinetuneRule, GridCell, HeadLoss, Images, Plan, Pool, Precision, Sample, Schedule, Session,
    Start, StepRecord, Taken, TrainError, Watch, WatchRecord, contrast, distil, embeddings, finetune, finetune_as,
    finetune_grid, finetune_watched, logits, pretrain, probe, self_distil, student_logits,
};
use remedis_views::Policy;

/// Sixteen 32-pixel films of 16 bits: class 0 is brighter above, class 1 below, all of it within one step of 8 bits.
fn films() -> Pool {
    let mut pool = pool();
    pool.images = Images::default();
    for i in 0..16_u16 {
        let bright = |at: u16| u16::from((at < 512) == (i % 2 == 0)) * 150 + at * (i + 3) % 31;
        let samples = (0..32 * 32).map(|at| 0x3fd0 + bright(at)).collect::<Vec<u16>>();
        pool.images.push(Image::new(32, 32, Channels::Grey, samples));
    }
    pool
}

/// For [`films`]: their mean is taken off and a step of 8 bits becomes one of 2.6.
fn film_plan(depth_bits: Depth) -> Plan {
    let mut plan = plan();
    plan.input.channels = Channels::Grey;
    plan.input.depth_bits = depth_bits;
    (plan.input.mean, plan.input.std) = (16_426.0 / 65_535.0, 0.0015);
    for augment in [&mut plan.contrast.augment, &mut plan.distil.augment] {
        *augment = Policy::Radiology;
    }
    (plan.pretrain.augment, plan.finetune.augment) = (Policy::None, Policy::None);
    plan.finetune.steps = 12;
    plan
}

#[test]
fn every_stage_learns_from_16_bits_what_is_not_there_at_8() {
    let pool = films();
    let input = film_plan(Depth::Eight).input.preprocessing();
    let flat = pool.prepared(&input);
    assert!(flat.iter().flatten().all(|&value| value == flat[0][0]), "at 8 bits every film is the same grey");

    let (folder, plan) = (tempfile::tempdir().unwrap(), film_plan(Depth::Sixteen));
    plan.check().unwrap();
    let trained = |name, run: &dyn Fn(&mut Session) -> Result<Classifier, TrainError>| {
        let (model, steps, _) = stage(folder.path(), &plan, None, run);
        assert!(steps.iter().all(|step| step.loss.is_finite()), "{name}: {steps:?}");
        model.unwrap()
    };
    let start = stage(folder.path(), &plan, None, |session| pretrain(session, &pool)).0.unwrap();
    let adapted = stage(folder.path(), &plan, None, |session| contrast(session, start.clone(), &pool, None)).0.unwrap();
    let teacher =
        trained("teacher", &|session| finetune(session, "teacher", Start::Backbone(adapted.clone()), &pool, 2));
    let student = stage(folder.path(), &plan, None, |session| distil(session, &teacher, &pool)).0.unwrap();
    let input = plan.input.preprocessing();
    let right =
        |logits: &[Vec<f32>]| logits.iter().enumerate().filter(|(i, row)| (row[1] > row[0]) == (i % 2 == 1)).count();
    let said = logits(&teacher, &pool, &input, &Device::flex());
    assert!(right(&said) >= 15, "{said:?}");
    assert!(student_logits(&student, &pool, &input, &Device::flex()).iter().flatten().all(|value| value.is_finite()));
}

fn plan() -> Plan {
    let mut plan = Plan::tiny();
    (plan.pretrain.batch, plan.pretrain.epochs) = (8, 3);
    (plan.contrast.batch, plan.contrast.epochs) = (8, 3);
    (plan.finetune.batch, plan.finetune.steps) = (8, 6);
    (plan.distil.batch, plan.distil.epochs) = (8, 3);
    plan
}

fn backbone(out: &Path) -> Backbone {
    stage(out, &plan(), None, |session| pretrain(session, &pool())).0.unwrap()
}

fn classifier(out: &Path) -> Classifier {
    let start = Start::Backbone(backbone(out));
    stage(out, &plan(), None, |session| finetune(session, "teacher", start.clone(), &pool(), 2)).0.unwrap()
}

/// Interrupted after step 2 and called again, a stage ends in the weights of an uninterrupted run, bit for bit.
fn check_resume<M: Module>(plan: &Plan, run: impl Fn(&mut Session) -> Result<M, TrainError>) {
    let (straight, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (expected, all_steps, _) = stage(straight.path(), plan, None, &run);
    let expected = Weights::of(&expected.unwrap()).sha256();

    let (stopped, first, _) = stage(cut.path(), plan, Some(2), &run);
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 2, .. })), "{:?}", stopped.err());
    let (resumed, rest, notes) = stage(cut.path(), plan, None, &run);
    assert_eq!(Weights::of(&resumed.unwrap()).sha256(), expected);
    assert!(notes[0].contains("going on after step 2"), "{notes:?}");
    let losses = |steps: &[StepRecord]| steps.iter().map(|record| record.loss).collect::<Vec<_>>();
    assert_eq!([losses(&first), losses(&rest)].concat(), losses(&all_steps));

    let (again, steps, notes) = stage(cut.path(), plan, None, &run);
    assert_eq!(Weights::of(&again.unwrap()).sha256(), expected);
    assert!(steps.is_empty() && notes[0].contains("already trained"), "{notes:?}");
}

#[test]
fn pretraining_resumes_bit_for_bit_with_and_without_mixup() {
    for mixup in [0.0, 0.4] {
        let mut plan = plan();
        plan.pretrain.mixup = mixup;
        check_resume(&plan, |session| pretrain(session, &pool()));
    }
}

#[test]
fn stages_in_16_bits_resume_bit_for_bit_and_leave_weights_of_32() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), plan());
    let teacher = classifier(folder.path());
    for precision in [Precision::Bf16, Precision::F16] {
        let plan = Plan { precision, ..whole.clone() };
        check_resume(&plan, |session| contrast(session, teacher.backbone.clone(), &pool(), None));
        check_resume(&plan, |session| distil(session, &teacher, &pool()));
    }
}

#[test]
fn a_device_that_does_not_compute_in_the_plans_precision_is_refused_before_the_first_step() {
    let (folder, plan) = (tempfile::tempdir().unwrap(), Plan { precision: Precision::Bf16, ..plan() });
    let (stop, mut silent) = (AtomicBool::new(false), remedis_train::Silent);
    #[expect(deprecated, reason = "the one back end here that has no 16-bit types")]
    let device = Device::ndarray();
    let mut session = Session {
        plan: &plan,
        out: folder.path(),
        device,
        observer: &mut silent,
        save_every: Duration::MAX,
        keep: 1,
        stop: &stop,
        ranks: Ranks::alone(),
    };
    let error = pretrain(&mut session, &pool()).unwrap_err().to_string();
    assert!(error.starts_with("this device does not compute in bf16, only in f32"), "{error}");
}

#[test]
fn pretraining_with_sigmoids_resumes_bit_for_bit_and_begins_with_every_class_unlikely() {
    let mut plan = plan();
    (plan.pretrain.loss, plan.pretrain.mixup) = (HeadLoss::Sigmoid, 0.4);
    check_resume(&plan, |session| pretrain(session, &pool()));
    let folder = tempfile::tempdir().unwrap();
    let (_, steps, _) = stage(folder.path(), &plan, None, |session| pretrain(session, &pool()));
    // Two classes with biases of -10: the one that is there costs 10.000045, the other 0.000045.
    assert!((steps[0].loss - 10.000_09).abs() < 1e-4, "{}", steps[0].loss);
}

#[test]
fn contrastive_training_resumes_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let start = backbone(folder.path());
    for optimiser in [ContrastOptimiser::Lars, ContrastOptimiser::AdamW] {
        let mut plan = plan();
        plan.contrast.optimiser = optimiser;
        check_resume(&plan, |session| contrast(session, start.clone(), &pool(), None));
    }
}

#[test]
fn every_objective_trains_and_resumes_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let start = backbone(folder.path());
    for objective in [Objective::Decoupled, Objective::Vicreg] {
        let mut plan = plan();
        plan.contrast.objective = objective;
        check_resume(&plan, |session| contrast(session, start.clone(), &pool(), None));
    }
}

#[test]
fn steps_fall_to_a_tenth_where_the_plan_says_and_under_bit_hyper_rule_where_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let (start, mut plan) = (Start::Backbone(backbone(folder.path())), plan());
    plan.finetune.steps = 10;
    plan.finetune.warm_up = 0.2;
    plan.finetune.schedule = Schedule::Steps;
    plan.finetune.decay_at = vec![0.4, 0.8];
    let (_, steps, _) = stage(folder.path(), &plan, None, |session| finetune(session, "t", start.clone(), &pool(), 2));
    let rates: Vec<_> = steps.iter().map(|step| (step.learning_rate * 1e6).round() / 1e6).collect();
    assert_eq!(rates, [0.05, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001]);
    // 512 images of 32 pixels a step: two steps are enough to see what was asked.
    plan.finetune.rule = FinetuneRule::HyperRule;
    let (_, steps, _) =
        stage(folder.path(), &plan, Some(2), |session| finetune(session, "h", start.clone(), &pool(), 2));
    let seen: Vec<_> = steps.iter().map(|step| (step.total, (step.learning_rate * 1e7).round() / 1e7)).collect();
    assert_eq!(seen, [(500, 0.000_03), (500, 0.000_06)]);
}

#[test]
fn fine_tuning_resumes_bit_for_bit_from_a_backbone_and_from_a_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let start = backbone(folder.path());
    check_resume(&plan(), |session| finetune(session, "teacher", Start::Backbone(start.clone()), &pool(), 2));
    let start = classifier(folder.path());
    check_resume(&plan(), |session| finetune(session, "adapted", Start::Classifier(start.clone()), &pool(), 2));
}

#[test]
fn distillation_resumes_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = classifier(folder.path());
    check_resume(&plan(), |session| distil(session, &teacher, &pool()));
}

#[test]
fn distillation_of_mixtures_resumes_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (teacher, mut plan) = (classifier(folder.path()), plan());
    plan.distil.mixup = 1.0;
    check_resume(&plan, |session| distil(session, &teacher, &pool()));
}

#[test]
fn self_distillation_resumes_bit_for_bit_and_is_left_out_without_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (start, teacher, mut plan) = (backbone(folder.path()), classifier(folder.path()), plan());
    let (out, silent, _) = stage(folder.path(), &plan, None, |session| {
        self_distil(session, &teacher, Start::Backbone(start.clone()), &pool())
    });
    assert_eq!(Weights::of(&out.unwrap()).sha256(), Weights::of(&teacher).sha256());
    assert!(silent.is_empty());
    (plan.self_distil.epochs, plan.self_distil.batch, plan.self_distil.mixup) = (3, 8, 0.5);
    check_resume(&plan, |session| self_distil(session, &teacher, Start::Backbone(start.clone()), &pool()));
}

#[test]
fn a_grid_takes_the_cell_that_validation_prefers_and_passes_over_one_that_diverges() {
    let folder = tempfile::tempdir().unwrap();
    let (start, mut plan) = (Start::Backbone(backbone(folder.path())), plan());
    plan.finetune.steps = 40;
    (plan.finetune.grid_rates, plan.finetune.grid_decays) = (vec![1e30, 1e-9, 0.1], vec![1e-3, 1e-4]);
    let grid = |session: &mut Session| finetune_grid(session, "teacher", &start, &pool(), &pool(), 2);
    let (found, ..) = stage(folder.path(), &plan, None, grid);
    let found = found.unwrap();
    let accuracies: Vec<_> = found.cells.iter().map(|cell| cell.balanced_accuracy).collect();
    assert_eq!(accuracies[..2], [None, None]);
    assert_eq!(accuracies[4..], [Some(1.0); 2]);
    // At a rate of nearly nothing the classes stay equally likely: ln 2.
    assert!(found.cells[2..4].iter().all(|cell| cell.loss > Some(0.69)), "{:?}", found.cells);
    let better = if found.cells[5].loss < found.cells[4].loss { 5 } else { 4 };
    assert_eq!(found.chosen, better);
    // The same classifier as fine-tuning with that cell's numbers alone, which is found finished.
    let cell = &found.cells[found.chosen];
    plan.finetune.grid_rates = vec![cell.learning_rate];
    plan.finetune.grid_decays = vec![cell.weight_decay];
    let (alone, steps, _) = stage(folder.path(), &plan, None, grid);
    assert!(steps.is_empty());
    assert_eq!(Weights::of(&alone.unwrap().classifier).sha256(), Weights::of(&found.classifier).sha256());
}

#[test]
fn what_a_grid_chose_is_adapted_at_the_numbers_of_its_cell() {
    let folder = tempfile::tempdir().unwrap();
    let (start, mut plan) = (Start::Classifier(classifier(folder.path())), plan());
    (plan.finetune.grid_rates, plan.finetune.learning_rate) = (vec![0.5, 0.05], 0.3);
    let cell = GridCell { learning_rate: 0.05, weight_decay: 1e-5, balanced_accuracy: None, loss: None };
    let adapt = |session: &mut Session| finetune_as(session, "adapted", &cell, start.clone(), &pool(), 2);
    assert_eq!(stage(folder.path(), &plan, None, adapt).1.len(), 6);
    // The same as a plan of these numbers, which finds it finished.
    (plan.finetune.grid_rates, plan.finetune.learning_rate, plan.finetune.weight_decay) = (vec![], 0.05, 1e-5);
    let plainly = |session: &mut Session| finetune(session, "adapted", start.clone(), &pool(), 2);
    assert!(stage(folder.path(), &plan, None, plainly).1.is_empty());
}

#[test]
fn a_grid_of_cells_that_all_diverge_is_an_error_and_validation_needs_labels() {
    let folder = tempfile::tempdir().unwrap();
    let (start, mut plan) = (Start::Backbone(backbone(folder.path())), plan());
    plan.finetune.grid_rates = vec![1e30, 1e31];
    let grid = |session: &mut Session| finetune_grid(session, "teacher", &start, &pool(), &pool(), 2);
    let error = stage(folder.path(), &plan, None, grid).0.unwrap_err().to_string();
    assert!(error.starts_with("teacher_rate_1000000000000000000000000000000_decay_0.0001 diverged"), "{error}");
    let mut unlabelled = pool();
    unlabelled.labels.fill(None);
    let grid = |session: &mut Session| finetune_grid(session, "teacher", &start, &pool(), &unlabelled, 2);
    let error = stage(folder.path(), &plan, None, grid).0.unwrap_err().to_string();
    assert_eq!(error, "teacher needs at least 1 labelled validation images, found 0");
}

#[test]
fn a_probe_on_a_backbone_tells_red_from_blue() {
    let folder = tempfile::tempdir().unwrap();
    let (backbone, pool) = (backbone(folder.path()), pool());
    let embeddings = embeddings(&backbone, &pool, &plan().input.preprocessing(), &Device::flex());
    let labels: Vec<_> = pool.labels.iter().flatten().copied().collect();
    let sample = Sample { embeddings: &embeddings, labels: &labels };
    let found = probe(sample, sample, 2).unwrap();
    assert_eq!(found.validation.balanced_accuracy, Some(1.0));
    let head = found.head(&Device::flex());
    let answers = logits(&Classifier { backbone, head }, &pool, &plan().input.preprocessing(), &Device::flex());
    let pairs = answers.into_iter().flatten().zip(found.logits(&embeddings).concat());
    let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-3, "{off}");
}

#[test]
fn red_and_blue_are_learned_by_the_teacher_and_passed_on_to_the_student() {
    let folder = tempfile::tempdir().unwrap();
    let (pool, mut plan) = (pool(), plan());
    (plan.pretrain.epochs, plan.finetune.steps, plan.distil.epochs) = (10, 40, 30);
    let out = folder.path();
    let start = stage(out, &plan, None, |session| pretrain(session, &pool)).0.unwrap();
    let teacher =
        stage(out, &plan, None, |session| finetune(session, "teacher", Start::Backbone(start.clone()), &pool, 2));
    let teacher = teacher.0.unwrap();
    let student = stage(out, &plan, None, |session| distil(session, &teacher, &pool)).0.unwrap();
    let preprocessing = plan.input.preprocessing();
    let right = |logits: Vec<Vec<f32>>| {
        let is_right = |(row, label): (&Vec<f32>, &Option<usize>)| *label == Some(usize::from(row[1] > row[0]));
        logits.iter().zip(&pool.labels).filter(|pair| is_right(*pair)).count()
    };
    assert_eq!(right(logits(&teacher, &pool, &preprocessing, &Device::flex())), 16);
    assert!(right(student_logits(&student, &pool, &preprocessing, &Device::flex())) >= 14);
}

#[test]
fn another_plan_or_other_data_trains_again() {
    let folder = tempfile::tempdir().unwrap();
    backbone(folder.path());
    let mut plan = plan();
    plan.pretrain.learning_rate /= 2.0;
    let (_, steps, notes) = stage(folder.path(), &plan, None, |session| pretrain(session, &pool()));
    assert_eq!(steps.len(), 6);
    assert!(notes[0].contains("another plan or other data"), "{notes:?}");
    let fewer = pool().subset(&[0, 1, 2, 3, 4, 5, 6, 7]);
    let (_, steps, _) = stage(folder.path(), &plan, None, |session| pretrain(session, &fewer));
    assert_eq!(steps.len(), 3);
}

#[test]
fn labels_that_cannot_be_used_are_refused_with_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut unlabelled = pool();
    unlabelled.labels.fill(None);
    let (result, ..) = stage(folder.path(), &plan(), None, |session| pretrain(session, &unlabelled));
    assert_eq!(result.unwrap_err().to_string(), "pretrain needs at least 1 labelled images, found 0");
    let start = Start::Backbone(backbone(folder.path()));
    let (result, ..) = stage(folder.path(), &plan(), None, |session| finetune(session, "t", start.clone(), &pool(), 1));
    assert_eq!(result.unwrap_err().to_string(), "t knows 1 classes, but an image has the label index 1");
}

#[test]
fn contrastive_learning_is_watched_without_a_change_of_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (start, plan, stop) = (backbone(folder.path()), plan(), AtomicBool::new(false));
    let labelled = Watch { train: pool(), val: pool().subset(&[0, 1, 2, 3]), n_classes: 2 };
    let learn = |watch: Option<&Watch>| {
        let out = tempfile::tempdir().unwrap();
        let mut observer = Stopper::new(&stop, None);
        let save_every = Duration::from_secs(60);
        let mut session = Session {
            plan: &plan,
            out: out.path(),
            device: Device::flex(),
            ranks: Ranks::alone(),
            observer: &mut observer,
            save_every,
            keep: 1,
            stop: &stop,
        };
        let learnt = contrast(&mut session, start.clone(), &pool(), watch).unwrap();
        (Weights::of(&learnt).sha256(), observer.looks)
    };
    let (seen, looks) = learn(Some(&labelled));
    let (unseen, blind) = learn(None);
    assert_eq!(seen, unseen);
    let steps = |looks: &[WatchRecord]| looks.iter().map(|look| look.watched_step).collect::<Vec<_>>();
    assert_eq!(steps(&looks), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(steps(&looks), steps(&blind));
    assert!(looks.iter().all(|look| look.spread > 0.0 && look.dimensions >= 1.0), "{looks:?}");
    // Red and blue are told apart by any network.
    assert!(looks.iter().all(|look| look.knn == Some(1.0)), "{looks:?}");
    assert!(blind.iter().all(|look| look.knn.is_none()));
}

/// What lies in the folder of checkpoints, but for what the starts of these tests left there.
fn checkpoints(out: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(out.join("checkpoints")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_best_contrastive_network_is_kept_beside_and_taken_where_the_plan_says() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (start, mut plan) = (backbone(folder.path()), plan());
    let watch = Watch { train: pool(), val: pool(), n_classes: 2 };
    let learn = |session: &mut Session| contrast(session, start.clone(), &pool(), Some(&watch));
    let sha256 = |network: &Backbone| Weights::of(network).sha256();
    let last = stage(out.path(), &plan, None, learn).0.unwrap();
    assert_eq!(checkpoints(out.path()), ["contrast.best.safetensors", "contrast.safetensors"]);

    // Red and blue are told apart by any network, so the first look is the best: after step 1 of 6.
    plan.contrast.result = Taken::Best;
    let (best, _, notes) = stage(out.path(), &plan, None, learn);
    let best = best.unwrap();
    assert_ne!(sha256(&best), sha256(&last));
    assert!(notes[1].contains("contrast: its network after step 1 of 6 is taken, its best (1.000)"), "{notes:?}");
    assert_eq!(checkpoints(out.path()), ["contrast.safetensors"]);
    // Those who watch decide, so they are part of what a finished network is known by.
    let other = Watch { val: pool().subset(&[0, 1]), ..watch.clone() };
    let (_, steps, _) =
        stage(out.path(), &plan, None, |session| contrast(session, start.clone(), &pool(), Some(&other)));
    assert_eq!(steps.len(), 6);
    check_resume(&plan, learn);
    // Nobody watches: the last one, and a word about it.
    let (unwatched, _, notes) =
        stage(out.path(), &plan, None, |session| contrast(session, start.clone(), &pool(), None));
    assert_eq!(sha256(&unwatched.unwrap()), sha256(&last));
    assert!(notes[1].contains("no labels to watch it by"), "{notes:?}");
}

#[test]
fn the_best_fine_tuned_network_is_taken_where_the_plan_says_and_its_score_is_that_of_its_file() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (start, mut plan) = (Start::Backbone(backbone(folder.path())), plan());
    // At this rate the network is thrown about, so that it is not at its best at the end.
    (plan.finetune.steps, plan.finetune.learning_rate, plan.finetune.result) = (20, 1.0, Taken::Best);
    let tune = |session: &mut Session| finetune_watched(session, "t", start.clone(), &pool(), &pool(), 2);
    let (best, _, notes) = stage(out.path(), &plan, None, tune);
    let note = notes.iter().find(|note| note.contains("is taken, its best (")).unwrap();
    let said: f64 = note.rsplit(['(', ',', ')']).nth(2).unwrap().trim().parse().unwrap();
    let answers = logits(&best.unwrap(), &pool(), &plan.input.preprocessing(), &Device::flex());
    let labels: Vec<_> = pool().labels.into_iter().flatten().collect();
    let decisions: Vec<_> = answers.iter().map(|row| usize::from(row[1] > row[0])).collect();
    let right = decisions.iter().zip(&labels).filter(|(a, b)| a == b).count();
    assert!((right as f64 / 16.0 - said).abs() < 0.07, "{note}, {right} of 16");
    check_resume(&plan, tune);
    let (_, steps, _) = stage(out.path(), &plan, None, |session| finetune(session, "t", start.clone(), &pool(), 2));
    assert_eq!(steps.len(), 20);
}

/// Set in the child processes of the thread test: where to write the hash of the weights.
const CHILD: &str = "REMEDIS_TEST_WEIGHTS";

#[test]
fn one_thread_and_two_give_the_same_weights() {
    if let Some(file) = std::env::var_os(CHILD) {
        let folder = tempfile::tempdir().unwrap();
        let teacher = classifier(folder.path());
        let seen =
            stage(folder.path(), &plan(), None, |session| contrast(session, teacher.backbone.clone(), &pool(), None));
        let student = stage(folder.path(), &plan(), None, |session| distil(session, &teacher, &pool())).0.unwrap();
        let hashes =
            [Weights::of(&teacher).sha256(), Weights::of(&seen.0.unwrap()).sha256(), Weights::of(&student).sha256()];
        std::fs::write(file, hashes.join("\n")).unwrap();
        return;
    }
    // Burn computes on the global thread pool, whose size is fixed once a process: so each size gets a process.
    let folder = tempfile::tempdir().unwrap();
    let hashes = ["1", "2"].map(|threads| {
        let file = folder.path().join(threads);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_thread_and_two_give_the_same_weights"])
            .env("RAYON_NUM_THREADS", threads)
            .env(CHILD, &file)
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        std::fs::read_to_string(file).unwrap()
    });
    assert_eq!(hashes[0], hashes[1]);
}
