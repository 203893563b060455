//! Views of 16-bit films: what lies below a step of 8 bits goes through every change.

use remedis_imaging::{Channels, Depth, Image, Preprocessing, Resize, Samples, normalise};
use remedis_views::{Chance, Elastic, Frame, Key, Planes, Policy, Views, blur, brightness, contrast, equalise, view};

const SIZE: [usize; 2] = [24, 24];

/// 48 x 48: squares of 6 pixels, 160 levels of 65,536 brighter than what is between them; in 8 bits one grey.
fn film() -> Image {
    let square = |at: u16| (at % 48 / 6 + at / 48 / 6) % 2;
    Image::new(48, 48, Channels::Grey, (0..48 * 48).map(|at| 0x3fd0 + 160 * square(at)).collect::<Vec<u16>>())
}

/// Brightest less darkest, in steps of 16 bits.
fn range(planes: Planes) -> f32 {
    let (width, height) = (SIZE[0] as u32, SIZE[1] as u32);
    let (channels, depth_bits, resize) = (Channels::Grey, Depth::Sixteen, Resize::Stretch);
    // Values as they are.
    let plain = Preprocessing { width, height, channels, depth_bits, resize, mean: vec![0.0], std: vec![1.0] };
    let values = planes.into_input(&plain);
    let [least, most] = [f32::min, f32::max].map(|of| values.iter().copied().reduce(of).unwrap_or(f32::NAN));
    (most - least) * 65_535.0
}

fn chance(sample: u64) -> Chance {
    Key { sample, ..Key::new(3, "depth") }.chance()
}

fn flat() -> Image {
    let flat = film().to_depth(Depth::Eight).into_owned();
    assert!(flat.as_u8().iter().all(|&sample| sample == 64));
    flat
}

#[test]
fn an_unchanged_film_has_the_numbers_of_the_one_preprocessing_path() {
    let image = Image::new(256, 256, Channels::Grey, (0..=u16::MAX).collect::<Vec<_>>());
    let (channels, depth_bits, resize) = (Channels::Grey, Depth::Sixteen, Resize::Stretch);
    let (mean, std) = (vec![0.485], vec![0.229]);
    let wanted = Preprocessing { width: 256, height: 256, channels, depth_bits, resize, mean, std };
    let seen = view(&image, [256; 2], &Policy::None.views(), &mut chance(0));
    assert_eq!(seen.into_input(&wanted), normalise(&image, &wanted));
    assert_eq!(Planes::from_image(&image).into_input(&wanted), normalise(&image, &wanted));
}

#[test]
fn crops_turns_and_deformations_keep_the_squares() {
    let whole = || Frame::crop(SIZE, [0.0, 0.0, 48.0, 48.0]);
    let elastic = Elastic::draw(0.5, &mut chance(0));
    for (name, frame, elastic) in [
        ("whole", whole(), None),
        ("crop", Frame::crop(SIZE, [5.0, 3.0, 30.0, 30.0]), None),
        ("mirror", whole().flip_horizontal(), None),
        ("quarter", whole().quarter_turns(1), None),
        ("turn", whole().rotate(15.0), None),
        ("elastic", whole(), Some(&elastic)),
    ] {
        let kept = range(frame.apply(&film(), elastic));
        // Bicubic overshoots at edges, by up to an eighth either side.
        assert!((140.0..=200.0).contains(&kept), "{name}: {kept} of 160");
        assert_eq!(range(frame.apply(&flat(), elastic)), 0.0, "{name}");
    }
}

#[test]
fn brightness_contrast_and_blur_scale_what_they_should() {
    let changed = |change: &dyn Fn(&mut Planes)| {
        let mut planes = Frame::crop(SIZE, [0.0, 0.0, 48.0, 48.0]).apply(&film(), None);
        let before = range(planes.clone());
        change(&mut planes);
        range(planes) / before
    };
    assert!((changed(&|planes| brightness(planes, 1.5)) - 1.5).abs() < 1e-3);
    assert!((changed(&|planes| contrast(planes, 0.5)) - 0.5).abs() < 1e-3);
    let blurred = changed(&|planes| blur(planes, 1.0));
    assert!((0.3..0.99).contains(&blurred), "{blurred}");
}

#[test]
fn equalisation_spreads_levels_that_differ_in_the_lower_byte() {
    let image = Image::new(4, 1, Channels::Grey, vec![16_400_u16, 16_401, 16_402, 16_403]);
    assert_eq!(equalise(&image).samples, Samples::from(vec![0_u16, 21_845, 43_690, 65_535]));
    let flat = Image::new(2, 1, Channels::Grey, vec![16_400_u16; 2]);
    assert_eq!(equalise(&flat), flat);
    // A picture of 8 bits is spread over the same levels.
    let pixels = (0..400_u32).map(|at| (at * at % 97) as u8).collect::<Vec<_>>();
    let shallow = Image::new(20, 20, Channels::Grey, pixels);
    let deep = equalise(&shallow.to_depth(Depth::Sixteen)).to_depth(Depth::Eight).into_owned();
    let far = |(a, b): (&u8, &u8)| a.abs_diff(*b);
    assert!(deep.as_u8().iter().zip(equalise(&shallow).as_u8()).map(far).max() <= Some(1));
}

/// The same draw of the same picture at both depths is the same view, but for rounding: where 8 bits round between the steps.
#[test]
fn every_policy_sees_one_picture_at_either_depth() {
    let pixels = (0..48 * 48_u32).map(|at| (at % 48 * 3 + at / 48 * 2) as u8).collect::<Vec<_>>();
    let shallow = Image::new(48, 48, Channels::Grey, pixels);
    let deep = shallow.to_depth(Depth::Sixteen).into_owned();
    for policy in Policy::ALL {
        for sample in 0..6 {
            // Equalisation multiplies what rounding leaves.
            let views = Views { equalise: 0.0, ..policy.views() };
            let seen = |image: &Image| view(image, SIZE, &views, &mut chance(sample)).into_image();
            let (one, other) = (seen(&shallow), seen(&deep));
            let worst = one.as_u8().iter().zip(other.as_u8()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(3), "{policy:?} {sample}: {worst:?}");
        }
    }
}

/// The views of radiographs, drawn as training draws them.
#[test]
fn no_view_of_a_radiology_policy_loses_the_squares() {
    for policy in [Policy::Radiology, Policy::RadiologyMild] {
        for sample in 0..40 {
            let of = |image: &Image| range(view(image, SIZE, &policy.views(), &mut chance(sample)));
            let kept = of(&film());
            assert!(kept > 60.0, "{policy:?} {sample}: {kept} of 160");
            assert!(of(&flat()) < 0.1, "{policy:?} {sample}");
        }
    }
}
