//! The whole device's web page, as a browser gets it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{Running, png, wait_until};
use remedis_store::Store;
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

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A page in German, as whoever has the token gets it.
fn german_page(address: SocketAddr, token: &Token, path: &str) -> String {
    let form = format!("token={token}");
    let head = format!(
        "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}",
        form.len()
    );
    let let_in = request(address, &head, &form).unwrap();
    let cookie = let_in.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next()).unwrap();
    request(address, &format!("GET {path}?lang=de HTTP/1.1\r\nCookie: {cookie}"), "").unwrap()
}

fn assert_shows(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "no {text:?} in {page}");
    }
}

#[test]
fn the_page_shows_what_the_device_knows_in_the_readers_words() {
    let (folder, token) = (tempfile::tempdir().unwrap(), Token::generate().unwrap());
    let address = free_address();
    let device = start(folder.path(), address, &token.digest().to_string());
    ask(folder.path(), "bright.png", 250);
    ask(folder.path(), "middling.png", 127);
    let broken = folder.path().join("broken.png");
    std::fs::write(&broken, &png(5)[..60]).unwrap();
    std::fs::rename(broken, folder.path().join("inbox/broken.png")).unwrap();
    wait_until("the last answer", || device.board.look(|state| state.n_answers) == 3);
    wait_until("a look at the disk", || device.board.look(|state| state.total_bytes).is_some());

    let status = german_page(address, &token, "/");
    assert_shows(
        &status,
        &["<dt>Aufbewahrte Antworten</dt><dd>3</dd>", "<dt>Belegt</dt>", "<dt>Dateien</dt>", " von "],
    );
    assert!(!status.contains("<dd>0 B</dd>"), "answers take room: {status}");
    let results = german_page(address, &token, "/results");
    assert_shows(&results, &["Das Modell ist nicht sicher genug.", "Das Bild ist nicht lesbar. Bitte neu senden."]);
    assert_shows(&german_page(address, &token, "/results/1"), &["64 × 48 Bildpunkte", "Beurteilen", "Bis zur"]);
    assert_shows(&german_page(address, &token, "/trend"), &["Antwortzeit", "<polyline class=\"p95\""]);
    device.stop();

    // What is only in the journal is said in the same words, as far as it tells.
    let device = start(folder.path(), address, &token.digest().to_string());
    wait_until("the page", || TcpStream::connect(address).is_ok());
    let results = german_page(address, &token, "/results");
    assert_shows(&results, &["Das Bild ist nicht lesbar. Bitte neu senden.", "neither dark nor bright"]);
    assert_shows(&german_page(address, &token, "/"), &["<dt>Aufbewahrte Antworten</dt><dd>3</dd>"]);
    device.stop();
}

#[test]
fn answers_that_were_too_old_to_keep_are_not_counted_as_kept() {
    let (folder, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let token = Token::generate().unwrap().digest().to_string();
    let device = start(before.path(), free_address(), &token);
    ask(before.path(), "a.png", 250);
    let mut answer = device.stop().remove(0).answer;
    answer.unix_ms -= 10 * 24 * 3_600_000;
    let (mut store, _) = Store::open(&folder.path().join("answers.sqlite")).unwrap();
    store.append(&answer).unwrap();
    drop(store);
    let device = Running::start(folder.path(), "max_age_days = 7\n[folder]\npath = 'inbox'\n");
    wait_until("the cut", || device.board.look(|state| state.n_answers) == 0);
    assert_eq!(device.stop(), []);
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
