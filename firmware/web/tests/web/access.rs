//! Who gets in, and which requests are refused.

use crate::client::Client;
use crate::device::{Device, TOKEN, settings};
use remedis_web::{Event, Limits, ServeError, Settings, serve};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WRONG: &str = "k3vd-0a9x-77qe-m2ht-5zzr-c81n-b4ws-6yjq";

fn refusal(settings: Settings) -> String {
    match serve(settings, Arc::new(Device::default())) {
        Ok(running) => panic!("served at {}", running.address()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn without_a_token_nothing_is_served() {
    let said = refusal(Settings { token: None, ..settings() });
    assert!(said.contains("no token") && said.contains("remedis-device token"), "{said}");
}

#[test]
fn the_network_is_reached_only_when_told_so() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let said = refusal(Settings { address: everywhere, ..settings() });
    assert!(said.contains("can be reached from other machines"), "{said}");
    let allowed = Settings { address: everywhere, is_beyond_loopback_allowed: true, ..settings() };
    assert!(serve(allowed, Arc::new(Device::default())).is_ok());
    let said = refusal(Settings { is_behind_tls: true, metrics_open_on_loopback: true, ..settings() });
    assert!(said.contains("metrics cannot be open on loopback"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_an_error_at_once() {
    let first = Client::new();
    let second = serve(Settings { address: first.running.address(), ..settings() }, Arc::new(Device::default()));
    assert!(matches!(second, Err(ServeError::Listen { address, .. }) if address == first.running.address()));
}

#[test]
fn strangers_see_the_login_page_and_nothing_else() {
    let client = Client::new();
    for path in ["/", "/results", "/results/1284", "/trend"] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.header("location"), answer.text()), (303, Some("/login"), ""), "{path}");
    }
    for path in ["/results/1284/picture.png", "/results/1284/heat-map.png", "/metrics"] {
        let answer = client.get(path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.starts_with(b"\x89PNG"));
    }
    assert_eq!(client.get("/metrics").header("www-authenticate"), Some("Bearer"));
}

#[test]
fn the_token_lets_in_until_logged_out() {
    let mut client = Client::new();
    let cookie = client.log_in(TOKEN).header("set-cookie").unwrap().to_owned();
    let (session, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    assert_eq!(session.len(), "remedis_session=".len() + 64);
    client.cookie = format!("other=1; {session}");
    assert_eq!((client.get("/").status, client.get("/login").status), (200, 303));
    assert_eq!(client.running.counters().sessions, 1);
    let answer = client.post("/logout", &[], "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/login")));
    assert!(answer.header("set-cookie").unwrap().starts_with("remedis_session=; ") && cookie.len() > 64);
    assert_eq!(
        (client.get("/").status, client.running.counters().sessions),
        (303, 0),
        "the old cookie is worth nothing"
    );
    client.device.logged(|event| matches!(event, Event::LoggedOut { .. }));
}

#[test]
fn a_page_left_open_does_not_keep_its_session_and_turning_pages_does() {
    let idle = Duration::from_secs(4);
    let mut client = Client::limited(Limits { session_idle: idle, ..Limits::default() }, Device::default()).logged_in();
    let left_open = std::mem::take(&mut client.cookie);
    client = client.logged_in();
    let (reader, start) = (std::mem::take(&mut client.cookie), Instant::now());
    // What a browser asks for when a page refreshes itself, a little of it each time.
    let own = ["/?auto", "/style.css", "/results/1284/picture.png", "/trend?auto", "/results/1284/heat-map.png"];
    let others = ["/icon.svg", "/metrics", "/health", "/login", "/nothing"];
    for path in own.iter().chain(&others).cycle() {
        client.cookie.clone_from(&left_open);
        client.get(path);
        client.cookie.clone_from(&reader);
        assert_eq!(client.get("/results").status, 200, "who turns pages stays in");
        if start.elapsed() > idle {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    client.cookie = left_open;
    assert_eq!(client.get("/").status, 303, "what a page fetches by itself keeps nobody in");
}

#[test]
fn a_second_login_ends_the_browsers_first_session() {
    let mut client = Client::new().logged_in();
    let first = client.cookie.clone();
    client = client.logged_in();
    assert_ne!(first, client.cookie);
    assert_eq!(client.running.counters().sessions, 1);
}

#[test]
fn wrong_tokens_are_refused_and_soon_slowed_while_others_work_on() {
    let honest = Client::new().logged_in();
    for _ in 0..4 {
        let answer = honest.log_in(WRONG);
        assert_eq!(answer.status, 401);
        assert!(answer.text().contains("This token is not right.") && !answer.text().contains(WRONG));
    }
    let answer = honest.log_in(WRONG);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert!(answer.text().contains("Too many wrong tokens. Try again in 1 s."), "{}", answer.text());
    assert_eq!(honest.log_in("").status, 429);
    assert_eq!(
        honest.send("GET", "/metrics", &["Cookie: x=1", &format!("Authorization: Bearer {WRONG}")], "").status,
        200
    );
    assert_eq!(honest.get("/").status, 200, "who is in stays in");
    let events = honest.device.logged(|event| matches!(event, Event::LoginLimited { retry_after_s: 1, .. }));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::LoginRefused { .. })).count(), 4);
    let written = format!("{events:?}");
    assert!(!written.contains("k3vd") && !written.contains("remedis_session"), "{written}");
}

#[test]
fn programs_show_the_token_for_metrics_and_are_slowed_alike() {
    let client = Client::new();
    let metrics = |token: &str| client.send("GET", "/metrics", &[&format!("Authorization: Bearer {token}")], "").status;
    assert_eq!(metrics(TOKEN), 200);
    assert_eq!([(); 5].map(|()| metrics(WRONG)), [401, 401, 401, 401, 429]);
    assert_eq!(client.get("/metrics").status, 401, "no token is no attempt");
}

#[test]
fn metrics_can_be_opened_to_programs_of_the_device() {
    let client = Client::of(Settings { metrics_open_on_loopback: true, ..settings() }, Device::default());
    assert_eq!((client.get("/metrics").status, client.get("/").status), (200, 303));
}

#[test]
fn behind_tls_the_cookie_never_travels_without() {
    let client = Client::of(Settings { is_behind_tls: true, ..settings() }, Device::default()).logged_in();
    assert!(client.cookie.starts_with("__Host-remedis_session="));
    assert_eq!(client.get("/").status, 200);
    assert!(client.log_in(TOKEN).header("set-cookie").unwrap().ends_with("; HttpOnly; SameSite=Strict; Secure"));
}

#[test]
fn a_name_that_is_not_the_devices_is_refused() {
    let named = Settings { hosts: vec!["otoscope.example".into()], ..settings() };
    let client = Client::of(named, Device::default()).logged_in();
    let with_host = |host: &str| client.send("GET", "/", &[&format!("Host: {host}")], "").status;
    assert_eq!(["localhost:9000", "[::1]", "otoscope.example"].map(with_host), [200; 3]);
    assert_eq!(["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""].map(with_host), [421; 4]);
    assert_eq!(client.send("GET", "http://evil.example/", &[], "").status, 400);
    assert_eq!(client.send("GET", "/", &["Host: localhost", "Host: localhost"], "").status, 400);
    client.device.logged(|event| matches!(event, Event::RequestRefused { status: 421, .. }));
}

#[test]
fn forms_of_other_sites_are_refused() {
    let client = Client::new().logged_in();
    for header in
        ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"]
    {
        assert_eq!(client.post("/login", &[header], &format!("token={TOKEN}")).status, 403, "{header}");
        assert_eq!(client.post("/logout", &[header], "").status, 403, "{header}");
    }
    assert_eq!(client.get("/").status, 200, "nobody was logged out");
    let own = format!("Origin: http://{}", client.running.address());
    assert_eq!(client.post("/login", &[&own, "Sec-Fetch-Site: same-origin"], &format!("token={TOKEN}")).status, 303);
}

#[test]
fn other_paths_and_methods_are_refused() {
    let client = Client::new().logged_in();
    for path in [
        "/nothing",
        "/../etc/passwd",
        "/results/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/results/01",
        "//etc/passwd",
        "/.git/config",
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text().contains("etc/passwd"), "what was asked for is not repeated");
    }
    for (method, path, allowed) in [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/results/1284", "GET, HEAD"),
        ("GET", "/logout", "POST"),
        ("PUT", "/login", "GET, HEAD, POST"),
        ("OPTIONS", "/metrics", "GET, HEAD"),
        ("TRACE", "/", "GET, HEAD"),
        ("BREW", "/", "GET, HEAD"),
    ] {
        let answer = client.send(method, path, &["Content-Length: 0"], "");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
    let head = client.send("HEAD", "/", &[], "");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn every_answer_keeps_browsers_strict() {
    let client = Client::new().logged_in();
    let answers = [
        client.get("/"),
        client.get("/results"),
        client.get("/results/1284"),
        client.get("/results/1284/picture.png"),
        client.get("/trend"),
        client.get("/metrics"),
        client.get("/health"),
        client.get("/style.css"),
        client.get("/icon.svg"),
        client.get("/login"),
        client.get("/nothing"),
        client.log_in(WRONG),
        client.post("/", &[], ""),
        client.send("GET", "/", &["Host: evil.example"], ""),
        client.post("/login", &["Origin: null"], ""),
        client.post("/login", &[], &"x".repeat(2000)),
        client.post("/logout", &[], ""),
    ];
    for answer in answers {
        for (name, value) in [
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{}", answer.head);
        }
        assert!(answer.header("content-type").is_some() && answer.header("server").is_none(), "{}", answer.head);
    }
}
