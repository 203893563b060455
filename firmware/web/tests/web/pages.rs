//! What each page shows.

use crate::client::Client;
use crate::device::{Device, NEWEST, Names, settings};
use remedis_web::{Settings, Unavailable};

fn assert_shows(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "no {text:?} in {page}");
    }
}

#[test]
fn the_status_page_tells_how_the_device_is() {
    let page = Client::new().logged_in().page("/");
    assert_shows(
        &page,
        &[
            "REMEDIS",
            "■ Failure",
            "The disk is full: no answers are given <span",
            "26 Nov 2026, 20:14:32",
            "▲ Warning",
            "The disk is nearly full: 0 MB free",
            "A source of images is gone: cannot look into",
            "ring form",
            "93.1\u{202f}%",
            "41 s ago",
            "/results/1284/picture.png",
            "/results/1284/heat-map.png",
            "<strong>link</strong>",
            "▶ Receiving",
            "Corrupt packets",
            "12,907",
            "✕ Lost",
            "cells student",
            "1.2.0",
            "9f2c41d07ab3",
            "13,218",
            "14.8 MB",
            "0 B of 31.9 GB",
            "61.5 °C",
            "3 d 4 h",
            "20:15:02 UTC+01:00",
            "not set: do not trust times",
            r#"<meta http-equiv="refresh" content="5;url=/?auto" />"#,
        ],
    );
}

#[test]
fn names_without_end_are_shown_whole() {
    let names = Names::ENDLESS;
    let client = Client::of(settings(), Device { names, ..Device::default() }).logged_in();
    let status = client.page("/").replace("&#x2f;", "/");
    assert_shows(&status, &[names.classes[0], names.model, names.version, names.lost]);
    assert_shows(&client.page("/results/1284"), &names.classes);
    assert_shows(&client.page("/trend"), &names.classes);
}

#[test]
fn every_page_speaks_german_too() {
    let client = Client::new().logged_in();
    let german = |path| client.send("GET", path, &["Accept-Language: de-AT,de;q=0.9,en;q=0.5"], "").text().to_owned();
    assert_shows(
        &german("/"),
        &["<html lang=\"de\">", "■ Störung", "Datenträger voll: keine Antworten", "93,1", "vor 41 s", "12.907"],
    );
    assert_shows(&german("/"), &["<dt>Gestörte Pakete</dt>", "<dt>Gesendete Ablehnungen</dt>", "Misslungene Dateien"]);
    assert_shows(
        &german("/results"),
        &[
            "Ergebnisse",
            "◆ Keine Aussage",
            "Das Modell ist nicht sicher genug.",
            "ALT: nicht das aktuelle Bild",
            "✕ Nicht lesbar",
            "Das Bild ist nicht lesbar. Bitte neu senden.",
        ],
    );
    assert_shows(
        &german("/results/1283"),
        &[
            "Wie es dazu kam",
            "Gefunden 141,3 · Verlangt mindestens 60",
            "Gefunden 1 · Verlangt 0,8 bis 1,25",
            "Gefunden 2,113 · Verlangt höchstens 4,9",
            "<strong>Sicherheit</strong> <span class=\"state lost\">✕ NICHT BESTANDEN",
            "Beurteilen",
            "36,9 ms",
        ],
    );
    assert_shows(&german("/trend"), &["Antworten im Verlauf", "Anteil", "95 von 100 Antworten sind schneller"]);
    assert_shows(&german("/login?lang=en"), &[]);
}

/// The device's own names are for programs: a page that shows one lacks a word.
#[test]
fn no_page_shows_a_name_instead_of_words() {
    let client = Client::new().logged_in();
    for language in ["en", "de"] {
        for path in ["/", "/results", "/results/1284", "/results/1283", "/results/1281"] {
            let page = client.page(&format!("{path}?lang={language}"));
            let texts = page.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.trim());
            let names =
                ["disk_full", "low_confidence", "unreadable", "sharpness", "energy", "naks", "frames", "decode"];
            for text in texts {
                assert!(!names.contains(&text) && !text.contains('_'), "{path} {language}: {text}");
            }
        }
    }
}

#[test]
fn a_language_that_is_picked_is_kept() {
    let mut client = Client::new().logged_in();
    let answer = client.get("/?lang=de");
    assert_eq!(
        answer.header("set-cookie").unwrap(),
        "remedis_language=de; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"
    );
    client.cookie += "; remedis_language=de";
    assert_shows(&client.page("/results"), &["<html lang=\"de\">", "href=\"/results?lang=en\""]);
}

#[test]
fn results_come_by_twenties_the_newest_first() {
    let client = Client::new().logged_in();
    let first = client.page("/results");
    assert_eq!(first.matches("<article").count(), 20);
    assert_shows(
        &first,
        &["href=\"/results/1284\"", "href=\"/results/1265\"", "/results?before=1265", "Image not kept", "No heat-map"],
    );
    assert_shows(&first, &["The model is not sure enough."]);
    let second = client.page("/results?before=1265");
    assert_shows(&second, &["href=\"/results/1264\"", "/results?before=1245", "href=\"/results\">Newest"]);
    let last = client.page("/results?before=1245");
    assert_eq!(last.matches("<article").count(), 5);
    assert!(!last.contains("before="), "{last}");
    assert_shows(&client.page("/results?before=3"), &["No results."]);
}

#[test]
fn a_result_shows_its_whole_trace() {
    let page = Client::new().logged_in().page("/results/1284");
    assert_shows(
        &page,
        &[
            "Result 1,284",
            "ring form",
            "schizont",
            "4.0\u{202f}%",
            "Sharpness",
            "141",
            "✓ passed",
            "Strangeness to the model",
            "Found -3.5027 · Asked for at most -1.25",
            "Judging",
            "36.9 ms",
            "4.2 ms",
            "49.2 ms",
            "224 × 224 pixels",
            "50.2 kB",
            "rgb 224x224 stretch, 8 bits",
            "<dd>dot</dd>",
            &"5b1d90c2".repeat(8),
            "Frames passed over",
            "cells student 1.2.0",
        ],
    );
}

#[test]
fn cannot_say_is_shown_as_an_answer_with_its_reason() {
    let page = Client::new().logged_in().page("/results/1283");
    assert_shows(
        &page,
        &[
            "◆ Cannot say",
            "Nearest class</span> <strong>ring form",
            "The model is not sure enough.",
            "confidence 52.5 % is below the operating point of 70.0 %",
            "▲ OLD: not the present image",
            "✕ NOT PASSED",
            "52.5\u{202f}%",
        ],
    );
}

#[test]
fn the_trend_is_drawn_and_written() {
    let page = Client::new().logged_in().page("/trend");
    assert_shows(
        &page,
        &[
            "<rect class=\"class-0\"",
            "<rect class=\"cannot-say\"",
            "<polyline class=\"p95\"",
            "<td class=\"number\">",
            "Cannot say",
            "One bar: 1 h<",
            "<span>21:00</span>",
            "<span>09:00</span>",
        ],
    );
}

#[test]
fn pictures_are_the_devices_own_bytes() {
    let client = Client::new().logged_in();
    let answer = client.get(&format!("/results/{NEWEST}/picture.png"));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/png")));
    assert_eq!(answer.body, client.device.picture);
    assert!(client.get("/results/1284/heat-map.png").body.starts_with(b"\x89PNG"));
    for path in ["/results/7/picture.png", "/results/7/heat-map.png", "/results/7"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
}

#[test]
fn metrics_and_health_are_for_programs() {
    let client = Client::new().logged_in();
    let metrics = client.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_shows(metrics.text(), &["remedis_web_logins_total 1\n"]);
    let health = client.get("/health");
    assert_eq!((health.status, health.text()), (200, "ok\n"));
    let ill = Device { mood: Box::new(|| Err(Unavailable { reason: "store is damaged".into() })), ..Device::default() };
    let health = Client::of(settings(), ill).get("/health");
    assert_eq!((health.status, health.text()), (503, "not ok: journal_fault\n"));
}

#[test]
fn pages_are_well_formed_and_name_no_other_machine() {
    let device_name = "</title><script src=\"//elsewhere\">'&".to_owned();
    let client = Client::of(Settings { device_name, ..settings() }, Device::default());
    check_markup(&client.page("/login"));
    let client = client.logged_in();
    for path in [
        "/",
        "/?lang=de",
        "/results",
        "/results?before=1245",
        "/results/1284",
        "/results/1283",
        "/results/1281",
        "/trend",
    ] {
        check_markup(&client.page(path));
    }
    check_markup(client.get("//elsewhere/nothing").text());
    assert!(!client.page("/style.css").contains("url("), "a style may fetch nothing");
}

/// Every element is closed in its place, nothing of the device's texts became an element, and links stay on the device.
fn check_markup(page: &str) {
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.split([' ', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{page}"),
            None if name == "!doctype" || tag.ends_with('/') => {}
            None => open.push(name),
        }
        assert_ne!(name, "script");
        for attribute in ["href=\"", "src=\"", "action=\""] {
            for target in tag.split(attribute).skip(1) {
                assert!(target.starts_with('/') && !target.starts_with("//"), "{attribute}{target}");
            }
        }
        assert!(!tag.contains("style=\"") && !tag.contains(" on"), "the policy forbids it: {tag}");
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
}
