//! Answers, each with the headers that keep browsers strict.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// An answer.
pub(crate) type Reply = Response<Full<Bytes>>;

/// What browsers may do with a page: show it, its style and its pictures, all from here, and send forms here.
const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Sent with every answer. The referrer is kept within the site rather than withheld, because browsers that withhold it
/// send forms with `Origin: null`.
const STRICT: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

/// An answer of any kind.
pub(crate) fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in STRICT {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// A page.
pub(crate) fn html(status: StatusCode, page: String) -> Reply {
    reply(status, "text/html; charset=utf-8", page)
}

/// A line for programs.
pub(crate) fn text(status: StatusCode, line: impl Into<Bytes>) -> Reply {
    reply(status, "text/plain; charset=utf-8", line)
}

/// Sends the browser on to another page.
pub(crate) fn see_other(path: &'static str) -> Reply {
    let mut reply = text(StatusCode::SEE_OTHER, "");
    reply.headers_mut().insert(header::LOCATION, HeaderValue::from_static(path));
    reply
}

/// Adds a header whose value is made of letters, digits and punctuation of ours.
pub(crate) fn with(mut reply: Reply, name: HeaderName, value: &str) -> Reply {
    let value = HeaderValue::from_str(value).expect("no control characters are in what we make up");
    reply.headers_mut().append(name, value);
    reply
}
