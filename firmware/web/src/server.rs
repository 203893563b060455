//! The thread that listens.

use crate::guard::{Admission, Admitted, LoginLimiter, RequestRate, Sessions};
use crate::pages::Pages;
use crate::reporter::Reporter;
use crate::service::{Shared, serve_connection};
use crate::{Counters, Event, Settings, View};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Questions to the device at a time.
const VIEW_CALLS: usize = 2;
/// How long answers under way may take when the server is to stop.
const FAREWELL: Duration = Duration::from_secs(2);
/// The pause after the operating system gave no connection, which it also does as long as there are no more files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// For who finds no room; there is nobody to talk to, so it is said without looking at what was asked.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Nobody could be told from anybody.
    #[error("no token: the web page has no default one; make one with `remedis-device token` and configure its digest")]
    NoToken,
    /// The page would be open to the network by mistake.
    #[error(
        "{address} can be reached from other machines, without encryption; allow that explicitly, or use 127.0.0.1"
    )]
    BeyondLoopback {
        /// What was configured.
        address: SocketAddr,
    },
    /// A proxy would open the metrics to everybody.
    #[error("metrics cannot be open on loopback behind a TLS proxy, for whom it speaks is then local; choose one")]
    OpenMetricsBehindProxy,
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was configured.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system has no room for the server.
    #[error("cannot start the web page's thread")]
    Start(#[source] io::Error),
    /// A template of ours is broken.
    #[error("the pages cannot be made")]
    Pages(#[source] minijinja::Error),
}

/// A server at work. Dropping it stops it.
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Serves the page, on a thread of its own, until the answer is stopped or dropped.
///
/// # Errors
/// When the settings would let in whoever comes, or the address is not free.
pub fn serve(settings: Settings, view: Arc<dyn View>) -> Result<Running, ServeError> {
    let token = settings.token.ok_or(ServeError::NoToken)?;
    let address = settings.address;
    if !address.ip().to_canonical().is_loopback() && !settings.is_beyond_loopback_allowed {
        return Err(ServeError::BeyondLoopback { address });
    }
    if settings.is_behind_tls && settings.metrics_open_on_loopback {
        return Err(ServeError::OpenMetricsBehindProxy);
    }
    let listener = listen(address).map_err(|source| ServeError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| ServeError::Listen { address, source })?;
    let limits = &settings.limits;
    let shared = Arc::new(Shared {
        token,
        pages: Pages::new(&settings.device_name, settings.refresh_s).map_err(ServeError::Pages)?,
        reporter: Reporter::new(Arc::clone(&view)),
        admission: Admission::new(limits.connections, limits.connections_per_address),
        login: Mutex::new(LoginLimiter::new(limits)),
        rate: Mutex::new(RequestRate::new(limits)),
        sessions: Mutex::new(Sessions::new(limits)),
        view_calls: Arc::new(Semaphore::new(VIEW_CALLS)),
        started: Instant::now(),
        settings,
        view,
    });
    start(address, listener, shared)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn start(address: SocketAddr, listener: TcpListener, shared: Arc<Shared>) -> Result<Running, ServeError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().enable_time().max_blocking_threads(VIEW_CALLS).thread_name("web-view");
    let runtime = builder.build().map_err(ServeError::Start)?;
    let (stop, stopped) = watch::channel(false);
    let served = Arc::clone(&shared);
    shared.reporter.report(&Event::Started { address });
    let thread = std::thread::Builder::new()
        .name("web".into())
        .spawn(move || run(runtime, listener, &served, stopped))
        .map_err(ServeError::Start)?;
    Ok(Running { address, shared, stop, thread: Some(thread) })
}

fn run(runtime: Runtime, listener: TcpListener, shared: &Arc<Shared>, stopped: watch::Receiver<bool>) {
    if let Err(error) = runtime.block_on(accept_all(listener, shared, stopped)) {
        shared.reporter.report(&Event::AcceptFailed { reason: error.to_string() });
    }
    // A question to the device that hangs must not hold up the end.
    runtime.shutdown_timeout(FAREWELL);
    shared.reporter.finish();
    shared.reporter.report(&Event::Stopped);
}

async fn accept_all(listener: TcpListener, shared: &Arc<Shared>, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => welcome(shared, stream, peer, &stopped, &mut connections),
                Err(error) => {
                    shared.reporter.report(&Event::AcceptFailed { reason: error.to_string() });
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    let _cut_off = tokio::time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

fn welcome(
    shared: &Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    let peer = peer.ip().to_canonical();
    match shared.admission.admit(peer) {
        Admitted::Yes { ticket, evicted } => {
            shared.reporter.tally(|counters| counters.connections += 1);
            if let Some(peer) = evicted {
                shared.reporter.report(&Event::ConnectionEvicted { peer });
            }
            connections.spawn(serve_connection(Arc::clone(shared), stream, peer, ticket, stopped.clone()));
        }
        Admitted::No => {
            shared.reporter.report(&Event::ConnectionRefused { peer });
            let _as_much_as_fits = stream.try_write(NO_ROOM);
        }
    }
}

impl Running {
    /// Where the page is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Ends the server: no new connection, two seconds for answers under way, and two for the device's own.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _reported_by_the_panic_hook = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}
