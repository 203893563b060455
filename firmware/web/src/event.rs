//! What belongs in the log, and what is counted.

use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// Something that belongs in the log. No token, cookie, path or other text of a peer is part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The page is served.
    Started {
        /// Where.
        address: SocketAddr,
    },
    /// The page is no longer served.
    Stopped,
    /// Somebody gave the right token.
    LoginAccepted {
        /// From where.
        peer: IpAddr,
    },
    /// Somebody gave a wrong token.
    LoginRefused {
        /// From where.
        peer: IpAddr,
    },
    /// Somebody has to wait before trying again; what was given was not looked at.
    LoginLimited {
        /// From where.
        peer: IpAddr,
        /// How long.
        retry_after_s: u64,
    },
    /// Somebody left.
    LoggedOut {
        /// From where.
        peer: IpAddr,
    },
    /// There was no room for a connection.
    ConnectionRefused {
        /// From where.
        peer: IpAddr,
    },
    /// A connection that waited made room for a new one.
    ConnectionEvicted {
        /// From where the one came that had to go.
        peer: IpAddr,
    },
    /// A connection ended badly.
    ConnectionDropped {
        /// From where.
        peer: IpAddr,
        /// What was wrong with it.
        why: &'static str,
    },
    /// A request was refused.
    RequestRefused {
        /// From where.
        peer: IpAddr,
        /// The status it was answered with.
        status: u16,
        /// What was wrong with it.
        why: &'static str,
    },
    /// The device could not tell what a page was to show.
    ViewFailed {
        /// Why.
        reason: String,
    },
    /// The operating system gave no connection.
    AcceptFailed {
        /// Why.
        reason: String,
    },
    /// So many events of one kind came at once that these were left out.
    Suppressed {
        /// The kind.
        of: &'static str,
        /// How many.
        count: u64,
    },
}

impl Event {
    /// The kind of [`Event::LoginRefused`].
    pub const LOGIN_REFUSED: &str = "login_refused";

    /// The name of its kind, as it is serialised.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stopped => "stopped",
            Self::LoginAccepted { .. } => "login_accepted",
            Self::LoginRefused { .. } => Self::LOGIN_REFUSED,
            Self::LoginLimited { .. } => "login_limited",
            Self::LoggedOut { .. } => "logged_out",
            Self::ConnectionRefused { .. } => "connection_refused",
            Self::ConnectionEvicted { .. } => "connection_evicted",
            Self::ConnectionDropped { .. } => "connection_dropped",
            Self::RequestRefused { .. } => "request_refused",
            Self::ViewFailed { .. } => "view_failed",
            Self::AcceptFailed { .. } => "accept_failed",
            Self::Suppressed { .. } => "suppressed",
        }
    }
}

/// What the server counted since it started, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections open now.
    pub connections_open: u64,
    /// Connections that were let in.
    pub connections: u64,
    /// Connections for which there was no room.
    pub connections_refused: u64,
    /// Connections that made room for others.
    pub connections_evicted: u64,
    /// Connections that ended badly.
    pub connections_dropped: u64,
    /// Requests.
    pub requests: u64,
    /// Requests that were refused.
    pub requests_refused: u64,
    /// Right tokens given.
    pub logins: u64,
    /// Wrong tokens given, and tokens that were not looked at.
    pub logins_refused: u64,
    /// Pages that the device could not fill.
    pub views_failed: u64,
    /// People logged in now.
    pub sessions: u64,
}
