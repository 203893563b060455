//! From what the board shows to a page of the screen.

use super::Canvas;
use crate::board::{Shown, SourceState, State};
use crate::ledger::Ledger;
use crate::operation::alarm::Alarm;
use crate::operation::clock::unix_ms;
use crate::pipeline::HeatMap;
use crate::source::of_10000;
use crate::time;
use embedded_graphics::prelude::Size;
use remedis_bundle::Channels;
use remedis_imaging::Image;
use remedis_screen as screen;
use remedis_settings::{Language, Page};
use remedis_store::{Trend, Verdict};
use std::sync::Arc;

const HOUR_MS: u64 = 3_600_000;
/// Hours of the trend.
const N_HOURS: usize = 12;
/// An image that is judged for longer is announced.
const SLOW_MS: u64 = 300;
/// The trend is read anew this often.
const TREND_EVERY_MS: u64 = 30_000;

/// Draws pages.
pub struct Pages {
    language: screen::Language,
    stale_after_ms: u64,
    ledger: Option<Arc<Ledger>>,
    trend: Vec<Hour>,
    trend_ms: Option<u64>,
}

struct Hour {
    label: String,
    n_class: u32,
    n_cannot_say: u32,
    n_unreadable: u32,
}

impl Pages {
    /// Draws in `language`; results older than `stale_after_ms` are marked, the trend is that of `ledger`.
    pub fn new(language: Language, stale_after_ms: u64, ledger: Option<Arc<Ledger>>) -> Self {
        let language = match language {
            Language::English => screen::Language::English,
            Language::German => screen::Language::German,
        };
        Self { language, stale_after_ms, ledger, trend: vec![], trend_ms: None }
    }

    /// The page that `state` asks for, as pixels.
    pub fn draw(&mut self, state: &State, now_ms: u64, size: Size) -> Canvas {
        let mut canvas = Canvas::new(size);
        let sources: Vec<screen::Source<'_>> = state.sources.iter().map(source).collect();
        let alarms: Vec<Warning> = state.alarms.iter().map(|(alarm, on)| Warning::of(alarm, on, now_ms)).collect();
        let alarms: Vec<screen::Alarm<'_>> = alarms.iter().map(Warning::lent).collect();
        let clock = time::of_day(unix_ms());
        let bands = screen::Bands {
            sources: &sources,
            alarms: screen::AlarmBadge::of(&alarms),
            clock: if state.is_clock_trusted { &clock } else { "" },
            model: Some(screen::ModelLabel {
                name: &state.model.name,
                version: &state.model.version,
                digest: &state.model.digest,
                is_on_trial: state.model.is_on_trial,
            }),
        };
        let (theme, language) = (&screen::Theme::DARK, self.language);
        let Ok(()) = match state.page {
            Page::Live => {
                let newest = state.recent.front().filter(|newest| newest.answer.is_clock_trusted);
                let time = newest.map_or_else(String::new, |newest| time::of_day(newest.answer.unix_ms));
                self.live(state, now_ms, bands, &time).draw(theme, language, &mut canvas)
            }
            Page::Results => {
                let times: Vec<String> = state.recent.iter().map(|shown| time::of_day(shown.answer.unix_ms)).collect();
                let rows: Vec<screen::ResultRow<'_>> = state.recent.iter().zip(&times).map(row).collect();
                let page = screen::ResultsPage { bands, results: &rows, n_answers: state.n_answers };
                page.draw(theme, language, &mut canvas)
            }
            Page::Trend => {
                self.read_trend(now_ms);
                let buckets: Vec<screen::Bucket<'_>> = self.trend.iter().map(bucket).collect();
                let page = screen::TrendPage { bands, buckets: &buckets, bucket_length: screen::BucketLength::Hour };
                page.draw(theme, language, &mut canvas)
            }
            Page::Status => {
                let time = time::of_minute(unix_ms());
                status(state, now_ms, bands, &time).draw(theme, language, &mut canvas)
            }
            Page::Alarms => screen::AlarmPage { bands, alarms: &alarms }.draw(theme, language, &mut canvas),
        };
        canvas
    }

    fn live<'a>(&self, state: &'a State, now_ms: u64, bands: screen::Bands<'a>, time: &'a str) -> screen::LivePage<'a> {
        let newest = state.recent.front();
        // One that is judged in no time is not announced: the page would flicker.
        let is_slow = |since_ms: u64| now_ms.saturating_sub(since_ms) >= SLOW_MS;
        let working =
            state.working.filter(|(_, since_ms)| is_slow(*since_ms)).map(|(source, _)| state.sources[source].name);
        let verdict = match (working, newest) {
            (Some(_), _) => screen::Verdict::Working,
            (None, None) => screen::Verdict::None,
            (None, Some(shown)) => verdict(shown),
        };
        // While an image is judged, the last one's picture would be taken for it.
        let shown = newest.filter(|_| working.is_none());
        let last = shown.map(|shown| state.sources[shown.source].name);
        screen::LivePage {
            bands,
            picture: shown.and_then(|shown| shown.image.as_deref()).and_then(picture),
            heat_map: shown.and_then(|shown| shown.heat_map.as_ref()).and_then(heat_map),
            verdict,
            // Another model's threshold says nothing about this answer.
            threshold_of_10000: newest
                .filter(|shown| shown.answer.model.digest == state.model.digest)
                .map(|_| of_10000(state.model.confidence_threshold)),
            source: working.or(last).unwrap_or_default(),
            time: if shown.is_some() { time } else { "" },
            n_answers: state.n_answers,
            n_skipped: state.sources.iter().map(|source| source.n_skipped).sum(),
            is_stale: shown.is_some_and(|shown| shown.is_stale(now_ms, self.stale_after_ms)),
        }
    }

    /// The trend, not older than it may be. A journal that cannot be read leaves the last one.
    fn read_trend(&mut self, now_ms: u64) {
        if self.trend_ms.is_some_and(|at_ms| now_ms < at_ms + TREND_EVERY_MS) {
            return;
        }
        self.trend_ms = Some(now_ms);
        let this_hour = unix_ms() / HOUR_MS * HOUR_MS;
        let from_unix_ms = this_hour.saturating_sub((N_HOURS as u64 - 1) * HOUR_MS);
        let trend = Trend { from_unix_ms, bucket_ms: HOUR_MS, n_buckets: N_HOURS };
        let Some(ledger) = &self.ledger else { return };
        let Ok(buckets) = ledger.read(|answers| answers.trend(&trend)) else { return };
        let few = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        self.trend = buckets
            .iter()
            .map(|bucket| Hour {
                label: time::hour(bucket.from_unix_ms),
                n_class: few(bucket.classes.values().sum()),
                n_cannot_say: few(bucket.cannot_say),
                n_unreadable: few(bucket.unreadable),
            })
            .collect();
    }
}

fn source(source: &crate::board::SourceStatus) -> screen::Source<'_> {
    let state = match source.state {
        SourceState::Waiting => screen::LinkState::Waiting,
        SourceState::Connected => screen::LinkState::Connected,
        SourceState::Receiving { percent } => screen::LinkState::Receiving { percent },
        SourceState::Lost => screen::LinkState::Lost,
    };
    let (n_images, n_skipped, n_errors) = (source.n_answers, source.n_skipped, source.n_errors());
    screen::Source { name: source.name, state, n_images, n_skipped, n_errors }
}

fn verdict(shown: &Shown) -> screen::Verdict<'_> {
    match &shown.answer.verdict {
        Verdict::Class { name, confidence, .. } => {
            screen::Verdict::Class { name, confidence_of_10000: of_10000(*confidence) }
        }
        Verdict::CannotSay { reason: words, best } => screen::Verdict::CannotSay {
            reason: reason(shown.reason, words),
            best: best.as_ref().map(|best| (best.name.as_str(), of_10000(best.confidence))),
        },
        Verdict::Unreadable { reason: words } => screen::Verdict::Unreadable { reason: reason(shown.reason, words) },
    }
}

/// In the operator's language where there is a code for it, else as the model said it.
fn reason<'a>(code: Option<&str>, words: &'a str) -> screen::Reason<'a> {
    match code {
        Some("low_confidence") => screen::Reason::LowConfidence,
        Some("blurred") => screen::Reason::Blurred,
        Some("too_dark") => screen::Reason::TooDark,
        Some("too_bright") => screen::Reason::TooBright,
        Some("saturated") => screen::Reason::Saturated,
        Some("geometry") => screen::Reason::WrongGeometry,
        Some("unlike") => screen::Reason::OutOfDistribution,
        Some("unreadable") => screen::Reason::Unreadable,
        Some("model_fault") => screen::Reason::ModelFault,
        _ => screen::Reason::Other(words),
    }
}

fn row<'a>((shown, time): (&'a Arc<Shown>, &'a String)) -> screen::ResultRow<'a> {
    screen::ResultRow { time, source: &shown.answer.source, verdict: verdict(shown) }
}

fn bucket(hour: &Hour) -> screen::Bucket<'_> {
    let Hour { label, n_class, n_cannot_say, n_unreadable } = hour;
    screen::Bucket { label, n_class: *n_class, n_cannot_say: *n_cannot_say, n_unreadable: *n_unreadable }
}

fn status<'a>(state: &State, now_ms: u64, bands: screen::Bands<'a>, time: &'a str) -> screen::StatusPage<'a> {
    let is_writable = !state.alarms.iter().any(|(alarm, _)| alarm.stops_answers());
    let disk_free_mib = state.free_bytes.map(|bytes| bytes >> 20);
    screen::StatusPage {
        bands,
        store: Some(screen::StoreStatus { n_answers: state.n_answers, disk_free_mib, is_writable }),
        clock: screen::ClockStatus { time, is_set: state.is_clock_trusted },
        temperature_tenths: state.celsius.map(|celsius| (celsius * 10.0).round() as i16),
        uptime_s: now_ms.saturating_sub(state.started_ms) / 1000,
        software: env!("CARGO_PKG_VERSION"),
    }
}

fn picture(image: &Image) -> Option<screen::Picture<'_>> {
    let samples = match image.channels {
        Channels::Grey => screen::Samples::Grey(image.as_u8()),
        Channels::Rgb => screen::Samples::Rgb(image.as_u8()),
    };
    screen::Picture::new(image.width, image.height, samples)
}

fn heat_map(map: &HeatMap) -> Option<screen::HeatMap<'_>> {
    screen::HeatMap::new(map.columns, map.rows, &map.relevance)?.over_part(map.area)
}

/// An alarm and the time that is borrowed for its page.
struct Warning {
    alarm: Alarm,
    since: String,
}

impl Warning {
    fn of(alarm: Alarm, raised: &crate::operation::alarm::Raised, now_ms: u64) -> Self {
        let ago_ms = now_ms.saturating_sub(raised.since_ms);
        let since = time::of_day(unix_ms().saturating_sub(ago_ms));
        Self { alarm, since }
    }

    fn lent(&self) -> screen::Alarm<'_> {
        use screen::AlarmKind as Kind;
        let kind = match self.alarm {
            Alarm::JournalReadOnly => Kind::DiskReadOnly,
            Alarm::DiskFull => Kind::DiskFull,
            Alarm::JournalFault => Kind::StoreFault,
            Alarm::ModelReturned => Kind::ModelRolledBack,
            Alarm::Hot => Kind::Overheated,
            Alarm::SourceLost(source) => Kind::SourceLost { source },
            Alarm::ClockJumped => Kind::ClockJumped,
            Alarm::Stopped => Kind::Stopped,
            Alarm::AuditBroken => Kind::AuditBroken,
            Alarm::NoModel => Kind::NoModel,
            Alarm::ModelFault => Kind::ModelFault,
            Alarm::OutOfMemory => Kind::OutOfMemory,
            Alarm::Hanging => Kind::Hanging,
            Alarm::DiskLow => Kind::DiskLow,
            Alarm::DisplayLost => Kind::DisplayLost,
        };
        screen::Alarm { kind, since: &self.since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ModelName;
    use remedis_bundle::Channels;
    use remedis_store::{Answer, ModelId, Trace};

    fn model(digest: &str) -> ModelName {
        ModelName { digest: digest.to_owned(), confidence_threshold: 0.8, ..ModelName::default() }
    }

    /// Model `a` has named a class in an image of 40 x 20, of which it saw the middle square.
    fn answered() -> State {
        let verdict = Verdict::Class { index: 0, name: "ring form".to_owned(), confidence: 0.75 };
        let model_id = ModelId { name: String::new(), version: String::new(), digest: "a".to_owned() };
        let shown = Shown {
            sequence: 1,
            source: 0,
            answer: Answer {
                source: "link".to_owned(),
                request: None,
                image_sha256: String::new(),
                image_bytes: 800,
                verdict,
                probabilities: vec![0.75, 0.25],
                model: model_id,
                unix_ms: 0,
                is_clock_trusted: true,
                boot: 1,
                uptime_ms: 1,
                trace: Trace::default(),
            },
            reason: None,
            size: Some((40, 20)),
            arrived_ms: 0,
            image: Some(Arc::new(Image::new(40, 20, Channels::Grey, vec![128_u8; 800]))),
            heat_map: Some(HeatMap { rows: 1, columns: 1, relevance: vec![255], area: [0.25, 0.0, 0.5, 1.0] }),
        };
        let sources = vec![crate::board::SourceStatus { name: "link", ..Default::default() }];
        State { model: model("a"), sources, recent: [Arc::new(shown)].into(), ..State::default() }
    }

    fn pages() -> Pages {
        Pages::new(Language::English, 1000, None)
    }

    #[test]
    fn an_answer_is_shown_with_the_threshold_of_its_own_model_only() {
        let bands = screen::Bands { sources: &[], alarms: None, clock: "", model: None };
        let mut state = answered();
        assert_eq!(pages().live(&state, 0, bands, "").threshold_of_10000, Some(8_000));
        state.model = model("b");
        assert_eq!(pages().live(&state, 0, bands, "").threshold_of_10000, None);
    }

    #[test]
    fn the_heat_map_lies_over_what_the_model_saw() {
        let with_map = pages().draw(&answered(), 0, Size::new(320, 240));
        let mut without = answered();
        Arc::make_mut(&mut without.recent[0]).heat_map = None;
        let without = pages().draw(&without, 0, Size::new(320, 240));
        // The plain image, and the same grey under the strongest tint.
        let n = |canvas: &Canvas, colour: [u8; 3]| {
            canvas.pixels().chunks_exact(3).filter(|pixel| **pixel == colour).count()
        };
        let [grey, hot] = [[128; 3], [189, 183, 94]];
        let (all, left, covered) = (n(&without, grey), n(&with_map, grey), n(&with_map, hot));
        // A legend is drawn too.
        let is_half = |part: usize| (2 * part).abs_diff(all) < all / 5;
        assert!(is_half(left) && is_half(covered), "of {all}: {left} beside the map, {covered} under it");
    }
}
