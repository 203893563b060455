//! Nothing is cut that must not be, nothing overlaps, and everything has contrast: on every page, in every language, at
//! every size. What is looked at is what the painter gets.

extern crate std;

mod record;
mod scenes;

use crate::{Language, LinkState, Reason, Severity, Theme, sheet::Page};
use embedded_graphics::prelude::*;
use proptest::prelude::*;
use record::{Record, faults};
use scenes::{Names, for_every_page};
use std::{format, string::String, vec::Vec};

/// What is sold as a panel.
const PANELS: [(u32, u32); 9] =
    [(320, 240), (480, 272), (480, 320), (640, 480), (800, 480), (1024, 600), (1024, 768), (1280, 720), (1280, 800)];

/// From the smallest panel to the largest, with what lies between, and all of them turned.
fn every_size() -> Vec<Size> {
    let between =
        (320..=1280).step_by(160).flat_map(|width| (240..=800).step_by(80).map(move |height| (width, height)));
    PANELS
        .into_iter()
        .chain(between)
        .filter(|&(width, height)| is_panel(width, height))
        .flat_map(|(width, height)| [Size::new(width, height), Size::new(height, width)])
        .collect()
}

/// Panels are between 4 to 3 and 2 to 1.
const fn is_panel(width: u32, height: u32) -> bool {
    width * 3 >= height * 4 && width <= height * 2
}

fn check_names(names: &Names, sizes: &[Size], theme: &Theme) {
    for &size in sizes {
        for language in Language::ALL {
            for_every_page(names, |what, page: &dyn Page| {
                let record = Record::of(page, theme, language, size);
                let faults = faults(&record);
                assert!(
                    faults.is_empty(),
                    "at {}x{} in {language:?}: {}\non the {what}",
                    size.width,
                    size.height,
                    faults.join("\n")
                );
            });
        }
    }
}

#[test]
fn ordinary_names_read_well_at_every_size() {
    check_names(&Names::ordinary(), &every_size(), &Theme::DARK);
}

#[test]
fn endless_names_read_well_at_every_size() {
    check_names(&Names::endless(), &every_size(), &Theme::DARK);
}

#[test]
fn missing_names_read_well_at_every_size() {
    check_names(&Names::default(), &every_size(), &Theme::DARK);
}

#[test]
fn a_bright_page_has_contrast_too() {
    let sizes = [Size::new(320, 240), Size::new(480, 800)];
    check_names(&Names::ordinary(), &sizes, &Theme::LIGHT);
}

/// With ordinary names no page on such a panel has to take smaller letters than the crate's documentation promises.
#[test]
fn letters_are_as_large_as_promised_on_the_usual_panels() {
    for (width, height) in PANELS {
        for size in [Size::new(width, height), Size::new(height, width)] {
            for language in Language::ALL {
                for_every_page(&Names::ordinary(), |what, page| {
                    let steps = Record::of(page, &Theme::DARK, language, size).steps;
                    assert_eq!(steps, 0, "{what} at {}x{} in {language:?}", size.width, size.height);
                });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_names_read_well_at_any_size(
        texts in prop::collection::vec("(\\PC|[a-z ]|\\s){0,60}", 10),
        (width, height) in (320..1400u32, 240..1000u32).prop_filter("no panel", |&(w, h)| is_panel(w, h)),
        is_portrait: bool,
    ) {
        let size = if is_portrait { Size::new(height, width) } else { Size::new(width, height) };
        check_names(&Names::from_texts(&texts), &[size], &Theme::DARK);
    }

    #[test]
    fn no_size_is_too_small_to_draw(width in 0..320u32, height in 0..240u32) {
        for_every_page(&Names::endless(), |_, page| {
            Record::of(page, &Theme::DARK, Language::German, Size::new(width, height));
        });
    }
}

/// A test of the test: the checks above do find what they look for.
#[test]
fn faults_are_found() {
    let record = Record::broken();
    let found = faults(&record);
    for kind in ["leaves the screen", "overlaps", "is cut", "breaks a word", "found no room", "contrast"] {
        assert!(found.iter().any(|fault| fault.contains(kind)), "{kind} is not among {found:?}");
    }
}

fn words_of(page: &dyn Page, language: Language) -> String {
    let record = Record::of(page, &Theme::DARK, language, Size::new(800, 480));
    record.words()
}

#[test]
fn every_reason_is_said_in_every_language() {
    for language in Language::ALL {
        let mut seen = Vec::new();
        for reason in scenes::REASONS {
            let said = reason.said(language.texts()).unwrap();
            assert!(!seen.contains(&said.sentence), "{language:?} says {} twice", said.sentence);
            seen.push(said.sentence);
        }
        assert!(Reason::Other("words").said(language.texts()).is_none());
    }
}

#[test]
fn the_worst_alarm_comes_first_and_the_rest_is_counted() {
    let (bands, alarms) = (scenes::bands(&[], "model"), scenes::alarms("camera"));
    let page = crate::AlarmPage { bands, alarms: &alarms };
    let words = words_of(&page, Language::English);
    let (critical, notice) = (words.find("CRITICAL").unwrap(), words.find("NOTICE"));
    assert!(notice.is_none_or(|notice| critical < notice), "{words}");
    let n_shown =
        words.matches("CRITICAL").count() + words.matches("WARNING").count() + words.matches("NOTICE").count();
    let n_left = alarms.len() - n_shown;
    assert!(n_left > 0 && words.contains(&format!("+ {n_left} more")), "{words}");
}

#[test]
fn a_lost_source_is_shown_before_those_that_work() {
    let sources = scenes::sources("line", 5);
    let page = scenes::status(scenes::bands(&sources, "model"));
    let words = words_of(&page, Language::German);
    let lost = LinkState::Lost.words(Language::German.texts());
    assert!(words.find(lost.as_str()).unwrap() < words.find("wartet").expect(&words), "{words}");
    assert!(words.contains("weitere"), "{words}");
}

#[test]
fn an_old_result_says_so_in_every_language() {
    for (language, mark) in [(Language::English, "OLD RESULT"), (Language::German, "ALTES ERGEBNIS")] {
        let page =
            scenes::live(scenes::bands(&[], "model"), crate::Verdict::Class { name: "ring", confidence_of_10000: 1 });
        assert!(!words_of(&page, language).contains(mark));
        assert!(words_of(&crate::LivePage { is_stale: true, ..page }, language).contains(mark));
    }
}

#[test]
fn severities_are_ordered() {
    assert!(Severity::Notice < Severity::Warning && Severity::Warning < Severity::Critical);
}
