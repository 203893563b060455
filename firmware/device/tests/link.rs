//! The whole device over a pseudo-terminal, with the link's own sender as the imaging hardware.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{PATIENCE, Running, Wire};
use remedis_device::board::SourceState;
use remedis_device::operation::alarm::Alarm;
use remedis_link::{Decision, Format, FrameHeader, Heard, NakReason, Outcome, Packet, Rates, Sender, Timing};
use remedis_store::Verdict;
use serialport::{SerialPort, TTYPort};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

fn start(folder: &Path, wire: &Wire) -> Running {
    start_with(folder, wire, "[]")
}

fn start_with(folder: &Path, wire: &Wire, other_bauds: &str) -> Running {
    let port = wire.port.display();
    let sections = format!(
        "[link]\nport = '{port}'\nbaud = 115200\nother_bauds = {other_bauds}\nresult_retry_ms = 50\n[screen]\npng = 'screen.png'\nwidth = 320\nheight = 240\n"
    );
    Running::start(folder, &sections)
}

const TIMING: Timing = Timing { ack_ms: 100, result_ms: 200, keepalive_ms: 1000, retries: 20 };

/// Sends one frame until it is answered or refused.
fn ask(hardware: &mut TTYPort, header: FrameHeader, image: &[u8]) -> Heard {
    let mut sender = Sender::new(1, TIMING);
    exchange(hardware, &mut sender, Instant::now(), header, image, |_| false)
}

/// As above, with a sender made at `start`. Packets of which `is_lost` says so, by their number, do not reach the line.
fn exchange(
    hardware: &mut TTYPort,
    sender: &mut Sender<Vec<u8>>,
    start: Instant,
    header: FrameHeader,
    image: &[u8],
    is_lost: impl Fn(u64) -> bool,
) -> Heard {
    let now_ms = || start.elapsed().as_millis() as u64;
    let begun = Instant::now();
    sender.send(now_ms(), header, image.to_vec()).unwrap();
    let (mut packet, mut bytes, mut answer) = (Packet::new(), [0; 512], None);
    while begun.elapsed() < PATIENCE {
        while sender.poll(now_ms(), &mut packet) {
            if !is_lost(sender.counters().packets) {
                hardware.write_all(packet.as_bytes()).unwrap();
            }
        }
        if let Some(answer) = answer {
            return answer;
        }
        let wait_ms = sender.due_ms().saturating_sub(now_ms()).clamp(1, 100);
        hardware.set_timeout(Duration::from_millis(wait_ms)).unwrap();
        match hardware.read(&mut bytes) {
            Ok(n) => {
                let mut rest = &bytes[..n];
                loop {
                    match sender.receive(now_ms(), &mut rest) {
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

/// The greeting of hardware in this session.
fn hello(session: u32) -> Packet {
    let mut packet = Packet::new();
    assert!(Sender::<Vec<u8>>::new(session, TIMING).poll(0, &mut packet));
    packet
}

#[test]
fn what_arrived_before_the_port_was_opened_is_not_answered() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    // Noise, and a greeting of hardware that is no longer there.
    wire.far.write_all(&[0x55; 300]).unwrap();
    wire.far.write_all(hello(77).as_bytes()).unwrap();
    let device = start(folder.path(), &wire);
    bench::wait_until("the opening of the port", || device.met("opened") == 1);
    let image = vec![250; 64 * 48];
    let header = FrameHeader::new(1, Format::RawGrey8, 64, 48, &image).unwrap();
    let mut sender = Sender::new(1, TIMING);
    let heard = exchange(&mut wire.far, &mut sender, Instant::now(), header, &image, |_| false);
    assert!(matches!(heard, Heard::Answered(Outcome { decision: Decision::Class, .. })), "{heard:?}");
    assert_eq!(device.said.lines("connected source=link").len(), 1, "one session, that of the hardware that is there");
    bench::wait_until("the last packet", || device.met("packets") == sender.counters().packets);
    assert_eq!((device.met("corrupt"), device.met("skipped_bytes")), (0, 0));
    device.stop();
}

#[test]
fn hardware_that_does_not_read_holds_nothing_up() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start_with(folder.path(), &wire, "[57600]");
    let start = Instant::now();
    // Each greeting is answered, until the line is full of answers.
    while device.met("unsent") == 0 {
        assert!(start.elapsed() < PATIENCE, "{} packets were heard", device.met("packets"));
        match wire.far.write_all(hello(9).as_bytes()) {
            Err(cause) if cause.kind() != ErrorKind::TimedOut => panic!("{cause}"),
            // The device is behind; a part of a packet is noise.
            Ok(()) | Err(_) => {}
        }
    }
    assert_eq!(ask_grey(&mut wire, 1, 250).decision, Decision::Class);
    assert_eq!(device.stop().len(), 1);
}

#[test]
fn a_device_that_hears_nothing_listens_at_each_rate_in_turn() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start_with(folder.path(), &wire, "[57600, 921600]");
    // Both ends of a pseudo-terminal tell the rate of the device's.
    for baud in [115_200, 921_600, 57_600, 115_200] {
        bench::wait_until(&format!("{baud} baud"), || wire.far.baud_rate().unwrap() == baud);
    }
    assert_eq!(ask_grey(&mut wire, 1, 250).decision, Decision::Class);
    device.stop();
}

#[test]
fn a_line_that_loses_packets_goes_to_a_lower_rate_at_the_port_too() {
    let (folder, mut wire) = (tempfile::tempdir().unwrap(), Wire::new());
    let device = start_with(folder.path(), &wire, "[57600]");
    bench::wait_until("115200 baud", || wire.far.baud_rate().unwrap() == 115_200);
    let rates = Rates::new(115_200, &[57_600, 115_200]).unwrap();
    let (mut sender, start) = (Sender::new(1, TIMING).with_rates(rates), Instant::now());
    let image = vec![250; 64 * 48];
    let mut n_frames = 0;
    while sender.counters().step_downs == 0 {
        n_frames += 1;
        assert!(n_frames < 100, "no step down: {:?}", sender.counters());
        let header = FrameHeader::new(n_frames, Format::RawGrey8, 64, 48, &image).unwrap();
        exchange(&mut wire.far, &mut sender, start, header, &image, |number| number % 3 == 0);
    }
    assert_eq!((sender.baud(), wire.far.baud_rate().unwrap()), (Some(57_600), 57_600));
    let header = FrameHeader::new(1000, Format::RawGrey8, 64, 48, &image).unwrap();
    exchange(&mut wire.far, &mut sender, start, header, &image, |_| false);
    assert_eq!((device.met("rate_changes"), wire.far.baud_rate().unwrap()), (1, 57_600));
    assert_eq!(device.stop().len() as u64, n_frames + 1);
}
