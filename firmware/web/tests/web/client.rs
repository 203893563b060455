//! Just enough of a browser: sends what it is told to, byte for byte.

use crate::device::{Device, TOKEN, settings};
use remedis_web::{Limits, Running, Settings, serve};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A server, its device, and who asks it.
pub(crate) struct Client {
    pub(crate) running: Running,
    pub(crate) device: Arc<Device>,
    pub(crate) cookie: String,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads one answer off a connection that ends after it.
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Sends bytes as they are and reads until the server ends the connection, or breaks it off.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    let _refused_early = stream.write_all(bytes);
    read_all(&mut stream)
}

pub(crate) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return answer,
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("the server said nothing for 30 s"),
            Err(_reset) => return answer,
        }
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::of(settings(), Device::default())
    }

    pub(crate) fn limited(limits: Limits, device: Device) -> Self {
        Self::of(Settings { limits, ..settings() }, device)
    }

    pub(crate) fn of(settings: Settings, device: Device) -> Self {
        let device = Arc::new(device);
        let running = serve(settings, device.clone()).unwrap();
        Self { running, device, cookie: String::new() }
    }

    /// One that has given the right token.
    pub(crate) fn logged_in(mut self) -> Self {
        let answer = self.log_in(TOKEN);
        assert_eq!(answer.status, 303, "{}", answer.head);
        let cookie = answer.header("set-cookie").unwrap();
        self.cookie = cookie.split(';').next().unwrap().to_owned();
        self
    }

    pub(crate) fn log_in(&self, token: &str) -> Answer {
        self.post("/login", &[], &format!("token={token}"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// A page that there must be.
    pub(crate) fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        let events = self.device.events.lock().unwrap().clone();
        assert_eq!(answer.status, 200, "{path}: {events:?}");
        answer.text().to_owned()
    }

    pub(crate) fn post(&self, path: &str, headers: &[&str], form: &str) -> Answer {
        let length = format!("Content-Length: {}", form.len());
        let form_type = "Content-Type: application/x-www-form-urlencoded";
        self.send("POST", path, &[&[form_type, length.as_str()], headers].concat(), form)
    }

    /// `Host` is ours unless `headers` has one.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            request += &format!("Host: {}\r\n", self.running.address());
        }
        if !self.cookie.is_empty() {
            request += &format!("Cookie: {}\r\n", self.cookie);
        }
        headers.iter().for_each(|header| request += &format!("{header}\r\n"));
        Answer::parse(&exchange(self.running.address(), format!("{request}\r\n{body}").as_bytes()))
    }
}
