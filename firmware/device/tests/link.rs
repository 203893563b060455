//! The whole device over a pseudo-terminal, with the link's own sender as the imaging hardware.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{PATIENCE, Running, Wire};
use remedis_device::board::SourceState;
use remedis_device::operation::alarm::Alarm;
use remedis_link::{Decision, Format, FrameHeader, Heard, NakReason, Outcome, Packet, Sender, Timing};
use remedis_store::Verdict;
use serialport::{SerialPort, TTYPort};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

fn start(folder: &Path, wire: &Wire) -> Running {
    let port = wire.port.display();
    let sections = format!(
        "[link]\nport = '{port}'\nbaud = 115200\nresult_retry_ms = 50\n[screen]\npng = 'screen.png'\nwidth = 320\nheight = 240\n"
    );
    Running::start(folder, &sections)
}

/// Sends one frame until it is answered or refused.
fn ask(hardware: &mut TTYPort, header: FrameHeader, image: &[u8]) -> Heard {
    let timing = Timing { ack_ms: 100, result_ms: 200, keepalive_ms: 1000, retries: 20 };
    let mut sender = Sender::new(1, timing);
    sender.send(0, header, image.to_vec()).unwrap();
    let (start, mut packet, mut bytes) = (Instant::now(), Packet::new(), [0; 512]);
    let mut answer = None;
    while start.elapsed() < PATIENCE {
        let now_ms = start.elapsed().as_millis() as u64;
        while sender.poll(now_ms, &mut packet) {
            hardware.write_all(packet.as_bytes()).unwrap();
        }
        if let Some(answer) = answer {
            return answer;
        }
        let wait_ms = sender.due_ms().saturating_sub(now_ms).clamp(1, 100);
        hardware.set_timeout(Duration::from_millis(wait_ms)).unwrap();
        match hardware.read(&mut bytes) {
            Ok(n) => {
                let mut rest = &bytes[..n];
                loop {
                    match sender.receive(now_ms, &mut rest) {
                        Heard::Nothing => break,
                        heard @ (Heard::Answered(_) | Heard::Refused { .. }) => answer = Some(heard),
                        _ => {}
                    }
                }
            }
            Err(cause) if cause.kind() == ErrorKind::TimedOut => {}
            Err(cause) => panic!("{cause}"),
        }
    }
    panic!("no answer in {PATIENCE:?}: {:?}", sender.counters());
}

fn ask_grey(wire: &mut Wire, id: u64, level: u8) -> Outcome {
    let image = vec![level; 64 * 48];
    match ask(&mut wire.far, FrameHeader::new(id, Format::RawGrey8, 64, 48, &image).unwrap(), &image) {
        Heard::Answered(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn frames_are_answered_journalled_and_shown() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start(folder.path(), &wire);
    let bright = ask_grey(&mut wire, 1, 255);
    assert_eq!((bright.decision, bright.class, bright.confidence), (Decision::Class, 1, 10_000));
    assert_eq!(bright.model, [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]);
    let middling = ask_grey(&mut wire, 2, 120);
    assert_eq!((middling.decision, middling.class), (Decision::CannotSay, 0));
    let kept = device.stop();
    assert_eq!(kept.iter().map(|record| record.sequence).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(kept[1].answer.verdict, Verdict::Class { index: 1, name: "bright".into(), confidence: 1.0 });
    let stages: Vec<&str> = kept[1].answer.trace.timings_ms.iter().map(|(stage, _)| stage.as_str()).collect();
    assert_eq!(stages, ["wait", "decode", "judge"]);
    let audit = std::fs::read_to_string(folder.path().join("audit.log")).unwrap();
    assert!(audit.contains(r#""event":"bundle_in_use","digest":"00112233"#), "{audit}");
    let page = image::open(folder.path().join("screen.png")).unwrap();
    assert_eq!((page.width(), page.height()), (320, 240));
}

#[test]
fn an_answered_frame_is_answered_from_the_journal_even_after_a_restart() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start(folder.path(), &wire);
    let first = ask_grey(&mut wire, 7, 250);
    assert_eq!(ask_grey(&mut wire, 7, 250), first);
    assert_eq!(device.n_predictions(), 1);
    device.stop();
    let device = start(folder.path(), &wire);
    assert_eq!(ask_grey(&mut wire, 7, 250), first);
    assert_eq!(device.n_predictions(), 0);
    assert_eq!(device.stop().len(), 1);
}

#[test]
fn another_image_under_an_answered_number_is_refused() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start(folder.path(), &wire);
    ask_grey(&mut wire, 3, 250);
    let image = vec![1; 64 * 48];
    let heard = ask(&mut wire.far, FrameHeader::new(3, Format::RawGrey8, 64, 48, &image).unwrap(), &image);
    assert!(matches!(heard, Heard::Refused { frame_id: 3, reason: NakReason::IdReused, .. }), "{heard:?}");
    device.stop();
}

#[test]
fn an_unreadable_image_gets_an_answer_too() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start(folder.path(), &wire);
    let image = b"this is no PNG file at all".to_vec();
    let heard = ask(&mut wire.far, FrameHeader::new(5, Format::Png, 0, 0, &image).unwrap(), &image);
    let Heard::Answered(outcome) = heard else { panic!("{heard:?}") };
    assert_eq!((outcome.decision, outcome.class), (Decision::Unreadable, Outcome::NO_CLASS));
    assert_eq!(device.n_predictions(), 0);
    let kept = device.stop();
    let Verdict::Unreadable { reason } = &kept[0].answer.verdict else { panic!("{kept:?}") };
    assert!(reason.starts_with("unreadable image: "), "{reason}");
}

#[test]
fn a_model_that_stops_in_the_middle_costs_an_answer_and_not_the_device() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start(folder.path(), &wire);
    let heard = ask(&mut wire.far, FrameHeader::new(1, Format::RawGrey8, 1, 1, &[9]).unwrap(), &[9]);
    assert!(matches!(heard, Heard::Answered(Outcome { decision: Decision::Unreadable, .. })), "{heard:?}");
    assert_eq!(ask_grey(&mut wire, 2, 255).decision, Decision::Class);
    assert_eq!(device.stop().len(), 2);
}

#[test]
fn a_port_that_goes_is_an_alarm_and_the_device_still_stops_when_asked() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start(folder.path(), &wire);
    ask_grey(&mut wire, 1, 255);
    let board = std::sync::Arc::clone(&device.board);
    // The hardware is unplugged: its end of the line is closed.
    drop(wire);
    bench::wait_until("the loss of the port", || {
        board.look(|state| {
            state.sources[0].state == SourceState::Lost
                && state.alarms.iter().any(|(alarm, _)| alarm == Alarm::SourceLost("link"))
        })
    });
    device.stop();
}
