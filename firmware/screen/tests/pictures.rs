//! Whole pages against stored pictures, pixel for pixel, on whatever processor runs this.
//!
//! `REMEDIS_RENEW_PICTURES=1 cargo test -p remedis-screen --test pictures` renews them; look at each before committing
//! it. A page that differs is left, with a picture of the differences, in the folder that the failure names.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod scene;

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use remedis_screen::{Language, Theme};
use std::convert::Infallible;
use std::path::Path;

/// A page in memory.
struct Canvas(RgbImage);

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            assert!(self.bounding_box().contains(point), "{point} is not on the screen");
            let [x, y] = [point.x, point.y].map(i32::cast_unsigned);
            self.0.put_pixel(x, y, image::Rgb([colour.r(), colour.g(), colour.b()]));
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Rgb888) -> Result<(), Infallible> {
        self.draw_iter(area.points().map(|point| Pixel(point, colour)))
    }
}

type Draw = fn(&Theme, Language, &mut Canvas) -> Result<(), Infallible>;

const EVERY_SIZE: [(u32, u32); 5] = [(320, 240), (480, 320), (800, 480), (1280, 800), (480, 800)];

fn check(scene: &str, draw: Draw, theme: &Theme, language: Language, (width, height): (u32, u32)) {
    let mut canvas = Canvas(RgbImage::from_pixel(width, height, image::Rgb([255, 0, 255])));
    let Ok(()) = draw(theme, language, &mut canvas);
    let name = format!("{scene}-{width}x{height}-{}.png", language.code());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(&name);
    let stored = image::open(&path).map(|stored| stored.into_rgb8());
    if stored.as_ref().is_ok_and(|stored| *stored == canvas.0) {
        return;
    }
    if std::env::var_os("REMEDIS_RENEW_PICTURES").is_some() {
        return save(&path, &canvas.0);
    }
    let stored = stored.unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    save(&folder.join(&name), &canvas.0);
    save(&folder.join(format!("diff-{name}")), &difference(&stored, &canvas.0));
    panic!("{name} is not as stored; see it and diff-{name} in {}", folder.display());
}

fn save(path: &Path, picture: &RgbImage) {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::NoFilter)
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The new picture faintly, with what differs in magenta; as large as the new one.
fn difference(stored: &RgbImage, drawn: &RgbImage) -> RgbImage {
    RgbImage::from_fn(drawn.width(), drawn.height(), |x, y| {
        let new = drawn.get_pixel(x, y);
        if stored.get_pixel_checked(x, y) == Some(new) {
            image::Rgb(new.0.map(|v| v / 4))
        } else {
            image::Rgb([255, 0, 255])
        }
    })
}

fn check_every_size(scene: &str, draw: Draw) {
    for language in Language::ALL {
        for size in EVERY_SIZE {
            check(scene, draw, &Theme::DARK, language, size);
        }
    }
}

#[test]
fn live_page_with_an_old_refusal_to_name_a_class() {
    check_every_size("live-cannot-say", scene::live_cannot_say);
}

#[test]
fn live_page_with_a_class_and_its_heat_map() {
    check("live-class", scene::live_class, &Theme::DARK, Language::English, (800, 480));
    check("live-class", scene::live_class, &Theme::DARK, Language::German, (320, 240));
    check("live-class", scene::live_class, &Theme::DARK, Language::German, (480, 800));
    check("live-wide", scene::live_wide, &Theme::DARK, Language::English, (800, 480));
    check("live-class-light", scene::live_class, &Theme::LIGHT, Language::English, (800, 480));
}

#[test]
fn live_page_without_a_result() {
    check("live-ready", scene::live_ready, &Theme::DARK, Language::English, (480, 320));
    check("live-working", scene::live_working, &Theme::DARK, Language::German, (480, 320));
    check("live-unreadable", scene::live_unreadable, &Theme::DARK, Language::English, (320, 240));
    check("live-unreadable", scene::live_unreadable, &Theme::DARK, Language::German, (800, 480));
    check("live-fault", scene::live_fault, &Theme::DARK, Language::German, (320, 240));
}

#[test]
fn results_page() {
    check_every_size("results", scene::results);
    check("results-none", scene::results_none, &Theme::DARK, Language::German, (320, 240));
    check("results-light", scene::results, &Theme::LIGHT, Language::German, (800, 480));
}

#[test]
fn trend_page() {
    check_every_size("trend", scene::trend);
    check("trend-none", scene::trend_none, &Theme::DARK, Language::English, (320, 240));
    check("trend-days", scene::trend_days, &Theme::DARK, Language::German, (320, 240));
    check("trend-light", scene::trend, &Theme::LIGHT, Language::English, (800, 480));
}

#[test]
fn status_page() {
    check_every_size("status", scene::status);
    check("status-trouble", scene::status_trouble, &Theme::DARK, Language::German, (320, 240));
    check("status-trouble", scene::status_trouble, &Theme::DARK, Language::English, (800, 480));
    check("status-light", scene::status, &Theme::LIGHT, Language::German, (800, 480));
}

#[test]
fn alarm_page() {
    check_every_size("alarms", scene::alarms);
    check("alarms-none", scene::alarms_none, &Theme::DARK, Language::German, (800, 480));
    check("alarms-light", scene::alarms, &Theme::LIGHT, Language::German, (800, 480));
}

/// Every picture that is stored is one that a test draws.
#[test]
fn no_picture_is_left_over() {
    let own = include_str!("pictures.rs");
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let scene = name.rsplitn(3, '-').nth(2).unwrap();
        assert!(own.contains(&format!("\"{scene}\"")), "{name} belongs to no test");
    }
}
