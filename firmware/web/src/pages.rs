//! The pages, made from templates. What comes from elsewhere is escaped by the templates' engine, without exception.

mod chart;
mod locale;
mod texts;
mod words;

use crate::{Language, ResultDetail, ResultSummary, Status, Trend};
use chart::{Chart, percent_of};
use locale::Locale;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, State, UndefinedBehavior, context};
use texts::Texts;
use words::Kind;

/// Results on one page of the list.
pub(crate) const RESULTS_PER_PAGE: usize = 20;
/// Seconds after which the trend asks for itself again.
const TREND_REFRESH_S: u16 = 60;

const TEMPLATES: [(&str, &str); 8] = [
    ("frame", include_str!("../templates/frame.html")),
    ("parts", include_str!("../templates/parts.html")),
    ("login", include_str!("../templates/login.html")),
    ("status", include_str!("../templates/status.html")),
    ("results", include_str!("../templates/results.html")),
    ("result", include_str!("../templates/result.html")),
    ("trend", include_str!("../templates/trend.html")),
    ("problem", include_str!("../templates/problem.html")),
];

/// Who looks at a page.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) language: Language,
    /// The path of one of our pages: slashes, letters and digits only.
    pub(crate) path: String,
    pub(crate) is_in: bool,
}

/// What the login page has to say about the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginNote {
    None,
    Wrong,
    Wait { seconds: u64 },
}

/// Makes every page.
pub(crate) struct Pages {
    environment: Environment<'static>,
    device_name: String,
    refresh_s: u16,
}

impl Pages {
    pub(crate) fn new(device_name: &str, refresh_s: u16) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        add_filters(&mut environment);
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        Ok(Self { environment, device_name: device_name.to_owned(), refresh_s })
    }

    pub(crate) fn login(&self, visit: &Visit, note: LoginNote) -> Result<String, Error> {
        let wait = match note {
            LoginNote::Wait { seconds } => Some(seconds),
            LoginNote::None | LoginNote::Wrong => None,
        };
        let page = context! { is_wrong => note == LoginNote::Wrong, wait };
        self.render("login", visit, 0, 0, page)
    }

    pub(crate) fn status(&self, visit: &Visit, status: &Status) -> Result<String, Error> {
        let page = context! { now => status.now_unix_ms, s => Value::from(Serde(status)) };
        self.render("status", visit, self.refresh_s, status.utc_offset_minutes, page)
    }

    /// `results` are one more than the page shows when there are older ones.
    pub(crate) fn results(
        &self,
        visit: &Visit,
        status: &Status,
        results: &[ResultSummary],
        before: Option<u64>,
    ) -> Result<String, Error> {
        let shown = &results[..results.len().min(RESULTS_PER_PAGE)];
        let older_than = shown.last().filter(|_| results.len() > shown.len()).map(|last| last.sequence);
        let page = context! {
            now => status.now_unix_ms,
            results => Value::from(Serde(shown)),
            older_than,
            is_newest => before.is_none(),
        };
        self.render("results", visit, 0, status.utc_offset_minutes, page)
    }

    pub(crate) fn result(&self, visit: &Visit, status: &Status, detail: &ResultDetail) -> Result<String, Error> {
        let page = context! {
            now => status.now_unix_ms,
            r => Value::from(Serde(&detail.summary)),
            trace => Value::from(Serde(&detail.trace)),
        };
        self.render("result", visit, 0, status.utc_offset_minutes, page)
    }

    pub(crate) fn trend(&self, visit: &Visit, trend: &Trend) -> Result<String, Error> {
        let chart = Chart::of(trend, Texts::of(visit.language));
        let page = context! { chart => Value::from(Serde(&chart)) };
        self.render("trend", visit, TREND_REFRESH_S, trend.utc_offset_minutes, page)
    }

    pub(crate) fn problem(&self, visit: &Visit, status: u16) -> Result<String, Error> {
        let page = context! { status, words => Texts::of(visit.language).problem(status) };
        self.render("problem", visit, 0, 0, page)
    }

    fn render(
        &self,
        name: &str,
        visit: &Visit,
        refresh: u16,
        utc_offset_minutes: i16,
        page: Value,
    ) -> Result<String, Error> {
        let (this, other) = match visit.language {
            Language::English => (Language::English, Language::German),
            Language::German => (Language::German, Language::English),
        };
        let frame = context! {
            page_name => name,
            device_name => self.device_name.as_str(),
            t => Value::from(Serde(Texts::of(this))),
            language => this.code(),
            other_language => other.code(),
            other_language_name => Texts::of(other).language_name,
            utc_offset_minutes,
            path => Value::from_safe_string(visit.path.clone()),
            is_in => visit.is_in,
            refresh,
            ..page
        };
        self.environment.get_template(name)?.render(frame)
    }
}

/// How numbers and times are written for the reader of the page being made.
fn locale(state: &State<'_, '_>) -> Locale {
    let code = state.lookup("language");
    let language = code.as_ref().and_then(Value::as_str).and_then(Language::from_code).unwrap_or(Language::English);
    let offset = state.lookup("utc_offset_minutes").and_then(|minutes| i16::try_from(minutes).ok()).unwrap_or(0);
    Locale::new(language, offset)
}

fn add_filters(environment: &mut Environment<'_>) {
    environment.add_filter("date_time", |state: &State<'_, '_>, unix_ms: u64| locale(state).date_time(unix_ms));
    environment.add_filter("clock", |state: &State<'_, '_>, unix_ms: u64| locale(state).clock(unix_ms));
    environment.add_filter("axis_time", |state: &State<'_, '_>, unix_ms: u64, span_s: u32| {
        locale(state).axis_time(unix_ms, span_s)
    });
    environment.add_filter("ago", |state: &State<'_, '_>, unix_ms: u64, now: u64| locale(state).ago(unix_ms, now));
    environment.add_function("utc_offset", |state: &State<'_, '_>| locale(state).utc_offset());
    environment.add_filter("duration", |state: &State<'_, '_>, seconds: u64| locale(state).duration(seconds));
    environment.add_filter("percent", |state: &State<'_, '_>, share: f64| locale(state).percent(share));
    environment.add_filter("bytes", |state: &State<'_, '_>, bytes: u64| locale(state).bytes(bytes));
    environment.add_filter("count", |state: &State<'_, '_>, count: u64| locale(state).count(count));
    environment.add_filter("decimal", |state: &State<'_, '_>, number: f64| locale(state).decimal(number, 1));
    environment.add_filter("measure", |state: &State<'_, '_>, number: f64| locale(state).measure(number));
    environment.add_filter("percent_of", percent_of);
    for (filter, kind) in Kind::FILTERS {
        environment.add_filter(filter, move |state: &State<'_, '_>, name: &str| {
            kind.words(name, locale(state).language()).map_or_else(|| name.to_owned(), str::to_owned)
        });
    }
}
