//! From the teacher to the file a device runs: distil, export, calibrate, quantise, compare, choose the operating point, seal.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use remedis_bundle::{
    Bundle, ClassOperatingPoint, DataSource, Gates, OperatingPoint, ProbabilityCalibration, Provenance, SigningKey,
    TrustedKeys,
};
use remedis_data::{CELL_CLASSES, Site, draw_cell};
use remedis_export::{
    Description, FloatGraph, QuantGraph, Ranges, bundle, calibrate_images, float_graph, quantise, write_onnx,
};
use remedis_imaging::{Depth, Image};
use remedis_metrics::{
    BinaryCounts, ConfusionMatrix, TemperatureFit, brier, expected_calibration_error, fit_confidence_threshold,
    fit_temperature, wilson,
};
use remedis_model::{Backbone, Classifier, Student};
use remedis_train::{Pool, Session, Start, Stored, distil, logits, quantisation_aware, self_distil, student_logits};

use super::evaluate::{Measures, Scored};
use super::folder::Folder;
use super::gates::{Judge, Refused, measured};
use super::sets::{Pools, Sets};
use super::teach::{Bench, bootstrap};
use super::until::Until;
use crate::results::{
    self, BundleSummary, ClassAtOperatingPoint, Estimate, OperatingPointResults, SetSummary, StudentForm, StudentSite,
};

/// Accuracy wanted among the images the device answers.
const WANTED_ACCURACY: f64 = 0.9;
/// A device that answers fewer validation images than this share is of no use.
const LEAST_COVERAGE: f64 = 0.5;
/// Bins of the expected calibration error.
const BINS: usize = 15;
/// Golden vectors in a bundle, and the drawn candidates for them.
const N_GOLDEN: usize = 8;
const CANDIDATES_PER_CLASS: u64 = 4;
/// The exported graph adds in another order than the trained network; more than this is no rounding.
pub(crate) const EXPORT_TOLERANCE: f64 = 1e-2;
/// Training images on which that is checked.
const EXPORT_SAMPLE: usize = 16;
/// Test images left for a peer, with what both models say, in the folder `agreement` (`tools/peers/agree.py` reads it).
const PEER_SAMPLE: usize = 64;

/// What shipping adds to the results.
pub(crate) struct Shipped {
    pub(crate) student: Vec<StudentSite>,
    pub(crate) probability_calibration: results::ProbabilityCalibration,
    pub(crate) operating_point: OperatingPointResults,
    pub(crate) gates: Gates,
    pub(crate) bundle: BundleSummary,
}

/// The exported student in both forms.
struct Exported {
    float: FloatGraph,
    int8: QuantGraph,
    float_bytes: usize,
    int8_bytes: usize,
    difference: f64,
}

/// Distils `teacher`, where the plan asks for it first into another of its form that begins as `start`, and leaves `float.onnx`, `int8.onnx` and `bundle.remedis` in the run folder; `None` where the run ends before.
pub(crate) fn ship(
    session: &mut Session,
    bench: &mut Bench,
    sets: &Sets,
    (teacher, start): (&Classifier, &Backbone),
    key: Option<&Path>,
) -> Result<Option<Shipped>> {
    let teacher = &self_distil(session, teacher, Start::Backbone(start.clone()), &bench.pools.unlabelled)?;
    let student = distil(session, teacher, &bench.pools.unlabelled)?;
    if bench.until == Until::Distill {
        return Ok(None);
    }
    session.observer.stage("quantise", 0);
    let exported = export(session, bench.folder, bench.pools, teacher, &student)?;
    session.observer.stage("compare", 0);
    let (pools, input) = (bench.pools, session.plan.input.preprocessing());
    let int8 = |pool: &Pool| Scored::new(pool, exported.int8.run_all(&pool.prepared(&input)));
    let float = |pool: &Pool| Scored::new(pool, exported.float.run_all(&pool.prepared(&input)));
    let (val, test) = (int8(&pools.val), int8(&pools.test));
    let mut tested = vec![("in_distribution", &pools.test, test.clone())];
    tested.extend(pools.has_new_site().then(|| ("shifted", &pools.shifted_test, int8(&pools.shifted_test))));
    let mut sites = Vec::new();
    for (site, pool, int8) in tested {
        let forms = [Scored::new(pool, logits(teacher, pool, &input, &session.device)), float(pool), int8];
        for (form, name) in forms.iter().zip(["teacher", "float", "int8"]) {
            form.save(bench.folder, &format!("student_{name}_{site}"), bench.classes)?;
        }
        sites.push(compare(session, bench, site, &forms));
    }
    let fit = fit_temperature(&val.logits, &val.labels).context(
        "the int8 student's validation logits cannot be calibrated: they are not finite; lower distil.learning_rate",
    )?;
    let probability_calibration = calibration(&fit, &val, &test, bench.warnings);
    let judge = Judge { sets, pools, input: &input };
    let mut gates = judge.fit(&val.logits)?;
    let refused = judge.refused(&gates, &test.logits);
    gates.flagged = judge.flagged(&gates, &refused, |pool| exported.int8.run_all(&pool.prepared(&input)));
    let operating_point = operating_point(&fit, &val, (&test, &refused), bench)?;
    session.observer.stage("bundle", 0);
    let bundle = seal(session, bench, sets, &exported, (&operating_point, &gates), fit.temperature, key)?;
    Ok(Some(Shipped { student: sites, probability_calibration, operating_point, gates, bundle }))
}

fn export(
    session: &mut Session,
    folder: &Folder,
    pools: &Pools,
    teacher: &Classifier,
    student: &Student,
) -> Result<Exported> {
    let (plan, input) = (session.plan, session.plan.input.preprocessing());
    let size = input.width as usize;
    let float = float_graph(&student.layers(), [input.channels.count(), size, size]);
    let sample = pools.unlabelled.subset(&evenly(pools.unlabelled.len(), EXPORT_SAMPLE));
    let trained = student_logits(student, &sample, &input, &session.device);
    let difference = largest_difference(&trained, &float.run_all(&sample.prepared(&input)));
    if difference.is_nan() || difference > EXPORT_TOLERANCE {
        bail!("the exported student differs from the trained one by {difference}, expected below {EXPORT_TOLERANCE}");
    }
    let images =
        pools.unlabelled.subset(&evenly(pools.unlabelled.len(), plan.quantise.n_calibration_images)).images.to_vec();
    let ranges =
        calibrate_images(&float, &images, &input, plan.quantise.percentile).context("calibrating the student")?;
    let (float, int8) = in_eight_bits(session, teacher, student, float, &ranges, &pools.unlabelled)?;
    let (float_file, int8_file) = (write_onnx(&float), write_onnx(&int8));
    folder.write("float.onnx", &float_file)?;
    folder.write("int8.onnx", &int8_file)?;
    let peers = pools.test.subset(&evenly(pools.test.len(), PEER_SAMPLE)).prepared(&input);
    remedis_export::agreement::write_sample(&folder.path().join("agreement"), &float, &int8, &peers)
        .context("writing the peers' sample")?;
    Ok(Exported { float, int8, float_bytes: float_file.len(), int8_bytes: int8_file.len(), difference })
}

/// Both forms of the student; where the plan asks for it, after training in eight bits within these ranges.
fn in_eight_bits(
    session: &mut Session,
    teacher: &Classifier,
    student: &Student,
    float: FloatGraph,
    ranges: &Ranges,
    pool: &Pool,
) -> Result<(FloatGraph, QuantGraph)> {
    let int8 = quantise(&float, ranges).context("quantising the student")?;
    if session.plan.quantise.qat_epochs == 0 {
        return Ok((float, int8));
    }
    let stored: Vec<Stored> =
        int8.activations.iter().map(|to| Stored { scale: to.scale, zero_point: to.zero_point }).collect();
    let layers = quantisation_aware(session, teacher, student.layers(), &stored, pool)?;
    let float = float_graph(&layers, float.input);
    let int8 = quantise(&float, ranges).context("quantising the student that was trained in eight bits")?;
    Ok((float, int8))
}

/// `wanted` positions spread evenly over `n`, rising.
pub(crate) fn evenly(n: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(n);
    (0..wanted).map(|i| i * n / wanted).collect()
}

/// Largest difference of two numbers in one place, NaN if one is.
pub(crate) fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
}

fn compare(session: &Session, bench: &Bench, site: &'static str, forms: &[Scored; 3]) -> StudentSite {
    let config = bootstrap(session.plan);
    let (classes, _) = forms[0].measurable(bench.classes.len());
    let measures = forms.each_ref().map(|form| Measures::new(form, &classes));
    let form = |which: usize| {
        let (balanced_accuracy, macro_auroc) = measures[which].estimates(&forms[which].clusters, &config);
        let probabilities = forms[which].probabilities(1.0);
        StudentForm {
            balanced_accuracy,
            macro_auroc,
            calibration_error: expected_calibration_error(&probabilities, &forms[which].labels, BINS),
            brier: brier(&probabilities, &forms[which].labels),
        }
    };
    let (balanced_accuracy_difference, macro_auroc_difference): (Estimate, Estimate) =
        measures[2].minus(&measures[1], &forms[1].clusters, &config);
    let n = forms[1].labels.len();
    let n_flips = forms[1].decisions().iter().zip(forms[2].decisions()).filter(|(a, b)| *a != b).count();
    StudentSite {
        site,
        n,
        teacher: form(0),
        float: form(1),
        int8: form(2),
        balanced_accuracy_difference,
        macro_auroc_difference,
        agreement: wilson((n - n_flips) as u64, n as u64),
        n_flips,
    }
}

fn calibration(
    fit: &TemperatureFit,
    val: &Scored,
    test: &Scored,
    warnings: &mut Vec<String>,
) -> results::ProbabilityCalibration {
    if fit.is_at_bound {
        warnings.push(format!(
            "the best softmax temperature lies beyond {:.2}: the {} validation images are too few to calibrate \
             probabilities on",
            fit.temperature,
            val.labels.len()
        ));
    }
    let error = |t| expected_calibration_error(&test.probabilities(t), &test.labels, BINS);
    let score = |t| brier(&test.probabilities(t), &test.labels);
    results::ProbabilityCalibration {
        temperature: fit.temperature,
        is_at_bound: fit.is_at_bound,
        n_fitted: val.labels.len(),
        n_measured: test.labels.len(),
        error_before: error(1.0),
        error_after: error(fit.temperature),
        brier_before: score(1.0),
        brier_after: score(fit.temperature),
    }
}

/// Locks the threshold on the validation split and measures it on the test split, which had no say in it, with the gates in force.
fn operating_point(
    fit: &TemperatureFit,
    val: &Scored,
    (test, refused): (&Scored, &[Refused]),
    bench: &mut Bench,
) -> Result<OperatingPointResults> {
    let images: Vec<(f32, bool)> =
        answers(val, fit.temperature).iter().zip(&val.labels).map(|(&(p, d), &label)| (p, d == label)).collect();
    let chosen = fit_confidence_threshold(&images, WANTED_ACCURACY, LEAST_COVERAGE)
        .context("no operating point: the int8 student's validation probabilities are not finite")?;
    if !chosen.is_reached {
        bench.warnings.push(format!(
            "no threshold makes the device right in {:.0} % of its answers while answering half of the validation images; \
             the most accurate one there reaches {:.0} %",
            100.0 * WANTED_ACCURACY,
            100.0 * chosen.accuracy.value
        ));
    }
    let answered =
        |((p, d), refused): ((f32, usize), &Refused)| (!refused.is_refused() && p >= chosen.threshold).then_some(d);
    let decisions: Vec<Option<usize>> = answers(test, fit.temperature).into_iter().zip(refused).map(answered).collect();
    let confusion = ConfusionMatrix::new(bench.classes.len(), &test.labels, &decisions);
    let (answered, all) = confusion.coverage();
    let right: u64 = (0..bench.classes.len()).map(|class| confusion.counts[class][class]).sum();
    let class = |(class, name): (usize, &String)| {
        let counts = confusion.one_vs_rest(class);
        ClassAtOperatingPoint {
            class: name.clone(),
            n: counts.true_positive + counts.false_negative + counts.undecided_positive,
            n_undecided: counts.undecided_positive,
            sensitivity: counts.sensitivity(),
            specificity: counts.specificity(),
            sensitivity_undecided_missed: counts.sensitivity_undecided_missed(),
            specificity_undecided_alarmed: counts.specificity_undecided_alarmed(),
        }
    };
    Ok(OperatingPointResults {
        wanted_accuracy: WANTED_ACCURACY,
        least_coverage: LEAST_COVERAGE,
        chosen,
        coverage: wilson(answered, all),
        selective_accuracy: wilson(right, answered),
        classes: bench.classes.iter().enumerate().map(class).collect(),
        confusion,
    })
}

/// Calibrated confidence and class of each image. Not-a-number confidences stay so and answer nothing.
fn answers(scored: &Scored, temperature: f64) -> Vec<(f32, usize)> {
    let best = |row: &Vec<f32>| {
        let class = remedis_metrics::argmax(row).unwrap_or(0);
        (row[class], class)
    };
    scored.probabilities(temperature).iter().map(best).collect()
}

fn seal(
    session: &Session,
    bench: &Bench,
    sets: &Sets,
    exported: &Exported,
    (point, gates): (&OperatingPointResults, &Gates),
    temperature: f64,
    key: Option<&Path>,
) -> Result<BundleSummary> {
    let key = signing_key(bench.folder.path(), key)?;
    let summary = sets.data.summary();
    let plan_sha256 = bench.folder.plan_sha256().to_owned();
    let tools = BTreeMap::from([("remedis-train".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    let source = |set: SetSummary| DataSource {
        name: format!("{}: {}", set.role, set.name),
        sha256: set.sha256,
        n_images: set.n_images as u64,
    };
    let description = Description {
        name: summary.name.clone(),
        version: format!("{}+{}", env!("CARGO_PKG_VERSION"), &plan_sha256[..8]),
        intended_use: intended_use(&summary.name, bench.classes),
        classes: bench.classes.to_vec(),
        preprocessing: session.plan.input.preprocessing(),
        probability_calibration: ProbabilityCalibration { temperature: temperature as f32 },
        operating_point: shipped_point(&summary, point),
        gates: Some(gates.clone()),
        provenance: Provenance {
            plan_sha256,
            seed: session.plan.seed,
            data: sets.all().map(|set| source(set.summary())).collect(),
            tools,
        },
    };
    let candidates: Vec<_> = (0..CANDIDATES_PER_CLASS)
        .flat_map(|number| (0..CELL_CLASSES.len()).map(move |class| (class, number)))
        .map(|(class, number)| draw_cell(class, number, if number % 2 == 0 { Site::A } else { Site::B }, 96))
        .map(|cell| of_depth(cell, description.preprocessing.depth_bits))
        .collect();
    let bytes = bundle(&description, &exported.int8, &candidates, N_GOLDEN, &key).context("making the bundle")?;
    bench.folder.write("bundle.remedis", &bytes)?;
    let trusted = TrustedKeys::from_texts(&[key.public_key()]).context("reading back the public key")?;
    let opened =
        Bundle::open(&bench.folder.path().join("bundle.remedis"), &trusted).context("opening the new bundle")?;
    Ok(BundleSummary {
        digest: opened.digest().to_owned(),
        int8_bytes: exported.int8_bytes,
        float_bytes: exported.float_bytes,
        n_golden: opened.manifest().golden.vectors.len(),
        export_difference: exported.difference,
    })
}

/// A drawn cell as a picture of the kind that the model reads: where that is deeper than 8 bits, grey with samples in between those.
fn of_depth(cell: Image, depth: Depth) -> Image {
    match depth {
        Depth::Eight => cell,
        Depth::Sixteen => cell.to_depth(depth).to_grey(),
    }
}

fn intended_use(data: &str, classes: &[String]) -> String {
    format!(
        "Research and demonstration. Suggests one of {} for images like those of {data}, or answers \"cannot say\". Not a \
         medical device; not for diagnosis, and not for images of another kind.",
        classes.join(", ")
    )
}

fn shipped_point(data: &SetSummary, point: &OperatingPointResults) -> OperatingPoint {
    let (_, all) = point.confusion.coverage();
    let class = |(class, at): (usize, &ClassAtOperatingPoint)| {
        let counts: BinaryCounts = point.confusion.one_vs_rest(class);
        ClassOperatingPoint {
            class: at.class.clone(),
            sensitivity: measured(counts.sensitivity_undecided_missed(), at.n),
            specificity: measured(counts.specificity_undecided_silent(), all - at.n),
        }
    };
    OperatingPoint {
        confidence_threshold: point.chosen.threshold.clamp(0.0, 1.0),
        measured_on: format!(
            "threshold chosen on the validation split of {}, measured on its {all} test images with the gates in force",
            data.name
        ),
        coverage: measured(point.coverage, all),
        classes: point.classes.iter().enumerate().map(class).collect(),
    }
}

/// The key given, or the run's own: made once, its secret half readable by the owner alone.
fn signing_key(out: &Path, given: Option<&Path>) -> Result<SigningKey> {
    if let Some(path) = given {
        return SigningKey::load(path, None)
            .with_context(|| format!("--key {}; `remedis-train run` without --key makes a new one", path.display()));
    }
    let keys = out.join("keys");
    let (secret, public) = (keys.join("signing.key"), keys.join("signing.pub"));
    if secret.exists() {
        return SigningKey::load(&secret, None).with_context(|| format!("the run's key {}", secret.display()));
    }
    std::fs::create_dir_all(&keys).with_context(|| format!("creating {}", keys.display()))?;
    let key = SigningKey::generate().context("making a signing key")?;
    key.save(&secret, &public).context("saving the signing key")?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_the_whole_set() {
        assert_eq!(evenly(10, 5), [0, 2, 4, 6, 8]);
        assert_eq!(evenly(3, 5), [0, 1, 2]);
        assert!(evenly(0, 5).is_empty());
    }

    #[test]
    fn a_difference_that_is_not_a_number_is_not_small() {
        assert!(largest_difference(&[vec![1.0, f32::NAN, 2.0]], &[vec![1.0, 0.0, 2.0]]).is_nan());
        assert_eq!(largest_difference(&[vec![1.0, 4.0]], &[vec![1.5, 4.0]]), 0.5);
    }

    #[test]
    fn the_runs_own_key_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let out = tempfile::tempdir().unwrap();
        let first = signing_key(out.path(), None).unwrap().public_key();
        assert_eq!(signing_key(out.path(), None).unwrap().public_key(), first);
        let mode = std::fs::metadata(out.path().join("keys/signing.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
