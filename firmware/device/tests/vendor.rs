//! Hardware that follows WIRE.md and uses none of our code, against the whole device over a pseudo-terminal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{Running, wait_until};
use remedis_store::Verdict;
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// A line of `firmware/link/tests/hardware.py`.
#[derive(Deserialize)]
struct Told {
    frame: u64,
    decision: u8,
    class: u16,
    confidence: f32,
    model: String,
    naks: u32,
}

/// What the hardware was told, and how often the device heard something damaged; `None` says that there is no Python. In CI that is a
/// failure.
fn hand_over(n_frames: usize, damage: u32) -> Option<(Vec<Told>, u64)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../link/tests/hardware.py");
    let started = Command::new("python3")
        .arg("-B")
        .arg(script)
        .args(["--frames", &n_frames.to_string(), "--damage", &damage.to_string()])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut hardware) = started else {
        assert!(std::env::var_os("CI").is_none(), "CI skips nothing, but there is no python3");
        eprintln!("skipped: there is no python3");
        return None;
    };
    let mut lines = BufReader::new(hardware.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let device = Running::start(folder.path(), &format!("[link]\nport = '{port}'\nbaud = 115200\n"));
    let told: Vec<Told> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(hardware.wait().unwrap().success());
    wait_until("a count of what was damaged", || damage == 0 || device.met("corrupt") > 0);
    let n_damaged = device.met("corrupt");

    assert_eq!(told.iter().map(|told| told.frame).collect::<Vec<_>>(), (1..=n_frames as u64).collect::<Vec<_>>());
    assert_eq!(device.n_predictions(), n_frames);
    let mut kept = device.stop();
    kept.reverse();
    assert_eq!(kept.len(), n_frames);
    for (told, kept) in told.iter().zip(&kept) {
        match &kept.answer.verdict {
            Verdict::Class { index, confidence, .. } => {
                assert_eq!((told.decision, told.class), (0, *index));
                assert!((told.confidence - confidence).abs() < 1e-4);
            }
            Verdict::CannotSay { .. } => assert_eq!(told.decision, 1),
            other => panic!("{other:?}"),
        }
        assert_eq!(told.model, "0011223344556677");
    }
    Some((told, n_damaged))
}

#[test]
fn a_specification_is_enough_for_a_first_answer() {
    let Some((told, n_damaged)) = hand_over(3, 0) else { return };
    assert_eq!(told.iter().map(|told| (told.decision, told.class)).collect::<Vec<_>>(), [(0, 0), (1, 0), (0, 1)]);
    assert_eq!((told.iter().map(|told| told.naks).sum::<u32>(), n_damaged), (0, 0));
}

#[test]
fn and_for_every_answer_on_a_line_that_damages_one_packet_in_five() {
    let Some((told, n_damaged)) = hand_over(20, 5) else { return };
    assert!(told.iter().map(|told| told.naks).sum::<u32>() >= 10 && n_damaged > 0, "{n_damaged}");
}
