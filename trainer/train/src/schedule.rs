//! The learning rate over time.

/// Rises linearly to `peak` during the first `warm_up` steps, then falls along half a cosine towards 0.
///
/// Step 0 of a warm-up is already `peak / warm_up`, so no step is lost; step `total` would be 0. `step` counts from 0.
/// Source: Loshchilov and Hutter 2016, "SGDR", equation 5 without restarts; the warm-up of Goyal et al. 2017.
#[must_use]
pub fn warm_up_cosine(step: u64, total: u64, warm_up: u64, peak: f64) -> f64 {
    if step < warm_up {
        return peak * (step + 1) as f64 / warm_up as f64;
    }
    let progress = (step - warm_up) as f64 / total.saturating_sub(warm_up).max(1) as f64;
    peak * 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_nothing() {
        let rates: Vec<f64> = (0..=8).map(|step| warm_up_cosine(step, 8, 4, 2.0)).collect();
        let half_root = 1.0 + 0.5_f64.sqrt();
        let expected = [0.5, 1.0, 1.5, 2.0, 2.0, half_root, 1.0, 2.0 - half_root, 0.0];
        for (step, (rate, expected)) in rates.iter().zip(expected).enumerate() {
            assert!((rate - expected).abs() < 1e-12, "step {step}: {rate}, expected {expected}");
        }
    }

    #[test]
    fn without_warm_up_it_begins_at_the_peak() {
        assert_eq!(warm_up_cosine(0, 10, 0, 0.3), 0.3);
        assert_eq!(warm_up_cosine(0, 1, 1, 0.3), 0.3);
    }
}
