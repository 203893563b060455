//! Which views suit which domain.

use serde::{Deserialize, Serialize};

/// A preset of views by domain; see [`Policy::views`] for the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Photographs: they have an up; scale and place vary widely.
    Natural,
    /// The views of `SimCLR` (Chen et al. 2020, appendix A) at full strength: what peers are compared with.
    #[serde(rename = "simclr")]
    SimClr,
    /// Stained cells and tissue, strong: no up, stain and light vary between laboratories.
    Microscopy,
    /// Stained cells and tissue, for few labels.
    MicroscopyMild,
    /// Tissue stained with haematoxylin and eosin: no up, the amount of each dye varies between laboratories.
    Pathology,
    /// X-ray, mammography, ultrasound, strong: an up, no colour, texture must stay (no blur).
    Radiology,
    /// X-ray, mammography, ultrasound, for few labels.
    RadiologyMild,
    /// The image as it is.
    None,
}

/// Ranges and probabilities of one policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Views {
    /// Share of the area that is cropped, from least to most.
    pub area: [f32; 2],
    /// Width over height of the crop, from least to most.
    pub aspect: [f32; 2],
    /// Probability of a left-right mirror.
    pub flip_horizontal: f32,
    /// Probability of an up-down mirror.
    pub flip_vertical: f32,
    /// Whether 0, 90, 180 and 270 degrees are equally likely.
    pub quarter_turns: bool,
    /// Further rotation, evenly from minus this to this, in degrees.
    pub rotation_degrees: f32,
    /// Probability of colour jitter.
    pub jitter: f32,
    /// Strength of colour jitter: brightness, contrast and saturation by 0.8 times this, hue by 0.2 times this.
    pub strength: f32,
    /// Probability of dropping colour.
    pub grey: f32,
    /// Probability of Gaussian blur, sigma 0.1 to 2 pixels.
    pub blur: f32,
    /// Probability of histogram equalisation.
    pub equalise: f32,
    /// Probability of an elastic deformation.
    pub elastic: f32,
    /// Its strength: standard deviation of the control points' displacement, as a share of the shorter side.
    pub elastic_share: f32,
    /// Probability of stain jitter.
    pub stain: f32,
    /// Its strength: most that the amount of a dye is changed by, as a share and as an offset.
    pub stain_reach: f32,
}

/// Nothing changes; the ground the other policies are built on.
const STILL: Views = Views {
    area: [1.0, 1.0],
    aspect: [1.0, 1.0],
    flip_horizontal: 0.0,
    flip_vertical: 0.0,
    quarter_turns: false,
    rotation_degrees: 0.0,
    jitter: 0.0,
    strength: 0.0,
    grey: 0.0,
    blur: 0.0,
    equalise: 0.0,
    elastic: 0.0,
    elastic_share: 0.0,
    stain: 0.0,
    stain_reach: 0.0,
};

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 8] = [
        Self::Natural,
        Self::SimClr,
        Self::Microscopy,
        Self::MicroscopyMild,
        Self::Pathology,
        Self::Radiology,
        Self::RadiologyMild,
        Self::None,
    ];

    /// The numbers of this policy.
    ///
    /// `Natural` is BiT's crop and flip, its least area raised from 0.08 to 0.25 because runs here are short and
    /// images small. `Microscopy` is milder than `SimCLR` and the pilot in `remedis.md` 7b (crops of 20 %, jitter
    /// 0.5): cells differ by little, and in runs of 100 steps those left the loss at chance. `Pathology` changes dyes instead of
    /// hues, as light as Tellez et al. 2018 found best, and moves less in scale, which is a property of the scanner. `Radiology`
    /// follows `MICLe` on chest films: no blur, jitter 0.5, and the histogram equalisation and elastic deformation of REMEDIS.
    #[must_use]
    pub fn views(self) -> Views {
        let aspect = [3.0 / 4.0, 4.0 / 3.0];
        match self {
            Self::None => STILL,
            Self::Natural => Views { area: [0.25, 1.0], aspect, flip_horizontal: 0.5, ..STILL },
            Self::SimClr => Views {
                area: [0.08, 1.0],
                aspect,
                flip_horizontal: 0.5,
                jitter: 0.8,
                strength: 1.0,
                grey: 0.2,
                blur: 0.5,
                ..STILL
            },
            Self::Pathology => Views {
                area: [0.4, 1.0],
                flip_horizontal: 0.5,
                flip_vertical: 0.5,
                quarter_turns: true,
                stain: 0.8,
                stain_reach: 0.05,
                blur: 0.2,
                ..STILL
            },
            Self::Microscopy => Views {
                area: [0.4, 1.0],
                aspect,
                flip_horizontal: 0.5,
                flip_vertical: 0.5,
                quarter_turns: true,
                jitter: 0.8,
                strength: 0.25,
                grey: 0.1,
                blur: 0.2,
                ..STILL
            },
            Self::MicroscopyMild => Views {
                area: [0.6, 1.0],
                flip_horizontal: 0.5,
                flip_vertical: 0.5,
                quarter_turns: true,
                jitter: 0.5,
                strength: 0.2,
                ..STILL
            },
            Self::Radiology => Views {
                area: [0.3, 1.0],
                aspect,
                flip_horizontal: 0.5,
                rotation_degrees: 15.0,
                jitter: 0.8,
                strength: 0.5,
                equalise: 0.5,
                elastic: 0.5,
                elastic_share: 0.02,
                ..STILL
            },
            Self::RadiologyMild => {
                Views { area: [0.7, 1.0], rotation_degrees: 5.0, jitter: 0.5, strength: 0.2, ..STILL }
            }
        }
    }
}
