//! As much HTTP as it takes to look at a device's web page.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(30);

/// A web page on this machine, and how to get in.
#[derive(Clone, Debug)]
pub struct Page {
    address: String,
    /// Header lines that are sent along, each with its line end.
    headers: String,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Header lines.
    pub head: String,
    /// The rest.
    pub body: String,
}

impl Page {
    /// The page at `address`, for somebody who is not logged in.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), headers: String::new() }
    }

    /// The same with another header.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self { headers: format!("{}{name}: {value}\r\n", self.headers), ..self.clone() }
    }

    /// The same for who has this token: the session that a login opens.
    ///
    /// # Errors
    /// When there is no answer, or the token does not open it.
    pub fn log_in(&self, token: &str) -> Result<Self> {
        let reply = self.post("/login", &format!("token={token}"))?;
        let cookie = reply.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        ensure!(reply.status == 303, "logging in was answered with {}", reply.status);
        Ok(self.with("Cookie", cookie.context("a login sets a cookie")?))
    }

    /// # Errors
    /// When there is no answer.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.ask("GET", path, "")
    }

    /// Sends a form.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn post(&self, path: &str, form: &str) -> Result<Reply> {
        self.ask("POST", path, form)
    }

    fn ask(&self, method: &str, path: &str, form: &str) -> Result<Reply> {
        let Self { address, headers } = self;
        let mut stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE)).context("setting a limit")?;
        let length = form.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n{headers}\r\n{form}"
        )
        .context("sending a request")?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).context("reading a reply")?;
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").context("a reply has a head and a body")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a reply has a status")?;
        Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
    }
}

impl Reply {
    /// The value of a metric, by its whole name with labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}
