//! The short table at the end of a run.

use std::fmt::Write;

use crate::results::{Estimate, Evaluation, StudentSite};

/// Method by site, balanced accuracy and macro AUROC, then float against int8.
pub(crate) fn text(evaluation: &[Evaluation], student: &[StudentSite], warnings: &[String]) -> String {
    let mut out = format!(
        "{:<10} {:<16} {:>7} {:>6}  {:<22} {:<22}\n",
        "method", "site", "labels", "images", "balanced accuracy", "macro AUROC"
    );
    for row in evaluation {
        let _ = writeln!(
            out,
            "{:<10} {:<16} {:>7} {:>6}  {:<22} {:<22}",
            row.method,
            row.site.replace('_', " "),
            row.n_labels,
            row.n,
            estimate(&row.balanced_accuracy),
            estimate(&row.macro_auroc)
        );
    }
    for site in student {
        for (name, form) in [("float", &site.float), ("int8", &site.int8)] {
            let _ = writeln!(
                out,
                "{:<10} {:<16} {:>7} {:>6}  {:<22} {:<22}",
                name,
                site.site.replace('_', " "),
                "-",
                site.n,
                estimate(&form.balanced_accuracy),
                estimate(&form.macro_auroc)
            );
        }
    }
    out + &notes(warnings)
}

/// Warnings, one a line.
pub(crate) fn notes(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("note: {warning}\n")).collect()
}

/// `0.812 (0.790-0.833)`, or `undefined`.
pub(crate) fn estimate(estimate: &Estimate) -> String {
    match (estimate.value, estimate.low, estimate.high) {
        (Some(value), Some(low), Some(high)) => format!("{value:.3} ({low:.3} to {high:.3})"),
        (Some(value), ..) => format!("{value:.3} (no interval)"),
        _ => "undefined".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undefined_is_said_so() {
        assert_eq!(estimate(&Estimate::default()), "undefined");
        let known = Estimate { value: Some(0.5), low: Some(0.25), high: Some(0.75), undefined_resamples: 0 };
        assert_eq!(estimate(&known), "0.500 (0.250 to 0.750)");
    }
}
