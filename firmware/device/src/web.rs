//! What the local web page shows of the device.

mod door;
mod kept;
mod logins;

pub use door::{Door, settings};
pub use logins::Logins;

use crate::board::{Board, Shown, SourceState};
use crate::ledger::Ledger;
use crate::log::{Log, Note};
use crate::operation::alarm::Alarm;
use crate::operation::clock::{unix_ms, up_ms};
use crate::pipeline::{HeatMap, ModelName, Queue};
use crate::telemetry::Telemetry;
use crate::time;
use logins::Login;
use remedis_imaging::{Channels, Image, encode_png};
use remedis_store::{Answers, ReadError, Record};
use remedis_web as web;
use std::sync::Arc;
use web::Unavailable;

const HOUR_S: u32 = 3600;
/// Hours of the trend.
const N_HOURS: usize = 24;

/// The device as the web page sees it.
pub struct DeviceView {
    /// What people may see.
    pub board: Arc<Board>,
    /// What was answered; none while the books cannot be opened.
    pub ledger: Option<Arc<Ledger>>,
    /// What was measured.
    pub telemetry: Arc<Telemetry>,
    /// What waits.
    pub queue: Arc<Queue>,
    /// Results older than this are marked, in milliseconds.
    pub stale_after_ms: u64,
    /// The device's log.
    pub log: Log,
    /// The way of logins to the audit log.
    pub logins: Logins,
}

impl web::View for DeviceView {
    fn status(&self) -> Result<web::Status, Unavailable> {
        let (now_ms, used_bytes) = (up_ms(), self.ledger.as_ref().and_then(|ledger| ledger.bytes()));
        let status = self.board.look(|state| web::Status {
            now_unix_ms: unix_ms(),
            utc_offset_minutes: time::utc_offset_minutes(unix_ms()),
            is_clock_trusted: state.is_clock_trusted,
            uptime_s: now_ms.saturating_sub(state.started_ms) / 1000,
            alarms: state.alarms.iter().map(|(alarm, raised)| warning(alarm, raised, now_ms)).collect(),
            sources: state.sources.iter().map(source).collect(),
            model: answers(&state.model),
            store: web::Store {
                is_writable: !state.alarms.iter().any(|(alarm, _)| alarm.stops_answers()),
                records: self.ledger.as_ref().map(|_| state.n_answers),
                used_bytes,
                disk_free_bytes: state.free_bytes,
                disk_total_bytes: state.total_bytes,
            },
            temperature_celsius: state.celsius.map(|celsius| celsius as f32),
            memory_bytes: resident_bytes(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            newest: state.recent.front().map(|shown| self.shown(shown, &state.model, now_ms)),
        });
        Ok(status)
    }

    fn results(&self, before: Option<u64>, limit: usize) -> Result<Vec<web::ResultSummary>, Unavailable> {
        let before = before.unwrap_or(u64::MAX);
        let records = self.read(|answers| answers.before(before, limit))?;
        Ok(records.iter().map(|record| self.summary(record)).collect())
    }

    fn result(&self, sequence: u64) -> Result<Option<web::ResultDetail>, Unavailable> {
        let record = self.read(|answers| answers.get(sequence))?;
        Ok(record.map(|record| {
            let size = self.of(sequence, |shown| shown.size);
            web::ResultDetail { summary: self.summary(&record), trace: kept::trace(&record.answer, size) }
        }))
    }

    fn picture(&self, sequence: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        let image = self.of(sequence, |shown| shown.image.clone());
        Ok(image.map(|image| encode_png(&image)))
    }

    fn heat_map(&self, sequence: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        let both = self.of(sequence, |shown| Some((shown.image.clone()?, shown.heat_map.clone()?)));
        Ok(both.map(|(image, map)| encode_png(&overlaid(&image, &map))))
    }

    fn trend(&self) -> Result<web::Trend, Unavailable> {
        let (now, bucket_ms) = (unix_ms(), u64::from(HOUR_S) * 1000);
        let from_unix_ms = (now / bucket_ms * bucket_ms).saturating_sub((N_HOURS as u64 - 1) * bucket_ms);
        let trend = remedis_store::Trend { from_unix_ms, bucket_ms, n_buckets: N_HOURS };
        let buckets = self.read(|answers| answers.trend(&trend))?;
        let names: std::collections::BTreeSet<&String> =
            buckets.iter().flat_map(|bucket| bucket.classes.keys()).collect();
        let classes: Vec<String> = names.into_iter().cloned().collect();
        let few = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let bucket = |bucket: &remedis_store::Bucket| {
            let times = self.telemetry.hour(bucket.from_unix_ms).map(|times| times.map(|ms| ms as f32));
            web::Bucket {
                start_unix_ms: bucket.from_unix_ms,
                by_class: classes.iter().map(|class| few(bucket.classes.get(class).copied().unwrap_or(0))).collect(),
                cannot_say: few(bucket.cannot_say),
                unreadable: few(bucket.unreadable),
                latency_ms_p50: times.map(|[p50, _]| p50),
                latency_ms_p95: times.map(|[_, p95]| p95),
            }
        };
        let buckets = buckets.iter().map(bucket).collect();
        Ok(web::Trend { utc_offset_minutes: time::utc_offset_minutes(now), bucket_s: HOUR_S, classes, buckets })
    }

    fn metrics(&self, counters: &web::Counters) -> Result<String, Unavailable> {
        let (sources, started_ms) = self
            .board
            .look(|state| (state.sources.iter().map(|source| source.name).collect::<Vec<_>>(), state.started_ms));
        let depths: Vec<_> =
            sources.into_iter().enumerate().map(|(lane, name)| (name, self.queue.depth(lane))).collect();
        let uptime_s = up_ms().saturating_sub(started_ms) / 1000;
        Ok(self.telemetry.text(&self.board, &depths, uptime_s, &web_counters(counters)))
    }

    fn ailment(&self) -> Option<&'static str> {
        let is_grave = |alarm: &Alarm| alarm.stops_answers() || *alarm == Alarm::Hanging;
        self.board.look(|state| state.alarms.iter().map(|(alarm, _)| alarm).find(is_grave).map(Alarm::code))
    }

    fn log(&self, event: &web::Event) {
        let what = serde_json::to_value(event).unwrap_or_default();
        self.log.note(&Note::Web { what: &what });
        match event {
            web::Event::LoginAccepted { .. } => self.logins.tell(Login::Accepted),
            web::Event::LoginRefused { .. } => self.logins.tell(Login::Refused(1)),
            web::Event::Suppressed { of: web::Event::LOGIN_REFUSED, count } => {
                self.logins.tell(Login::Refused(*count));
            }
            _ => {}
        }
    }
}

impl DeviceView {
    fn read<T>(&self, read: impl FnOnce(&Answers) -> Result<T, ReadError>) -> Result<T, Unavailable> {
        let Some(ledger) = &self.ledger else { return Err(Unavailable { reason: "the journal is not open".into() }) };
        ledger.read(read).map_err(|cause| Unavailable { reason: cause.to_string() })
    }

    /// Something of a result whose picture is still in memory.
    fn of<T>(&self, sequence: u64, look: impl FnOnce(&Shown) -> Option<T>) -> Option<T> {
        self.board
            .look(|state| state.recent.iter().find(|shown| shown.sequence == sequence).and_then(|shown| look(shown)))
    }

    fn shown(&self, shown: &Shown, model: &ModelName, now_ms: u64) -> web::ResultSummary {
        let is_stale = shown.is_stale(now_ms, self.stale_after_ms);
        let (has_picture, has_heat_map) = (shown.image.is_some(), shown.heat_map.is_some());
        let mut summary = kept::summary(shown.sequence, &shown.answer, model);
        // What was said when it was answered is better than what the journal tells.
        if let (Some(reason), Some(code)) = (&mut summary.reason, shown.reason) {
            reason.name = Some(code.to_owned());
        }
        web::ResultSummary { is_stale, has_picture, has_heat_map, ..summary }
    }

    /// A result of the journal: without its picture in memory it is an old one.
    fn summary(&self, record: &Record) -> web::ResultSummary {
        let now_ms = up_ms();
        self.board.look(|state| {
            let recent = state.recent.iter().find(|shown| shown.sequence == record.sequence);
            recent.map_or_else(
                || web::ResultSummary {
                    is_stale: true,
                    ..kept::summary(record.sequence, &record.answer, &state.model)
                },
                |shown| self.shown(shown, &state.model, now_ms),
            )
        })
    }
}

/// None before there is one.
fn answers(model: &ModelName) -> Option<web::Model> {
    let ModelName { name, version, digest, confidence_threshold, .. } = model;
    let (name, version) = (name.clone(), version.clone());
    (!digest.is_empty()).then(|| web::Model { name, version, digest: digest.clone(), threshold: *confidence_threshold })
}

fn source(source: &crate::board::SourceStatus) -> web::Source {
    let state = match source.state {
        SourceState::Waiting => web::SourceState::Waiting,
        SourceState::Connected => web::SourceState::Connected,
        SourceState::Receiving { .. } => web::SourceState::Receiving,
        SourceState::Lost => web::SourceState::Lost,
    };
    let counter = |(name, value): (&&'static str, &u64)| web::Counter { name: (*name).to_owned(), value: *value };
    web::Source {
        name: source.name.to_owned(),
        state,
        detail: source.trouble.clone(),
        counters: source.counters.iter().filter(|(_, n)| **n > 0).map(counter).collect(),
    }
}

fn warning(alarm: Alarm, raised: &crate::operation::alarm::Raised, now_ms: u64) -> web::Alarm {
    let severity = if alarm.stops_answers() { web::Severity::Failure } else { web::Severity::Warning };
    let since_unix_ms = unix_ms().saturating_sub(now_ms.saturating_sub(raised.since_ms));
    web::Alarm { severity, name: alarm.code().to_owned(), detail: raised.detail.clone(), since_unix_ms }
}

/// The picture with the map over it: where the evidence lies stays bright, the rest is darkened.
fn overlaid(image: &Image, map: &HeatMap) -> Image {
    let rgb = image.to_rgb();
    let (width, height) = (rgb.width as usize, rgb.height as usize);
    let [left, top, across, down] = map.area.map(f64::from);
    let cell = |at: usize, n_pixels: usize, from: f64, length: f64, n_cells: u32| {
        let share = ((at as f64 + 0.5) / n_pixels as f64 - from) / length.max(f64::EPSILON);
        (0.0..1.0).contains(&share).then(|| (share * f64::from(n_cells)) as usize)
    };
    let mut samples = rgb.as_u8().to_vec();
    for (at, pixel) in samples.chunks_exact_mut(3).enumerate() {
        let row = cell(at / width, height, top, down, map.rows);
        let column = cell(at % width, width, left, across, map.columns);
        let relevance = row.zip(column).map_or(0, |(row, column)| map.relevance[row * map.columns as usize + column]);
        // From a third of its brightness to all of it.
        pixel
            .iter_mut()
            .for_each(|sample| *sample = (u32::from(*sample) * (85 + u32::from(relevance) * 170 / 255) / 255) as u8);
    }
    Image::new(rgb.width, rgb.height, Channels::Rgb, samples)
}

fn web_counters(counters: &web::Counters) -> [(&'static str, u64); 11] {
    [
        ("connections", counters.connections),
        ("connections_open", counters.connections_open),
        ("connections_refused", counters.connections_refused),
        ("connections_evicted", counters.connections_evicted),
        ("connections_dropped", counters.connections_dropped),
        ("requests", counters.requests),
        ("requests_refused", counters.requests_refused),
        ("logins", counters.logins),
        ("logins_refused", counters.logins_refused),
        ("views_failed", counters.views_failed),
        ("sessions", counters.sessions),
    ]
}

/// Memory that this program holds, as the kernel counts it.
pub fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
