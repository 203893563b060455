use proptest::prelude::*;
use remedis_bundle::{Depth, QualityLimits, Resize};

use super::*;

fn grey(width: u32, height: u32, samples: Vec<u8>) -> Image {
    Image::new(width, height, Channels::Grey, samples)
}

fn input(channels: Channels) -> Preprocessing {
    let n = channels.count();
    let (mean, std) = (vec![0.5; n], vec![0.25; n]);
    Preprocessing { width: 4, height: 4, channels, depth_bits: Depth::Eight, resize: Resize::Stretch, mean, std }
}

#[test]
fn sharpness_is_the_variance_of_the_laplacian() {
    // Two pixels have four neighbours: 4 * 0 - 4 * 10 = -40 and 10 - 0 = 10. Mean -15, variance 25 * 25.
    let image = grey(4, 3, vec![0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Quality::measure([4, 3], &image).sharpness, 625.0);
    // Two neighbours on one side are not four.
    assert_eq!(Quality::measure([2, 3], &grey(2, 3, vec![0, 9, 0, 9, 0, 9])).sharpness, 0.0);
}

#[test]
fn colour_is_judged_by_its_luminance() {
    // 255 green has the luminance 149, as `grey_weighs_green_most` says; the Laplacians are -596 and 149.
    let mut samples = vec![0_u8; 4 * 3 * 3];
    samples[5 * 3 + 1] = 255;
    let quality = Quality::measure([4, 3], &Image::new(4, 3, Channels::Rgb, samples));
    assert_eq!(quality.sharpness, 372.5 * 372.5);
    assert_eq!(quality.mean, 149.0 / (12.0 * 255.0));
    assert_eq!(quality.channels[1], ChannelStatistics { mean: 1.0 / 12.0, std: f64::sqrt(11.0) / 12.0 });
    assert_eq!(quality.channels[2], ChannelStatistics { mean: 0.0, std: 0.0 });
    assert_eq!((quality.black_share, quality.white_share), (35.0 / 36.0, 1.0 / 36.0));
}

#[test]
fn three_steps_from_an_end_count_as_clipped() {
    let quality = Quality::measure([9, 9], &grey(4, 2, vec![0, 3, 4, 128, 251, 252, 254, 255]));
    assert_eq!((quality.black_share, quality.white_share), (0.25, 0.375));
    assert_eq!((quality.width, quality.height), (9, 9));
}

#[test]
fn appearance_is_on_the_scale_of_the_networks_input() {
    let image = Image::new(2, 1, Channels::Rgb, vec![255_u8, 0, 51, 0, 255, 51]);
    let quality = Quality::measure([2, 1], &image);
    // Means 1/2, 1/2, 1/5 and deviations 1/2, 1/2, 0; then (mean - 0.5) / 0.25 and deviation / 0.25.
    assert_eq!(quality.appearance(&input(Channels::Rgb)), [0.0, 0.0, (0.2 - 0.5) / 0.25, 2.0, 2.0, 0.0]);
}

/// Appearance 1, 2 with deviations 2 and 4 and no correlation.
fn gates() -> Gates {
    let quality = QualityLimits {
        min_width: 4,
        min_height: 3,
        min_aspect: 0.5,
        max_aspect: 2.0,
        min_mean: 0.25,
        max_mean: 0.75,
        max_black_share: 0.1,
        max_white_share: 0.2,
        min_sharpness: 5.0,
    };
    let known =
        InDistribution { mean: vec![1.0, 2.0], whitening: vec![0.5, 0.0, 0.25], max_distance: 3.0, max_energy: 0.0 };
    let measured_on = "nothing".to_owned();
    Gates { quality, in_distribution: known, quantile: 0.9, measured_on, flagged: Vec::new() }
}

#[test]
fn the_distance_counts_deviations() {
    let known = gates().in_distribution;
    assert_eq!(distance(&[1.0, 2.0], &known), 0.0);
    // Three deviations of 2 one way, four of 4 the other.
    assert_eq!(distance(&[7.0, -14.0], &known), 5.0);
    // Correlated: covariance [[4, 2], [2, 2]] has the factor [[2, 0], [1, 1]] and its inverse [[1/2, 0], [-1/2, 1]].
    let known = InDistribution { mean: vec![0.0, 0.0], whitening: vec![0.5, -0.5, 1.0], ..known };
    // d² = xᵀ S⁻¹ x with S⁻¹ = 1/4 [[2, -2], [-2, 4]]: (2 * 4 - 2 * 2 * 2 * 3 + 4 * 9) / 4 = 5.
    assert_eq!(distance(&[2.0, 3.0], &known), f64::sqrt(5.0));
}

#[test]
fn each_lapse_fails_its_own_gate() {
    let good = Quality {
        width: 40,
        height: 30,
        sharpness: 9.0,
        mean: 0.5,
        black_share: 0.0,
        white_share: 0.0,
        channels: vec![ChannelStatistics { mean: 0.75, std: 0.5 }],
    };
    let failed = |quality: &Quality| -> Vec<&'static str> {
        let results = quality.gates(&input(Channels::Grey), &gates());
        results.iter().filter(|result| !result.passed).map(|result| result.gate.name()).collect()
    };
    assert_eq!(failed(&good), [""; 0]);
    assert_eq!(failed(&Quality { width: 3, height: 3, ..good.clone() }), ["width"]);
    assert_eq!(failed(&Quality { width: 4, height: 2, ..good.clone() }), ["height"]);
    assert_eq!(failed(&Quality { width: 61, ..good.clone() }), ["aspect"]);
    assert_eq!(failed(&Quality { height: 81, ..good.clone() }), ["aspect"]);
    assert_eq!(failed(&Quality { mean: 0.2, ..good.clone() }), ["exposure"]);
    assert_eq!(failed(&Quality { mean: 0.8, ..good.clone() }), ["exposure"]);
    assert_eq!(failed(&Quality { black_share: 0.15, ..good.clone() }), ["black"]);
    assert_eq!(failed(&Quality { white_share: 0.25, ..good.clone() }), ["white"]);
    assert_eq!(failed(&Quality { sharpness: 4.9, ..good.clone() }), ["sharpness"]);
    let flat = vec![ChannelStatistics { mean: -2.0, std: 0.5 }];
    assert_eq!(failed(&Quality { channels: flat, ..good }), ["appearance"]);
}

#[test]
fn measuring_comes_after_resizing() {
    // Stripes of one pixel, which resizing to half the size averages away.
    let stripes = grey(8, 8, (0..64).map(|at| if at % 2 == 0 { 0 } else { 200 }).collect());
    let quality = Quality::of(&stripes, &input(Channels::Grey)).unwrap();
    assert_eq!((quality.width, quality.height), (8, 8));
    assert!(quality.sharpness < 1000.0, "{quality:?}");
    assert!(Quality::measure([8, 8], &stripes).sharpness > 100_000.0);
}

fn any_grey() -> impl Strategy<Value = Image> {
    (1_u32..20, 1_u32..20).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), (width * height) as usize)
            .prop_map(move |samples| grey(width, height, samples))
    })
}

proptest! {
    #[test]
    fn sixteen_bits_measure_what_eight_bits_do(image in any_grey()) {
        let (eight, sixteen) = (Quality::measure([1, 1], &image), Quality::measure([1, 1], &image.to_depth(Depth::Sixteen)));
        let pairs = [
            (eight.sharpness, sixteen.sharpness),
            (eight.mean, sixteen.mean),
            (eight.channels[0].std, sixteen.channels[0].std),
        ];
        for (eight, sixteen) in pairs {
            prop_assert!((eight - sixteen).abs() <= 1e-12 * eight.abs(), "{eight} {sixteen}");
        }
        prop_assert_eq!((eight.black_share, eight.white_share), (sixteen.black_share, sixteen.white_share));
    }

    #[test]
    fn turning_a_picture_changes_nothing_but_its_sides(image in any_grey()) {
        let mut samples = image.as_u8().to_vec();
        samples.reverse();
        let turned = grey(image.width, image.height, samples);
        prop_assert_eq!(Quality::measure([2, 1], &image), Quality::measure([2, 1], &turned));
    }

    #[test]
    fn a_picture_of_one_colour_is_neither_sharp_nor_varied(value: u8, width in 1_u32..20, height in 1_u32..20) {
        let quality = Quality::measure([1, 1], &grey(width, height, vec![value; (width * height) as usize]));
        prop_assert_eq!((quality.sharpness, quality.channels[0].std), (0.0, 0.0));
        prop_assert!((quality.mean - f64::from(value) / 255.0).abs() < 1e-15);
    }
}

/// Known numbers rather than a comparison of two code paths, so that the test says the same on every processor it runs on.
#[test]
fn every_processor_measures_the_same_bits() {
    let pixels: Vec<u8> = (0..64 * 48 * 3_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 21) as u8).collect();
    let quality = Quality::measure([64, 48], &Image::new(64, 48, Channels::Rgb, pixels));
    let bits = [quality.sharpness, quality.mean, quality.black_share, quality.white_share, quality.channels[2].std];
    let expected =
        [4680432821663013097, 4602693180375502778, 4580035721046145252, 4580192096033206727, 4598894027056611673];
    assert_eq!(bits.map(f64::to_bits), expected);
}
