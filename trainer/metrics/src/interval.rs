//! A value with its interval, and Wilson's interval for proportions.

use serde::{Deserialize, Serialize};

/// A measured value between its 95 % bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value on all images.
    pub value: f64,
    /// Lower 95 % bound.
    pub low: f64,
    /// Upper 95 % bound.
    pub high: f64,
}

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % score interval for `successes` of `n`; `None` when `n` is 0.
///
/// Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
///
/// # Panics
/// If there are more successes than trials.
pub fn wilson(successes: u64, n: u64) -> Option<Interval> {
    assert!(successes <= n, "{successes} successes of {n}");
    if n == 0 {
        return None;
    }
    let trials = n as f64;
    let value = successes as f64 / trials;
    let centre = (value + Z * Z / (2.0 * trials)) / (1.0 + Z * Z / trials);
    let half = Z / (1.0 + Z * Z / trials) * (value * (1.0 - value) / trials + Z * Z / (4.0 * trials * trials)).sqrt();
    let low = if successes == 0 { 0.0 } else { centre - half };
    let high = if successes == n { 1.0 } else { centre + half };
    Some(Interval { value, low, high })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_scipy() {
        // scipy.stats.binomtest(k, n).proportion_ci(method='wilson')
        let cases = [
            (9, 10, 0.5958499732047615, 0.9821237869049271),
            (0, 5, 0.0, 0.43448246478317476),
            (5, 5, 0.5655175352168251, 1.0),
            (45, 60, 0.6276792992295218, 0.8422347746994333),
        ];
        for (k, n, low, high) in cases {
            let found = wilson(k, n).expect("n > 0");
            assert!((found.low - low).abs() < 1e-12 && (found.high - high).abs() < 1e-12, "{k}/{n}: {found:?}");
        }
    }

    #[test]
    fn no_trials_have_no_interval() {
        assert_eq!(wilson(0, 0), None);
    }

    proptest! {
        #[test]
        fn holds_the_value_and_stays_a_proportion(n in 1_u64..5000, share in 0.0_f64..=1.0) {
            let k = (share * n as f64) as u64;
            let found = wilson(k, n).expect("n > 0");
            prop_assert!(0.0 <= found.low && found.low <= found.value);
            prop_assert!(found.value <= found.high && found.high <= 1.0);
        }
    }
}
