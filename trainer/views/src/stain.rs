//! Stain jitter: how strongly a slide took each dye, changed.

use crate::chance::Chance;
use crate::colour::each_colour;
use crate::planes::Planes;

/// Optical density of haematoxylin, eosin and DAB in red, green and blue (Ruifrok and Johnston 2001, table 1), rows of unit length.
const DYES: [[f32; 3]; 3] = [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]];
/// The least light that has a density: a black pixel has a finite one.
const DARK: f32 = 1e-6;

/// Factor and offset of the amount of each dye.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stain {
    /// Multiplies the amounts of haematoxylin, eosin and DAB.
    pub factor: [f32; 3],
    /// Is added to them.
    pub offset: [f32; 3],
}

impl Stain {
    /// Factors from 1 - `reach` to 1 + `reach`, offsets from -`reach` to `reach`: HED jitter after Tellez et al. 2018, "Whole-slide
    /// mitosis detection in H&E breast histology using PHH3 as a reference", section III-C; they take 0.05 (light) to 0.2.
    pub fn draw(reach: f32, chance: &mut Chance) -> Self {
        let factor = std::array::from_fn(|_| chance.uniform(1.0 - reach, 1.0 + reach));
        Self { factor, offset: std::array::from_fn(|_| chance.uniform(-reach, reach)) }
    }
}

/// Takes colours apart into dyes, changes the amount of each, and puts them together again. Grey images have no dyes and stay.
///
/// Densities are natural logarithms over that of a millionth of the light, as in scikit-image's `rgb2hed`, so that amounts are of order one.
pub fn stain(planes: &mut Planes, stain: &Stain) {
    let to_dyes = inverse(DYES);
    let scale = libm::logf(DARK);
    each_colour(
        planes,
        #[inline(always)]
        |pixel| {
            let density = pixel.map(|value| ln(value.max(DARK)) / scale);
            let mut changed = [0.0; 3];
            for dye in 0..3 {
                let amount = (0..3).map(|colour| density[colour] * to_dyes[colour][dye]).sum::<f32>();
                // An amount below zero is an error of measurement: no dye adds light.
                let amount = amount.max(0.0) * stain.factor[dye] + stain.offset[dye];
                for colour in 0..3 {
                    changed[colour] += amount * DYES[dye][colour];
                }
            }
            changed.map(|density| exp(density * scale))
        },
    );
}

/// The inverse of a matrix of rows, by cofactors.
fn inverse(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let cofactor = |row: usize, column: usize| {
        let (r1, r2, c1, c2) = ((row + 1) % 3, (row + 2) % 3, (column + 1) % 3, (column + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f32 = (0..3).map(|column| m[0][column] * cofactor(0, column)).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| cofactor(column, row) / determinant))
}

/// Natural logarithm of a positive normal number, to 1e-6, by additions and products alone, so that it vectorises and has the
/// same bits everywhere.
#[inline(always)]
fn ln(value: f32) -> f32 {
    let bits = value.to_bits();
    // The mantissa between sqrt(1/2) and sqrt(2).
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = (shifted as i32 >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    // ln m = 2 atanh((m - 1) / (m + 1)).
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    let series = 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0))));
    series + exponent * std::f32::consts::LN_2
}

/// The exponential of a number from -80 to 80, to 1e-6 of itself, likewise.
#[inline(always)]
fn exp(value: f32) -> f32 {
    let turns = value.clamp(-80.0, 80.0) * std::f32::consts::LOG2_E;
    let whole = (turns + 128.5) as i32 - 128;
    let rest = (turns - whole as f32) * std::f32::consts::LN_2;
    let series = 1.0
        + rest
            * (1.0
                + rest * (1.0 / 2.0 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest * (1.0 / 120.0 + rest / 720.0)))));
    series * f32::from_bits(((whole + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_imaging::{Channels, Image};

    #[test]
    fn logarithm_and_exponential_are_those_of_the_library() {
        for i in 0..10_000 {
            let x = 1e-6 + i as f32 / 9_999.0;
            assert!((ln(x) - libm::logf(x)).abs() < 2e-6 * (1.0 + libm::logf(x).abs()), "ln {x}");
            let y = -16.0 + i as f32 / 400.0;
            assert!((exp(y) / libm::expf(y) - 1.0).abs() < 3e-6, "exp {y}: {} {}", exp(y), libm::expf(y));
        }
    }

    #[test]
    fn no_change_of_the_dyes_keeps_what_dyes_can_mix() {
        // More haematoxylin than eosin; DAB a little: all amounts positive.
        let pixels: Vec<u8> = vec![140, 60, 150, 200, 120, 190];
        let image = Image::new(2, 1, Channels::Rgb, pixels);
        let mut planes = Planes::from_image(&image);
        stain(&mut planes, &Stain { factor: [1.0; 3], offset: [0.0; 3] });
        for (after, before) in planes.into_image().as_u8().iter().zip(image.as_u8()) {
            assert!(after.abs_diff(*before) <= 12, "{after} {before}");
        }
    }
}
