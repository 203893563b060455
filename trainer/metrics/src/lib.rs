//! Metrics for classifiers, on plain slices, with intervals.
//!
//! What is undefined is `None` (no images, one class only, a score that is not a number), never a chance level: a report
//! that shows a blank is honest, one that shows 0.5 is not. There is no framework here and no crate of ours.
//!
//! | module | holds |
//! | --- | --- |
//! | [`confusion`] | accuracy, balanced accuracy, the confusion matrix with its "cannot say" column, sensitivity and specificity |
//! | [`ranking`] | area under the ROC curve, per class and macro one-vs-rest |
//! | [`probability`] | softmax, negative log likelihood, Brier score, expected calibration error |
//! | [`calibration`] | temperature scaling: probability calibration with one number |
//! | [`operating_point`] | the confidence threshold below which a model says "cannot say" |
//! | [`interval`] | Wilson interval for proportions |
//! | [`bootstrap`] | cluster bootstrap of one metric, or of the difference between two models |

pub mod bootstrap;
pub mod calibration;
pub mod confusion;
pub mod interval;
pub mod operating_point;
pub mod probability;
pub mod ranking;

pub use bootstrap::{Bootstrap, BootstrapConfig, cluster_bootstrap, paired_difference};
pub use calibration::{TemperatureFit, fit_temperature};
pub use confusion::{BalancedAccuracy, BinaryCounts, ConfusionMatrix, accuracy, balanced_accuracy};
pub use interval::{Interval, wilson};
pub use operating_point::{ConfidenceThreshold, fit_confidence_threshold};
pub use probability::{argmax, brier, expected_calibration_error, negative_log_likelihood, softmax};
pub use ranking::{MacroAuroc, auroc, macro_auroc};

#[cfg(test)]
mod reference {
    //! Numbers that several modules' tests check against an independent implementation: logits of 12 images in 3 classes. The expected values in the tests come from scikit-learn 1.7 and scipy 1.16:
    //!
    //! ```python
    //! import numpy as np
    //! from sklearn.metrics import *
    //! from scipy.special import softmax, log_softmax
    //! from scipy.optimize import minimize_scalar
    //! z = np.array(LOGITS); y = np.array(LABELS); p = softmax(z, axis=1); hit = p.argmax(1) == y
    //! balanced_accuracy_score(y, p.argmax(1))                        # 0.8333333333333334
    //! [roc_auc_score(y == k, p[:, k]) for k in range(3)]             # 0.90625, 0.9375, 1.0
    //! roc_auc_score(y, p, multi_class='ovr', average='macro')        # 0.9479166666666666
    //! ((p - np.eye(3)[y]) ** 2).sum(1).mean()                        # 0.21227774427569457
    //! log_loss(y, p)                                                 # 0.3786732138106225
    //! nll = lambda t: -log_softmax(z / np.exp(t), axis=1)[np.arange(12), y].mean()
    //! np.exp(minimize_scalar(nll, bounds=(-3, 3), method='bounded', options=dict(xatol=1e-12)).x)  # 0.6199585580577
    //! bins = np.array_split(np.argsort(p.max(1), kind='stable'), 4)
    //! sum(len(b) / 12 * abs(hit[b].mean() - p.max(1)[b].mean()) for b in bins)                      # 0.1455564205
    //! ```
    pub(crate) const LOGITS: [[f32; 3]; 12] = [
        [4.7, -3.8, 0.6],
        [0.7, -0.7, -0.3],
        [-1.4, -0.3, -1.3],
        [6.6, 0.3, -0.5],
        [-0.4, 0.6, -1.6],
        [-0.6, 2.3, -0.4],
        [1.4, 1.3, 0.0],
        [2.3, 2.4, -0.8],
        [-0.3, 0.8, 4.5],
        [-0.4, -0.4, 3.1],
        [-1.3, -0.4, 2.9],
        [0.9, 0.1, 2.6],
    ];
    pub(crate) const LABELS: [usize; 12] = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2];

    pub(crate) fn logits() -> Vec<Vec<f32>> {
        LOGITS.iter().map(|row| row.to_vec()).collect()
    }

    pub(crate) fn probabilities() -> Vec<Vec<f32>> {
        logits().iter().map(|row| crate::softmax(row, 1.0)).collect()
    }

    /// f32 probabilities against f64 references.
    pub(crate) const CLOSE: f64 = 1e-6;

    #[track_caller]
    pub(crate) fn assert_close(found: Option<f64>, expected: f64) {
        let found = found.expect("a defined value");
        assert!((found - expected).abs() < CLOSE, "expected {expected}, found {found}");
    }
}
