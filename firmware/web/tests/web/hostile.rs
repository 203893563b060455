//! Requests that are too large, too many, or none at all.

use crate::client::{Client, connect, exchange, read_all};
use crate::device::Device;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use remedis_web::{Event, Limits, Unavailable};
use std::io::Write;

/// Limits that a test never reaches by number of requests alone.
fn generous() -> Limits {
    Limits { requests_at_once: 1e9, ..Limits::default() }
}

fn status_line(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn oversized_headers_are_refused_and_logged() {
    let client = Client::new();
    let address = client.running.address();
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "a".repeat(9000));
    assert_eq!(status_line(&exchange(address, long.as_bytes())), "HTTP/1.1 431 Request Header Fields Too Large");
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(100));
    assert_eq!(status_line(&exchange(address, many.as_bytes())), "HTTP/1.1 431 Request Header Fields Too Large");
    client.device.logged(|event| matches!(event, Event::ConnectionDropped { why: "headers are too large", .. }));
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn headers_without_an_end_do_not_fill_the_memory() {
    let client = Client::new();
    let mut stream = connect(client.running.address());
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let endless = [b'a'; 65536];
    let sent = (0..1000).take_while(|_| stream.write_all(&endless).is_ok()).count();
    assert!(sent < 1000, "the server ends what has no end");
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn oversized_forms_are_refused_whether_or_not_they_say_their_size() {
    let client = Client::new();
    assert_eq!(client.post("/login", &[], &"a".repeat(1025)).status, 413);
    assert_eq!(client.post("/login", &[], &"a".repeat(1024)).status, 401);
    let lying = client.send("POST", "/login", &["Content-Length: 99999999999"], "token=");
    assert_eq!(lying.status, 413);
    let chunked = format!("400\r\n{}\r\n1\r\na\r\n0\r\n\r\n", "a".repeat(1024));
    assert_eq!(client.send("POST", "/login", &["Transfer-Encoding: chunked"], &chunked).status, 413);
    client.device.logged(|event| matches!(event, Event::RequestRefused { status: 413, .. }));
}

#[test]
fn requests_that_two_servers_could_read_differently_are_refused() {
    let client = Client::new();
    for head in [
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = exchange(client.running.address(), head.as_bytes());
        assert!(answer.is_empty() || status_line(&answer).contains(" 400 "), "{head:?}: {}", status_line(&answer));
    }
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn a_peer_that_asks_too_much_is_told_to_wait() {
    let client = Client::limited(
        Limits { requests_at_once: 5.0, requests_per_second: 1e-3, ..Limits::default() },
        Device::default(),
    );
    assert_eq!([(); 6].map(|()| client.get("/health").status), [200, 200, 200, 200, 200, 429]);
    let wait: u64 = client.get("/health").header("retry-after").unwrap().parse().unwrap();
    assert!((900..=1000).contains(&wait), "{wait}");
}

#[test]
fn a_connection_has_so_many_requests_and_no_more() {
    let client = Client::limited(Limits { requests_per_connection: 3, ..Limits::default() }, Device::default());
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answers = String::from_utf8(exchange(client.running.address(), request.repeat(10).as_bytes())).unwrap();
    assert_eq!(
        (answers.matches("HTTP/1.1 200 OK").count(), answers.matches("connection: close").count()),
        (3, 1),
        "{answers}"
    );
}

#[test]
fn a_device_that_cannot_tell_is_said_to_be_so() {
    let mood = || Err(Unavailable { reason: "the store is being repaired".into() });
    let client = Client::limited(generous(), Device { mood: Box::new(mood), ..Device::default() }).logged_in();
    for path in ["/", "/results", "/results/1284", "/results/1284/picture.png", "/trend", "/metrics"] {
        assert_eq!(client.get(path).status, 503, "{path}");
    }
    client.device.logged(|event| *event == Event::ViewFailed { reason: "the store is being repaired".into() });
}

#[test]
fn a_fault_in_the_device_costs_one_page() {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let mood = move || {
        assert!(!is_first.swap(false, std::sync::atomic::Ordering::SeqCst), "a fault, on purpose");
        Ok(())
    };
    let client = Client::limited(generous(), Device { mood: Box::new(mood), ..Device::default() }).logged_in();
    assert_eq!([(); 3].map(|()| client.get("/").status), [503, 200, 200]);
}

/// Requests as they should be, to be spoilt.
const GOOD: &str = "POST /login HTTP/1.1\r\nHost: localhost\r\nCookie: remedis_session=00\r\nOrigin: http://localhost\r\n\
    Accept-Language: de\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\ntoken=abc";

fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((0..GOOD.len(), any::<u8>()), 0..6);
    (changes, 0..=GOOD.len(), 1..3usize).prop_map(|(changes, length, times)| {
        let mut bytes = GOOD.as_bytes().to_vec();
        changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        bytes.truncate(length);
        bytes.repeat(times)
    })
}

fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let part = proptest::sample::select(vec![
        "GET ",
        "POST ",
        "/",
        "/login",
        "/results/1",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "Host: localhost\r\n",
        "Host:\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\n",
        "Connection: Upgrade\r\n",
        "Upgrade: h2c\r\n",
        "\r\n",
        "\n",
        "\0",
        "ffffffffffffffff\r\n",
        "5\r\nabcde\r\n",
        "0\r\n",
        "?lang=de&before=-1&%",
        "é",
    ]);
    proptest::collection::vec(part, 0..16).prop_map(|parts| parts.concat().into_bytes())
}

#[test]
fn no_bytes_break_the_server() {
    let client =
        Client::limited(Limits { failures_at_once: 1e9, free_failures: u32::MAX - 1, ..generous() }, Device::default());
    let address = client.running.address();
    let bytes = prop_oneof![proptest::collection::vec(any::<u8>(), 0..300), spoilt(), tokens()];
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 300, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&bytes, |bytes| {
            let mut stream = connect(address);
            let _refused_early = stream.write_all(&bytes);
            let _gone = stream.shutdown(std::net::Shutdown::Write);
            let answer = read_all(&mut stream);
            prop_assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", status_line(&answer));
            prop_assert_eq!(client.get("/health").status, 200);
            Ok(())
        })
        .unwrap();
    assert_eq!(client.running.counters().sessions, 0);
}
