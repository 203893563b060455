//! The whole device over a pseudo-terminal, with an emulated OpenMV camera.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{PATIENCE, Running, Wire};
use remedis_device::board::SourceState;
use remedis_device::operation::alarm::Alarm;
use remedis_openmv::{Camera, CameraSettings, Frame, PixelFormat};
use remedis_store::Verdict;
use serialport::{SerialPort, TTYPort};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn grey(level: u8) -> Frame {
    Frame { width: 16, height: 8, format: PixelFormat::Grey, bytes: vec![level; 128] }
}

/// Plays the camera, a new frame of this level whenever it has room, until `is_enough`.
fn play(port: &mut TTYPort, level: u8, is_enough: impl FnMut() -> bool) {
    play_as(port, CameraSettings::default(), |_| grey(level).to_bytes(), is_enough);
}

/// Plays such a camera, with these bytes for its nth frame.
fn play_as(
    port: &mut TTYPort,
    settings: CameraSettings,
    frame: impl Fn(usize) -> Vec<u8>,
    mut is_enough: impl FnMut() -> bool,
) {
    let mut camera = Camera::new(settings);
    let (start, mut bytes, mut n) = (Instant::now(), [0; 4096], 0);
    port.set_timeout(Duration::from_millis(5)).unwrap();
    while !is_enough() {
        assert!(start.elapsed() < PATIENCE, "the camera was played for {PATIENCE:?}");
        // No room means that the host has not taken the last one yet.
        n += usize::from(camera.offer_bytes(frame(n), vec![]));
        let now_ms = start.elapsed().as_millis() as u64;
        match port.read(&mut bytes) {
            Ok(n) => camera.receive(now_ms, &bytes[..n]),
            Err(cause) if cause.kind() == ErrorKind::TimedOut => {}
            Err(cause) => panic!("{cause}"),
        }
        camera.poll(start.elapsed().as_millis() as u64);
        port.write_all(&camera.take_output()).unwrap();
    }
}

#[test]
fn a_cameras_frames_are_judged_and_the_newest_wins() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = Running::start(folder.path(), &format!("[openmv]\nport = '{}'\n", wire.port.display()));
    let board = Arc::clone(&device.board);
    play(&mut wire.far, 250, || board.look(|state| state.n_answers >= 5));
    let kept = device.stop();
    assert!(kept.len() >= 5);
    for record in kept {
        assert_eq!((record.answer.source.as_str(), &record.answer.request), ("openmv", &None));
        assert!(matches!(&record.answer.verdict, Verdict::Class { name, .. } if name == "bright"), "{record:?}");
    }
}

#[test]
fn a_camera_that_is_unplugged_and_plugged_in_again_goes_on() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = Running::start(folder.path(), &format!("[openmv]\nport = '{}'\n", wire.port.display()));
    let board = Arc::clone(&device.board);
    play(&mut wire.far, 250, || board.look(|state| state.n_answers >= 2));
    // A camera that was switched off knows nothing of the session.
    let before = board.look(|state| state.n_answers);
    play(&mut wire.far, 5, || board.look(|state| state.n_answers >= before + 2));
    let kept = device.stop();
    assert!(matches!(&kept[0].answer.verdict, Verdict::Class { name, .. } if name == "dark"), "{:?}", kept[0]);
}

/// A device that counts a camera as lost as soon as one may.
fn start_impatient(folder: &Path, wire: &Wire) -> Running {
    let port = wire.port.display();
    let settings = format!("[openmv]\nport = '{port}'\nquiet_after_ms = 3000\nmax_image_bytes = 400\n");
    Running::start(folder, &settings)
}

/// Why the camera counts as lost, where the board says so in each of its places.
fn trouble(device: &Running) -> Option<String> {
    device.board.look(|state| {
        let is_lost = |alarm| alarm == Alarm::SourceLost("openmv") && state.sources[0].state == SourceState::Lost;
        let detail = state.alarms.iter().find(|(alarm, _)| is_lost(*alarm)).map(|(_, raised)| raised.detail.clone());
        assert!(detail.is_none() || detail == state.sources[0].trouble, "{:?}", state.sources[0]);
        detail
    })
}

/// Plays such a camera until the device tells its trouble in words that begin so and has met more of `kind`, then one that is as it
/// should be.
fn meets(settings: &CameraSettings, frame: impl Fn(usize) -> Vec<u8>, words: &str, kind: &str) {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start_impatient(folder.path(), &wire);
    play_as(&mut wire.far, settings.clone(), &frame, || trouble(&device).is_some_and(|told| told.starts_with(words)));
    let before = device.met(kind);
    play_as(&mut wire.far, settings.clone(), &frame, || device.met(kind) >= before + 2);
    assert_eq!(device.said.lines("connected source=openmv"), [""; 0]);
    // Frames come again.
    let is_connected = || device.board.look(|state| state.sources[0].state == SourceState::Connected);
    play(&mut wire.far, 250, || is_connected() && device.board.look(|state| state.alarms.is_empty()));
    assert_eq!(device.said.lines("connected source=openmv").len(), 1);
    let said = device.said.lines("source_lost source=openmv reason=");
    let is_said = |line: &String| line.starts_with(words);
    assert!(said.iter().any(is_said), "{said:?}");
    assert!(!said.windows(2).any(|two| two.iter().all(is_said)), "said more than once: {said:?}");
    device.stop();
}

#[test]
fn a_camera_with_a_pixel_format_that_is_not_read_is_lost_for_that_reason() {
    let mut frame = grey(250).to_bytes();
    frame[8..12].copy_from_slice(&[5, 0, 0, 0]);
    let words = "pixels have the format 0x00000005, expected grey, RGB565 or JPEG; change the camera's script";
    meets(&CameraSettings::default(), |_| frame.clone(), words, "damaged_images");
}

#[test]
fn a_camera_with_frames_that_are_too_long_is_lost_for_that_reason() {
    // No two are as long as each other, as with JPEG files.
    let frame = |n| vec![250; 500 + n % 50];
    meets(&CameraSettings::default(), frame, "a frame of 5", "damaged_images");
}

#[test]
fn a_board_without_a_stream_is_lost_for_that_reason() {
    let words = "the camera has no channels stdin and stream; expected OpenMV firmware 5 or later";
    meets(&CameraSettings { has_stream: false, ..CameraSettings::default() }, |_| vec![], words, "resyncs");
}

#[test]
fn a_single_bad_frame_is_no_trouble() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = Running::start(folder.path(), &format!("[openmv]\nport = '{}'\n", wire.port.display()));
    play(&mut wire.far, 250, || device.board.look(|state| state.n_answers >= 1));
    play_as(&mut wire.far, CameraSettings::default(), |_| vec![0; 50], || device.met("damaged_images") >= 1);
    assert_eq!(trouble(&device), None);
    assert_eq!(device.said.lines("source_lost"), [""; 0]);
    device.stop();
}
