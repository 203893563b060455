//! Peers that take their time, and a device that does.

use crate::client::{Client, connect, read_all};
use crate::device::{Device, settings};
use remedis_web::{Event, Limits, Settings};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(150);

/// Connections that begin a request and never end it.
fn trickling(client: &Client, n: usize) -> Vec<TcpStream> {
    (0..n)
        .map(|_| {
            let mut stream = connect(client.running.address());
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
            stream
        })
        .collect()
}

#[test]
fn trickled_headers_keep_no_honest_peer_waiting() {
    // Without any timeout: room for the honest is made, not waited for.
    let limits = Limits { header_timeout: LONG, requests_at_once: 1e9, ..Limits::default() };
    let client = Client::limited(limits, Device::default()).logged_in();
    let mut slow = trickling(&client, 200);
    for _ in 0..60 {
        slow.iter_mut().for_each(|stream| drop(stream.write(b"a")));
        assert_eq!(client.get("/").status, 200);
    }
    let counters = client.running.counters();
    assert!(counters.connections_evicted >= 184 && counters.connections_open <= 16, "{counters:?}");
    client.device.logged(|event| matches!(event, Event::ConnectionEvicted { .. }));
}

#[test]
fn trickled_headers_have_an_end() {
    let client = Client::limited(Limits { header_timeout: SHORT, ..Limits::default() }, Device::default());
    for mut stream in trickling(&client, 16) {
        read_all(&mut stream);
    }
    client
        .device
        .logged(|event| matches!(event, Event::ConnectionDropped { why: "did not finish its headers in time", .. }));
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn a_connection_that_says_nothing_is_ended_without_a_word() {
    let client = Client::limited(Limits { header_timeout: SHORT, ..Limits::default() }, Device::default());
    assert_eq!(read_all(&mut connect(client.running.address())), b"");
    assert_eq!(client.get("/health").status, 200);
    assert_eq!(client.running.counters().connections_dropped, 0);
}

#[test]
fn a_trickled_form_has_an_end() {
    let client = Client::limited(Limits { body_timeout: SHORT, ..Limits::default() }, Device::default());
    let answer = client.send("POST", "/login", &["Content-Length: 20"], "token=");
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    client.device.logged(|event| matches!(event, Event::RequestRefused { status: 408, .. }));
}

#[test]
fn who_does_not_read_is_cut_off() {
    let limits = Limits { response_timeout: SHORT, ..Limits::default() };
    let client = Client::limited(limits, Device { picture: vec![0; 32 << 20], ..Device::default() }).logged_in();
    let mut stream = connect(client.running.address());
    let request =
        format!("GET /results/1284/picture.png HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", client.cookie);
    stream.write_all(request.as_bytes()).unwrap();
    client
        .device
        .logged(|event| matches!(event, Event::ConnectionDropped { why: "did not take its answer in time", .. }));
    assert!(read_all(&mut stream).len() < 32 << 20);
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn who_reads_gets_it_all() {
    let client = Client::of(settings(), Device { picture: vec![0; 32 << 20], ..Device::default() }).logged_in();
    assert_eq!(client.get("/results/1284/picture.png").body.len(), 32 << 20);
}

/// A device that answers nothing until released.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    is_open: bool,
    n_arrived: usize,
}

impl Gate {
    fn open(&self) {
        self.change(|state| state.is_open = true);
    }

    fn change(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn wait_while(&self, is_early: impl Fn(&GateState) -> bool) {
        let (state, changed) = &*self.0;
        let _state = changed.wait_timeout_while(state.lock().unwrap(), LONG, |state| is_early(state)).unwrap();
    }

    fn device(&self) -> Device {
        let gate = self.clone();
        let mood = move || {
            gate.change(|state| state.n_arrived += 1);
            gate.wait_while(|state| !state.is_open);
            Ok(())
        };
        Device { mood: Box::new(mood), ..Device::default() }
    }
}

#[test]
fn a_device_that_hangs_holds_up_nobody_who_does_not_ask_it() {
    let gate = Gate::default();
    let limits = Limits { request_timeout: SHORT, ..Limits::default() };
    let client = Client::limited(limits, gate.device()).logged_in();
    for _ in 0..4 {
        assert_eq!(client.get("/").status, 503);
        assert_eq!((client.get("/style.css").status, client.get("/health").status), (200, 503));
    }
    client.device.logged(|event| *event == Event::ViewFailed { reason: "the device did not answer in time".into() });
    gate.open();
    let recovered = (0..100).any(|_| client.get("/").status == 200);
    assert!(recovered, "questions that nobody waits for are over");
}

#[test]
fn when_all_are_at_work_the_newest_is_refused() {
    let gate = Gate::default();
    let limits = Limits { connections_per_address: 2, request_timeout: LONG, ..Limits::default() };
    let client = Client::limited(limits, gate.device());
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut at_work = [(); 2].map(|()| {
        let mut stream = connect(client.running.address());
        stream.write_all(request).unwrap();
        stream
    });
    gate.wait_while(|state| state.n_arrived < 2);
    let refused = read_all(&mut connect(client.running.address()));
    assert!(refused.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&refused));
    client.device.logged(|event| matches!(event, Event::ConnectionRefused { .. }));
    gate.open();
    let answers = at_work.iter_mut().map(read_all).filter(|answer| answer.starts_with(b"HTTP/1.1 200")).count();
    assert_eq!(answers, 2, "who was at work got its answer");
}

#[test]
fn stopping_waits_for_no_one() {
    let gate = Gate::default();
    let client = Client::of(
        Settings { limits: Limits { request_timeout: LONG, ..Limits::default() }, ..settings() },
        gate.device(),
    );
    let _slow = trickling(&client, 5);
    let mut hanging = connect(client.running.address());
    hanging.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let address = client.running.address();
    client.running.stop();
    client.device.logged(|event| *event == Event::Stopped);
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    gate.open();
}
