//! Views: one random, label-keeping change of an image, as bytes at input size.
//!
//! Order and constants follow the REMEDIS code (`data_util.py` of google-research/medical-ai-research-foundations), with two
//! deviations: every geometric change is folded into one bilinear resampling, so pixels are interpolated once; and images
//! are mirrored, not blackened, beyond their edge, so a turned cell has no black corners to be recognised by.
//! Resizing to input size and normalising are not done here but in `remedis-imaging`.

mod colour;
mod frame;
mod policy;

use remedis_imaging::{Channels, Image};

pub use colour::{Planes, blur, brightness, contrast, equalise, grey, hue, saturation};
pub use frame::Frame;
pub use policy::{Policy, Views};

use crate::chance::Chance;

/// Draws one view of `image` with the settings of `views`. Size and channels stay.
#[must_use]
pub fn view(image: &Image, views: &Views, chance: &mut Chance) -> Image {
    let equalised = chance.coin(views.equalise).then(|| equalise(image));
    let frame = Frame::draw(image.width, image.height, views, chance);
    let framed = frame.apply(equalised.as_ref().unwrap_or(image));

    let jitters = chance.coin(views.jitter);
    let greys = chance.coin(views.grey) && image.channels == Channels::Rgb;
    let blurs = chance.coin(views.blur);
    if !(jitters || greys || blurs) {
        return framed;
    }
    let mut planes = Planes::from_image(&framed);
    if jitters {
        jitter(&mut planes, views.strength, chance);
    }
    if greys {
        grey(&mut planes);
    }
    if blurs {
        blur(&mut planes, chance.uniform(0.1, 2.0));
    }
    planes.into_image()
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
    use crate::chance::Key;

    fn picture() -> Image {
        let pixels = (0..16 * 16 * 3).map(|i| ((i * 37) % 251) as u8).collect();
        Image { width: 16, height: 16, channels: Channels::Rgb, pixels }
    }

    #[test]
    fn no_change_is_asked_for_and_none_is_made() {
        let image = picture();
        let mut chance = Key::new(1, "test").chance();
        assert_eq!(view(&image, &Policy::None.views(), &mut chance).pixels, image.pixels);
    }

    #[test]
    fn every_policy_keeps_the_geometry_and_changes_the_pixels() {
        let image = picture();
        for policy in
            [Policy::Natural, Policy::Microscopy, Policy::MicroscopyMild, Policy::Radiology, Policy::RadiologyMild]
        {
            let seen = view(&image, &policy.views(), &mut Key::new(1, "test").chance());
            assert_eq!((seen.width, seen.height, seen.pixels.len()), (16, 16, 768), "{policy:?}");
            assert_ne!(seen.pixels, image.pixels, "{policy:?}");
        }
    }

    #[test]
    fn one_key_gives_one_view() {
        let image = picture();
        let draw = |view_index| {
            let key = Key { view: view_index, ..Key::new(7, "test") };
            view(&image, &Policy::Microscopy.views(), &mut key.chance()).pixels
        };
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
    }

    #[test]
    fn a_grey_image_stays_one_channel() {
        let image = Image { width: 8, height: 8, channels: Channels::Grey, pixels: (0..64).map(|i| i * 4).collect() };
        let seen = view(&image, &Policy::Radiology.views(), &mut Key::new(1, "test").chance());
        assert_eq!(seen.pixels.len(), 64);
    }
}
