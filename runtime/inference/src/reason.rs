//! Why there is no answer, for programs and for people.

use std::fmt;

use remedis_imaging::{Gate, GateResult};

/// Why the answer is "cannot say". Displayed as one line for people, without a full stop and free of patient data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// A picture of another size or shape than the model knows.
    Geometry {
        /// Columns of the decoded picture.
        width: u32,
        /// Rows of the decoded picture.
        height: u32,
        /// What of them did not pass: [`Gate::Width`], [`Gate::Height`] or [`Gate::Aspect`].
        failed: GateResult,
    },
    /// Underexposed.
    TooDark {
        /// Mean luminance, 0 to 1.
        mean: f64,
        /// The least that passes.
        least: f64,
    },
    /// Overexposed.
    TooBright {
        /// Mean luminance, 0 to 1.
        mean: f64,
        /// The most that passes.
        most: f64,
    },
    /// Too much of the picture lies at an end of the scale, where nothing can be seen.
    Saturated {
        /// Which end: [`Gate::Black`] or [`Gate::White`].
        end: Gate,
        /// Share of the samples, 0 to 1.
        share: f64,
        /// The most that passes.
        most: f64,
    },
    /// Out of focus, or moved.
    Blurred {
        /// Variance of the Laplacian, in squared steps of 8 bits.
        sharpness: f64,
        /// The least that passes.
        least: f64,
    },
    /// Out of distribution: no picture like those that the model knows.
    Unlike {
        /// By what: [`Gate::Appearance`] or [`Gate::Energy`].
        by: Gate,
        /// Distance in deviations, or energy in nats.
        score: f64,
        /// The most that passes.
        most: f64,
    },
    /// No class is likely enough.
    LowConfidence {
        /// Calibrated probability of the best class, 0 to 1.
        confidence: f32,
        /// The operating point.
        threshold: f32,
    },
}

impl Reason {
    /// A word for traces, files and translations; never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Geometry { .. } => "geometry",
            Self::TooDark { .. } => "too_dark",
            Self::TooBright { .. } => "too_bright",
            Self::Saturated { .. } => "saturated",
            Self::Blurred { .. } => "blurred",
            Self::Unlike { .. } => "unlike",
            Self::LowConfidence { .. } => "low_confidence",
        }
    }

    /// What `failed`, one of `gates` that did not pass, means.
    pub(crate) fn of(failed: &GateResult, gates: &[GateResult]) -> Self {
        let GateResult { gate, value, low, high, .. } = *failed;
        // A gate without the limit that is asked for has nothing to tell of it.
        let (least, most) = (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY));
        match gate {
            Gate::Exposure if value < least => Self::TooDark { mean: value, least },
            Gate::Exposure => Self::TooBright { mean: value, most },
            Gate::Black | Gate::White => Self::Saturated { end: gate, share: value, most },
            Gate::Sharpness => Self::Blurred { sharpness: value, least },
            Gate::Appearance | Gate::Energy => Self::Unlike { by: gate, score: value, most },
            Gate::Confidence => Self::LowConfidence { confidence: value as f32, threshold: least as f32 },
            _ => {
                let side =
                    |side: Gate| gates.iter().find(|result| result.gate == side).map_or(0.0, |found| found.value);
                Self::Geometry { width: side(Gate::Width) as u32, height: side(Gate::Height) as u32, failed: *failed }
            }
        }
    }
}

/// A share, 0 to 1, in words: the nearest tenth of a percent, but 100 % of certainty only.
pub fn percent(share: f64) -> String {
    let most = if share < 1.0 { 99.9 } else { 100.0 };
    format!("{:.1} %", (100.0 * share).min(most))
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry { width, height, failed } => {
                write!(out, "wrong geometry: {width} x {height} pixels, expected ")?;
                let (low, high) = (failed.low.unwrap_or_default(), failed.high.unwrap_or_default());
                match failed.gate {
                    Gate::Width => write!(out, "at least {low} columns"),
                    Gate::Height => write!(out, "at least {low} rows"),
                    _ => write!(out, "{low:.2} to {high:.2} times as wide as high"),
                }
            }
            Self::TooDark { mean, least } => {
                write!(out, "too dark: mean brightness {}, expected at least {}", percent(*mean), percent(*least))
            }
            Self::TooBright { mean, most } => {
                write!(out, "too bright: mean brightness {}, expected at most {}", percent(*mean), percent(*most))
            }
            Self::Saturated { end, share, most } => {
                let (share, most) = (percent(*share), percent(*most));
                write!(out, "saturated: {share} of the picture is {}, expected at most {most}", end.name())
            }
            Self::Blurred { sharpness, least } => {
                write!(out, "blurred: sharpness {sharpness:.1}, expected at least {least:.1}")
            }
            Self::Unlike { by, score, most } => {
                out.write_str("unlike the images that the model knows: ")?;
                match by {
                    Gate::Energy => write!(out, "energy {score:.2}, expected at most {most:.2}"),
                    _ => write!(out, "colours and contrast {score:.1} deviations away, expected at most {most:.1}"),
                }
            }
            Self::LowConfidence { confidence, threshold } => {
                let [confidence, threshold] = [confidence, threshold].map(|share| percent(f64::from(*share)));
                write!(out, "confidence {confidence} is below the operating point of {threshold}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certainty_is_a_hundred_percent() {
        assert_eq!([0.0, 0.38687, 0.9996, 1.0].map(percent), ["0.0 %", "38.7 %", "99.9 %", "100.0 %"]);
    }

    fn check(failed: GateResult, code: &str, words: &str) {
        let [width, height] =
            [(Gate::Width, 640.0), (Gate::Height, 480.0)].map(|(gate, n)| GateResult::at_least(gate, n, 1.0));
        assert!(!failed.passed, "{failed:?}");
        let reason = Reason::of(&failed, &[width, height, failed]);
        assert_eq!((reason.code(), reason.to_string().as_str()), (code, words));
    }

    #[test]
    fn every_gate_has_a_code_and_words_with_what_was_found_and_expected() {
        let (least, most) = (GateResult::at_least, GateResult::at_most);
        let aspect = GateResult::between(Gate::Aspect, 1.333, [0.8, 1.25]);
        check(aspect, "geometry", "wrong geometry: 640 x 480 pixels, expected 0.80 to 1.25 times as wide as high");
        let few = least(Gate::Width, 640.0, 1000.0);
        check(few, "geometry", "wrong geometry: 640 x 480 pixels, expected at least 1000 columns");
        let few = least(Gate::Height, 480.0, 1000.0);
        check(few, "geometry", "wrong geometry: 640 x 480 pixels, expected at least 1000 rows");
        let exposure = |mean| GateResult::between(Gate::Exposure, mean, [0.3, 0.9]);
        check(exposure(0.08), "too_dark", "too dark: mean brightness 8.0 %, expected at least 30.0 %");
        check(exposure(0.955), "too_bright", "too bright: mean brightness 95.5 %, expected at most 90.0 %");
        let white = most(Gate::White, 0.31, 0.1);
        check(white, "saturated", "saturated: 31.0 % of the picture is white, expected at most 10.0 %");
        let black = most(Gate::Black, 0.31, 0.1);
        check(black, "saturated", "saturated: 31.0 % of the picture is black, expected at most 10.0 %");
        let soft = least(Gate::Sharpness, 3.1, 20.0);
        check(soft, "blurred", "blurred: sharpness 3.1, expected at least 20.0");
        let appearance = most(Gate::Appearance, 9.25, 4.0);
        let words =
            "unlike the images that the model knows: colours and contrast 9.2 deviations away, expected at most 4.0";
        check(appearance, "unlike", words);
        let energy = most(Gate::Energy, -0.5, -1.25);
        check(energy, "unlike", "unlike the images that the model knows: energy -0.50, expected at most -1.25");
        let confidence = least(Gate::Confidence, f64::from(0.665_f32), f64::from(0.9_f32));
        check(confidence, "low_confidence", "confidence 66.5 % is below the operating point of 90.0 %");
    }
}
