//! The web page and those who mean it no good.

use crate::lies::noise;
use crate::place::{Place, in_time};
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// More than the page keeps open for one address, and for all together.
const N_SLOW: usize = 200;
/// Requests of the one who reads no answer, as many as a connection may make. Of pictures: more bytes than the kernel keeps for it.
const N_UNREAD: usize = 200;
/// A page that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(30);
/// Side of a picture of noise that is shown as it is, a megabyte of PNG.
const SIDE: u32 = 640;

#[test]
fn wrong_tokens_are_counted_and_have_to_wait_while_who_is_in_stays_in() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let visitor = place.log_in()?;
    let give = |token: &str| place.page().post("/login", &format!("token={token}"));
    let wrong: String = place.token.chars().rev().collect();
    let mut n_looked_at = 0_u32;
    // Three are free, the fourth costs a wait.
    while give(&wrong)?.status == 401 {
        n_looked_at += 1;
        ensure!(n_looked_at < 20, "at some time it has to wait");
    }
    ensure!(n_looked_at >= 4, "three are free, found {n_looked_at}");
    let late = give(&place.token)?;
    let wait = late.header("retry-after").unwrap_or_default();
    ensure!(late.status == 429 && wait.parse::<u64>().is_ok(), "the right token has to wait as well: {}", late.head);
    place.serves_page(&visitor)?;
    let n_refused = place.metric(&visitor, "remedis_web{kind=\"logins_refused\"}")?;
    ensure!(n_refused == f64::from(n_looked_at + 2), "each of them is counted: {n_refused}");
    place.device.wait_for("web what={event=login_refused peer=127.0.0.1")?;
    place.device.wait_for("web what={event=login_limited peer=127.0.0.1")?;
    in_time("the end of the wait", || place.log_in().is_ok())?;
    in_time("the audit log", || place.audited("operator_login").is_ok_and(|logins| logins.len() >= 3))?;
    let who: Vec<_> = place.audited("operator_login")?.iter().map(|event| event["ok"] == true).collect();
    ensure!(who == [true, false, true], "the audit log has who came in and that somebody did not: {who:?}");
    let rest: u64 = place.audited("logins_refused")?.iter().filter_map(|event| event["count"].as_u64()).sum();
    ensure!(rest + 1 == u64::from(n_looked_at), "the audit log counts wrong tokens: {rest} after the first");
    place.end()
}

#[test]
fn what_is_too_large_or_too_slow_keeps_nobody_waiting() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    let _hardware = place.hardware()?;
    let header = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "a".repeat(9_000));
    ensure!(answer(&place, &header)?.starts_with("HTTP/1.1 431 "), "a header that is too large is refused");
    place.device.wait_for("web what={event=connection_dropped peer=127.0.0.1 why=headers are too large}")?;
    let form = format!("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n{}", "a".repeat(2_000));
    ensure!(answer(&place, &form)?.starts_with("HTTP/1.1 413 "), "a form that is too large is refused");
    place.device.wait_for("web what={event=request_refused peer=127.0.0.1 status=413")?;
    place.serves_everybody("what is too large")?;

    let mut slow = (0..N_SLOW).map(|_| trickle(&place)).collect::<Result<Vec<_>>>()?;
    for _ in 0..10 {
        // Who had to make room cannot go on; that is the point.
        slow.iter_mut().for_each(|stream| drop(stream.write(b"a")));
        place.serves_page(&place.log_in()?)?;
    }
    place.serves_everybody("slow connections")?;
    place.device.wait_for("web what={event=connection_evicted peer=127.0.0.1}")?;
    let evicted = place.metric(&place.log_in()?, "remedis_web{kind=\"connections_evicted\"}")?;
    ensure!(evicted >= (N_SLOW - 16) as f64, "they made room: {evicted}");
    place
        .device
        .wait_for("web what={event=connection_dropped peer=127.0.0.1 why=did not finish its headers in time}")?;
    place.end()
}

#[test]
fn who_reads_nothing_is_cut_off_and_keeps_nobody_waiting() -> Result<()> {
    let Some(place) = Place::start()? else { return Ok(()) };
    place.put("noise.png", &noise(SIDE))?;
    let sequence = place.handed_back("done", "noise.png")?["answers"][0]["sequence"].to_string();
    let unread = ask_and_never_read(&place, &format!("/results/{sequence}/picture.png"))?;
    // Only the newest results have pictures: there are others once it is under way.
    in_time("the first of what is not read", || unread.peek(&mut [0; 1 << 15]).is_ok_and(|n| n == 1 << 15))?;
    let _hardware = place.hardware()?;
    place.serves_everybody("the first picture that is not read")?;
    place.device.wait_for("web what={event=connection_dropped peer=127.0.0.1 why=did not take its answer in time}")?;
    place.serves_everybody("answers that nobody read")?;
    place.end()
}

/// How the page's answer to these bytes begins.
fn answer(place: &Place, request: &str) -> Result<String> {
    let (mut stream, mut answer) = (connect(place)?, [0; 13]);
    // Who sends too much is broken off before the end; the answer tells.
    let _refused_early = stream.write_all(request.as_bytes());
    stream.read_exact(&mut answer).context("reading the beginning of an answer")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Begins a request and does not end it.
fn trickle(place: &Place) -> Result<TcpStream> {
    let mut stream = connect(place)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")?;
    Ok(stream)
}

/// Asks for the same many times over, as who is in, and reads nothing.
fn ask_and_never_read(place: &Place, path: &str) -> Result<TcpStream> {
    let reply = place.page().post("/login", &format!("token={}", place.token))?;
    let cookie = reply.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    let cookie = cookie.context("whoever is let in gets a cookie")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let mut stream = connect(place)?;
    stream.write_all(request.repeat(N_UNREAD).as_bytes())?;
    Ok(stream)
}

fn connect(place: &Place) -> Result<TcpStream> {
    let stream = TcpStream::connect(&place.address).context("connecting to the web page")?;
    stream.set_read_timeout(Some(SILENCE)).context("setting a limit")?;
    Ok(stream)
}
