//! What the pictured pages show: an ordinary day, and some that are not.

use super::Canvas;
use remedis_screen::{
    Alarm, AlarmBadge, AlarmKind, AlarmPage, Bands, Bucket, BucketLength, ClockStatus, HeatMap, Language, LinkState,
    LivePage, ModelLabel, Picture, Reason, ResultRow, ResultsPage, Samples, Severity, Source, StatusPage, StoreStatus,
    Theme, TrendPage, Verdict,
};
use std::convert::Infallible;

type Drawn = Result<(), Infallible>;

const MODEL: ModelLabel<'_> =
    ModelLabel { name: "cells student", version: "1.2.0", digest: "9f2c41d07ab358e1", is_on_trial: false };

const MICROSCOPE: Source<'_> =
    Source { name: "Microscope A", state: LinkState::Connected, n_images: 128_431, n_skipped: 12, n_errors: 3 };
const FOLDER: Source<'_> =
    Source { name: "/srv/inbox", state: LinkState::Waiting, n_images: 17, n_skipped: 0, n_errors: 0 };
const CAMERA: Source<'_> =
    Source { name: "OpenMV camera", state: LinkState::Lost, n_images: 2_044, n_skipped: 310, n_errors: 1_207 };

const ALARMS: [Alarm<'_>; 4] = [
    Alarm { kind: AlarmKind::Overloaded, since: "14:05" },
    Alarm { kind: AlarmKind::SourceLost { source: "OpenMV camera" }, since: "14:02" },
    Alarm { kind: AlarmKind::ClockNotSet, since: "08:00" },
    Alarm { kind: AlarmKind::DiskFull, since: "13:47" },
];

fn bands<'a>(sources: &'a [Source<'a>], alarms: &[Alarm<'_>]) -> Bands<'a> {
    Bands { sources, alarms: AlarmBadge::of(alarms), clock: "14:32", model: Some(MODEL) }
}

/// A smear with two cells, by whole numbers only.
fn smear() -> Vec<u8> {
    let pixel = |i: i32| {
        let (x, y) = (i % 64, i / 64);
        let distance = |cx: i32, cy: i32| (x - cx).pow(2) + (y - cy).pow(2);
        match (distance(24, 30), distance(46, 18)) {
            (0..60, _) => [96, 40, 112],
            (60..300, _) | (_, 0..120) => [198, 140, 160],
            _ if (x / 8 + y / 8) % 2 == 0 => [236, 226, 216],
            _ => [228, 216, 208],
        }
    };
    (0..64 * 64).flat_map(pixel).collect()
}

/// One warm spot over the larger cell, 7 x 7.
fn warm_spot() -> Vec<u8> {
    let cell = |i: i32| 255 - (70 * ((i % 7 - 2).pow(2) + (i / 7 - 3).pow(2))).min(255);
    (0..49).map(|i| cell(i) as u8).collect()
}

fn live<'a>(sources: &'a [Source<'a>], verdict: Verdict<'a>, smear: Option<&'a [u8]>) -> LivePage<'a> {
    LivePage {
        bands: bands(sources, &[]),
        picture: smear.and_then(|samples| Picture::new(64, 64, Samples::Rgb(samples))),
        heat_map: None,
        verdict,
        threshold_of_10000: Some(7_000),
        source: "Microscope A",
        time: "14:31:58",
        n_answers: 128_448,
        n_skipped: 12,
        is_stale: false,
    }
}

pub(super) fn live_class(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let (smear, spot) = (smear(), warm_spot());
    let verdict = Verdict::Class { name: "ring form", confidence_of_10000: 9_312 };
    let page = live(&[MICROSCOPE], verdict, Some(&smear));
    LivePage { heat_map: HeatMap::new(7, 7, &spot), ..page }.draw(theme, language, canvas)
}

/// A wide image, of whose middle the model saw a square.
pub(super) fn live_wide(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let (smear, spot) = (smear(), warm_spot());
    let wide: Vec<u8> = smear.chunks_exact(3 * 64).flat_map(|row| [&row[96..], row, &row[..96]].concat()).collect();
    let verdict = Verdict::Class { name: "ring form", confidence_of_10000: 9_312 };
    let page = live(&[MICROSCOPE], verdict, None);
    let heat_map = HeatMap::new(7, 7, &spot).and_then(|map| map.over_part([0.25, 0.0, 0.5, 1.0]));
    LivePage { picture: Picture::new(128, 64, Samples::Rgb(&wide)), heat_map, ..page }.draw(theme, language, canvas)
}

pub(super) fn live_cannot_say(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let smear = smear();
    let receiving = Source { state: LinkState::Receiving { percent: 40 }, ..FOLDER };
    let best = Some(("schizont, mature", 5_249));
    let sources = [MICROSCOPE, receiving, CAMERA];
    let page = live(&sources, Verdict::CannotSay { reason: Reason::Blurred, best }, Some(&smear));
    let model = ModelLabel { is_on_trial: true, ..MODEL };
    let bands = Bands { model: Some(model), ..bands(&sources, &ALARMS) };
    LivePage { bands, is_stale: true, ..page }.draw(theme, language, canvas)
}

pub(super) fn live_ready(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let waiting = [Source { state: LinkState::Waiting, n_images: 0, n_errors: 0, n_skipped: 0, ..MICROSCOPE }];
    let page = live(&waiting, Verdict::None, None);
    LivePage { source: "", time: "", n_answers: 0, n_skipped: 0, ..page }.draw(theme, language, canvas)
}

pub(super) fn live_working(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let smear = smear();
    let receiving = [Source { state: LinkState::Receiving { percent: 100 }, ..MICROSCOPE }];
    live(&receiving, Verdict::Working, Some(&smear)).draw(theme, language, canvas)
}

pub(super) fn live_unreadable(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    live(&[MICROSCOPE], Verdict::Unreadable { reason: Reason::Unreadable }, None).draw(theme, language, canvas)
}

pub(super) fn live_fault(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let smear = smear();
    let alarms = [Alarm { kind: AlarmKind::ModelFault, since: "14:31" }];
    let page = live(&[MICROSCOPE], Verdict::Unreadable { reason: Reason::ModelFault }, Some(&smear));
    LivePage { bands: bands(&[MICROSCOPE], &alarms), ..page }.draw(theme, language, canvas)
}

pub(super) fn results(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let class = |name, confidence_of_10000| Verdict::Class { name, confidence_of_10000 };
    let cannot_say = |reason| Verdict::CannotSay { reason, best: Some(("schizont", 5_249)) };
    let row = |time, source, verdict| ResultRow { time, source, verdict };
    let rows = [
        row("14:31:58", "Microscope A", class("ring form", 9_312)),
        row("14:31:40", "Microscope A", cannot_say(Reason::LowConfidence)),
        row("14:31:22", "OpenMV camera", Verdict::Unreadable { reason: Reason::Unreadable }),
        row("14:31:03", "Microscope A", class("gametocyte of a species with a long name", 10_000)),
        row("14:30:47", "/srv/inbox", cannot_say(Reason::WrongGeometry)),
        row("14:30:31", "/srv/inbox", cannot_say(Reason::Other("the slide was moved during the exposure"))),
        row("14:30:12", "Microscope A", class("no parasite", 8_840)),
        row("14:29:55", "Microscope A", cannot_say(Reason::OutOfDistribution)),
        row("14:29:41", "Microscope A", class("trophozoite", 7_701)),
        row("14:29:20", "Microscope A", class("no parasite", 9_950)),
    ];
    let sources = [MICROSCOPE, FOLDER];
    ResultsPage { bands: bands(&sources, &[]), results: &rows, n_answers: 128_448 }.draw(theme, language, canvas)
}

pub(super) fn results_none(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let bands = Bands { sources: &[], model: None, ..bands(&[], &[]) };
    ResultsPage { bands, results: &[], n_answers: 0 }.draw(theme, language, canvas)
}

fn draw_trend(
    labels: &[String],
    length: BucketLength,
    theme: &Theme,
    language: Language,
    canvas: &mut Canvas,
) -> Drawn {
    // Quiet nights, one bad hour, and a little of everything.
    let buckets: Vec<_> = labels
        .iter()
        .enumerate()
        .map(|(i, label)| {
            let (i, is_day) = (i as u32, u32::from(i % 24 > 5));
            let n_class = i * 37 % 90 * is_day;
            let n_unreadable = if i % 24 == 13 { 60 } else { i % 3 * is_day };
            Bucket { label, n_class, n_cannot_say: n_class / 5 + i % 7 * is_day, n_unreadable }
        })
        .collect();
    let bands = bands(&[MICROSCOPE], &ALARMS[2..3]);
    TrendPage { bands, buckets: &buckets, bucket_length: length }.draw(theme, language, canvas)
}

pub(super) fn trend(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let labels: Vec<_> = (0..24).map(|hour| format!("{hour:02}:00")).collect();
    draw_trend(&labels, BucketLength::Hour, theme, language, canvas)
}

/// More days than there is room for.
pub(super) fn trend_days(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let labels: Vec<_> = (0..120).map(|day| format!("{}.{}.", day % 30 + 1, day / 30 + 8)).collect();
    draw_trend(&labels, BucketLength::Day, theme, language, canvas)
}

pub(super) fn trend_none(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    TrendPage { bands: bands(&[MICROSCOPE], &[]), buckets: &[], bucket_length: BucketLength::Minute }
        .draw(theme, language, canvas)
}

pub(super) fn status(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    StatusPage {
        bands: bands(&[MICROSCOPE, FOLDER], &[]),
        store: Some(StoreStatus { n_answers: 128_448, disk_free_mib: Some(12_800), is_writable: true }),
        clock: ClockStatus { time: "2026-11-26 14:32", is_set: true },
        temperature_tenths: Some(487),
        uptime_s: 1_054_000,
        software: "0.9.0",
    }
    .draw(theme, language, canvas)
}

pub(super) fn status_trouble(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let receiving = Source { state: LinkState::Receiving { percent: 7 }, ..FOLDER };
    let sources = [MICROSCOPE, receiving, CAMERA, FOLDER, MICROSCOPE];
    let alarms = [Alarm { kind: AlarmKind::DiskReadOnly, since: "" }];
    let name = "plasmodium stages, thin smear, distilled student of the large teacher";
    let model = ModelLabel { name, version: "2.0.0-rc.1+build.4471", is_on_trial: true, ..MODEL };
    StatusPage {
        bands: Bands { model: Some(model), ..bands(&sources, &alarms) },
        store: Some(StoreStatus { n_answers: 9_128_448, disk_free_mib: Some(3), is_writable: false }),
        clock: ClockStatus { time: "1970-01-01 00:03", is_set: false },
        temperature_tenths: None,
        uptime_s: 203,
        software: "0.9.0",
    }
    .draw(theme, language, canvas)
}

pub(super) fn alarms(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    let other = Alarm {
        kind: AlarmKind::Other { severity: Severity::Notice, what: "Service due", to_do: "Call +49 30 0000." },
        since: "1.11.",
    };
    let all = [ALARMS[0], ALARMS[1], ALARMS[2], ALARMS[3], other];
    AlarmPage { bands: bands(&[MICROSCOPE, CAMERA], &all), alarms: &all }.draw(theme, language, canvas)
}

pub(super) fn alarms_none(theme: &Theme, language: Language, canvas: &mut Canvas) -> Drawn {
    AlarmPage { bands: bands(&[MICROSCOPE], &[]), alarms: &[] }.draw(theme, language, canvas)
}
