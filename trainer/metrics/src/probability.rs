//! Whether probabilities mean what they say: likelihood, Brier score, calibration error.

/// Softmax of `logits / temperature`, in f64 inside, shifted by the maximum so that nothing overflows.
///
/// The result holds NaN when a logit does or when the temperature is not positive.
pub fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let scaled: Vec<f64> = logits.iter().map(|&z| f64::from(z) / f64::from(temperature)).collect();
    let highest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = scaled.iter().map(|z| (z - highest).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.iter().map(|e| (e / total) as f32).collect()
}

/// Position of the largest value; the first of equals. `None` when empty or any value is not a number.
pub fn argmax(values: &[f32]) -> Option<usize> {
    if values.iter().any(|v| v.is_nan()) {
        return None;
    }
    (0..values.len()).reduce(|best, i| if values[i] > values[best] { i } else { best })
}

/// Mean negative log likelihood of the labels under `softmax(logits / temperature)`, in nats.
///
/// `None` without images or when the result is not a number.
///
/// # Panics
/// If the slices differ in length or a label has no logit.
pub fn negative_log_likelihood(logits: &[Vec<f32>], labels: &[usize], temperature: f64) -> Option<f64> {
    assert_eq!(logits.len(), labels.len(), "one row of logits per label");
    let total: f64 = logits
        .iter()
        .zip(labels)
        .map(|(row, &label)| {
            let highest = row.iter().map(|&z| f64::from(z)).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|&z| ((f64::from(z) - highest) / temperature).exp()).sum();
            sum.ln() - (f64::from(row[label]) - highest) / temperature
        })
        .sum();
    let mean = total / labels.len() as f64;
    (!mean.is_nan()).then_some(mean)
}

/// Multi-class Brier score, from 0 (certain and right) to 2 (certain and wrong); `None` without images or with NaN.
///
/// Source: Brier 1950, "Verification of forecasts expressed in terms of probability".
///
/// # Panics
/// If the slices differ in length.
pub fn brier(probabilities: &[Vec<f32>], labels: &[usize]) -> Option<f64> {
    assert_eq!(probabilities.len(), labels.len(), "one row of probabilities per label");
    let score = |(row, &label): (&Vec<f32>, &usize)| -> f64 {
        row.iter().enumerate().map(|(class, &p)| (f64::from(p) - f64::from(u8::from(class == label))).powi(2)).sum()
    };
    let mean = probabilities.iter().zip(labels).map(score).sum::<f64>() / labels.len() as f64;
    (!mean.is_nan()).then_some(mean)
}

/// Expected calibration error of the winning class, over `n_bins` bins that hold equally many images.
///
/// Mean over the images of the distance between a bin's confidence and its accuracy. Images of equal confidence share a
/// bin, so that the order of the images does not matter. `None` without images, without bins or with NaN.
/// Source: Nguyen and O'Connor 2015 (equal-mass bins); Guo et al. 2017, equation 3.
///
/// # Panics
/// If the slices differ in length.
pub fn expected_calibration_error(probabilities: &[Vec<f32>], labels: &[usize], n_bins: usize) -> Option<f64> {
    assert_eq!(probabilities.len(), labels.len(), "one row of probabilities per label");
    let images: Option<Vec<(f32, bool)>> = probabilities
        .iter()
        .zip(labels)
        .map(|(row, &label)| argmax(row).map(|winner| (row[winner], winner == label)))
        .collect();
    let mut images = images?;
    if images.is_empty() || n_bins == 0 {
        return None;
    }
    images.sort_by(|a, b| a.0.total_cmp(&b.0));
    let gaps = equal_mass_bins(&images, n_bins).into_iter().map(|bin| {
        let confidence: f64 = bin.iter().map(|i| f64::from(i.0)).sum();
        let hits = bin.iter().filter(|i| i.1).count() as f64;
        (confidence - hits).abs()
    });
    Some(gaps.sum::<f64>() / images.len() as f64)
}

/// Cuts sorted images into bins whose sizes differ by at most one, the larger first; ties move a cut upwards.
fn equal_mass_bins(sorted: &[(f32, bool)], n_bins: usize) -> Vec<&[(f32, bool)]> {
    let n = sorted.len();
    let mut bins = Vec::with_capacity(n_bins);
    let mut start = 0;
    for bin in 1..=n_bins {
        let mut end = (bin * (n / n_bins) + bin.min(n % n_bins)).max(start);
        while end > start && end < n && sorted[end].0 == sorted[end - 1].0 {
            end += 1;
        }
        if end > start {
            bins.push(&sorted[start..end]);
        }
        start = end;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{LABELS, assert_close, logits, probabilities};

    #[test]
    fn softmax_survives_large_logits() {
        assert_eq!(softmax(&[1000.0, 1000.0], 1.0), [0.5, 0.5]);
        assert_eq!(softmax(&[0.0, f32::NEG_INFINITY], 1.0), [1.0, 0.0]);
    }

    #[test]
    fn agrees_with_scikit_learn() {
        assert_close(negative_log_likelihood(&logits(), &LABELS, 1.0), 0.3786732138106225);
        assert_close(brier(&probabilities(), &LABELS), 0.21227774427569457);
    }

    #[test]
    fn calibration_error_agrees_with_numpy() {
        assert_close(expected_calibration_error(&probabilities(), &LABELS, 4), 0.14555642050781314);
    }

    #[test]
    fn calibration_error_by_hand() {
        // One bin: mean confidence 0.8, accuracy 1/2.
        let p = [vec![0.9, 0.1], vec![0.7, 0.3]];
        assert_close(expected_calibration_error(&p, &[0, 1], 1), 0.3);
        // Two bins: |0.7 - 0| and |0.9 - 1|, halved.
        assert_close(expected_calibration_error(&p, &[0, 1], 2), 0.4);
    }

    #[test]
    fn equal_confidences_share_a_bin_in_any_order() {
        let p = vec![vec![0.6, 0.4]; 4];
        let forwards = expected_calibration_error(&p, &[0, 0, 1, 1], 2);
        let backwards = expected_calibration_error(&p, &[1, 0, 1, 0], 2);
        assert_close(forwards, 0.1);
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn more_bins_than_images_is_one_image_a_bin() {
        assert_close(expected_calibration_error(&[vec![0.9, 0.1], vec![0.7, 0.3]], &[0, 1], 15), 0.4);
    }

    #[test]
    fn nothing_has_no_score() {
        assert_eq!(brier(&[], &[]), None);
        assert_eq!(expected_calibration_error(&[], &[], 15), None);
        assert_eq!(negative_log_likelihood(&[], &[], 1.0), None);
        assert_eq!(brier(&[vec![f32::NAN, 0.0]], &[0]), None);
        assert_eq!(argmax(&[f32::NAN, 1.0]), None);
    }

    #[test]
    fn the_first_of_equal_values_wins() {
        assert_eq!(argmax(&[0.2, 0.4, 0.4]), Some(1));
    }
}
