//! One view.

use remedis_imaging::Image;

use crate::blur::blur;
use crate::chance::Chance;
use crate::colour::{brightness, contrast, grey, hue, saturation};
use crate::elastic::Elastic;
use crate::equalise::equalise;
use crate::frame::Frame;
use crate::planes::Planes;
use crate::policy::Views;
use crate::stain::{Stain, stain};

/// Draws one view of `image`, `size` is its `[width, height]`, with the settings of `views`. Channels stay.
///
/// # Panics
/// If the image or the view is empty.
#[must_use]
pub fn view(image: &Image, size: [usize; 2], views: &Views, chance: &mut Chance) -> Planes {
    let n_samples = image.samples.len();
    assert!(size[0] * size[1] > 0 && n_samples > 0, "a view of {size:?} of {n_samples} samples");
    let equalised = chance.coin(views.equalise).then(|| equalise(image));
    let frame = Frame::draw(size, [image.width, image.height], views, chance);
    let sigma = views.elastic_share * size[0].min(size[1]) as f32;
    let elastic = chance.coin(views.elastic).then(|| Elastic::draw(sigma, chance));
    let mut planes = frame.apply(equalised.as_ref().unwrap_or(image), elastic.as_ref());
    if chance.coin(views.stain) {
        stain(&mut planes, &Stain::draw(views.stain_reach, chance));
    }
    if chance.coin(views.jitter) {
        jitter(&mut planes, views.strength, chance);
    }
    if chance.coin(views.grey) {
        grey(&mut planes);
    }
    if chance.coin(views.blur) {
        blur(&mut planes, chance.uniform(0.1, 2.0));
    }
    planes
}

/// Brightness, contrast, saturation and hue, in random order, clipped after each.
fn jitter(planes: &mut Planes, strength: f32, chance: &mut Chance) {
    let mut order = [0, 1, 2, 3];
    chance.shuffle(&mut order);
    let reach = 0.8 * strength;
    for step in order {
        let factor = chance.uniform((1.0 - reach).max(0.0), 1.0 + reach);
        match step {
            0 => brightness(planes, factor),
            1 => contrast(planes, factor),
            2 => saturation(planes, factor),
            _ => hue(planes, chance.uniform(-0.2 * strength, 0.2 * strength)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Policy};
    use remedis_imaging::Channels;

    fn picture() -> Image {
        let pixels: Vec<u8> = (0..16 * 16 * 3).map(|i| ((i * 37) % 251) as u8).collect();
        Image::new(16, 16, Channels::Rgb, pixels)
    }

    #[test]
    fn no_change_is_asked_for_and_none_is_made() {
        let image = picture();
        let mut chance = Key::new(1, "test").chance();
        assert_eq!(view(&image, [16, 16], &Policy::None.views(), &mut chance).into_image().as_u8(), image.as_u8());
    }

    #[test]
    fn every_policy_gives_the_size_asked_for_and_changes_the_pixels() {
        let image = picture();
        for policy in Policy::ALL.into_iter().filter(|policy| *policy != Policy::None) {
            let seen = view(&image, [8, 12], &policy.views(), &mut Key::new(1, "test").chance()).into_image();
            assert_eq!((seen.width, seen.height, seen.samples.len()), (8, 12, 288), "{policy:?}");
            let plain = view(&image, [8, 12], &Policy::None.views(), &mut Key::new(1, "test").chance()).into_image();
            assert_ne!(seen.as_u8(), plain.as_u8(), "{policy:?}");
        }
    }

    #[test]
    fn one_key_gives_one_view() {
        let image = picture();
        let draw = |view_index| {
            let key = Key { view: view_index, ..Key::new(7, "test") };
            view(&image, [16, 16], &Policy::Microscopy.views(), &mut key.chance())
        };
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
    }

    #[test]
    fn a_grey_image_stays_one_channel() {
        let image = Image::new(8, 8, Channels::Grey, (0..64).map(|i| i * 4).collect::<Vec<u8>>());
        let seen = view(&image, [8, 8], &Policy::SimClr.views(), &mut Key::new(1, "test").chance());
        assert_eq!(seen.into_image().samples.len(), 64);
    }
}
