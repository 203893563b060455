use proptest::prelude::*;

use remedis_bundle::Depth;

use super::*;

fn input(width: u32, height: u32, channels: Channels, resize: Resize) -> Preprocessing {
    let count = channels.count();
    Preprocessing {
        width,
        height,
        channels,
        depth_bits: Depth::Eight,
        resize,
        mean: vec![0.5; count],
        std: vec![0.25; count],
    }
}

fn any_image() -> impl Strategy<Value = Image> {
    (1_u32..40, 1_u32..40, any::<bool>()).prop_flat_map(|(width, height, is_grey)| {
        let channels = if is_grey { Channels::Grey } else { Channels::Rgb };
        let samples = width as usize * height as usize * channels.count();
        prop::collection::vec(any::<u8>(), samples).prop_map(move |pixels| Image::new(width, height, channels, pixels))
    })
}

fn any_input() -> impl Strategy<Value = Preprocessing> {
    (1_u32..40, 1_u32..40, any::<bool>(), any::<bool>()).prop_map(|(width, height, is_grey, is_cropped)| {
        let channels = if is_grey { Channels::Grey } else { Channels::Rgb };
        input(width, height, channels, if is_cropped { Resize::CentreCrop } else { Resize::Stretch })
    })
}

proptest! {
    #[test]
    fn resizing_keeps_the_range(image in any_image(), wanted in any_input()) {
        let wanted = Preprocessing { channels: image.channels, ..wanted };
        let resized = resize(&image, &wanted).unwrap();
        let range = |pixels: &[u8]| (pixels.iter().copied().min(), pixels.iter().copied().max());
        let ((low, high), (new_low, new_high)) = (range(image.as_u8()), range(resized.as_u8()));
        prop_assert!(low <= new_low && new_high <= high);
    }

    #[test]
    fn a_constant_picture_stays_constant(value: u8, width in 1_u32..90, height in 1_u32..90, wanted in any_input()) {
        let pixels: Vec<u8> = vec![value; (width * height * 3) as usize];
        let resized = resize(&Image::new(width, height, Channels::Rgb, pixels), &wanted).unwrap();
        prop_assert!(resized.as_u8().iter().all(|&pixel| pixel == value));
    }
}

/// Known digests rather than a comparison of two code paths, so that the test says the same on every processor it runs on.
#[test]
fn every_processor_gives_the_same_bytes() {
    let pixels: Vec<u8> = (0..640 * 427 * 3_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 21) as u8).collect();
    let image = Image::new(640, 427, Channels::Rgb, pixels);
    let digest = |side| {
        let resized = resize(&image, &input(side, side, Channels::Rgb, Resize::CentreCrop)).unwrap();
        // FNV-1a, 64 bits.
        resized.as_u8().iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, pixel| {
            (hash ^ u64::from(*pixel)).wrapping_mul(0x0000_0100_0000_01B3)
        })
    };
    let expected = [16502911133854670566, 9654218275069593769, 11341392200250396255, 15038482195998189809];
    assert_eq!([32, 64, 96, 224].map(digest), expected);
}

#[test]
fn halving_averages_with_a_triangle() {
    // Antialiased bilinear at half size weighs 1 3 3 1, and at a border what is left of it.
    let image = Image::new(4, 1, Channels::Grey, vec![0_u8, 0, 80, 80]);
    let halved = resize(&image, &input(2, 1, Channels::Grey, Resize::Stretch)).unwrap();
    assert_eq!(halved.as_u8(), [11, 69]);
}

#[test]
fn centre_crop_drops_the_ends_and_stretch_keeps_them() {
    let image = Image::new(4, 2, Channels::Grey, vec![0_u8, 100, 100, 0, 0, 100, 100, 0]);
    let cropped = resize(&image, &input(2, 2, Channels::Grey, Resize::CentreCrop)).unwrap();
    assert_eq!(cropped.as_u8(), [100; 4]);
    let stretched = resize(&image, &input(2, 2, Channels::Grey, Resize::Stretch)).unwrap();
    assert!(stretched.as_u8().iter().all(|&pixel| pixel < 100), "{:?}", stretched.as_u8());
}

#[test]
fn what_is_seen_is_the_middle_or_all() {
    let of = |size, shape| seen(size, &input(2, 1, Channels::Grey, shape));
    assert_eq!(of([400, 400], Resize::CentreCrop), [0.0, 0.25, 1.0, 0.5]);
    assert_eq!(of([400, 100], Resize::CentreCrop), [0.25, 0.0, 0.5, 1.0]);
    assert_eq!(of([400, 100], Resize::Stretch), [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn normalised_values_are_planes_of_standard_scores() {
    let image = Image::new(2, 1, Channels::Rgb, vec![255_u8, 0, 51, 0, 255, 51]);
    let wanted = Preprocessing {
        mean: vec![0.5, 0.0, 0.2],
        std: vec![0.5, 1.0, 0.1],
        ..input(2, 1, Channels::Rgb, Resize::Stretch)
    };
    assert_eq!(prepare(&image, &wanted).unwrap(), [1.0, -1.0, 0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn grey_weighs_green_most() {
    let image = Image::new(3, 1, Channels::Rgb, vec![255_u8, 0, 0, 0, 255, 0, 0, 0, 255]);
    assert_eq!(image.to_grey().as_u8(), [77, 149, 29]);
}

#[test]
fn an_empty_input_and_a_missing_mean_are_refused() {
    let image = Image::new(1, 1, Channels::Grey, vec![7_u8]);
    let empty = input(0, 4, Channels::Grey, Resize::Stretch);
    assert!(matches!(prepare(&image, &empty), Err(PrepareError::EmptyInput { width: 0, height: 4 })));
    let without = Preprocessing { mean: vec![], ..input(1, 1, Channels::Grey, Resize::Stretch) };
    assert!(matches!(prepare(&image, &without), Err(PrepareError::Normalisation { means: 0, .. })));
}
