//! What lies between a cell and its file: stain, lamp, lens and sensor; this is where two sites differ.

use remedis_imaging::{Channels, Image};

use super::chance::Chance;
use super::shape::mix;

/// Where a smear was stained and photographed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Fresh stain, even light, sharp.
    A,
    /// Redder stain on thicker smears, lower magnification, uneven and warmer light, softer focus, more noise, smaller
    /// files.
    B,
}

impl Site {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "site_a",
            Self::B => "site_b",
        }
    }

    pub(super) fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }

    pub(super) fn number(self) -> u64 {
        match self {
            Self::A => 1,
            Self::B => 2,
        }
    }

    pub(super) fn jpeg_quality(self) -> u8 {
        match self {
            Self::A => 92,
            Self::B => 72,
        }
    }

    /// Size of a cell against that of the first site.
    pub(super) fn magnification(self) -> f32 {
        match self {
            Self::A => 1.0,
            Self::B => 0.84,
        }
    }
}

/// How strongly, and in which hue, a patient's smear took the stain.
pub(super) struct Stain {
    /// Factor on the blue-violet dye.
    pub(super) azure: f32,
    /// Factor on the red dye.
    pub(super) eosin: f32,
    /// Factor on each colour's absorbance.
    hue: [f32; 3],
    /// Absorbance of the empty slide.
    base: [f32; 3],
}

impl Stain {
    pub(super) fn of_patient(site: Site, chance: &mut Chance) -> Self {
        let (azure, eosin, hue, base) = match site {
            Site::A => (1.0, 1.0, [1.0, 1.0, 1.0], [0.05, 0.06, 0.05]),
            Site::B => (0.82, 1.3, [0.84, 1.02, 1.3], [0.08, 0.13, 0.2]),
        };
        let mut vary = |value: f32, by: f32| value * (1.0 + by * chance.normal()).max(0.4);
        Self {
            azure: vary(azure, 0.14),
            eosin: vary(eosin, 0.16),
            hue: hue.map(|value| vary(value, 0.06)),
            base: base.map(|value| vary(value, 0.25)),
        }
    }

    /// Light let through by `absorbance`, from 0 to 1. Source: the Beer-Lambert law.
    pub(super) fn transmit(&self, absorbance: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|colour| (-(absorbance[colour] * self.hue[colour] + self.base[colour])).exp())
    }
}

/// Lens, lamp and sensor of one photograph.
pub(super) struct Camera {
    blur_px: f32,
    gain: [f32; 3],
    slope: [f32; 2],
    vignette: f32,
    noise: f32,
    gamma: f32,
}

impl Camera {
    pub(super) fn of_image(site: Site, size: u32, chance: &mut Chance) -> Self {
        let scale = size as f32 / 64.0;
        let (blur, slope, vignette, noise, gain, gamma) = match site {
            Site::A => (0.55, 0.04, 0.04, 0.014, [1.02, 1.0, 1.0], 1.0),
            Site::B => (1.05, 0.15, 0.2, 0.032, [1.05, 0.97, 0.9], 1.12),
        };
        Self {
            blur_px: (blur * scale * (1.0 + 0.35 * chance.normal())).max(0.2),
            gain: gain.map(|gain| gain * (1.0 + 0.03 * chance.normal()) * 0.98),
            slope: [slope * chance.normal(), slope * chance.normal()],
            vignette: vignette * chance.uniform(0.5, 1.5),
            noise: noise * chance.uniform(0.6, 1.4),
            gamma: gamma * (1.0 + 0.06 * chance.normal()),
        }
    }

    /// Photographs `light`, `[height, width, 3]` with 1 for the bare lamp.
    pub(super) fn expose(&self, light: &[[f32; 3]], size: u32, chance: &mut Chance) -> Image {
        let side = size as usize;
        let blurred = blur(&blur(light, side, self.blur_px), side, self.blur_px);
        let mut pixels = Vec::with_capacity(light.len() * 3);
        for (at, colours) in blurred.iter().enumerate() {
            let (x, y) = ((at / side) as f32 / size as f32 - 0.5, (at % side) as f32 / size as f32 - 0.5);
            let lamp = 1.0 + self.slope[0] * x + self.slope[1] * y - self.vignette * (x * x + y * y) * 2.0;
            for (colour, value) in colours.iter().enumerate() {
                let exposed = (value * lamp * self.gain[colour]).max(0.0).powf(self.gamma);
                let noisy = exposed + self.noise * mix(0.5, 1.0, exposed) * chance.normal();
                pixels.push((noisy * 255.0).round().clamp(0.0, 255.0) as u8);
            }
        }
        Image::new(size, size, Channels::Rgb, pixels)
    }
}

/// Blurs along the columns and transposes, so that twice is a whole blur.
fn blur(light: &[[f32; 3]], side: usize, sigma: f32) -> Vec<[f32; 3]> {
    let reach = (sigma * 3.0).ceil() as usize;
    let mut weights: Vec<f32> = (0..=reach).map(|at| (-0.5 * (at as f32 / sigma).powi(2)).exp()).collect();
    let total = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
    weights.iter_mut().for_each(|weight| *weight /= total);
    let mut blurred = Vec::with_capacity(light.len());
    for column in 0..side {
        for row in 0..side {
            let mut sum = [0.0; 3];
            for (at, weight) in weights.iter().enumerate() {
                let before = light[row.saturating_sub(at) * side + column];
                let after = light[(row + at).min(side - 1) * side + column];
                let share = if at == 0 { 0.5 * weight } else { *weight };
                for colour in 0..3 {
                    sum[colour] += share * (before[colour] + after[colour]);
                }
            }
            blurred.push(sum);
        }
    }
    blurred
}
