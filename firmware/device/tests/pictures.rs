//! Whole pages against stored pictures, pixel for pixel. `REMEDIS_RENEW_PICTURES=1 cargo test -p remedis-device --test
//! pictures` renews them; look at each before committing it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use embedded_graphics::prelude::Size;
use remedis_bundle::Channels;
use remedis_device::ModelName;
use remedis_device::journal::Verdict;
use remedis_device::screen::{Page, Shown};
use remedis_imaging::Image;
use remedis_screen::LinkState;
use std::path::Path;
use std::sync::Arc;

/// A disc on a gradient, by whole numbers only.
fn disc() -> Arc<Image> {
    let pixel = |i: u32| {
        let (x, y) = (i % 96, i / 96);
        let far = x.abs_diff(48).pow(2) + y.abs_diff(48).pow(2);
        if far < 900 { [200 - far as u8 / 9, 90, 140] } else { [(x * 2) as u8, (y * 2) as u8, 120] }
    };
    Arc::new(Image::new(96, 96, Channels::Rgb, (0..96 * 96).flat_map(pixel).collect::<Vec<u8>>()))
}

fn page(verdict: Verdict) -> Page {
    Page {
        image: Some(disc()),
        verdict: Shown::Decided(verdict),
        model: ModelName {
            name: "cells student".into(),
            version: "1.2.0".into(),
            digest: "9f2c41d07ab3".into(),
            confidence_threshold: 0.7,
        },
        link: LinkState::Connected,
        n_frames: 128,
        is_stale: false,
    }
}

fn ring() -> Verdict {
    Verdict::Class { index: 1, name: "ring form".into(), confidence: 0.9312 }
}

fn check(name: &str, page: &Page, width: u32, height: u32) {
    let drawn = page.draw(Size::new(width, height));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(format!("{name}.png"));
    if std::env::var_os("REMEDIS_RENEW_PICTURES").is_some() {
        image::save_buffer(&path, drawn.pixels(), width, height, image::ExtendedColorType::Rgb8).unwrap();
    }
    let stored = image::open(&path).unwrap().into_rgb8();
    assert_eq!(stored.dimensions(), (width, height));
    let n_differing = stored.as_raw().chunks(3).zip(drawn.pixels().chunks(3)).filter(|(a, b)| a != b).count();
    assert_eq!(n_differing, 0, "{name}: {n_differing} pixels differ from {}", path.display());
}

#[test]
fn a_class_on_the_usual_panel() {
    check("class-800x480", &page(ring()), 800, 480);
}

#[test]
fn cannot_say_on_the_smallest_panel() {
    let reason = "confidence 0.52 is below the threshold 0.70".into();
    let verdict = Verdict::CannotSay { reason, index: 0, name: "schizont".into(), confidence: 0.5249 };
    let page = Page { link: LinkState::Receiving { percent: 40 }, is_stale: true, ..page(verdict) };
    check("cannot-say-320x240", &page, 320, 240);
}

#[test]
fn unreadable_on_a_portrait_panel() {
    let reason = "unreadable image: expected a PNG, JPEG or DICOM file, found other bytes".into();
    let page = Page { image: None, link: LinkState::Lost, ..page(Verdict::Unreadable { reason }) };
    check("unreadable-480x800", &page, 480, 800);
}

#[test]
fn an_old_result_on_the_largest_panel() {
    let page = Page { link: LinkState::Waiting, is_stale: true, ..page(ring()) };
    check("old-1280x800", &page, 1280, 800);
}
