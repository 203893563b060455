//! A device that never was, with nothing that a real one would not show: every number and name is written here, so that pages and
//! pictures are always the same.

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

/// What others name: whoever made the bundle, the system, the configuration.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    pub(crate) classes: [&'static str; 3],
    pub(crate) model: &'static str,
    pub(crate) version: &'static str,
    /// Why a source is lost.
    pub(crate) lost: &'static str,
}

impl Names {
    const USUAL: Self = Self {
        classes: ["ring form", "schizont", "healthy"],
        model: "cells student",
        version: "1.2.0",
        lost: "cannot look into /var/lib/remedis/inbox: No such file or directory (os error 2)",
    };
    /// Nothing in them to break a line at.
    pub(crate) const ENDLESS: Self = Self {
        classes: [
            "hepaticocholangiocholecystenterostomyadenocarcinomametastases",
            "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
            "nodeviationfromwhatthisdepartmentwouldcallhealthyinhistopathology",
        ],
        model: "pneumonoultramicroscopicsilicovolcanoconiosisdistilledstudentnetwork",
        version: "1.2.0-rc.1+build.20261126T191502Z.9f2c41d07ab39f2c41d07ab39f2c",
        lost: "cannot look into /srv/ambulatorium_mit_tagesklinik_und_endoskopie/eingang_der_bilder_aus_raum_2_17/\
               unverarbeitete_aufnahmen_des_laufenden_tages_bis_zur_sichtung: No such file or directory (os error 2)",
    };
}

pub(crate) struct Device {
    pub(crate) names: Names,
    /// The oldest result that is kept.
    pub(crate) oldest: u64,
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
        Self {
            names: Names::USUAL,
            oldest: OLDEST,
            picture,
            mood: Box::new(|| Ok(())),
            events: Mutex::default(),
            logged: Condvar::new(),
        }
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

/// Results whose picture the device still has in memory.
const N_RECENT: u64 = 12;

fn summary(names: &Names, sequence: u64) -> ResultSummary {
    let kind = (NEWEST - sequence) % 4;
    let is_recent = NEWEST - sequence < N_RECENT;
    let reason = |name: &str, words: &str| Some(Reason { name: Some(name.into()), words: words.into() });
    let (verdict, reason) = match kind {
        0 => (Verdict::Class { name: names.classes[0].into() }, None),
        1 => (Verdict::CannotSay, reason("low_confidence", "confidence 52.5 % is below the operating point of 70.0 %")),
        2 => (Verdict::Class { name: names.classes[2].into() }, None),
        _ => (
            Verdict::Unreadable,
            reason(
                "unreadable",
                "unreadable image: the JPEG ends early: 31 of 56 parts of its picture are there; take or send it again",
            ),
        ),
    };
    let shares: &[f32] =
        [&[0.9312, 0.0402, 0.0286][..], &[0.5249, 0.3011, 0.174], &[0.0101, 0.0015, 0.9884], &[]][kind as usize];
    ResultSummary {
        sequence,
        unix_ms: NOW - 41_000 - (NEWEST - sequence) * 97_000,
        source: if kind == 2 { "folder" } else { "link" }.into(),
        verdict,
        confidence: shares.iter().copied().reduce(f32::max),
        threshold: Some(0.7),
        probabilities: names
            .classes
            .iter()
            .zip(shares)
            .map(|(class, share)| Probability { class: (*class).into(), probability: *share })
            .collect(),
        reason,
        is_stale: sequence != NEWEST,
        has_picture: is_recent && kind != 3,
        has_heat_map: is_recent && kind < 2,
        model: format!("{} {}", names.model, names.version),
        latency_ms: 49.24,
    }
}

fn gates(confidence: f64) -> Vec<Gate> {
    let gate = |name: &str, value, low: Option<f64>, high: Option<f64>| Gate {
        name: name.into(),
        value: Some(value),
        low,
        high,
        is_passed: low.is_none_or(|low| value >= low) && high.is_none_or(|high| value <= high),
    };
    vec![
        gate("width", 224.0, Some(96.0), None),
        gate("height", 224.0, Some(96.0), None),
        gate("aspect", 1.0, Some(0.8), Some(1.25)),
        gate("exposure", 0.472_31, Some(0.1), Some(0.9)),
        gate("black", 0.003, None, Some(0.25)),
        gate("white", 0.0, None, Some(0.25)),
        gate("sharpness", 141.26, Some(60.0), None),
        gate("appearance", 2.113, None, Some(4.9)),
        gate("energy", -3.5027, None, Some(-1.25)),
        gate("confidence", confidence, Some(f64::from(0.7_f32)), None),
    ]
}

fn sources(names: &Names) -> Vec<Source> {
    let counter = |(name, value): (&str, u64)| Counter { name: name.into(), value };
    let link = [("corrupt", 38), ("frames", 12_907), ("naks", 12), ("opened", 1), ("packets", 181_440)];
    vec![
        Source {
            name: "link".into(),
            state: SourceState::Receiving,
            detail: None,
            counters: link.into_iter().map(counter).collect(),
        },
        Source {
            name: "folder".into(),
            state: SourceState::Lost,
            detail: Some(names.lost.into()),
            counters: [("failed", 2), ("files", 311)].into_iter().map(counter).collect(),
        },
    ]
}

impl View for Device {
    fn status(&self) -> Result<Status, Unavailable> {
        (self.mood)()?;
        let alarm = |severity, name: &str, detail: &str, ago_ms| Alarm {
            severity,
            name: name.into(),
            detail: detail.into(),
            since_unix_ms: NOW - ago_ms,
        };
        Ok(Status {
            now_unix_ms: NOW,
            utc_offset_minutes: 60,
            is_clock_trusted: false,
            uptime_s: 273_912,
            alarms: vec![
                alarm(Severity::Failure, "disk_full", "", 30_000),
                alarm(Severity::Warning, "disk_low", "0 MB free", 4_210_000),
                alarm(Severity::Warning, "source_lost", self.names.lost, 61_000),
            ],
            sources: sources(&self.names),
            model: Some(Model {
                name: self.names.model.into(),
                version: self.names.version.into(),
                digest: "9f2c41d07ab3".repeat(5) + "9f2c",
                threshold: 0.7,
            }),
            store: Store {
                is_writable: false,
                records: Some(13_218),
                used_bytes: Some(14_820_000),
                disk_free_bytes: Some(0),
                disk_total_bytes: Some(31_900_000_000),
            },
            temperature_celsius: Some(61.5),
            memory_bytes: Some(84_300_000),
            version: "0.0.0".into(),
            newest: Some(summary(&self.names, NEWEST)),
        })
    }

    fn results(&self, before: Option<u64>, limit: usize) -> Result<Vec<ResultSummary>, Unavailable> {
        (self.mood)()?;
        let kept = self.oldest..=before.map_or(NEWEST, |before| before.saturating_sub(1).min(NEWEST));
        Ok(kept.rev().take(limit).map(|sequence| summary(&self.names, sequence)).collect())
    }

    fn result(&self, sequence: u64) -> Result<Option<ResultDetail>, Unavailable> {
        (self.mood)()?;
        if !(self.oldest..=NEWEST).contains(&sequence) {
            return Ok(None);
        }
        let summary = summary(&self.names, sequence);
        let stage = |name: &str, milliseconds| Stage { name: name.into(), milliseconds };
        let trace = Trace {
            image_sha256: "5b1d90c2".repeat(8),
            image_bytes: 50_176,
            size: summary.has_picture.then_some((224, 224)),
            preprocessing: "rgb 224x224 stretch, 8 bits".into(),
            bundle_digest: "9f2c41d07ab3".repeat(5) + "9f2c",
            plan: "dot".into(),
            // Of what cannot be read nothing is measured.
            gates: summary.confidence.map_or_else(Vec::new, |confidence| gates(confidence.into())),
            stages: vec![stage("wait", 8.13), stage("decode", 4.21), stage("judge", 36.9)],
            skipped_frames: 3,
        };
        Ok(Some(ResultDetail { summary, trace }))
    }

    fn picture(&self, sequence: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        (self.mood)()?;
        Ok((NEWEST - N_RECENT + 1..=NEWEST).contains(&sequence).then(|| self.picture.clone()))
    }

    fn heat_map(&self, sequence: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        (self.mood)()?;
        let cold = |x: u32| if x < 48 { Rgb([24, 40, 96]) } else { Rgb([32, 72, 128]) };
        let warm = |x, y| if is_in_disc(x, y) { Rgb([240, 180, 41]) } else { cold(x) };
        Ok((NEWEST - N_RECENT + 1..=NEWEST).contains(&sequence).then(|| png(warm)))
    }

    fn trend(&self) -> Result<Trend, Unavailable> {
        (self.mood)()?;
        let bucket = |i: u32| {
            let is_night = (3..10).contains(&i);
            let n = if is_night { 0 } else { 20 + (i * 7) % 13 };
            Bucket {
                start_unix_ms: NOW - NOW % 3_600_000 - u64::from(23 - i) * 3_600_000,
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
            classes: self.names.classes.map(String::from).to_vec(),
            buckets: (0..24).map(bucket).collect(),
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
    Settings { address: "127.0.0.1:0".parse().unwrap(), ..Settings::new(Some(token)) }
}
