//! The maker's own client, the PyPI package openmv, against our camera over a pseudo-terminal.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]
#![expect(clippy::print_stdout, reason = "the counts of a run are worth reading")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python of the test peers, as `tools/peers/install-peers.sh` installs it; `None` says that the test is skipped. In CI
/// that is a failure.
fn peer_python() -> Option<PathBuf> {
    let named = std::env::var_os("REMEDIS_PEERS").map(PathBuf::from);
    let folder = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/remedis/peers")))?;
    let python = folder.join("bin/python");
    let has_client = Command::new(&python).args(["-c", "import openmv, serial"]).output();
    if has_client.is_ok_and(|said| said.status.success()) {
        return Some(python);
    }
    let why = "there is no OpenMV client among the test peers; tools/peers/install-peers.sh installs it";
    assert!(std::env::var_os("CI").is_none(), "CI skips nothing, but {why}");
    eprintln!("skipped: {why}");
    None
}

/// The example `camera`, which cargo builds beside the tests.
fn camera() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let camera = folder.join("examples/camera");
    assert!(camera.exists(), "{} is missing: build the examples of remedis-openmv", camera.display());
    camera
}

/// So many frames arrive while the client drops so much of what it hears, and of its acknowledgements. The script judges each frame, its
/// order and the time, and fails in five minutes at the latest.
fn check(n_frames: u32, drop_rate: &str) {
    let Some(python) = peer_python() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/peers/openmv_client.py");
    let frames = n_frames.to_string();
    let said = Command::new(python)
        .arg(script)
        .arg(camera())
        .args(["--frames", &frames, "--drop-rate", drop_rate])
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    println!("{out}");
    assert!(said.status.success() && out.contains(&format!("\"frames\": {n_frames},")), "{out}{err}");
}

#[test]
fn on_a_clean_line_it_gets_every_frame_in_order() {
    check(60, "0");
}

#[test]
fn with_two_packets_of_a_hundred_dropped_it_gets_every_frame_it_asks_for() {
    check(15, "0.02");
}

#[test]
fn with_ten_packets_of_a_hundred_dropped_it_gets_every_frame_it_asks_for() {
    check(6, "0.1");
}
