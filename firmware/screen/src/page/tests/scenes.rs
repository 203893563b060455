//! Pages with as much on them as there can be, and as little.

use super::std::{self, string::String, vec::Vec};
use crate::{
    Alarm, AlarmBadge, AlarmKind, AlarmPage, Bands, Bucket, BucketLength, ClockStatus, HeatMap, LinkState, LivePage,
    ModelLabel, Picture, Reason, ResultRow, ResultsPage, Samples, Severity, Source, StatusPage, StoreStatus, TrendPage,
    Verdict, sheet::Page,
};

/// What others call things.
#[derive(Debug, Default)]
pub(super) struct Names {
    class: String,
    source: String,
    reason: String,
    model: String,
    version: String,
    digest: String,
    time: String,
    bucket: String,
    alarm: String,
    software: String,
}

impl Names {
    pub(super) fn from_texts(texts: &[String]) -> Self {
        let text = |index: usize| texts.get(index).cloned().unwrap_or_default();
        Self {
            class: text(0),
            source: text(1),
            reason: text(2),
            model: text(3),
            version: text(4),
            digest: text(5),
            time: text(6),
            bucket: text(7),
            alarm: text(8),
            software: text(9),
        }
    }

    pub(super) fn ordinary() -> Self {
        let texts = [
            "adenocarcinoma, well differentiated",
            "Microscope A",
            "confidence 0.52 is below 0.70",
            "cells student",
            "1.2.0",
            "9f2c41d07ab358e1",
            "14:31:58",
            "14:00",
            "The fan is slow",
            "0.9.0",
        ];
        Self::from_texts(&texts.map(String::from))
    }

    pub(super) fn endless() -> Self {
        let texts = ["Pneumonoultramikroskopischsilikovulkanokoniose "; 10];
        Self::from_texts(&texts.map(|text| text.repeat(20)))
    }
}

pub(super) fn sources(name: &str, n: usize) -> Vec<Source<'_>> {
    let states = [LinkState::Connected, LinkState::Waiting, LinkState::Receiving { percent: 100 }, LinkState::Lost];
    let source = |state| Source { name, state, n_images: 999_999_999, n_skipped: 999_999, n_errors: 9_999_999 };
    states.into_iter().cycle().take(n).map(source).collect()
}

pub(super) fn bands<'a>(sources: &'a [Source<'a>], model: &'a str) -> Bands<'a> {
    let model = ModelLabel { name: model, version: model, digest: model, is_on_trial: true };
    let alarms = Some(AlarmBadge { severity: Severity::Critical, n_alarms: 1_000 });
    Bands { sources, alarms, clock: "14:32", model: Some(model) }
}

pub(super) fn live<'a>(bands: Bands<'a>, verdict: Verdict<'a>) -> LivePage<'a> {
    LivePage {
        bands,
        picture: None,
        heat_map: None,
        verdict,
        threshold_of_10000: Some(10_000),
        source: "line",
        time: "14:31:58",
        n_answers: 999_999_999,
        n_skipped: 1_234_567,
        is_stale: false,
    }
}

pub(super) fn status(bands: Bands<'_>) -> StatusPage<'_> {
    StatusPage {
        bands,
        store: Some(StoreStatus {
            n_answers: 999_999_999,
            disk_free_mib: Some(100_000 * 1024 - 1),
            is_writable: false,
        }),
        clock: ClockStatus { time: "2026-11-26 14:32:05", is_set: true },
        temperature_tenths: Some(1_050),
        uptime_s: 9_999 * 86_400 + 86_399,
        software: "0.9.0",
    }
}

/// One of each kind.
pub(super) fn alarms(name: &str) -> Vec<Alarm<'_>> {
    let kinds = [
        AlarmKind::Overloaded,
        AlarmKind::SourceNoisy { source: name },
        AlarmKind::SourceLost { source: name },
        AlarmKind::DiskFull,
        AlarmKind::DiskReadOnly,
        AlarmKind::StoreFault,
        AlarmKind::AuditBroken,
        AlarmKind::ModelFault,
        AlarmKind::ModelRolledBack,
        AlarmKind::NoModel,
        AlarmKind::ClockJumped,
        AlarmKind::ClockNotSet,
        AlarmKind::Overheated,
        AlarmKind::OutOfMemory,
        AlarmKind::Hanging,
        AlarmKind::DiskLow,
        AlarmKind::DisplayLost,
        AlarmKind::Stopped,
        AlarmKind::Other { severity: Severity::Critical, what: name, to_do: name },
    ];
    kinds.into_iter().map(|kind| Alarm { kind, since: name }).collect()
}

/// Calls `check` with what a page shows and the page, for every state of every page.
pub(super) fn for_every_page(names: &Names, check: impl FnMut(&str, &dyn Page)) {
    let mut check = check;
    for n_sources in [0, 1, 130] {
        let sources = sources(&names.source, n_sources);
        let model = ModelLabel {
            name: &names.model,
            version: &names.version,
            digest: &names.digest,
            is_on_trial: n_sources > 0,
        };
        let badge = AlarmBadge { severity: Severity::Warning, n_alarms: 1_000 };
        let bands = Bands {
            sources: &sources,
            alarms: (n_sources > 0).then_some(badge),
            clock: &names.time,
            model: (n_sources != 1).then_some(model),
        };
        each_live(names, bands, &mut check);
        each_list(names, bands, &mut check);
        each_alarm(names, bands, &mut check);
    }
}

/// Every reason that has words of our own.
pub(super) const REASONS: [Reason<'static>; 9] = [
    Reason::LowConfidence,
    Reason::Blurred,
    Reason::TooDark,
    Reason::TooBright,
    Reason::Saturated,
    Reason::WrongGeometry,
    Reason::OutOfDistribution,
    Reason::Unreadable,
    Reason::ModelFault,
];

fn verdicts(names: &Names) -> Vec<Verdict<'_>> {
    let reasons = REASONS.into_iter().chain([Reason::Other(&names.reason)]);
    let best = Some((names.class.as_str(), 10_000));
    let own = [Verdict::None, Verdict::Working, Verdict::Class { name: &names.class, confidence_of_10000: 10_000 }];
    let reasoned = reasons.flat_map(|reason| {
        [Verdict::CannotSay { reason, best }, Verdict::CannotSay { reason, best: None }, Verdict::Unreadable { reason }]
    });
    own.into_iter().chain(reasoned).collect()
}

fn each_live(names: &Names, bands: Bands<'_>, check: &mut dyn FnMut(&str, &dyn Page)) {
    for verdict in verdicts(names) {
        for (picture, is_stale) in [(Picture::new(2, 1, Samples::Grey(&[0, 255])), true), (None, false)] {
            let heat_map = picture.and_then(|_| HeatMap::new(1, 1, &[255]));
            let (source, time) = (&names.source, &names.time);
            let page = LivePage { picture, heat_map, is_stale, source, time, ..live(bands, verdict) };
            check(&std::format!("live page with {verdict:.20?}"), &page);
        }
    }
}

fn each_list(names: &Names, bands: Bands<'_>, check: &mut dyn FnMut(&str, &dyn Page)) {
    let row = |verdict| ResultRow { time: &names.time, source: &names.source, verdict };
    let rows: Vec<_> = verdicts(names).into_iter().map(row).collect();
    for results in [&rows[..0], &rows[..4], &rows[4..], &rows[12..]] {
        check("results page", &ResultsPage { bands, results, n_answers: 999_999_999 });
    }
    let bucket = |i: u32| Bucket { label: &names.bucket, n_class: i * 9_999, n_cannot_say: i % 3, n_unreadable: i % 7 };
    let buckets: Vec<_> = (0..300).map(bucket).collect();
    let most = [Bucket { n_class: u32::MAX, n_cannot_say: u32::MAX, ..buckets[0] }; 24];
    for buckets in [&buckets[..0], &buckets[..1], &buckets[1..2], &buckets[..300], &most] {
        check("trend page", &TrendPage { bands, buckets, bucket_length: BucketLength::Minute });
    }
    for bucket_length in [BucketLength::Minute, BucketLength::Hour, BucketLength::Day] {
        check("trend page", &TrendPage { bands, buckets: &buckets[..24], bucket_length });
    }
    let full = status(bands);
    let clock = ClockStatus { time: &names.time, is_set: true };
    let unset = ClockStatus { time: "", is_set: false };
    check("status page", &StatusPage { clock, software: &names.software, ..full });
    check(
        "status page",
        &StatusPage { clock: unset, software: &names.software, store: None, temperature_tenths: None, ..full },
    );
}

fn each_alarm(names: &Names, bands: Bands<'_>, check: &mut dyn FnMut(&str, &dyn Page)) {
    let all = alarms(&names.alarm);
    check("alarm page with none", &AlarmPage { bands, alarms: &[] });
    check("alarm page with all", &AlarmPage { bands, alarms: &all });
    for first in 0..all.len() {
        check("alarm page", &AlarmPage { bands, alarms: &all[first..all.len().min(first + 3)] });
        check("alarm page with one", &AlarmPage { bands, alarms: &all[first..=first] });
    }
}
