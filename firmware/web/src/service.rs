//! One connection, and one request.

mod answer;
mod visit;

use crate::guard::{Admission, LoginLimiter, RequestRate, Sessions, Ticket};
use crate::pages::Pages;
use crate::reply::{Reply, with};
use crate::reporter::Reporter;
use crate::stream::Stream;
use crate::{Counters, Event, Limits, Settings, TokenDigest, View};
use hyper::body::Incoming;
use hyper::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) token: TokenDigest,
    pub(crate) view: Arc<dyn View>,
    pub(crate) pages: Pages,
    pub(crate) reporter: Reporter,
    pub(crate) admission: Admission,
    pub(crate) login: Mutex<LoginLimiter>,
    pub(crate) rate: Mutex<RequestRate>,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) view_calls: Arc<Semaphore>,
    pub(crate) started: Instant,
}

impl Shared {
    /// Time since the server started: what every limit is measured by, as it never jumps.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn counters(&self) -> Counters {
        let sessions = lock(&self.sessions).count(self.now()) as u64;
        Counters { connections_open: self.admission.count() as u64, sessions, ..self.reporter.counters() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
struct Ends {
    peer: IpAddr,
    local: IpAddr,
}

/// Serves a connection until it ends, has to make room, or the server stops.
pub(crate) async fn serve_connection(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: IpAddr,
    ticket: Ticket,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr().map(|local| local.ip().to_canonical()) else {
        return;
    };
    let _small_answers_may_wait = stream.set_nodelay(true);
    let limits = &shared.settings.limits;
    let heard = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(Stream::new(stream, limits.response_timeout, Arc::clone(&heard)));
    let (ends, ticket) = (Ends { peer, local }, Arc::new(ticket));
    let service = service_fn(|request| {
        heard.store(false, Ordering::Relaxed);
        serve_request(Arc::clone(&shared), ends, Arc::clone(&ticket), request)
    });
    let mut connection = pin!(protocol(limits).serve_connection(io, service));
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                let why = ended.err().and_then(|error| complaint(&error, heard.load(Ordering::Relaxed)));
                if let Some(why) = why {
                    shared.reporter.report(&Event::ConnectionDropped { peer, why });
                }
                return;
            }
            () = ticket.evicted() => return,
            _ = stop.changed() => connection.as_mut().graceful_shutdown(),
        }
    }
}

fn protocol(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER));
    builder
}

/// hyper asks for at least so much.
const SMALLEST_BUFFER: usize = 8192;

/// What was wrong with a connection that ended; nothing when it only fell silent between requests.
fn complaint(error: &hyper::Error, was_heard: bool) -> Option<&'static str> {
    let io = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    if io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut) {
        Some("did not take its answer in time")
    } else if error.is_timeout() {
        was_heard.then_some("did not finish its headers in time")
    } else if error.is_parse_too_large() {
        Some("headers are too large")
    } else if error.is_parse() {
        Some("not HTTP/1")
    } else if error.is_incomplete_message() {
        Some("ended within a request")
    } else {
        Some("broke off")
    }
}

async fn serve_request(
    shared: Arc<Shared>,
    ends: Ends,
    ticket: Arc<Ticket>,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    shared.reporter.tally(|counters| counters.requests += 1);
    let is_last = ticket.begin_request() >= shared.settings.limits.requests_per_connection;
    let reply = answer::answer(&shared, ends, request).await;
    ticket.end_request();
    // What is left of a body that is too large is not waited for.
    let is_last = is_last || matches!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT);
    Ok(if is_last { with(reply, CONNECTION, "close") } else { reply })
}
