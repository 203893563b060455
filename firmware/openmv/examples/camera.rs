//! A camera on standard input and output, for `tools/peers/openmv_client.py`: shows grey, RGB565 and JPEG pictures in turn, whose
//! bytes anybody can work out, one every 30 ms once a script runs.
//!
//! usage: camera [--size WIDTHxHEIGHT] [--record FILE]
//!
//! FILE is given all that went over the line, in the form that `tests/captures.rs` reads.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use pictures::picture;
use remedis_openmv::Camera;

#[path = "../tests/pictures/mod.rs"]
mod pictures;

const EVERY: Duration = Duration::from_millis(30);

struct Arguments {
    size: (u32, u32),
    record: Option<BufWriter<File>>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { size, mut record } = arguments()?;
    let (bytes, mut camera, began) = (read_input(), Camera::default(), Instant::now());
    let (mut shown, mut next) = (0_u32, Duration::ZERO);
    loop {
        let now = began.elapsed();
        let now_ms = now.as_millis() as u32;
        camera.poll(now_ms.into());
        if now >= next {
            next = now + EVERY;
            if camera.script().is_some() && camera.offer(&picture(shown, size)) {
                note(&mut record, b'f', now_ms, &shown.to_le_bytes())?;
                shown += 1;
            }
        }
        let out = camera.take_output();
        if !out.is_empty() {
            note(&mut record, b'<', now_ms, &out)?;
            io::stdout().write_all(&out)?;
            io::stdout().flush()?;
        }
        match bytes.recv_timeout(next.saturating_sub(began.elapsed())) {
            Ok(bytes) => {
                let now_ms = began.elapsed().as_millis() as u32;
                note(&mut record, b'>', now_ms, &bytes)?;
                camera.receive(now_ms.into(), &bytes);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn arguments() -> Result<Arguments, Box<dyn std::error::Error>> {
    let mut arguments = Arguments { size: (160, 120), record: None };
    let mut words = std::env::args().skip(1);
    while let (Some(name), value) = (words.next(), words.next()) {
        let value = value.ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--size" => {
                let (width, height) = value.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
                arguments.size = (width.parse()?, height.parse()?);
            }
            "--record" => arguments.record = Some(BufWriter::new(File::create(value)?)),
            _ => return Err(format!("{name} is not known; there are --size and --record").into()),
        }
    }
    Ok(arguments)
}

/// What comes in, as it comes.
fn read_input() -> Receiver<Vec<u8>> {
    let (sender, bytes) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = io::stdin().read(&mut buffer) {
            if sender.send(buffer.iter().copied().take(n).collect::<Vec<u8>>()).is_err() {
                return;
            }
        }
    });
    bytes
}

/// A record: what kind, when in milliseconds, how long, and the bytes.
fn note(record: &mut Option<BufWriter<File>>, kind: u8, now_ms: u32, bytes: &[u8]) -> io::Result<()> {
    let Some(record) = record else { return Ok(()) };
    let length = (bytes.len() as u32).to_le_bytes();
    for part in [&[kind][..], &now_ms.to_le_bytes(), &length, bytes] {
        record.write_all(part)?;
    }
    record.flush()
}
