//! A camera with OpenMV's protocol: shows images, and the device takes them as it likes.

use super::images::Picture;
use super::line::Line;
use super::noise::Noisy;
use anyhow::{Context, Result};
use remedis_imaging::{Channels, Depth, Image, decode};
use remedis_link::Format;
use remedis_openmv::{Camera, Frame, PixelFormat};
use serde::Serialize;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait, so that Ctrl-C is heard and the camera's own clock goes on.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// How a run went.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Frames that the device has read to their end.
    pub(crate) frames_read: u64,
    /// Frames asked for that it has not.
    pub(crate) unread: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Packets that the camera sent again.
    pub(crate) retransmissions: u64,
    pub(crate) seconds: f64,
    /// Ended by Ctrl-C.
    pub(crate) interrupted: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames_read, unread, retransmissions, bytes_sent, bytes_received, seconds, .. } = self;
        writeln!(f, "frames: {frames_read} read, {unread} unread, {retransmissions} packets sent again")?;
        write!(f, "bytes:  {bytes_sent} out, {bytes_received} in, {seconds:.1} s")
    }
}

/// Shows `n_frames` images in turn, at most `rate` a second (0 for no limit), until all were read or none was for `timeout`.
///
/// # Errors
/// When an image cannot be decoded, or the line fails.
pub(crate) fn show<L: Line>(
    mut line: Noisy<L>,
    images: &[Picture],
    n_frames: u64,
    rate: f64,
    timeout: Duration,
    stop: &AtomicBool,
) -> Result<Summary> {
    let frames: Vec<Frame> = images.iter().map(frame).collect::<Result<_>>()?;
    let (start, mut camera) = (Instant::now(), Camera::default());
    let (mut offered, mut read, mut since) = (0_u64, 0_u64, Instant::now());
    while read < n_frames && !stop.load(Ordering::Relaxed) && since.elapsed() < timeout {
        let now_ms = || start.elapsed().as_millis() as u64;
        camera.poll(now_ms());
        if offered > read && camera.is_free() {
            read += 1;
            since = Instant::now();
        }
        let is_early = rate > 0.0 && start.elapsed().as_secs_f64() < offered as f64 / rate;
        let next = &frames[(offered % frames.len() as u64) as usize];
        if offered == read && offered < n_frames && !is_early && camera.offer(next) {
            offered += 1;
        }
        line.write(&camera.take_output()).context("cannot write to the line")?;
        let arrived = line.read(LONGEST_WAIT).context("cannot read from the line")?;
        camera.receive(now_ms(), &arrived);
    }
    Ok(Summary {
        frames_read: read,
        unread: n_frames - read,
        bytes_sent: line.bytes_sent,
        bytes_received: line.bytes_received,
        retransmissions: camera.stats().retransmissions.into(),
        seconds: start.elapsed().as_secs_f64(),
        interrupted: stop.load(Ordering::Relaxed),
    })
}

/// As a camera sends it: JPEG files as they are, other images as pixels.
fn frame(picture: &Picture) -> Result<Frame> {
    let image = decode(&picture.bytes, Depth::Eight).context("decoding an image to show")?;
    let Image { width, height, channels, .. } = image;
    if picture.format == Format::Jpeg {
        return Ok(Frame { width, height, format: PixelFormat::Jpeg, bytes: picture.bytes.clone() });
    }
    let (format, bytes) = match channels {
        Channels::Grey => (PixelFormat::Grey, image.as_u8().to_vec()),
        Channels::Rgb => (PixelFormat::Rgb565, image.as_u8().as_chunks().0.iter().flat_map(rgb565).collect()),
    };
    Ok(Frame { width, height, format, bytes })
}

/// 5 bits red, 6 green, 5 blue, little endian.
fn rgb565([red, green, blue]: &[u8; 3]) -> [u8; 2] {
    let [red, green, blue] = [red >> 3, green >> 2, blue >> 3].map(u16::from);
    (red << 11 | green << 5 | blue).to_le_bytes()
}
