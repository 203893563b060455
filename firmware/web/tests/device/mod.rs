//! A device that never was: every number and word is written here, so that pages and pictures are always the same.

use image::{ImageFormat, Rgb, RgbImage};
use remedis_web::*;
use std::io::Cursor;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// 26 November 2026, 19:15:02 UTC.
pub(crate) const NOW: u64 = 1_795_720_502_000;
pub(crate) const NEWEST: u64 = 1_284;
pub(crate) const OLDEST: u64 = 1_240;
pub(crate) const TOKEN: &str = "k3vd-0a9x-77qe-m2ht-5zzr-c81n-b4ws-6yjp";

/// What is done before each question is answered: nothing, fail, hang or panic.
pub(crate) type Mood = Box<dyn Fn() -> Result<(), Unavailable> + Send + Sync>;

pub(crate) struct Device {
    pub(crate) picture: Vec<u8>,
    pub(crate) mood: Mood,
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) logged: Condvar,
}

impl Default for Device {
    fn default() -> Self {
        let tissue =
            |x: u32, y: u32| if (x / 12 + y / 12).is_multiple_of(2) { Rgb([58, 44, 92]) } else { Rgb([72, 54, 108]) };
        let picture = png(|x, y| if is_in_disc(x, y) { Rgb([205, 120, 150]) } else { tissue(x, y) });
        Self { picture, mood: Box::new(|| Ok(())), events: Mutex::default(), logged: Condvar::new() }
    }
}

impl Device {
    /// Waits until the log holds what is looked for; tells what it holds.
    pub(crate) fn logged(&self, is_wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let events = self.events.lock().unwrap();
        let (events, timeout) = self
            .logged
            .wait_timeout_while(events, Duration::from_secs(30), |events| !events.iter().any(&is_wanted))
            .unwrap();
        assert!(!timeout.timed_out(), "not logged, only {events:?}");
        events.clone()
    }
}

fn is_in_disc(x: u32, y: u32) -> bool {
    x.abs_diff(52).pow(2) + y.abs_diff(44).pow(2) < 700
}

fn png(pixel: impl Fn(u32, u32) -> Rgb<u8>) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(96, 96, pixel).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn words(language: Language, english: &str, german: &str) -> String {
    match language {
        Language::English => english.into(),
        Language::German => german.into(),
    }
}

fn summary(sequence: u64, language: Language) -> ResultSummary {
    let kind = (NEWEST - sequence) % 4;
    let verdict = match kind {
        0 => Verdict::Class { name: "ring form".into() },
        1 => Verdict::CannotSay,
        2 => Verdict::Class { name: "healthy".into() },
        _ => Verdict::Unreadable,
    };
    let reason = match kind {
        1 => Some(words(language, "Confidence 52.5 % < threshold 70.0 %", "Sicherheit 52,5 % < Schwelle 70,0 %")),
        3 => Some(words(language, "The file ends within the image", "Die Datei endet mitten im Bild")),
        _ => None,
    };
    let shares: &[f32] =
        [&[0.9312, 0.0402, 0.0286][..], &[0.5249, 0.3011, 0.174], &[0.0101, 0.0015, 0.9884], &[]][kind as usize];
    let classes = ["ring form", "schizont", "healthy"];
    ResultSummary {
        sequence,
        unix_ms: NOW - 41_000 - (NEWEST - sequence) * 97_000,
        source: if kind == 2 { "inbox" } else { "microscope" }.into(),
        verdict,
        confidence: shares.iter().copied().reduce(f32::max),
        threshold: (kind != 3).then_some(0.7),
        probabilities: classes
            .iter()
            .zip(shares)
            .map(|(class, share)| Probability { class: (*class).into(), probability: *share })
            .collect(),
        reason,
        is_stale: kind == 1,
        has_picture: kind != 3,
        has_heat_map: kind < 2,
        model: "cells student 1.2.0".into(),
        latency_ms: Some(212),
    }
}

fn sources(language: Language) -> Vec<Source> {
    let counter = |english: &str, german: &str, value| Counter { name: words(language, english, german), value };
    vec![
        Source {
            name: "microscope".into(),
            kind: "serial".into(),
            state: SourceState::Receiving,
            detail: Some(words(language, "921,600 baud, image 64 % here", "921.600 Baud, Bild zu 64 % da")),
            counters: vec![counter("Frames", "Bilder", 12_907), counter("Corrupt packets", "Gestörte Pakete", 38)],
        },
        Source {
            name: "inbox".into(),
            kind: "folder".into(),
            state: SourceState::Lost,
            detail: Some(words(language, "The folder is gone; tried every 5 s", "Der Ordner fehlt; Versuch alle 5 s")),
            counters: vec![counter("Files", "Dateien", 311), counter("Failed", "Misslungen", 2)],
        },
    ]
}

impl View for Device {
    fn status(&self, language: Language) -> Result<Status, Unavailable> {
        (self.mood)()?;
        let alarm = |severity, english, german, since| Alarm {
            severity,
            text: words(language, english, german),
            since_unix_ms: since,
        };
        Ok(Status {
            now_unix_ms: NOW,
            utc_offset_minutes: 60,
            is_clock_trusted: false,
            uptime_s: 273_912,
            alarms: vec![
                alarm(
                    Severity::Failure,
                    "Folder “inbox” cannot be read",
                    "Ordner „inbox“ ist nicht lesbar",
                    Some(NOW - 912_000),
                ),
                alarm(Severity::Warning, "Disk almost full", "Datenträger fast voll", None),
            ],
            sources: sources(language),
            model: Some(Model {
                name: "cells student".into(),
                version: "1.2.0".into(),
                digest: "9f2c41d07ab3".repeat(5) + "9f2c",
                activated_unix_ms: Some(NOW - 273_000_000),
                threshold: Some(0.7),
            }),
            store: Store {
                is_writable: true,
                records: 13_218,
                oldest_unix_ms: Some(NOW - 7_776_000_000),
                used_bytes: 1_482_000_000,
                disk_free_bytes: Some(2_114_000_000),
                disk_total_bytes: Some(31_900_000_000),
            },
            temperature_celsius: Some(61.5),
            memory_bytes: Some(84_300_000),
            version: "remedis-device 0.0.0".into(),
            newest: Some(summary(NEWEST, language)),
        })
    }

    fn results(
        &self,
        before: Option<u64>,
        limit: usize,
        language: Language,
    ) -> Result<Vec<ResultSummary>, Unavailable> {
        (self.mood)()?;
        let kept = OLDEST..=before.map_or(NEWEST, |before| before.saturating_sub(1).min(NEWEST));
        Ok(kept.rev().take(limit).map(|sequence| summary(sequence, language)).collect())
    }

    fn result(&self, sequence: u64, language: Language) -> Result<Option<ResultDetail>, Unavailable> {
        (self.mood)()?;
        let gate = |english: &str, german: &str, value: &str, limit: &str, is_passed| Gate {
            name: words(language, english, german),
            value: value.into(),
            limit: limit.into(),
            is_passed,
        };
        // The one before the newest is the one that it cannot say.
        let is_known = sequence != NEWEST - 1;
        let kind = if is_known { "0.62" } else { "0.91" };
        let stage =
            |english: &str, german: &str, milliseconds| Stage { name: words(language, english, german), milliseconds };
        let trace = Trace {
            image_sha256: "5b1d90c2".repeat(8),
            image_bytes: Some(50_176),
            width: Some(224),
            height: Some(224),
            format: Some("PNG".into()),
            preprocessing: Some("resize 224 × 224 (area), RGB, mean 0.485 0.456 0.406, scale 0.229 0.224 0.225".into()),
            bundle_digest: Some("9f2c41d07ab3".repeat(5) + "9f2c"),
            plan: Some("int8, plan 3, ARM dot product".into()),
            gates: vec![
                gate("Sharpness", "Schärfe", "141", "≥ 60", true),
                gate("Exposure", "Belichtung", "0.47", "0.10 – 0.90", true),
                gate("Known kind of image", "Bekannte Art von Bild", kind, "≤ 0.80", is_known),
            ],
            stages: vec![
                stage("Transfer", "Übertragung", 171.3),
                stage("Decoding", "Dekodieren", 4.21),
                stage("Model", "Modell", 36.9),
            ],
            skipped_frames: Some(3),
            record_hash: Some("e0417c5a".repeat(8)),
        };
        let is_kept = (OLDEST..=NEWEST).contains(&sequence);
        Ok(is_kept.then(|| ResultDetail { summary: summary(sequence, language), trace }))
    }

    fn picture(&self, sequence: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        (self.mood)()?;
        Ok((OLDEST..=NEWEST).contains(&sequence).then(|| self.picture.clone()))
    }

    fn heat_map(&self, sequence: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        (self.mood)()?;
        let cold = |x: u32| if x < 48 { Rgb([24, 40, 96]) } else { Rgb([32, 72, 128]) };
        let warm = |x, y| if is_in_disc(x, y) { Rgb([240, 180, 41]) } else { cold(x) };
        Ok((OLDEST..=NEWEST).contains(&sequence).then(|| png(warm)))
    }

    fn trend(&self) -> Result<Trend, Unavailable> {
        (self.mood)()?;
        let bucket = |i: u32| {
            let is_night = i % 24 < 6;
            let n = if is_night { 0 } else { 20 + (i * 7) % 13 };
            Bucket {
                start_unix_ms: NOW - NOW % 3_600_000 - u64::from(47 - i) * 3_600_000,
                by_class: vec![n / 3, n / 9, n / 2],
                cannot_say: if is_night { 0 } else { 2 + i % 4 },
                unreadable: if is_night { 0 } else { i % 3 },
                latency_ms_p50: (!is_night).then_some(190.0 + (i % 5) as f32 * 6.0),
                latency_ms_p95: (!is_night).then_some(260.0 + (i % 7) as f32 * 22.0),
            }
        };
        Ok(Trend {
            utc_offset_minutes: 60,
            bucket_s: 3600,
            classes: ["ring form", "schizont", "healthy"].map(String::from).to_vec(),
            buckets: (0..48).map(bucket).collect(),
        })
    }

    fn metrics(&self, web: &Counters) -> Result<String, Unavailable> {
        (self.mood)()?;
        Ok(format!("# TYPE remedis_web_logins counter\nremedis_web_logins_total {}\n# EOF\n", web.logins))
    }

    fn ailment(&self) -> Option<&'static str> {
        (self.mood)().is_err().then_some("journal_fault")
    }

    fn log(&self, event: &Event) {
        self.events.lock().unwrap().push(event.clone());
        self.logged.notify_all();
    }
}

/// Settings that let in whoever has [`TOKEN`], on any free port.
pub(crate) fn settings() -> Settings {
    let token = Token::parse(TOKEN).unwrap().digest();
    Settings {
        address: "127.0.0.1:0".parse().unwrap(),
        device_name: "Microscope 2".into(),
        ..Settings::new(Some(token))
    }
}
