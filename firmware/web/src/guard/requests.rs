//! Requests that are refused before they are looked at.

use super::address::{ByPeer, Peer};
use super::bucket::Bucket;
use crate::{Limits, Settings};
use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{StatusCode, Uri};
use std::net::IpAddr;
use std::time::Duration;

/// A refusal: what to answer, and what to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) why: &'static str,
}

/// How many requests each peer may make.
#[derive(Debug)]
pub(crate) struct RequestRate {
    at_once: f64,
    per_second: f64,
    by_peer: ByPeer<Bucket>,
}

impl RequestRate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { at_once: limits.requests_at_once, per_second: limits.requests_per_second, by_peer: ByPeer::default() }
    }

    /// Counts a request; the time to wait when it is one too many.
    pub(crate) fn count(&mut self, address: IpAddr, now: Duration) -> Option<Duration> {
        let bucket = self.by_peer.seen(Peer::from(address), now, || Bucket::full(self.at_once, now));
        bucket.fill(self.at_once, self.per_second, now);
        let wait = bucket.wait(self.per_second);
        if wait.is_none() {
            bucket.take();
        }
        wait
    }
}

/// Whether the request asks for this device by a name that is its own.
///
/// A page from elsewhere whose name was made to point here (DNS rebinding) would have its own name in `Host`.
pub(crate) fn check_host(settings: &Settings, local: IpAddr, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    if uri.authority().is_some() {
        return Err(Refusal { status: StatusCode::BAD_REQUEST, why: "a request as to a proxy" });
    }
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal { status: StatusCode::BAD_REQUEST, why: "not exactly one Host" });
    };
    let name = host.to_str().ok().and_then(host_name);
    match name {
        Some(name) if is_ours(settings, local, name) => Ok(()),
        _ => Err(Refusal { status: StatusCode::MISDIRECTED_REQUEST, why: "a Host that is not this device's" }),
    }
}

/// Host and port without the port: a tunnel ends at whatever port its user picked.
fn host_name(authority: &str) -> Option<&str> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_once(':').map_or((authority, ""), |(name, port)| (name, port)),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
}

fn is_ours(settings: &Settings, local: IpAddr, name: &str) -> bool {
    match name.parse::<IpAddr>() {
        Ok(literal) => literal.to_canonical().is_loopback() || literal == local.to_canonical(),
        Err(_not_a_literal) => {
            name.eq_ignore_ascii_case("localhost") || settings.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
        }
    }
}

/// Whether a form was sent from one of our own pages, as far as the browser tells.
pub(crate) fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let refusal = Refusal { status: StatusCode::FORBIDDEN, why: "a form from another site" };
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return Err(refusal);
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    // Only the scheme may differ from what we speak: a proxy in front may speak TLS.
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if authority.is_some() && authority == host { Ok(()) } else { Err(refusal) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn host_status(host: &str) -> Option<u16> {
        let settings = Settings { hosts: vec!["otoscope.example".into()], ..Settings::new(None) };
        let checked =
            check_host(&settings, IpAddr::from([10, 0, 0, 5]), &Uri::from_static("/"), &headers(&[("host", host)]));
        checked.err().map(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn our_own_names_are_let_through() {
        for host in
            ["localhost", "LOCALHOST:9000", "127.0.0.1:8470", "[::1]:8470", "[::1]", "otoscope.example", "10.0.0.5:80"]
        {
            assert_eq!(host_status(host), None, "{host}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.6",
            "",
            "[::1",
            "localhost:80:80",
            "localhost:x",
            "a@localhost",
            "::1",
        ] {
            assert_eq!(host_status(host), Some(421), "{host}");
        }
    }

    #[test]
    fn no_host_two_hosts_and_proxy_requests_are_refused() {
        let (settings, local) = (Settings::new(None), IpAddr::from([127, 0, 0, 1]));
        let check = |uri, pairs: &[_]| check_host(&settings, local, &Uri::from_static(uri), &headers(pairs)).is_err();
        assert!(check("/", &[]));
        assert!(check("/", &[("host", "localhost"), ("host", "localhost")]));
        assert!(check("http://localhost/", &[("host", "localhost")]));
    }

    #[test]
    fn a_form_of_our_own_is_let_through_whatever_the_scheme() {
        for pairs in [
            &[("host", "localhost:8470")][..],
            &[("host", "localhost:8470"), ("origin", "http://localhost:8470"), ("sec-fetch-site", "same-origin")],
            &[("host", "otoscope.example"), ("origin", "https://otoscope.example")],
        ] {
            assert_eq!(check_origin(&headers(pairs)), Ok(()), "{pairs:?}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_not() {
        for pairs in [
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")][..],
            &[("host", "localhost"), ("sec-fetch-site", "same-site")],
            &[("host", "localhost"), ("origin", "http://evil.example")],
            &[("host", "localhost"), ("origin", "null")],
            &[("origin", "http://localhost")],
        ] {
            assert_eq!(check_origin(&headers(pairs)).unwrap_err().status, StatusCode::FORBIDDEN, "{pairs:?}");
        }
    }

    #[test]
    fn a_peer_that_asks_too_much_waits_and_others_do_not() {
        let mut rate = RequestRate::new(&Limits::default());
        let (greedy, honest) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert_eq!((0..1000).filter(|_| rate.count(greedy, Duration::ZERO).is_none()).count(), 240);
        assert_eq!(rate.count(honest, Duration::ZERO), None);
        assert_eq!((0..1000).filter(|_| rate.count(greedy, Duration::from_secs(1)).is_none()).count(), 20);
    }
}
