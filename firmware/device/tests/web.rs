//! The whole device's web page, as a browser gets it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{Running, png, wait_until};
use remedis_web::Token;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

/// Starts a device in `folder` with a page at `address`; the token's file holds `token`.
fn start(folder: &Path, address: SocketAddr, token: &str) -> Running {
    std::fs::create_dir_all(folder.join("inbox")).unwrap();
    std::fs::write(folder.join("web.token"), token).unwrap();
    let sections = format!("[folder]\npath = 'inbox'\n[web]\naddress = '{address}'\ntoken = 'web.token'\n");
    Running::start(folder, &sections)
}

/// Puts an image in and waits for its answer.
fn ask(folder: &Path, name: &str, level: u8) {
    let unfinished = folder.join(name);
    std::fs::write(&unfinished, png(level)).unwrap();
    std::fs::rename(unfinished, folder.join("inbox").join(name)).unwrap();
    let answer = folder.join("inbox/done").join(format!("{name}.json"));
    wait_until("the answer", || answer.exists());
}

/// Sends one request: everything that comes back. `None` when nobody listens.
fn request(address: SocketAddr, head: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    write!(stream, "{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    Some(answer)
}

#[test]
fn images_are_answered_while_another_program_has_the_address_and_the_page_comes_when_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let device = start(folder.path(), address, &Token::generate().unwrap().digest().to_string());
    ask(folder.path(), "a.png", 250);
    drop(taken);
    wait_until("the page", || {
        request(address, "GET /health HTTP/1.1", "").is_some_and(|answer| answer.ends_with("\r\n\r\nok\n"))
    });
    ask(folder.path(), "b.png", 5);
    assert_eq!(device.stop().len(), 2);
    assert!(TcpListener::bind(address).is_ok(), "the page ends with the device");
}

#[test]
fn a_token_file_that_holds_none_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path(), "192.0.2.1:8470".parse().unwrap(), "open sesame");
    let said = format!("{:#}", device.outcome().unwrap_err());
    assert!(said.contains("web.token"), "{said}");
}
