//! A camera on standard input and output, for `tools/peers/openmv_client.py`: shows grey, RGB565 and again grey pictures whose
//! pixels anybody can work out, one every 30 ms.

use std::io::{self, Read, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use remedis_openmv::{Camera, Frame, PixelFormat};

const EVERY: Duration = Duration::from_millis(30);

fn main() -> io::Result<()> {
    let (sender, bytes) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = io::stdin().read(&mut buffer) {
            if sender.send(buffer.iter().copied().take(n).collect::<Vec<u8>>()).is_err() {
                return;
            }
        }
    });
    let (mut camera, began, mut shown, mut next) = (Camera::default(), Instant::now(), 0_u32, Duration::ZERO);
    loop {
        let now = began.elapsed();
        let now_ms = now.as_millis() as u64;
        camera.poll(now_ms);
        if now >= next {
            next = now + EVERY;
            shown += u32::from(camera.script().is_some() && camera.offer(&picture(shown)));
        }
        let out = camera.take_output();
        if !out.is_empty() {
            io::stdout().write_all(&out)?;
            io::stdout().flush()?;
        }
        match bytes.recv_timeout(next.saturating_sub(began.elapsed())) {
            Ok(bytes) => camera.receive(began.elapsed().as_millis() as u64, &bytes),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// 160 x 120 pixels; the first byte is the picture's number, every other byte depends on it and on its place.
fn picture(number: u32) -> Frame {
    let format = if number % 3 == 1 { PixelFormat::Rgb565 } else { PixelFormat::Grey };
    let n = 160 * 120 * if format == PixelFormat::Rgb565 { 2 } else { 1 };
    let data = (0..n).map(|at| (number.wrapping_add(at * at / 7)) as u8).collect();
    Frame { width: 160, height: 120, format, data }
}
