//! A measured number beside its limits: how every gate says what it found.

/// What is measured, in the order in which gates decide: the first that does not pass is the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Gate {
    /// Columns of the decoded picture.
    Width,
    /// Rows of the decoded picture.
    Height,
    /// Width of the decoded picture over its height.
    Aspect,
    /// Mean luminance, 0 to 1.
    Exposure,
    /// Share of samples that are black or nearly so.
    Black,
    /// Share of samples that are white or nearly so.
    White,
    /// Variance of the Laplacian of the luminance, in squared steps of 8 bits.
    Sharpness,
    /// Distance of the picture's colours and contrast from those that the model knows.
    Appearance,
    /// Energy of the logits, in nats.
    Energy,
    /// Calibrated probability of the best class.
    Confidence,
}

impl Gate {
    /// Its name in traces and files; never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Width => "width",
            Self::Height => "height",
            Self::Aspect => "aspect",
            Self::Exposure => "exposure",
            Self::Black => "black",
            Self::White => "white",
            Self::Sharpness => "sharpness",
            Self::Appearance => "appearance",
            Self::Energy => "energy",
            Self::Confidence => "confidence",
        }
    }

    /// Whether it asks how well a picture was taken, rather than what is in it.
    #[must_use]
    pub fn is_of_quality(self) -> bool {
        self <= Self::Sharpness
    }
}

/// A measured number, its limits, and whether it lies between them, ends included. What is not a number does not pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateResult {
    /// What was measured.
    pub gate: Gate,
    /// What was found.
    pub value: f64,
    /// The least that passes.
    pub low: Option<f64>,
    /// The most that passes.
    pub high: Option<f64>,
    /// Whether it passed.
    pub passed: bool,
}

impl GateResult {
    /// Passes from `low` on.
    #[must_use]
    pub fn at_least(gate: Gate, value: f64, low: f64) -> Self {
        Self { gate, value, low: Some(low), high: None, passed: value >= low }
    }

    /// Passes up to `high`.
    #[must_use]
    pub fn at_most(gate: Gate, value: f64, high: f64) -> Self {
        Self { gate, value, low: None, high: Some(high), passed: value <= high }
    }

    /// Passes from `low` to `high`.
    #[must_use]
    pub fn between(gate: Gate, value: f64, [low, high]: [f64; 2]) -> Self {
        Self { gate, value, low: Some(low), high: Some(high), passed: value >= low && value <= high }
    }

    /// Whether a change of the value by `tolerance` could change whether it passes.
    #[must_use]
    pub fn is_near(&self, tolerance: f64) -> bool {
        let is_near = |limit: f64| (self.value - limit).abs() <= tolerance;
        !self.value.is_finite() || self.low.is_some_and(is_near) || self.high.is_some_and(is_near)
    }
}

/// Energy of `logits` at temperature 1, `-ln Σ exp(logit)`, in nats: low for what a model knows. NaN when a logit is.
///
/// Source: Liu et al. 2020, "Energy-based Out-of-distribution Detection", equation 4.
#[must_use]
pub fn energy(logits: &[f32]) -> f64 {
    let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| libm::exp(f64::from(logit) - highest)).sum();
    -(highest + libm::log(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_by_hand() {
        assert_eq!(energy(&[0.0]), 0.0);
        assert!((energy(&[1.0, 1.0]) + 1.0 + std::f64::consts::LN_2).abs() < 1e-15);
        // ln(e^1 + e^2 + e^3) = 3 + ln(1 + e^-1 + e^-2)
        assert!((energy(&[1.0, 2.0, 3.0]) + 3.407_605_964_444_38).abs() < 1e-12);
        assert_eq!(energy(&[1000.0, 0.0]), -1000.0);
        assert_eq!(energy(&[1e30, -1e30, 0.0]), -f64::from(1e30_f32));
        assert!(energy(&[f32::NAN, 0.0]).is_nan());
    }

    #[test]
    fn limits_are_inclusive_and_what_is_no_number_does_not_pass() {
        let between = |value| GateResult::between(Gate::Exposure, value, [0.25, 0.5]).passed;
        assert_eq!([0.2, 0.25, 0.3, 0.5, 0.6, f64::NAN].map(between), [false, true, true, true, false, false]);
        assert!(GateResult::at_least(Gate::Sharpness, 3.0, 3.0).passed);
        assert!(!GateResult::at_least(Gate::Sharpness, f64::NAN, 3.0).passed);
        assert!(GateResult::at_most(Gate::Energy, -3.0, -3.0).passed);
        assert!(!GateResult::at_most(Gate::Energy, f64::NAN, 3.0).passed);
    }

    #[test]
    fn near_a_limit_is_on_either_side_of_either_limit() {
        let near = |value| GateResult::between(Gate::Exposure, value, [0.25, 0.5]).is_near(0.125);
        assert_eq!(
            [0.0, 0.125, 0.25, 0.4, 0.625, 0.75, f64::NAN].map(near),
            [false, true, true, true, true, false, true]
        );
    }

    #[test]
    fn quality_comes_before_likeness() {
        let of_quality = |gate: Gate| gate.is_of_quality();
        let gates = [Gate::Width, Gate::White, Gate::Sharpness, Gate::Appearance, Gate::Energy, Gate::Confidence];
        assert_eq!(gates.map(of_quality), [true, true, true, false, false, false]);
    }
}
