//! What a run found, as `results.json` holds it: every number of the report, no clock, so equal seeds give equal files.

use remedis_bundle::Gates;
use remedis_metrics::{Bootstrap, ConfidenceThreshold, ConfusionMatrix, Interval};
use serde::{Deserialize, Serialize};

/// Version of the form of `results.json`.
pub(crate) const FORMAT: u32 = 1;

/// Everything a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// SHA-256 of the resolved plan.
    pub(crate) plan_sha256: String,
    /// The plan's seed.
    pub(crate) seed: u64,
    /// The image sets, as used.
    pub(crate) sets: Vec<SetSummary>,
    /// Class names, in the order of logits.
    pub(crate) classes: Vec<String>,
    /// Method by site by share of labels.
    pub(crate) evaluation: Vec<Evaluation>,
    /// What a linear classifier makes of each start's embeddings.
    pub(crate) probes: Vec<ProbeResult>,
    /// REMEDIS minus baseline, paired.
    pub(crate) differences: Vec<Difference>,
    /// Float student against int8 student, site by site.
    pub(crate) student: Vec<StudentSite>,
    /// Probability calibration of the int8 student.
    pub(crate) probability_calibration: ProbabilityCalibration,
    /// When the int8 student answers, and how well then.
    pub(crate) operating_point: OperatingPointResults,
    /// Which pictures the device refuses, as the bundle says it, and how many of each set.
    pub(crate) gates: Gates,
    /// The shipped model.
    pub(crate) bundle: BundleSummary,
    /// What was left out or should be known.
    pub(crate) warnings: Vec<String>,
}

/// One image set.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SetSummary {
    /// `data`, `shifted` or `natural`.
    pub(crate) role: &'static str,
    /// Name of its folder or archive.
    pub(crate) name: String,
    /// SHA-256 of its index and file list.
    pub(crate) sha256: String,
    /// All rows.
    pub(crate) n_images: usize,
    /// Rows of the train, val and test split whose files can be used.
    pub(crate) n_split: [usize; 3],
    /// Rows whose files cannot be used: nothing saw them.
    pub(crate) n_quarantined: usize,
    /// Distinct patients named.
    pub(crate) n_patients: usize,
    /// Number of classes.
    pub(crate) n_classes: usize,
}

/// A value with its 95 % cluster-bootstrap interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    /// `None` where undefined.
    pub(crate) value: Option<f64>,
    /// Lower bound.
    pub(crate) low: Option<f64>,
    /// Upper bound.
    pub(crate) high: Option<f64>,
    /// Resamples on which it was undefined.
    pub(crate) undefined_resamples: u32,
}

impl Estimate {
    /// A value and what the bootstrap made of it.
    pub(crate) fn new(value: Option<f64>, bootstrap: Option<Bootstrap>) -> Self {
        Self {
            value,
            low: bootstrap.map(|b| b.interval.low),
            high: bootstrap.map(|b| b.interval.high),
            undefined_resamples: bootstrap.map_or(0, |b| b.undefined),
        }
    }
}

/// One method at one site after one share of its labels.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Evaluation {
    /// `baseline` (no contrastive stage) or `remedis`.
    pub(crate) method: &'static str,
    /// `in_distribution` or `shifted`.
    pub(crate) site: &'static str,
    /// Share of the new site's labels trained on; `None` in distribution.
    pub(crate) fraction: Option<f64>,
    /// Labels trained on there.
    pub(crate) n_labels: usize,
    /// Test images.
    pub(crate) n: usize,
    /// Patients or groups they come from.
    pub(crate) n_clusters: usize,
    /// Classes measured: those with enough test images.
    pub(crate) classes: Vec<String>,
    /// Mean over those classes of the share decided rightly.
    pub(crate) balanced_accuracy: Estimate,
    /// Mean over those classes of the one-vs-rest area.
    pub(crate) macro_auroc: Estimate,
    /// Balanced accuracy of guessing: one over the number of classes the model may answer.
    pub(crate) chance: f64,
}

/// A linear classifier on frozen embeddings, in distribution.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProbeResult {
    /// `baseline` before the contrastive stage, `remedis` after it.
    pub(crate) method: &'static str,
    /// Labels it was fitted on.
    pub(crate) n_labels: usize,
    /// Test images.
    pub(crate) n: usize,
    /// Penalty that the validation images chose; absent where nothing could be fitted.
    pub(crate) penalty: Option<f64>,
    /// Balanced accuracy on the validation images, which had a say.
    pub(crate) validation: Option<f64>,
    /// Balanced accuracy on the test images.
    pub(crate) balanced_accuracy: Option<f64>,
}

/// REMEDIS minus baseline on the same test images.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Difference {
    /// As in [`Evaluation`].
    pub(crate) site: &'static str,
    /// As in [`Evaluation`].
    pub(crate) fraction: Option<f64>,
    /// Of balanced accuracy.
    pub(crate) balanced_accuracy: Estimate,
    /// Of macro AUROC.
    pub(crate) macro_auroc: Estimate,
}

/// One form of the student on one set of test images, uncalibrated.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StudentForm {
    /// As in [`Evaluation`].
    pub(crate) balanced_accuracy: Estimate,
    /// As in [`Evaluation`].
    pub(crate) macro_auroc: Estimate,
    /// Expected calibration error, 15 equal-mass bins, before probability calibration.
    pub(crate) calibration_error: Option<f64>,
    /// Brier score before probability calibration.
    pub(crate) brier: Option<f64>,
}

/// Float against int8 at one site.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StudentSite {
    /// `in_distribution` or `shifted`.
    pub(crate) site: &'static str,
    /// Test images.
    pub(crate) n: usize,
    /// The teacher the student was distilled from.
    pub(crate) teacher: StudentForm,
    /// Before quantisation.
    pub(crate) float: StudentForm,
    /// After quantisation; what the device runs.
    pub(crate) int8: StudentForm,
    /// int8 minus float, paired.
    pub(crate) balanced_accuracy_difference: Estimate,
    /// int8 minus float, paired.
    pub(crate) macro_auroc_difference: Estimate,
    /// Share of images on which both decide alike, with its Wilson interval.
    pub(crate) agreement: Option<Interval>,
    /// Images on which they decide differently.
    pub(crate) n_flips: usize,
}

/// Temperature scaling of the int8 student.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProbabilityCalibration {
    /// Divide logits by this.
    pub(crate) temperature: f64,
    /// Whether the best temperature lay outside the believed range.
    pub(crate) is_at_bound: bool,
    /// Validation images it was fitted on.
    pub(crate) n_fitted: usize,
    /// Test images the errors are measured on.
    pub(crate) n_measured: usize,
    /// Expected calibration error on the test split before.
    pub(crate) error_before: Option<f64>,
    /// Expected calibration error on the test split after.
    pub(crate) error_after: Option<f64>,
    /// Brier score on the test split before.
    pub(crate) brier_before: Option<f64>,
    /// Brier score on the test split after.
    pub(crate) brier_after: Option<f64>,
}

/// The locked threshold, and the int8 student measured at it and with the gates in force on the test split.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OperatingPointResults {
    /// Accuracy wanted among answered validation images.
    pub(crate) wanted_accuracy: f64,
    /// Least share of validation images to answer.
    pub(crate) least_coverage: f64,
    /// The choice on the validation split.
    pub(crate) chosen: ConfidenceThreshold,
    /// Share of test images answered.
    pub(crate) coverage: Option<Interval>,
    /// Accuracy among answered test images.
    pub(crate) selective_accuracy: Option<Interval>,
    /// Class by class on the test split.
    pub(crate) classes: Vec<ClassAtOperatingPoint>,
    /// Labels against decisions on the test split.
    pub(crate) confusion: ConfusionMatrix,
}

/// One class at the operating point.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ClassAtOperatingPoint {
    /// Its name.
    pub(crate) class: String,
    /// Test images of the class.
    pub(crate) n: u64,
    /// Of them left undecided.
    pub(crate) n_undecided: u64,
    /// Among answered images.
    pub(crate) sensitivity: Option<Interval>,
    /// Among answered images.
    pub(crate) specificity: Option<Interval>,
    /// Undecided images counted as missed.
    pub(crate) sensitivity_undecided_missed: Option<Interval>,
    /// Undecided images counted as false alarms.
    pub(crate) specificity_undecided_alarmed: Option<Interval>,
}

/// The shipped file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BundleSummary {
    /// SHA-256 of the signed payload.
    pub(crate) digest: String,
    /// Size of the int8 ONNX file in bytes.
    pub(crate) int8_bytes: usize,
    /// Size of the float ONNX file in bytes.
    pub(crate) float_bytes: usize,
    /// Golden vectors inside.
    pub(crate) n_golden: usize,
    /// Largest distance between logits of the exported float graph and the trained student.
    pub(crate) export_difference: f64,
}
