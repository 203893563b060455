//! The pages as Chromium shows them: nothing sticks out, overlaps or is too faint at any width, nothing comes from
//! elsewhere, and whole pages look as they did when somebody last looked at them.
//!
//! `REMEDIS_RENEW_PICTURES=1 cargo test -p remedis-web --test browser` renews the pictures; look at each before committing
//! it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

#[path = "../device/mod.rs"]
mod device;
mod devtools;
mod parts;

use device::{Device, NEWEST, Names, TOKEN, settings};
use devtools::Browser;
use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use parts::{Changed, changed};
use remedis_web::{Event, Language, Running, Settings, serve};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LAYOUT: &str = include_str!("layout.js");
const WIDTHS: [u32; 5] = [360, 480, 800, 1024, 1280];
const PAGES: [&str; 7] = ["/", "/results", "/results/1284", "/results/1283", "/results/1281", "/trend", "/nothing"];

struct Visitor {
    browser: Browser,
    running: Running,
    device: Arc<Device>,
}

impl Visitor {
    /// Somebody with a browser; none where there is no Chromium.
    fn new(language: Language) -> Option<Self> {
        // Few results: a picture of twenty would be long.
        Self::of(
            Device { oldest: NEWEST - 4, ..Device::default() },
            Settings { language: Some(language), ..settings() },
        )
    }

    /// The same, of a device that others have named.
    fn of(device: Device, settings: Settings) -> Option<Self> {
        let (browser, device) = (Browser::start()?, Arc::new(device));
        // A page that reloads in the middle of a picture would spoil it.
        let running = serve(Settings { refresh_s: 0, ..settings }, device.clone()).unwrap();
        Some(Self { browser, running, device })
    }

    fn go_to(&mut self, path: &str) {
        self.browser.go_to(&format!("http://{}{path}", self.running.address()));
    }

    /// As people do it: by typing.
    fn log_in(&mut self) {
        self.go_to("/login");
        self.browser.type_and_enter("#token", TOKEN);
        assert_eq!(self.browser.evaluate("location.pathname"), "/", "logged in");
    }

    fn assert_reads_well(&mut self, what: &str) {
        let faults = self.browser.evaluate(LAYOUT);
        assert_eq!(faults.as_array().map(Vec::len), Some(0), "{what}: {faults:#}");
    }

    /// Logs in, and asserts that every page reads well at these widths, and dark at 800 pixels.
    fn look_at_every_page(&mut self, what: &str, widths: &[u32]) {
        self.browser.resize(360, 800, false);
        self.go_to("/login");
        self.assert_reads_well("login");
        self.log_in();
        for path in PAGES {
            self.go_to(path);
            for &width in widths {
                self.browser.resize(width, 800, false);
                self.assert_reads_well(&format!("{path} {what} {width}"));
            }
            self.browser.resize(800, 480, true);
            self.assert_reads_well(&format!("{path} {what}, dark"));
        }
    }

    fn picture(&mut self) -> RgbImage {
        image::load_from_memory(&self.browser.screenshot()).unwrap().into_rgb8()
    }

    /// Every request went to the device, and nothing offended against the pages' own policy.
    fn assert_kept_to_the_device(&mut self) {
        let own = format!("http://{}/", self.running.address());
        let requests = self.browser.take_events("Network.requestWillBeSent");
        assert!(!requests.is_empty());
        for request in requests {
            assert!(request["params"]["request"]["url"].as_str().unwrap().starts_with(&own), "{request}");
        }
        for entry in self.browser.take_events("Log.entryAdded") {
            let entry = &entry["params"]["entry"];
            let is_expected =
                entry["url"].as_str().is_some_and(|url| url.ends_with("/nothing") || url.ends_with("/login"));
            assert!(entry["level"] != "error" || is_expected, "{entry}");
        }
    }
}

#[test]
fn every_page_reads_well_at_every_width_in_both_languages_light_and_dark() {
    for language in [Language::English, Language::German] {
        let Some(mut visitor) = Visitor::new(language) else { return };
        visitor.look_at_every_page(&format!("{language:?}"), &WIDTHS);
        visitor.assert_kept_to_the_device();
    }
}

#[test]
fn names_without_end_read_well_on_the_narrowest_and_the_widest_page() {
    for language in [Language::English, Language::German] {
        let device = Device { names: Names::ENDLESS, oldest: NEWEST - 4, ..Device::default() };
        let device_name = "endoscopyroomtwotwelveofthesecondfloorofthedaytreatmentbuilding".into();
        let settings = Settings { device_name, language: Some(language), ..settings() };
        let Some(mut visitor) = Visitor::of(device, settings) else { return };
        visitor.look_at_every_page(&format!("{language:?}, endless names"), &[360, 1280]);
    }
}

#[test]
fn a_browser_logs_in_and_out_and_a_wrong_token_stays_outside() {
    let Some(mut visitor) = Visitor::new(Language::English) else { return };
    visitor.go_to("/results");
    assert_eq!(visitor.browser.evaluate("location.pathname"), "/login");
    visitor.browser.type_and_enter("#token", "not-the-token");
    assert!(visitor.browser.evaluate("document.body.innerText").as_str().unwrap().contains("This token is not right."));
    visitor.log_in();
    assert_eq!(visitor.browser.evaluate("document.cookie"), "", "no script could read the session");
    visitor.browser.type_and_enter(".tools button", "");
    assert_eq!(visitor.browser.evaluate("location.pathname"), "/login");
    visitor.go_to("/");
    assert_eq!(visitor.browser.evaluate("location.pathname"), "/login", "the session is over");
    visitor.device.logged(|event| matches!(event, Event::LoggedOut { .. }));
    visitor.assert_kept_to_the_device();
}

/// One picture: its name, the page, the window, the language, and whether it is dark.
type View = (&'static str, &'static str, (u32, u32), Language, bool);

use Language::{English, German};
const PICTURES: [View; 11] = [
    ("login-390x844", "/login", (390, 844), English, false),
    ("status-1280x800", "/", (1280, 800), English, false),
    ("status-de-dark-800x480", "/", (800, 480), German, true),
    ("status-390x844", "/", (390, 844), English, false),
    ("results-dark-1280x800", "/results", (1280, 800), English, true),
    ("results-de-390x844", "/results", (390, 844), German, false),
    ("result-800x480", "/results/1284", (800, 480), English, false),
    ("cannot-say-de-dark-390x844", "/results/1283", (390, 844), German, true),
    ("trend-1280x800", "/trend", (1280, 800), English, false),
    ("trend-de-dark-390x844", "/trend", (390, 844), German, true),
    ("nothing-800x480", "/nothing", (800, 480), English, false),
];

/// The most pixels of one part that may be other than they were.
///
/// The pages measure 0; before hinting was pinned they also did with letters on whole pixels only
/// (`--disable-font-subpixel-positioning`) and drawn by a GPU's code (`--enable-gpu-rasterization`). What `a_word_or_a_number_that_changed_shows` does to one measures 4, the last digit of a time, to
/// 1,012, an alarm.
const MOST_CHANGED: usize = 2;

fn most_changed(now: &RgbImage, before: &RgbImage) -> Option<Changed> {
    changed(now, before).max_by_key(|part| part.n_pixels)
}

fn stored(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(format!("{name}.png"))
}

#[test]
fn pages_look_as_when_somebody_last_looked_at_them() {
    for language in [English, German] {
        let Some(mut visitor) = Visitor::new(language) else { return };
        let ours = PICTURES.into_iter().filter(|view| view.3 == language);
        let (outside, inside): (Vec<View>, Vec<View>) = ours.partition(|view| view.1 == "/login");
        outside.into_iter().for_each(|view| check_picture(&mut visitor, view));
        visitor.log_in();
        inside.into_iter().for_each(|view| check_picture(&mut visitor, view));
    }
}

fn check_picture(visitor: &mut Visitor, (name, path, (width, height), _, is_dark): View) {
    visitor.browser.resize(width, height, is_dark);
    visitor.go_to(path);
    visitor.assert_reads_well(name);
    // The cursor blinks.
    visitor.browser.evaluate("document.activeElement.blur()");
    let now = visitor.picture();
    if std::env::var_os("REMEDIS_RENEW_PICTURES").is_some() {
        let file = std::fs::File::create(stored(name)).unwrap();
        now.write_with_encoder(PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::NoFilter))
            .unwrap();
    }
    let before = image::open(stored(name)).unwrap().into_rgb8();
    if let Some(Changed { at, n_pixels }) = most_changed(&now, &before) {
        assert!(n_pixels <= MOST_CHANGED, "{name}: at {at:?}, {n_pixels} pixels look otherwise");
    }
}

/// What goes wrong with a page, as a script, from a whole alarm to the end of a number.
const FAULTS: [&str; 7] = [
    "document.querySelector('.alarm').style.visibility = 'hidden'",
    "document.querySelector('.alarm strong').textContent = '■ Failur'",
    "document.querySelector('.verdict').textContent = 'ring for'",
    "document.querySelector('.confidence strong').textContent = '98.1\u{202f}%'",
    "document.querySelector('.confidence strong').textContent = '93.7\u{202f}%'",
    "document.querySelector('.source dd').textContent = '88'",
    "document.querySelector('.label.as-of').textContent = 'As of 20:15:03'",
];

#[test]
fn a_word_or_a_number_that_changed_shows() {
    let Some(mut visitor) = Visitor::new(English) else { return };
    visitor.log_in();
    visitor.browser.resize(1280, 800, false);
    visitor.go_to("/");
    let before = visitor.picture();
    for fault in FAULTS {
        visitor.go_to("/");
        visitor.browser.evaluate(fault);
        let most = most_changed(&visitor.picture(), &before).map_or(0, |part| part.n_pixels);
        println!("{fault}: {most} pixels");
        assert!(most > MOST_CHANGED, "{fault}: only {most} pixels of a part look otherwise");
    }
}

#[test]
fn the_tolerance_tells_pages_apart() {
    let pictures = PICTURES.map(|(name, ..)| (name, image::open(stored(name)).unwrap().into_rgb8()));
    let is_told = |now: &RgbImage, before: &RgbImage| changed(now, before).any(|part| part.n_pixels > MOST_CHANGED);
    for (i, (name, picture)) in pictures.iter().enumerate() {
        assert!(!is_told(picture, picture));
        for (other_name, other) in &pictures[i + 1..] {
            assert!(is_told(other, picture), "{name} passes for {other_name}");
        }
        // A line of text's height further down, as when something above it grew.
        let mut moved = picture.clone();
        image::imageops::replace(&mut moved, picture, 0, 26);
        assert!(is_told(&moved, picture), "{name} passes when moved");
    }
}
