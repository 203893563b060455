//! The answer to a request: first whether it may ask, then what it asked for.

use super::visit::{self, LANGUAGE_COOKIE};
use super::{Ends, Shared, lock};
use crate::guard::{Attempt, Refusal, check_host, check_origin};
use crate::pages::{LoginNote, RESULTS_PER_PAGE, Visit};
use crate::reply::{Reply, html, reply, see_other, text, with};
use crate::route::Route;
use crate::{Event, Language, Unavailable};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, HeaderMap, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const STYLE: &str = include_str!("../../templates/style.css");
const ICON: &str = include_str!("../../templates/icon.svg");
const NOT_ALLOWED: Refusal = Refusal { status: StatusCode::METHOD_NOT_ALLOWED, why: "a method that is not offered" };
const NOT_FOUND: Refusal = Refusal { status: StatusCode::NOT_FOUND, why: "a path that is not offered" };

/// Answers a request.
pub(super) async fn answer(shared: &Arc<Shared>, ends: Ends, request: Request<Incoming>) -> Reply {
    let visit = visit_of(shared, &request);
    let picked = visit::picked(request.uri().query().unwrap_or_default());
    let reply = match admit(shared, ends, &request) {
        Ok(route) => route_to(shared, ends, route, &visit, request).await,
        Err(refused) => refuse(shared, ends, &visit, &refused),
    };
    match picked {
        Some(language) if reply.status().is_success() => with(reply, SET_COOKIE, &language_cookie(language)),
        _ => reply,
    }
}

/// Who asks, in which language, for the page's frame.
fn visit_of(shared: &Shared, request: &Request<Incoming>) -> Visit {
    let query = request.uri().query().unwrap_or_default();
    // What a page that refreshes itself fetches along, such as pictures, nobody asked for either.
    let is_page = Route::of(request.uri().path()).is_some_and(Route::is_turned_to);
    let is_active = is_page && visit::field(query.as_bytes(), "auto").is_none();
    let (mut sessions, now) = (lock(&shared.sessions), shared.now());
    let is_in =
        visit::cookies(request.headers(), session_cookie_name(shared)).any(|id| sessions.is_open(id, now, is_active));
    Visit {
        language: visit::language(query, request.headers(), shared.settings.language),
        path: known_path(request.uri().path()),
        is_in,
    }
}

/// The path for links back to the same page; what is not ours is not repeated, or `//elsewhere` would become a link there.
fn known_path(path: &str) -> String {
    let is_page = Route::of(path).is_some_and(|route| route.allows(&Method::GET));
    if is_page { path.to_owned() } else { "/".to_owned() }
}

struct Refused {
    refusal: Refusal,
    header: Option<(hyper::header::HeaderName, String)>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, header: None }
    }
}

/// Everything that is checked before a page is looked for.
fn admit(shared: &Shared, ends: Ends, request: &Request<Incoming>) -> Result<Route, Refused> {
    if let Some(wait) = lock(&shared.rate).count(ends.peer, shared.now()) {
        let refusal = Refusal { status: StatusCode::TOO_MANY_REQUESTS, why: "too many requests" };
        return Err(Refused { refusal, header: Some((RETRY_AFTER, whole_seconds(wait).to_string())) });
    }
    check_host(&shared.settings, ends.local, request.uri(), request.headers())?;
    let route = Route::of(request.uri().path()).ok_or(NOT_FOUND)?;
    if !route.allows(request.method()) {
        return Err(Refused { refusal: NOT_ALLOWED, header: Some((ALLOW, route.allowed().into())) });
    }
    if request.method() == Method::POST {
        check_origin(request.headers())?;
    }
    Ok(route)
}

fn refuse(shared: &Shared, ends: Ends, visit: &Visit, refused: &Refused) -> Reply {
    let Refusal { status, why } = refused.refusal;
    shared.reporter.report(&Event::RequestRefused { peer: ends.peer, status: status.as_u16(), why });
    let reply = problem(shared, visit, status);
    match &refused.header {
        Some((name, value)) => with(reply, name.clone(), value),
        None => reply,
    }
}

async fn route_to(shared: &Arc<Shared>, ends: Ends, route: Route, visit: &Visit, request: Request<Incoming>) -> Reply {
    match route {
        Route::Style => reply(StatusCode::OK, "text/css; charset=utf-8", STYLE),
        Route::Icon => reply(StatusCode::OK, "image/svg+xml", ICON),
        Route::Health => health(shared).await,
        Route::Metrics => metrics(shared, ends, visit, request.headers()).await,
        Route::Login if request.method() == Method::POST => login(shared, ends, visit, request).await,
        Route::Login if visit.is_in => see_other("/"),
        Route::Login => page(shared, StatusCode::OK, shared.pages.login(visit, LoginNote::None)),
        Route::Logout => logout(shared, ends, request.headers()),
        Route::Picture(_) | Route::HeatMap(_) if !visit.is_in => problem(shared, visit, StatusCode::UNAUTHORIZED),
        _ if !visit.is_in => see_other("/login"),
        _ => show(shared, route, visit, request.uri().query().unwrap_or_default()).await,
    }
}

/// What only who is logged in may see.
async fn show(shared: &Arc<Shared>, route: Route, visit: &Visit, query: &str) -> Reply {
    let before = visit::field(query.as_bytes(), "before").and_then(|number| number.parse().ok());
    let seen = visit.clone();
    let shown = ask(shared, move |shared| {
        let (view, pages) = (&shared.view, &shared.pages);
        let found = |rendered| page(shared, StatusCode::OK, rendered);
        Ok(match route {
            Route::Status => Some(found(pages.status(&seen, &view.status()?))),
            Route::Results => {
                let results = view.results(before, RESULTS_PER_PAGE + 1)?;
                Some(found(pages.results(&seen, &view.status()?, &results, before)))
            }
            Route::Result(number) => match view.result(number)? {
                Some(detail) => Some(found(pages.result(&seen, &view.status()?, &detail))),
                None => None,
            },
            Route::Picture(number) => view.picture(number)?.map(png),
            Route::HeatMap(number) => view.heat_map(number)?.map(png),
            _ => Some(found(pages.trend(&seen, &view.trend()?))),
        })
    });
    match shown.await {
        Ok(Some(reply)) => reply,
        Ok(None) => problem(shared, visit, StatusCode::NOT_FOUND),
        Err(Failed) => problem(shared, visit, StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn png(bytes: Vec<u8>) -> Reply {
    reply(StatusCode::OK, "image/png", bytes)
}

/// The device could not tell; that is in the log already.
struct Failed;

/// Asks the device, on a thread of its own and for a bounded time.
async fn ask<T: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&Shared) -> Result<T, Unavailable> + Send + 'static,
) -> Result<T, Failed> {
    let asked = Arc::clone(shared);
    let answered = timeout(shared.settings.limits.request_timeout, async move {
        // The place is taken along: a question that nobody waits for any more still occupies the device.
        let place = Arc::clone(&asked.view_calls).acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            let answer = question(&asked);
            drop(place);
            answer
        })
        .await
    });
    let reason = match answered.await {
        Ok(Ok(Ok(answer))) => return Ok(answer),
        Ok(Ok(Err(unavailable))) => unavailable.reason,
        Ok(Err(_panicked)) => "the device's answer was cut short by a fault".into(),
        Err(_elapsed) => "the device did not answer in time".into(),
    };
    shared.reporter.report(&Event::ViewFailed { reason });
    Err(Failed)
}

async fn health(shared: &Arc<Shared>) -> Reply {
    match ask(shared, |shared| Ok(shared.view.ailment())).await {
        Ok(None) => text(StatusCode::OK, "ok\n"),
        Ok(Some(ailment)) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ok: {ailment}\n")),
        Err(Failed) => text(StatusCode::SERVICE_UNAVAILABLE, "not ok: no answer\n"),
    }
}

async fn metrics(shared: &Arc<Shared>, ends: Ends, visit: &Visit, headers: &HeaderMap) -> Reply {
    let is_open = shared.settings.metrics_open_on_loopback && ends.peer.is_loopback();
    if !visit.is_in && !is_open {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match bearer.map(|token| attempt(shared, ends, token)) {
            Some(Attempt::Accepted) => {}
            Some(Attempt::TooEarly { wait }) => {
                let reply = text(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens\n");
                return with(reply, RETRY_AFTER, &whole_seconds(wait).to_string());
            }
            Some(Attempt::Refused) | None => {
                let reply = text(StatusCode::UNAUTHORIZED, "a token is needed\n");
                return with(reply, WWW_AUTHENTICATE, "Bearer");
            }
        }
    }
    let counters = shared.counters();
    match ask(shared, move |shared| shared.view.metrics(&counters)).await {
        Ok(metrics) => reply(StatusCode::OK, metrics_type(&metrics), metrics),
        Err(Failed) => text(StatusCode::SERVICE_UNAVAILABLE, "no metrics now\n"),
    }
}

fn metrics_type(metrics: &str) -> &'static str {
    if metrics.trim_end().ends_with("# EOF") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    }
}

/// Tries a token, within the limits for trying.
fn attempt(shared: &Shared, ends: Ends, token: &str) -> Attempt {
    let attempt = lock(&shared.login).attempt(ends.peer, shared.now(), || shared.token.is_of(token));
    match attempt {
        Attempt::Accepted => {}
        Attempt::Refused => shared.reporter.report(&Event::LoginRefused { peer: ends.peer }),
        Attempt::TooEarly { wait } => {
            let retry_after_s = whole_seconds(wait);
            shared.reporter.report(&Event::LoginLimited { peer: ends.peer, retry_after_s });
        }
    }
    attempt
}

async fn login(shared: &Arc<Shared>, ends: Ends, visit: &Visit, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let form = match read_form(shared, body).await {
        Ok(form) => form,
        Err(refusal) => return refuse(shared, ends, visit, &refusal.into()),
    };
    let token = visit::field(&form, "token").unwrap_or_default();
    match attempt(shared, ends, &token) {
        Attempt::Accepted => enter(shared, ends, visit, &head.headers),
        Attempt::Refused => page(shared, StatusCode::UNAUTHORIZED, shared.pages.login(visit, LoginNote::Wrong)),
        Attempt::TooEarly { wait } => {
            let seconds = whole_seconds(wait);
            let reply =
                page(shared, StatusCode::TOO_MANY_REQUESTS, shared.pages.login(visit, LoginNote::Wait { seconds }));
            with(reply, RETRY_AFTER, &seconds.to_string())
        }
    }
}

async fn read_form(shared: &Shared, body: Incoming) -> Result<Bytes, Refusal> {
    let too_large = Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, why: "a form that is too large" };
    let limits = &shared.settings.limits;
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(too_large);
    }
    match timeout(limits.body_timeout, Limited::new(body, limits.body_bytes).collect()).await {
        Ok(Ok(form)) => Ok(form.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(_broken_off)) => Err(Refusal { status: StatusCode::BAD_REQUEST, why: "a form that broke off" }),
        Err(_elapsed) => Err(Refusal { status: StatusCode::REQUEST_TIMEOUT, why: "a form that came too slowly" }),
    }
}

/// Opens a session, in place of the one that the browser may have had.
fn enter(shared: &Shared, ends: Ends, visit: &Visit, headers: &HeaderMap) -> Reply {
    let mut sessions = lock(&shared.sessions);
    visit::cookies(headers, session_cookie_name(shared)).for_each(|id| sessions.close(id));
    match sessions.open(shared.now()) {
        Ok(id) => {
            shared.reporter.report(&Event::LoginAccepted { peer: ends.peer });
            with(see_other("/"), SET_COOKIE, &session_cookie(shared, &id.to_string()))
        }
        Err(error) => {
            drop(sessions);
            shared.reporter.report(&Event::ViewFailed { reason: error.to_string() });
            problem(shared, visit, StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

fn logout(shared: &Shared, ends: Ends, headers: &HeaderMap) -> Reply {
    let mut sessions = lock(&shared.sessions);
    visit::cookies(headers, session_cookie_name(shared)).for_each(|id| sessions.close(id));
    shared.reporter.report(&Event::LoggedOut { peer: ends.peer });
    with(see_other("/login"), SET_COOKIE, &format!("{}; Max-Age=0", session_cookie(shared, "")))
}

/// Browsers take a cookie named `__Host-` only over TLS, for this host alone.
fn session_cookie_name(shared: &Shared) -> &'static str {
    if shared.settings.is_behind_tls { "__Host-remedis_session" } else { "remedis_session" }
}

fn session_cookie(shared: &Shared, id: &str) -> String {
    let secure = if shared.settings.is_behind_tls { "; Secure" } else { "" };
    format!("{}={id}; Path=/; HttpOnly; SameSite=Strict{secure}", session_cookie_name(shared))
}

fn language_cookie(language: Language) -> String {
    format!("{LANGUAGE_COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000", language.code())
}

fn problem(shared: &Shared, visit: &Visit, status: StatusCode) -> Reply {
    page(shared, status, shared.pages.problem(visit, status.as_u16()))
}

/// A page, or, should a template of ours fail, the bare fact.
fn page(shared: &Shared, status: StatusCode, rendered: Result<String, minijinja::Error>) -> Reply {
    match rendered {
        Ok(page) => html(status, page),
        Err(fault) => {
            shared.reporter.report(&Event::ViewFailed { reason: fault.to_string() });
            text(StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be made\n")
        }
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
