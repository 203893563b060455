//! Every transform against a picture that other code made of the same one: `tools/peers/views_reference.py`.

use std::path::Path;

use remedis_imaging::{Depth, Image, decode};
use remedis_views::{
    Elastic, Frame, Planes, Stain, blur, brightness, contrast, equalise, grey, hue, saturation, stain,
};

const SIZE: [usize; 2] = [48, 40];

fn picture(name: &str) -> Image {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name).with_extension("png");
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    decode(&bytes, Depth::Eight).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Levels that differ by more than one, where both may round, are counted as different.
fn check(name: &str, found: &Image, most: u8) {
    let expected = picture(name);
    assert_eq!((found.width, found.height, found.channels), (expected.width, expected.height, expected.channels));
    let difference = |(a, b): (&u8, &u8)| a.abs_diff(*b);
    let worst = found.as_u8().iter().zip(expected.as_u8()).map(difference).max();
    assert!(worst <= Some(most), "{name}: a level is off by {worst:?}, expected at most {most}");
    // The transform changed something that the reference changed too.
    let changed = picture("picture").as_u8() != expected.as_u8();
    assert!(changed, "{name} is the picture itself");
}

fn changed(change: impl Fn(&mut Planes)) -> Image {
    let mut planes = Planes::from_image(&picture("picture"));
    change(&mut planes);
    planes.into_image()
}

fn whole() -> Frame {
    Frame::crop(SIZE, [0.0, 0.0, 48.0, 40.0])
}

#[test]
fn crops_are_pillows_bicubic_ones() {
    let seen = |size, part| Frame::crop(size, part).apply(&picture("picture"), None).into_image();
    check("crop", &seen([24, 20], [5.5, 3.25, 36.0, 30.0]), 1);
    check("crop_enlarged", &seen(SIZE, [10.0, 8.0, 24.0, 20.0]), 1);
}

#[test]
fn mirrors_and_turns_are_numpys() {
    let image = picture("picture");
    check("flip", &whole().flip_horizontal().apply(&image, None).into_image(), 0);
    check("rotation", &whole().rotate(25.0).apply(&image, None).into_image(), 1);
}

#[test]
fn colours_change_as_in_pythons_colorsys() {
    check("brightness", &changed(|planes| brightness(planes, 1.3)), 1);
    check("contrast", &changed(|planes| contrast(planes, 1.6)), 1);
    check("saturation", &changed(|planes| saturation(planes, 1.7)), 1);
    check("hue", &changed(|planes| hue(planes, -0.15)), 1);
    check("grey", &changed(grey), 1);
}

#[test]
fn blur_is_scipys_gaussian_filter() {
    check("blur", &changed(|planes| blur(planes, 0.5)), 1);
}

#[test]
fn equalisation_is_that_of_remedis() {
    check("equalise", &equalise(&picture("picture")), 0);
}

#[test]
fn elastic_deformation_is_scipys_spline() {
    let wave = |i: usize, j: usize| {
        let (i, j) = (i as f32, j as f32);
        [2.5 * (3.0 * i + 5.0 * j).sin(), 2.5 * (4.0 * i - 2.0 * j).cos()]
    };
    let elastic = Elastic::new(std::array::from_fn(|i| std::array::from_fn(|j| wave(i, j))));
    check("elastic", &whole().apply(&picture("picture"), Some(&elastic)).into_image(), 1);
}

#[test]
fn stains_are_scikit_images() {
    let change = Stain { factor: [1.1, 0.92, 1.05], offset: [0.01, -0.02, 0.015] };
    check("stain", &changed(|planes| stain(planes, &change)), 1);
}
