//! What 16 bits a sample are for, from the file to the float.

use proptest::prelude::*;
use remedis_imaging::{Channels, Depth, Image, Preprocessing, Resize, Samples, decode, encode_png, prepare, resize};

fn input(side: u32, depth_bits: Depth) -> Preprocessing {
    let (mean, std) = (vec![0.25], vec![0.5]);
    Preprocessing {
        width: side,
        height: side,
        channels: Channels::Grey,
        depth_bits,
        resize: Resize::Stretch,
        mean,
        std,
    }
}

/// Samples of a picture of 16 bits.
fn deep(image: &Image) -> &[u16] {
    match &image.samples {
        Samples::Sixteen(samples) => samples,
        Samples::Eight(_) => panic!("a picture of 8 bits"),
    }
}

/// 64 x 64: from left to right 128 levels, two a column, all of which are 64 in 8 bits.
fn ramp() -> Image {
    let samples = (0..64 * 64).map(|at: u16| 64 * 257 - 64 + 2 * (at % 64)).collect::<Vec<_>>();
    Image::new(64, 64, Channels::Grey, samples)
}

#[test]
fn what_lies_in_the_lower_byte_arrives_as_floats_and_vanishes_at_8_bits() {
    let png = encode_png(&ramp());
    let read = decode(&png, Depth::Sixteen).unwrap();
    assert_eq!(read, ramp());
    // Halved: the mean of neighbours, weighted by a triangle, is the middle between two columns, 3, 7, ... above the darkest.
    let small = resize(&read, &input(32, Depth::Sixteen)).unwrap();
    let row = &deep(&small)[..32];
    assert_eq!(row[15] - row[14], 4);
    assert!(row.windows(2).all(|pair| (3..=5).contains(&(pair[1] - pair[0]))), "{row:?}");
    let floats = prepare(&read, &input(32, Depth::Sixteen)).unwrap();
    let step = f64::from(floats[15]) - f64::from(floats[14]);
    assert!((step - 4.0 / 65_535.0 / 0.5).abs() < 1e-7, "{step}");

    let shallow = decode(&png, Depth::Eight).unwrap();
    assert_eq!(shallow.samples, Samples::from(vec![64_u8; 64 * 64]));
    let floats = prepare(&shallow, &input(32, Depth::Eight)).unwrap();
    assert!(floats.iter().all(|&value| value == floats[0]));
}

#[test]
fn a_picture_of_8_bits_means_the_same_at_16() {
    let pixels = (0..64 * 64).map(|at: u32| (at * at % 251) as u8).collect::<Vec<_>>();
    let png = encode_png(&Image::new(64, 64, Channels::Grey, pixels));
    let [shallow, wide] = [Depth::Eight, Depth::Sixteen].map(|depth| decode(&png, depth).unwrap());
    let floats = |image, side, depth| prepare(image, &input(side, depth)).unwrap();
    // As large as it is: the same bits. Resized: 16 bits round later.
    assert_eq!(floats(&shallow, 64, Depth::Eight), floats(&wide, 64, Depth::Sixteen));
    for (a, b) in floats(&shallow, 23, Depth::Eight).into_iter().zip(floats(&wide, 23, Depth::Sixteen)) {
        assert!((a - b).abs() <= 1.01 / 255.0 / 0.5, "{a} {b}");
    }
    // A picture that comes in 8 bits, as a camera's does, is widened on the way.
    assert_eq!(floats(&shallow, 23, Depth::Sixteen), floats(&wide, 23, Depth::Sixteen));
}

#[test]
fn png_of_every_kind_is_read_at_16_bits() {
    let of = |colour, samples: &[u16]| {
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        let samples: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
        image::ImageEncoder::write_image(encoder, &samples, 1, 1, colour).unwrap();
        decode(&bytes, Depth::Sixteen).unwrap()
    };
    use image::ExtendedColorType::{L16, La16, Rgb16, Rgba16};
    assert_eq!(deep(&of(L16, &[0x1234])), [0x1234]);
    assert_eq!(deep(&of(La16, &[0x1234, 9])), [0x1234]);
    assert_eq!(deep(&of(Rgb16, &[0x1234, 7, 0xffff])), [0x1234, 7, 0xffff]);
    assert_eq!(deep(&of(Rgba16, &[0x1234, 7, 0xffff, 9])), [0x1234, 7, 0xffff]);
    // Three equal colours are that grey.
    assert_eq!(deep(&of(Rgb16, &[0x1234; 3]).to_grey()), [0x1234]);
}

/// Known digests rather than a comparison of two code paths, so that the test says the same on every processor it runs on.
#[test]
fn every_processor_gives_the_same_samples() {
    let samples = (0..640 * 427_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u16).collect::<Vec<_>>();
    let image = Image::new(640, 427, Channels::Grey, samples);
    let digest = |side| {
        let wanted = Preprocessing { resize: Resize::CentreCrop, ..input(side, Depth::Sixteen) };
        let resized = resize(&image, &wanted).unwrap();
        // FNV-1a, 64 bits.
        resized.samples.to_le_bytes().iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
    };
    let expected = [2433334126912652404, 4773361789576600137, 16082919801421324995, 1413258799712503606];
    assert_eq!([32, 64, 96, 224].map(digest), expected);
}

proptest! {
    #[test]
    fn resizing_keeps_the_range_and_constants(
        low: u16, high: u16, width in 1_u32..60, height in 1_u32..60, side in 1_u32..60, seed: u32,
    ) {
        let (low, high) = (low.min(high), low.max(high));
        let one = |at: u32| low + ((u64::from(at.wrapping_mul(seed | 1)) * u64::from(high - low)) >> 32) as u16;
        let image = Image::new(width, height, Channels::Grey, (0..width * height).map(one).collect::<Vec<u16>>());
        let resized = resize(&image, &input(side, Depth::Sixteen)).unwrap();
        prop_assert!(deep(&resized).iter().all(|sample| (low..=high).contains(sample)));
        let constant = Image::new(width, height, Channels::Grey, vec![low; (width * height) as usize]);
        let resized = resize(&constant, &input(side, Depth::Sixteen)).unwrap();
        prop_assert!(deep(&resized).iter().all(|&sample| sample == low));
    }
}
