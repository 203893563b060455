//! The colours by number: contrast, and whether they stay apart for the colour-blind.

extern crate std;

use super::{Theme, contrast};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*};
use std::vec::Vec;

/// One channel of sRGB, 0 to 255, as light: IEC 61966-2-1.
pub(super) fn linear(channel: u8) -> f64 {
    let value = f64::from(channel) / 255.0;
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// What a colour becomes without one kind of cone, in linear RGB: Machado, Oliveira and Fernandes 2009, "A
/// Physiologically-based Model for Simulation of Color Vision Deficiency", severity 1.0.
const BLINDNESS: [(&str, [[f64; 3]; 3]); 4] = [
    ("none", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ("protanopia", [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    (
        "deuteranopia",
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ),
    ("tritanopia", [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
];

/// CIE 1976 L*a*b* of a colour as somebody sees it, white point D65.
fn lab(colour: Rgb888, sees: &[[f64; 3]; 3]) -> [f64; 3] {
    let light = [colour.r(), colour.g(), colour.b()].map(linear);
    let dot = |row: &[f64; 3], v: &[f64; 3]| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>();
    let seen = [0, 1, 2].map(|i| dot(&sees[i], &light).clamp(0.0, 1.0));
    let to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]];
    let white = [0.9505, 1.0, 1.089];
    let [x, y, z] = [0, 1, 2].map(|i| {
        let t: f64 = dot(&to_xyz[i], &seen) / white[i];
        if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn difference(a: Rgb888, b: Rgb888, sees: &[[f64; 3]; 3]) -> f64 {
    let (a, b) = (lab(a, sees), lab(b, sees));
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn states(theme: &Theme) -> [(&'static str, Rgb888); 5] {
    [
        ("good", theme.good),
        ("busy", theme.busy),
        ("caution", theme.caution),
        ("bad", theme.bad),
        ("quiet", theme.quiet_text),
    ]
}

#[test]
fn text_has_a_contrast_of_four_and_a_half_on_what_it_stands_on() {
    for theme in [Theme::DARK, Theme::LIGHT] {
        for paper in [theme.background, theme.band] {
            for (name, colour) in states(&theme).into_iter().chain([("text", theme.text)]) {
                assert!(contrast(colour, paper) >= 4.5, "{name} on {paper:?}: {}", contrast(colour, paper));
            }
        }
        assert!(contrast(theme.text, theme.background) >= 7.0);
    }
}

#[test]
fn bars_stand_out_from_their_troughs() {
    for theme in [Theme::DARK, Theme::LIGHT] {
        for (name, colour) in [("good", theme.good), ("caution", theme.caution), ("busy", theme.busy)] {
            assert!(contrast(colour, theme.trough) >= 3.0, "{name}: {}", contrast(colour, theme.trough));
        }
    }
}

/// 10 is four times what CIE 1976 calls just noticeable (2.3, Mahy et al. 1994): side by side nobody takes one for the
/// other. From memory some will, which is why every state has a shape and a word too.
#[test]
fn states_stay_apart_without_any_one_kind_of_cone() {
    for theme in [Theme::DARK, Theme::LIGHT] {
        let mut close = Vec::new();
        for (who, sees) in &BLINDNESS {
            for (index, (a, first)) in states(&theme).into_iter().enumerate() {
                for (b, second) in states(&theme).into_iter().skip(index + 1) {
                    let apart = difference(first, second, sees);
                    if apart < 10.0 {
                        close.push((*who, a, b, apart));
                    }
                }
            }
        }
        assert!(close.is_empty(), "{close:?}");
    }
}

#[test]
fn black_on_white_has_the_highest_contrast() {
    assert!((contrast(Rgb888::BLACK, Rgb888::WHITE) - 21.0).abs() < 1e-9);
    assert!((contrast(Rgb888::WHITE, Rgb888::WHITE) - 1.0).abs() < 1e-9);
}
