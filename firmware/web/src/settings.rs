//! Everything that decides how the page is served.

use crate::TokenDigest;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The languages that the pages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Language {
    /// English.
    #[serde(rename = "en")]
    English,
    /// German.
    #[serde(rename = "de")]
    German,
}

impl Language {
    /// The language of a code of ISO 639-1, such as `de` or `de-AT`.
    pub fn from_code(code: &str) -> Option<Self> {
        match code.split('-').next()?.trim().to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "de" => Some(Self::German),
            _ => None,
        }
    }

    /// Its code of ISO 639-1.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }
}

/// How and to whom the page is served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// The digest of the token that lets people in. There is no default: without one the page is not served.
    pub token: Option<TokenDigest>,
    /// Whether `address` may be one that other machines reach. The page itself speaks plain HTTP.
    pub is_beyond_loopback_allowed: bool,
    /// Names under which browsers may ask for the page, beside loopback's and the address itself: against DNS rebinding.
    pub hosts: Vec<String>,
    /// Whether browsers reach the page through a proxy that speaks TLS; the session's cookie then never travels without.
    pub is_behind_tls: bool,
    /// Whether `/metrics` is open to programs on this machine. Not with `is_behind_tls`: a proxy makes everybody local.
    pub metrics_open_on_loopback: bool,
    /// What the page calls the device.
    pub device_name: String,
    /// The language of the pages; none takes the browser's.
    pub language: Option<Language>,
    /// Seconds after which the status page asks for itself again; 0 never.
    pub refresh_s: u16,
    /// What a stranger may use up.
    pub limits: Limits,
}

impl Settings {
    /// Loopback, port 8470, and the usual limits.
    pub fn new(token: Option<TokenDigest>) -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8470),
            token,
            is_beyond_loopback_allowed: false,
            hosts: Vec::new(),
            is_behind_tls: false,
            metrics_open_on_loopback: false,
            device_name: "REMEDIS".into(),
            language: None,
            refresh_s: 5,
            limits: Limits::default(),
        }
    }
}

/// What one peer, and all of them together, may use up.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address (of IPv6, from one network of 64 bits).
    pub connections_per_address: usize,
    /// Requests that one connection may make before it is closed.
    pub requests_per_connection: u32,
    /// Requests that one address may make at once, before it is slowed to `requests_per_second`.
    pub requests_at_once: f64,
    /// Requests a second that one address may go on making.
    pub requests_per_second: f64,
    /// Bytes of a request's line and headers together.
    pub header_bytes: usize,
    /// Headers in a request.
    pub headers: usize,
    /// Bytes of a form.
    pub body_bytes: usize,
    /// Time to send a request's headers, from the opening of the connection or the last answer.
    pub header_timeout: Duration,
    /// Time to send a form after its headers.
    pub body_timeout: Duration,
    /// Time that the device may take to make an answer.
    pub request_timeout: Duration,
    /// Time that a peer may take to receive an answer.
    pub response_timeout: Duration,
    /// Wrong tokens from one address that cost it no wait.
    pub free_failures: u32,
    /// The longest wait after wrong tokens; waits double up to it.
    pub longest_wait: Duration,
    /// Wrong tokens from other machines together, at once; one more is allowed every two seconds.
    pub failures_at_once: f64,
    /// People logged in at a time; one more ends the session that was idle longest.
    pub sessions: usize,
    /// A session ends when nobody turned a page for this long; what pages fetch by themselves does not count.
    pub session_idle: Duration,
    /// A session ends after this long, whatever happens.
    pub session_life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            connections_per_address: 16,
            requests_per_connection: 200,
            requests_at_once: 240.0,
            requests_per_second: 20.0,
            header_bytes: 8192,
            headers: 64,
            body_bytes: 1024,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(20),
            free_failures: 3,
            longest_wait: Duration::from_secs(60),
            failures_at_once: 30.0,
            sessions: 32,
            session_idle: Duration::from_secs(30 * 60),
            session_life: Duration::from_secs(12 * 60 * 60),
        }
    }
}
