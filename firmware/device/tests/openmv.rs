//! The whole device over a pseudo-terminal, with an emulated OpenMV camera.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{PATIENCE, Running, Wire};
use remedis_openmv::{Camera, CameraSettings, Frame, PixelFormat};
use remedis_store::Verdict;
use serialport::{SerialPort, TTYPort};
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Plays the camera, a new frame of this level whenever it has room, until `is_enough`.
fn play(port: &mut TTYPort, level: u8, mut is_enough: impl FnMut() -> bool) {
    let mut camera = Camera::new(CameraSettings::default());
    let (start, mut bytes) = (Instant::now(), [0; 4096]);
    port.set_timeout(Duration::from_millis(5)).unwrap();
    while !is_enough() {
        assert!(start.elapsed() < PATIENCE, "the camera's frames were not answered in {PATIENCE:?}");
        let frame = Frame { width: 16, height: 8, format: PixelFormat::Grey, bytes: vec![level; 128] };
        // No room means that the host has not taken the last one yet.
        let _is_taken = camera.offer(&frame);
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
