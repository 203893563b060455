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

/// Rises linearly to `peak` during the first `warm_up` steps, then is divided by 10 at each step of `decay_at`.
///
/// Step 0 of a warm-up is already `peak / warm_up`, so no step is lost. `step` counts from 0.
/// Source: BiT-HyperRule, google-research/big_transfer, `bit_hyperrule.py`: its rates, one step earlier, as its own first step has
/// a rate of 0.
#[must_use]
pub fn warm_up_steps(step: u64, warm_up: u64, decay_at: &[u64], peak: f64) -> f64 {
    if step < warm_up {
        return peak * (step + 1) as f64 / warm_up as f64;
    }
    peak / 10_f64.powi(decay_at.iter().filter(|&&at| at <= step).count() as i32)
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Debug, PartialEq)]
pub enum Fall {
    /// Along half a cosine, [`warm_up_cosine`].
    Cosine,
    /// By a factor of 10 at each of these shares of the steps, [`warm_up_steps`].
    Steps(Vec<f64>),
}

impl Fall {
    /// The rate of step `step` (from 0) of `total`, of which a share of `warm_up` warms up. Shares are rounded to whole steps.
    #[must_use]
    pub fn rate(&self, step: u64, total: u64, warm_up: f64, peak: f64) -> f64 {
        let at = |share: f64| (total as f64 * share).round() as u64;
        match self {
            Self::Cosine => warm_up_cosine(step, total, at(warm_up), peak),
            Self::Steps(shares) => {
                let decay_at: Vec<u64> = shares.iter().map(|&share| at(share)).collect();
                warm_up_steps(step, at(warm_up), &decay_at, peak)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get_lr(step + 1, 1000)` of `bit_hyperrule.py`: supports 100, 200, 300, 400, 500.
    #[test]
    fn steps_are_those_of_bit_hyper_rule_without_its_step_of_nothing() {
        let fall = Fall::Steps(vec![0.4, 0.6, 0.8]);
        let rate = |step| fall.rate(step, 500, 0.2, 0.003);
        for (step, expected) in [
            (0, 3e-5),
            (49, 1.5e-3),
            (99, 3e-3),
            (100, 3e-3),
            (199, 3e-3),
            (200, 3e-4),
            (299, 3e-4),
            (300, 3e-5),
            (399, 3e-5),
            (400, 3e-6),
            (499, 3e-6),
        ] {
            assert!((rate(step) / expected - 1.0).abs() < 1e-12, "step {step}: {}, expected {expected}", rate(step));
        }
    }

    #[test]
    fn a_cosine_by_shares_is_the_cosine_by_steps() {
        for step in 0..50 {
            assert_eq!(Fall::Cosine.rate(step, 50, 0.1, 0.3), warm_up_cosine(step, 50, 5, 0.3));
        }
    }

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
